"""What line L6 tries on a trained adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.evidence.arms import LORA
from benchmarks.evidence.bench import HERE
from benchmarks.evidence.command import read_config
from benchmarks.evidence.L6.run import (
    BY_CONTRIBUTION,
    HALVES,
    STRUCTURED,
    WHOLE,
    list_patterns,
)
from benchmarks.evidence.scorer import Scorer

from cotune import read_adapter

OPTIONS = {
    "sparsities": [0.25, 0.75],
    "halves": ["global", "update"],
    "contribution_rows": 3,
}


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_every_profile_tries_all_patterns_and_its_sparsities(profile) -> None:
    options = read_config(HERE / "L6")["profiles"][profile]
    names = list(list_patterns(options))
    assert names[: len(STRUCTURED)] == list(STRUCTURED)
    assert {f"sparsity {one:g}" for one in options["sparsities"]} <= {*names}
    assert (BY_CONTRIBUTION in names) is (options["contribution_rows"] is not None)
    assert names[-1] == WHOLE


@pytest.mark.slow
def test_patterns_leave_what_they_say(small_bench) -> None:
    (recipe, _) = small_bench.run("world", [LORA]).arms["LoRA"].recipes
    adapter = read_adapter(Path(recipe.output_dir) / "adapter")
    patterns = list_patterns(OPTIONS)
    assert patterns[WHOLE](adapter, recipe) is adapter

    everything = list(adapter.layers)

    def zeros(name: str) -> float:
        layers = patterns[name](adapter, recipe).layers.values()
        found = [bool(x) for f in layers for t in (f.A, f.B) for x in t.flatten() == 0]
        return sum(found) / len(found)

    assert zeros("sparsity 0.25") == pytest.approx(0.25, abs=0.02)
    assert zeros("sparsity 0.75") == pytest.approx(0.75, abs=0.02)
    assert zeros(HALVES["global"][0]) == pytest.approx(0.5, abs=0.02)
    assert list(patterns[HALVES["update"][0]](adapter, recipe).layers) == everything
    first = [name for name in everything if ".layers.0." in name]
    kept = list(patterns["every other layer"](adapter, recipe).layers)
    assert kept == first
    last = list(patterns["every other layer, from the second"](adapter, recipe).layers)
    assert last == [name for name in everything if name not in first]


@pytest.mark.slow
def test_contribution_keeps_the_block_without_which_the_loss_on_training_rows_rises(
    small_bench,
) -> None:
    (recipe, _) = small_bench.run("world", [LORA]).arms["LoRA"].recipes
    adapter = read_adapter(Path(recipe.output_dir) / "adapter")
    pattern = list_patterns(OPTIONS)[BY_CONTRIBUTION]
    kept = list(pattern(adapter, recipe).layers)
    scorer = Scorer(recipe, OPTIONS["contribution_rows"], trained=True)
    blocks = scorer.blocks(adapter)
    with scorer.switching(adapter) as model:
        values = {name: model.minus_loss(own) for name, own in blocks.items()}
    # Of two blocks phi_1 - phi_2 = v(1) - v(2): the better one alone.
    assert kept == list(blocks[max(values, key=lambda name: values[name])])
