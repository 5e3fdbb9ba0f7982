"""Lines that compare arms, whole, on a tiny model with two tasks."""

from __future__ import annotations

import pytest
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.L1.run import measure as measure_few_rows
from benchmarks.evidence.L2.run import measure as measure_structure
from benchmarks.evidence.L14.run import measure as measure_together

pytestmark = pytest.mark.slow

ROWS = 6


def with_options(bench: Bench, **options: object) -> Bench:
    """Return the same bench with the options of a line."""
    return Bench(bench.profile, bench.cache, options=options, report=lambda text: None)


def test_l1_counts_cola_against_both_rivals_and_variants_beside(small_bench) -> None:
    bench = with_options(
        small_bench, rows={"world": [ROWS]}, variants={"world": ["split"]}
    )
    parts = measure_few_rows(bench).parts
    assert [part.what.split(": ")[1] for part in parts] == [
        "CoLA - LoRA",
        "CoLA - PiSSA",
        "CoLA (2, 3) pissa-split - LoRA",
        "CoLA (2, 3) pissa-split - PiSSA",
    ]
    assert [part.counts for part in parts] == [True, True, False, False]
    assert bench.seen[0].recipe.data.limits.train_rows == ROWS


def test_l2_counts_only_the_rival_with_multiplied_rates(small_bench) -> None:
    bench = with_options(small_bench, rows={"world": [ROWS]}, sizes={"world": [[1, 2]]})
    parts = measure_structure(bench).parts
    counted = [part.what for part in parts if part.counts]
    assert counted == [f"world, {ROWS} rows per task: CoLA - PiSSA, rates (2, 3)"]
    assert len(parts) == 3


def test_l14_compares_gains_and_correlates_them_with_affinity(small_bench) -> None:
    settings = {"near": "world", "far": "world"}
    options = {"rows": [ROWS], "control": [ROWS], "settings": settings}
    found = measure_together(with_options(small_bench, bases={"tiny": options}))
    where = f"tiny, {ROWS} rows"
    counted = [part.what for part in found.parts if part.counts]
    assert counted == [
        f"{where}, near: CoLoRA together - alone",
        f"{where}, far: CoLoRA together - alone",
        f"{where}, gain: near - far",
        f"{where}: rank correlation of affinity and gain of CoLoRA",
    ]
    # One setting under two names: their gains cannot differ.
    gap = next(part for part in found.parts if "gain: near" in part.what)
    assert gap.difference == gap.low == gap.high == 0
    seeds = found.extra["affinity_and_gain"][0]["by_seed"]
    assert len(seeds) == 2
    for points in seeds:
        assert [p["setting"] for p in points] == ["near", "near", "far", "far"]
        # Of two tasks, each has the same affinity with the other: nothing to rank.
        assert points[0]["affinity"] == pytest.approx(points[1]["affinity"])
    ranks = [part for part in found.parts if "affinity" in part.what]
    assert [part.value for part in ranks] == [0, 0]
    assert [part.counts for part in ranks] == [True, False]
