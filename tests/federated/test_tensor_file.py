import errno
import os
import stat
import time

import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated._tensor_file import read_tensors, write_tensors


def test_tensors_and_notes_come_back_bit_for_bit(tmp_path):
    wide = torch.randn(4, 6)
    tensors = {
        "half": torch.randn(3).bfloat16(),
        "view": wide[:, ::2],
        "same": wide,
        "empty": torch.empty(0, 4),
        "nan": torch.tensor(float("nan")),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }
    write_tensors(tmp_path / "f.safetensors", tensors, {"a": "b\né"})
    found, notes = read_tensors(tmp_path / "f.safetensors")
    assert notes == {"a": "b\né"}
    assert set(found) == set(tensors)
    for name, x in tensors.items():
        assert found[name].dtype == x.dtype
        assert torch.equal(found[name], x) or bool(x.isnan().all())


def test_a_file_without_tensors_is_one(tmp_path):
    write_tensors(tmp_path / "f", {}, {"a": "b"})
    assert read_tensors(tmp_path / "f") == ({}, {"a": "b"})


def test_only_the_owner_can_read_the_file(tmp_path):
    write_tensors(tmp_path / "f", {"x": torch.ones(2)}, {})
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_old_drafts_of_killed_processes_are_removed_and_fresh_ones_are_not(tmp_path):
    for name, age in ((".f.1.tmp", 7200), (".f.2.tmp", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_tensors(tmp_path / "f", {"x": torch.ones(2)}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".f.2.tmp", "f"]


@pytest.mark.parametrize("content", [None, b"", b"not tensors", b"\xff" * 100])
def test_a_file_that_is_missing_or_damaged_is_said_to_be(tmp_path, content):
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="whole safetensors file"):
        read_tensors(path)


def test_a_file_cut_short_is_said_to_be(tmp_path):
    path = tmp_path / "f"
    write_tensors(path, {"x": torch.ones(200)}, {})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ConfigError, match="whole safetensors file"):
        read_tensors(path)


def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_tensors(path, {"x": torch.ones(2)}, {})

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left on device"):
        write_tensors(path, {"x": torch.zeros(2)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert read_tensors(path)[0]["x"].tolist() == [1, 1]
