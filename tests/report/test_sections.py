from __future__ import annotations

import json
from pathlib import Path

import pytest

from cotune.analysis import ANALYSES
from cotune.report import SECTIONS, Chart, Section, Table
from cotune.report._run_folder import open_run_folder, open_runs


def build(name: str, *folders: Path) -> Section:
    section = SECTIONS[name](open_runs(folders))
    assert section is not None
    return section


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_appears_where_a_run_has_its_data(name: str, make_run) -> None:
    section = build(name, make_run())
    assert section.title and section.blocks
    for block in section.blocks:
        table = block.table if isinstance(block, Chart) else block
        if isinstance(table, Table):
            assert table.rows
            assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_stays_away_where_no_run_has_its_data(name: str, tmp_path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    assert SECTIONS[name]([open_run_folder(tmp_path, "empty")]) is None


def test_every_analysis_has_a_section_of_its_name() -> None:
    assert set(ANALYSES) <= set(SECTIONS)


def test_an_analysis_without_a_section_is_shown_as_a_table(make_run) -> None:
    (table,) = build("others", make_run()).blocks
    assert isinstance(table, Table)
    assert table.rows == [["other", 0.5625]]


def test_the_comparison_takes_the_rate_that_did_best_on_validation(make_run) -> None:
    means, _, rates, costs = build("comparison", make_run()).blocks
    assert isinstance(means, Chart) and isinstance(rates, Chart)
    assert isinstance(costs, Table)
    # Scores are .6 + seed / 10 + rate; the best rate is .01, the seeds are 0 and 1.
    assert means.table.rows[1][1:] == pytest.approx([0.66, 0.05])
    assert costs.rows[0][1] == "0.01, 0.01"


def test_the_last_share_of_an_expert_is_shown(make_run) -> None:
    folder = make_run()
    history = json.loads((folder / "log_history.json").read_text())
    history.insert(-1, {"step": 15, "router/sentiment-1/expert_0": 0.9})
    (folder / "log_history.json").write_text(json.dumps(history))
    share, _ = build("router", folder).blocks
    assert isinstance(share, Chart)
    assert share.table.rows[0] == ["sentiment-1", 0.9, 0.75]


def test_traffic_adds_up_over_clients_and_rounds(make_run) -> None:
    traffic, *_, clients, dropped = build("communication", make_run()).blocks
    assert isinstance(traffic, Chart) and isinstance(clients, Table)
    assert traffic.table.rows == [[1, 0.0009, 0.0006], [2, 0.0018, 0.0012]]
    assert clients.rows[0][:4] == ["anna", 2, 800, 600]
    assert isinstance(dropped, Table)
    assert dropped.rows == [[2, "carl", "not finite"]]


def test_activation_shows_planned_and_drawn_shares(make_run) -> None:
    lines, groups = build("activation", make_run()).blocks
    assert isinstance(lines, Chart) and isinstance(groups, Chart)
    # Bins of the steps 0-3 and 4-7 are drawn at their middles.
    assert lines.table.rows == [[1.5, 0.3, 0.375], [5.5, 1.0, 1.0]]
    assert groups.traces[0]["y"] == ["layers.0", "layers.1"]


def test_similarity_compares_the_factors_of_a_bank(make_run) -> None:
    from cotune._adapter_file import read_adapter
    from cotune.analysis import similarity

    folder = make_run()
    matrix = build("similarity", folder).blocks[0]
    assert isinstance(matrix, Chart)
    adapter = read_adapter(folder / "adapter")
    assert matrix.traces[0]["z"] == similarity({"first": adapter}).matrix()


def test_tasks_trained_apart_are_read_from_their_folders(make_run, tmp_path) -> None:
    import shutil

    top = make_run("apart")
    part = make_run("part")
    recipe = (top / "recipe.yaml").read_text()
    (top / "recipe.yaml").write_text(
        recipe.replace("separate: false", "separate: true")
    )
    for name in ("settings.json", "log_history.json"):
        (top / name).unlink()
    for task in ("one", "two"):
        shutil.copytree(part, top / task)
    (run,) = open_runs([top])
    assert [leaf.name for leaf in run.leaves] == ["one", "two"]
    (chart, *_) = build("curves", top).blocks
    assert isinstance(chart, Chart)
    assert chart.title == "Training loss of each task: apart"
    assert [trace["name"] for trace in chart.traces] == ["one", "two"]
    (bars, _) = build("scores", top).blocks
    assert isinstance(bars, Chart)
    assert "Adapter (one adapter per task)" in bars.table.columns


def test_other_methods_of_peft_are_left_out_of_the_map(make_run) -> None:
    folder = make_run()
    path = folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "IA3"}))
    for file in (folder / "analysis").glob("similarity*.json"):
        file.unlink()
    assert SECTIONS["similarity"](open_runs([folder])) is None
    assert build("trained", folder).blocks


def test_pruning_curves_go_from_the_base_model_to_the_whole_adapter(make_run) -> None:
    folder = make_run()
    found = json.loads((folder / "analysis" / "pruning.json").read_text())
    lines, bars = build("pruning", folder).blocks
    assert isinstance(lines, Chart) and isinstance(bars, Chart)
    assert [trace["name"] for trace in lines.traces] == ["magnitude"]
    (trace,) = lines.traces
    assert (trace["x"][0], trace["y"][0]) == (0, 0.25)
    assert (trace["x"][-1], trace["y"][-1]) == (1, found["summary"]["whole"])
    assert len(trace["x"]) == 9 + 2
    patterns = {str(row[0]): row[1] for row in bars.table.rows}
    assert patterns["base model"] == 0.25
    assert patterns["whole"] == found["summary"]["whole"]
    assert patterns["every_other first=1"] is not None


def test_merging_shows_every_operator_and_task(make_run) -> None:
    folder = make_run()
    found = json.loads((folder / "analysis" / "merging.json").read_text())
    bars, cells = build("merging", folder).blocks
    assert isinstance(bars, Chart) and isinstance(cells, Chart)
    means = {row[0]: row[1] for row in bars.table.rows}
    assert means == pytest.approx(found["summary"]["means"])
    assert next(iter(means)) == "own adapter"
    assert cells.traces[0]["x"] == ["one", "two"]


def test_runs_that_were_merged_alike_stand_side_by_side(make_run) -> None:
    bars, *maps = build("merging", make_run("first"), make_run("second")).blocks
    assert isinstance(bars, Chart)
    assert [trace["name"] for trace in bars.traces] == ["first", "second"]
    assert len(maps) == 2
