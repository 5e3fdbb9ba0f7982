from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cotune._errors import ConfigError
from cotune.theory import Check, Finding, FindingGroup, Picture

FINDING = Finding(
    name="example",
    claim="Numbers grow.",
    checks=(Check("number", 1.0),),
    rows=({"x": 1, "y": 1.0, "who": "a"}, {"x": 2, "y": 2.0, "who": "b"}),
    settings={},
    picture=Picture(x="x", y="y", by="who", log_x=True, log_y=True),
)


@pytest.mark.slow
def test_a_picture_replaces_the_old_one_and_leaves_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    assert FINDING.plot(path) == path
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "picture.nonsense"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="nonsense"):
        FINDING.plot(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_group_is_drawn_side_by_side(tmp_path: Path) -> None:
    one = FINDING.plot(tmp_path / "one.svg").read_text()
    two = FindingGroup("g", (FINDING, FINDING)).plot(tmp_path / "two.svg").read_text()
    assert one.count('id="axes_') == 1
    assert two.count('id="axes_') == 2


def test_an_empty_group_has_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="findings must not be empty"):
        FindingGroup("g", ()).plot(tmp_path / "picture.png")


def test_a_missing_matplotlib_is_named_with_the_command_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"cotune\[plot\]"):
        FINDING.plot(tmp_path / "picture.png")
