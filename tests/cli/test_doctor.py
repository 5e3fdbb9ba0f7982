from importlib.metadata import version

import pytest

from cotune.cli import _doctor
from recipes.small_world import run


def test_versions_and_devices_are_shown() -> None:
    shown = run("doctor")
    for name in ("torch", "peft", "transformers"):
        assert f"{name} {version(name)}" in shown
    assert "threads of torch" in shown
    assert shown.splitlines()[-1].endswith(("No mistakes found.", "to look at."))


def test_what_is_right_gives_no_faults() -> None:
    assert list(_doctor._package_faults()) == []
    assert list(_doctor._hidden_packages()) == []


def test_a_version_outside_the_tested_range_is_told(monkeypatch) -> None:
    real = _doctor._version
    monkeypatch.setattr(
        _doctor, "_version", lambda name: "0.1" if name == "peft" else real(name)
    )
    assert "! peft: must be" in run("doctor")
    assert "got 0.1. Run: pip install" in run("doctor")


def test_a_package_that_is_missing_is_told(monkeypatch) -> None:
    real = _doctor._version
    monkeypatch.setattr(
        _doctor, "_version", lambda name: None if name == "peft" else real(name)
    )
    assert "! peft: must be installed. Run: pip install cotune" in run("doctor")


@pytest.mark.parametrize("name", ["peft", "datasets"])
def test_a_file_that_hides_a_package_is_told(monkeypatch, tmp_path, name) -> None:
    (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = run("doctor")
    assert f"! {name}: {name}.py in {tmp_path} hides the package." in shown
    assert "1 to look at." in shown


def test_too_many_threads_are_told(monkeypatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 4096)
    assert "must not have more threads than cores, got 4096" in run("doctor")
