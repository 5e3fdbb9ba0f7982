import json
from pathlib import Path

import pytest

from cotune.recipes import Cell, Comparison
from cotune.recipes._comparison import choose


def make_cell(arm, rate, validation, rows=None, seed=0) -> Cell:
    rows = {} if rows is None else {"a": rows, "b": rows}
    return Cell(arm, rate, seed, validation, 100, 1.0, f"{arm}-{rate}", rows)


def make_comparison(higher_is_better=True) -> Comparison:
    good, bad = [1.0] * 30, [0.0] * 30
    cells = (
        make_cell("first", 0.1, 0.5),
        make_cell("first", 0.2, 0.9, good),
        make_cell("first", 0.4, 0.1),
        make_cell("second", 0.1, 0.3, bad),
        make_cell("second", 0.2, 0.3),
        make_cell("second", 0.4, 0.2),
        make_cell("third", 0.2, 0.6, [1.0] * 29 + [0.0]),
    )
    base = {"a": bad, "b": bad}
    return Comparison(cells, base, "accuracy", higher_is_better, Path("there"))


def test_the_learning_rate_is_chosen_on_validation_rows() -> None:
    found = make_comparison()
    assert found.chosen("first", 0).learning_rate == 0.2
    assert found.chosen("second", 0).learning_rate == 0.1, "of equals the lowest"


def test_where_low_is_good_the_lowest_score_is_chosen() -> None:
    cells = [make_cell("x", 0.1, 2.0), make_cell("x", 0.2, 1.0)]
    assert choose(cells, higher_is_better=False).learning_rate == 0.2
    assert choose(cells, higher_is_better=True).learning_rate == 0.1


def test_arms_are_ranked_and_those_within_chance_are_named() -> None:
    found = make_comparison()
    assert found.ranking() == ["first", "third", "second"]
    assert found.rivals() == ["third"]
    assert found.difference("first", "second").low == 1.0


def test_a_rate_at_the_edge_of_the_grid_is_seen() -> None:
    found = make_comparison()
    assert not found.is_at_edge(found.chosen("first", 0))
    assert found.is_at_edge(found.chosen("second", 0))


def test_everything_but_single_rows_is_written(tmp_path) -> None:
    make_comparison().save(tmp_path / "comparison.json")
    read = json.loads((tmp_path / "comparison.json").read_text())
    assert read["arms"]["first"]["tasks"] == {"a": 1.0, "b": 1.0}
    assert read["arms"]["first"]["chosen"][0]["learning_rate"] == 0.2
    assert read["ranking"] == ["first", "third", "second"]
    assert read["not_told_from_the_best"] == ["third"]
    assert len(read["cells"]) == 7
    assert "rows" not in read["cells"][1]
    assert read["learning_rates"] == pytest.approx([0.1, 0.2, 0.4])
