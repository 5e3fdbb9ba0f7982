import importlib.util
from pathlib import Path

import pytest

from cotune.cli._picture import draw_comparison
from cotune.recipes import Cell, Comparison


@pytest.fixture
def found() -> Comparison:
    """Return a comparison of three arms on four tasks."""
    tasks = ("one", "two", "three", "four")
    base = {task: [0.0] for task in tasks}
    cells = tuple(
        Cell(arm, 0.1, 0, 0.5, 10, 1.0, "there", {task: [score, 1.0] for task in tasks})
        for arm, score in (("LoRA", 0.0), ("separate LoRAs", 0.5), ("CoLA", 1.0))
    )
    return Comparison(cells, base, "accuracy", True, Path())


def test_a_picture_of_a_readable_size_is_written(found, tmp_path) -> None:
    import matplotlib.image

    path = draw_comparison(found, tmp_path / "comparison.png")
    assert path == tmp_path / "comparison.png"
    height, width, _ = matplotlib.image.imread(path).shape
    assert width > 700
    assert height > 500
    assert [one.name for one in tmp_path.iterdir()] == ["comparison.png"]


def test_bars_and_numbers_are_those_of_the_comparison(found) -> None:
    from matplotlib.figure import Figure

    from cotune.cli._picture import _draw_bars, _draw_grid

    bars, grid = Figure().subplots(2, 1)
    _draw_bars(bars, [0.0, 0.5, 0.75, 1.0], found)
    assert [text.get_text() for text in bars.texts] == [
        "0.000",
        "0.500",
        "0.750",
        "1.000",
    ]
    assert [bar.get_height() for bar in bars.patches] == [0.0, 0.5, 0.75, 1.0]
    colours = [bar.get_facecolor() for bar in bars.patches]
    assert colours.count(colours[-1]) == 1, "the best bar stands out"
    _draw_grid(grid, ["base model", "LoRA"], ["one"], [[0.25, 0.75]], True)
    assert [text.get_text() for text in grid.texts] == ["0.25", "0.75"]
    assert [text.get_weight() for text in grid.texts] == ["normal", "bold"]


def test_without_matplotlib_there_is_no_picture(found, tmp_path, monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: None if name == "matplotlib" else real(name),
    )
    assert draw_comparison(found, tmp_path / "x.png") is None


def test_only_the_first_process_draws(found, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert draw_comparison(found, tmp_path / "x.png") is None
    assert not list(tmp_path.iterdir())
