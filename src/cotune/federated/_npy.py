"""Arrays as ``numpy.save`` writes them, read without trust and without copying."""

from __future__ import annotations

import math
import re
import warnings

import torch
from torch import Tensor

from ._fault import Fault, show

_MAGIC = b"\x93NUMPY"
# What numpy writes and no more. Its own reader would evaluate the header, and reserve
# whatever memory the header asks for.
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[a-zA-Z]\d{0,2})', 'fortran_order': False, "
    r"'shape': \(((?:\d{1,12}, ?)*\d{0,12})\), \} *\n"
)
_DTYPES = {"<f2": torch.float16, "<f4": torch.float32, "<f8": torch.float64}


def open_array(name: str, data: object, shape: tuple[int, ...]) -> Tensor | Fault:
    """Read the bytes of ``numpy.save`` without copying, evaluating or trusting them.

    Args:
        name: What to call the array in a fault.
        data: The bytes; anything at all.
        shape: The shape that it must have.

    Returns:
        A view of the bytes, float16, float32 or float64; or a fault.
    """
    where = show(name)
    if not isinstance(data, bytes) or len(data) < 10 or data[:6] != _MAGIC:
        return Fault("type", f"{where} must be the bytes of a numpy array.")
    wide = 4 if data[6] > 1 else 2  # how many bytes hold the length, by version
    start = 8 + wide
    end = start + int.from_bytes(data[8:start], "little")
    header = _HEADER.fullmatch(data[start : min(end, start + 1000)].decode("latin1"))
    if header is None:
        return Fault("type", f"{where} must be a plain array in C order.")
    dtype = _DTYPES.get(header[1])
    if dtype is None:
        return Fault("dtype", f"{where} must hold floats, got {header[1]!r}.")
    got = tuple(int(part) for part in header[2].split(",") if part.strip())
    if got != shape:
        return Fault("shape", f"{where} must have shape {shape}, got {show(got)}.")
    if len(data) - end != math.prod(shape) * dtype.itemsize:
        return Fault("type", f"{where} must have the bytes that its shape needs.")
    return _view(data, end, dtype).reshape(shape)


def _view(data: bytes, start: int, dtype: torch.dtype) -> Tensor:
    if start == len(data):
        return torch.empty(0, dtype=dtype)
    with warnings.catch_warnings():
        # torch has no read-only tensors, and says so; nobody writes to this one.
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.frombuffer(data, dtype=dtype, offset=start)
