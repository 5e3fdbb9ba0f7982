from __future__ import annotations

from cotune.report._charts import (
    bar_chart,
    escape,
    heat_map,
    line_chart,
    step_chart,
    strip_prefix,
)


def test_lines_with_different_places_share_one_table() -> None:
    chart = line_chart("t", "a", {"one": [(1, 2.0)], "two": [(3, 4.0)]}, x="n", y="v")
    assert chart.table.columns == ["n", "one", "two"]
    assert chart.table.rows == [[1, 2.0, None], [3, None, 4.0]]


def test_bars_stand_in_the_table_with_their_spread() -> None:
    chart = bar_chart(
        "t",
        "a",
        ["x", "y"],
        {"g": [1, None]},
        of="Task",
        unit="u",
        spread={"g": [0, 1]},
    )
    assert chart.table.columns == ["Task", "g", "± g"]
    assert chart.table.rows == [["x", 1, 0], ["y", None, 1]]
    assert chart.traces[0]["x"] == [1, None]


def test_a_wide_map_has_a_long_table() -> None:
    values = [list(range(20))]
    chart = heat_map("t", "a", ["row"], list(range(20)), values, of="Row", unit="u")
    assert chart.table.rows[7] == [7, 7]
    assert chart.traces[0]["z"] == values


def test_colours_reach_from_the_smallest_to_the_largest_number() -> None:
    values = [[None, 2.0], [0.5, None]]
    trace = heat_map("t", "a", ["r", "s"], ["x", "y"], values, of="R", unit="u").traces[
        0
    ]
    assert (trace["zmin"], trace["zmax"]) == (0.5, 2.0)
    fixed = heat_map("t", "a", ["r", "s"], ["x", "y"], values, of="R", unit="u", low=0)
    assert (fixed.traces[0]["zmin"], fixed.traces[0]["zmax"]) == (0, 2.0)


def test_many_lines_become_a_map() -> None:
    def lines(count: int) -> dict[str, list[tuple[float, float | None]]]:
        return {str(n): [(1, n), (2, None)] for n in range(count)}

    assert step_chart("t", lines(8), of="Task", unit="u").style == "lines"
    chart = step_chart("t", lines(9), of="Task", unit="u")
    assert chart.style == "map"
    assert chart.table.rows[3] == ["3", 3, None]


def test_labels_hold_no_markup() -> None:
    assert escape("<b>&") == "&lt;b&gt;&amp;"
    chart = line_chart("t", "a", {"<a href='x'>": [(1, 1)]}, x="<i>", y="y")
    assert "<" not in chart.traces[0]["name"]
    assert chart.layout["xaxis"]["title"]["text"] == "&lt;i&gt;"


def test_the_common_start_of_layer_names_is_left_out() -> None:
    assert strip_prefix([]) == []
    assert strip_prefix(["a.b.c"]) == ["c"]
    assert strip_prefix(["a.b.0", "a.b.10"]) == ["b.0", "b.10"]
    assert strip_prefix(["q", "a.q"]) == ["q", "a.q"]
