import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune.federated._fault import Fault
from cotune.federated._npy import open_array


def npy(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def code(found):
    return found.code if isinstance(found, Fault) else None


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_any_shape_and_float_is_read(shape, dtype):
    array = np.arange(math.prod(shape), dtype=dtype).reshape(shape)
    found = open_array("x", npy(array), shape)
    assert isinstance(found, torch.Tensor)
    assert torch.equal(found, torch.from_numpy(array.copy()))


def test_reading_copies_no_bytes():
    data = npy(np.ones((50, 2), dtype="float32"))
    found = open_array("x", data, (50, 2))
    assert isinstance(found, torch.Tensor)
    start = np.frombuffer(data, dtype="uint8").ctypes.data
    assert start < found.data_ptr() < start + len(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "type"),
        ("text", "type"),
        (None, "type"),
        (npy(np.ones((2, 3), "f4"))[:-1], "type"),
        (npy(np.ones((2, 3), "f4")) + b"x", "type"),
        (npy(np.ones((2, 3), "f4"))[:20], "type"),
        (npy(np.ones((3, 2), "f4").T), "type"),
        (npy(np.ones((2, 3), ">f4")), "dtype"),
        (npy(np.ones((2, 3), "i8")), "dtype"),
        (npy(np.full((2, 3), None)), "dtype"),
        (npy(np.ones((3, 2), "f4")), "shape"),
        (npy(np.zeros((2, 3), [("a", "f4")])), "type"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "type"),
        (header("(999999999999, 99)"), "shape"),
        (header("(2, 3)"), "type"),
    ],
)
def test_bytes_that_do_not_fit_are_a_fault(data, expected):
    assert code(open_array("x", data, (2, 3))) == expected


@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_raise(data):
    assert isinstance(open_array("x", data, (2, 3)), Fault)


@given(
    position=st.integers(0, 127),
    byte=st.integers(0, 255),
)
def test_no_changed_header_makes_it_raise(position, byte):
    data = bytearray(npy(np.ones((2, 3), "f4")))
    data[position] = byte
    assert isinstance(open_array("x", bytes(data), (2, 3)), Fault | torch.Tensor)
