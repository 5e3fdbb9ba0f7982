"""L15: a new arm that is ahead is tried again, on other tasks and with other seeds."""

from __future__ import annotations

import json
from functools import partial

import pytest
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.beyond.page import build_beyond
from benchmarks.evidence.cells import Cell
from benchmarks.evidence.L15 import run as line
from benchmarks.evidence.L15.run import ALORA, CORE, LORA, SPLIT, measure
from benchmarks.evidence.L15.together import joint_differences
from benchmarks.evidence.record import write_record
from benchmarks.evidence.runs import ArmRuns, Runs

ROWS = 40
OPTIONS = {
    "setting": "first",
    "confirm": "second",
    "published": [LORA.name, ALORA.name],
    "new": [CORE.name, SPLIT.name],
}


@pytest.fixture
def made_up(small_bench, monkeypatch):
    """Return a bench with made-up answers, and the list of what was asked of it.

    The share of right answers is 0.5, but for those in ``shares[setting]``.
    """
    asked, shares = [], {}
    recipe = small_bench.recipe("world")

    def run(self, setting, arms):
        asked.append((setting, self.profile.seeds, [arm.name for arm in arms]))
        found = {}
        for arm in arms:
            right = round(shares[setting].get(arm.name, 0.5) * ROWS)
            rows = {"task": [1.0] * right + [0.0] * (ROWS - right)}
            count = len(self.profile.seeds)
            cells = (Cell(0.5, 1, 1.0),) * count
            found[arm.name] = ArmRuns(arm, 0.1, {0.1: 0.5}, (), cells, (rows,) * count)
        runs = Runs(setting, recipe, found, {"task": [0.0] * ROWS}, 0.1)
        self.seen.append(runs)
        return runs

    monkeypatch.setattr(Bench, "run", run)
    # Few draws: nothing here is a close call.
    quick = partial(joint_differences, draws=100)
    monkeypatch.setattr(line, "joint_differences", quick)
    bench = Bench(
        small_bench.profile,
        small_bench.cache,
        options=OPTIONS,
        report=lambda text: None,
    )
    return bench, asked, shares


def test_a_winner_is_tried_again_on_the_second_family_with_fresh_seeds(
    made_up, tmp_path
) -> None:
    bench, asked, shares = made_up
    shares |= {"first": {SPLIT.name: 0.9}, "second": {SPLIT.name: 0.9}}
    found = measure(bench)
    everything = [LORA.name, ALORA.name, CORE.name, SPLIT.name]
    best = found.extra["best_published"]
    assert asked == [
        ("first", (0, 1), everything),
        ("second", (2, 3), [best, SPLIT.name]),
    ]
    assert found.extra["ahead"] == found.extra["confirmed"] == [SPLIT.name]
    again = found.parts[-1]
    assert again.what.startswith("again, second, fresh seeds: ALoRA + pissa-split")
    assert again.counts and again.outcome == "holds"
    assert again.difference == pytest.approx(0.4)
    # The record shows both families, and the section says what follows.
    path = write_record(tmp_path, bench, found.parts, seconds=1.0, extra=found.extra)
    record = json.loads(path.read_text())
    assert [one["setting"] for one in record["settings"]] == ["first", "second"]
    section = build_beyond(record, None)
    assert section is not None
    assert "1 did so again" in section.lead
    assert f"Presets made of them: {SPLIT.name}." in section.lead


def test_a_winner_that_does_not_win_again_is_not_confirmed(made_up) -> None:
    bench, asked, shares = made_up
    first = {CORE.name: 0.8, SPLIT.name: 0.9}
    shares |= {"first": first, "second": {CORE.name: 0.8, SPLIT.name: 0.5}}
    found = measure(bench)
    assert asked[1][2][1:] == found.extra["ahead"] == [CORE.name, SPLIT.name]
    assert found.extra["confirmed"] == [CORE.name]
    assert [part.outcome for part in found.parts[-2:]] == ["holds", "open"]


def test_nothing_is_tried_again_if_nothing_is_ahead(made_up) -> None:
    bench, asked, shares = made_up
    shares |= {"first": {ALORA.name: 0.9, CORE.name: 0.9, SPLIT.name: 0.4}}
    found = measure(bench)
    assert len(asked) == 1
    assert found.extra["ahead"] == found.extra["confirmed"] == []
    assert found.extra["best_published"] == ALORA.name
    assert sum(part.counts for part in found.parts) == 2
