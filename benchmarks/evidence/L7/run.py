"""Are contributions spread more evenly over the blocks with CoTo than with LoRA?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.evidence.arms import COTO, LORA
from benchmarks.evidence.bench import ArmRuns, Bench
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import part_of
from benchmarks.evidence.scorer import Scorer
from cotune import read_adapter
from cotune.analysis import Contribution, contribution, stability


def measure(bench: Bench) -> Measured:
    """Compute exact Shapley values of the blocks, per run."""
    setting, rows = bench.options["setting"], bench.options["rows"]
    arms = bench.run(setting, [LORA, COTO]).arms
    coto, lora = (Games(arms[arm.name], rows) for arm in (COTO, LORA))
    parts = [
        part_of(
            "share of the top third of the blocks: CoTo - LoRA",
            coto.top_shares(),
            lora.top_shares(),
            less=True,
        ),
        part_of(
            "variation of contributions: CoTo - LoRA",
            coto.variations(),
            lora.variations(),
            less=True,
        ),
        part_of(
            "accuracy with half the blocks on, psi(.5): CoTo - LoRA",
            coto.halves,
            lora.halves,
            counts=False,
        ),
        part_of("gain of all blocks, LoRA", lora.gains(), 0.0, counts=False),
        part_of("gain of all blocks, CoTo", coto.gains(), 0.0, counts=False),
    ]
    shares = {name: one.shares() for name, one in (("CoTo", coto), ("LoRA", lora))}
    return Measured(parts, {"shares_by_seed": shares, "rows_per_task": rows})


class Games:
    """Contributions of the blocks of every run of an arm, to what it was trained on.

    Shares of a sum mean something only where the sum is well above zero. On few test
    rows the loss of a trained adapter is often no lower than that of the base model, so
    the value is minus the loss on training rows.

    Args:
        runs: The runs.
        rows: Rows per task that decide the value of a set of blocks; few, since each
            adapter is scored with 2^blocks of them.
    """

    def __init__(self, runs: ArmRuns, rows: int) -> None:
        self.games: list[Contribution] = []
        self.halves: list[float] = []
        for recipe in runs.recipes:
            adapter = read_adapter(Path(recipe.output_dir) / "adapter")
            scorer = Scorer(recipe, rows, trained=True)
            blocks = scorer.blocks(adapter)
            with scorer.switching(adapter) as model:
                loss = partial(_score, model.minus_loss, blocks)
                accuracy = partial(_score, model.accuracy, blocks)
                self.games.append(contribution(loss, list(blocks), method="exact"))
                half = stability(accuracy, list(blocks), q=[0.5], draws=None)
            self.halves.append(half.at(0.5))

    def gains(self) -> list[float]:
        """Return how much all blocks together lower the loss, per run, in nats."""
        return [game.gain for game in self.games]

    def shares(self) -> list[tuple[float, ...]]:
        """Return the share of each block in the sum, per run."""
        return [game.shares for game in self.games]

    def top_shares(self) -> list[float]:
        """Return how much of the sum the third of the blocks with most of it has."""
        return [sum(sorted(one)[-math.ceil(len(one) / 3) :]) for one in self.shares()]

    def variations(self) -> list[float]:
        """Return the coefficient of variation, per run."""
        return [game.variation for game in self.games]


def _score(
    score: Callable[[Collection[str]], float],
    blocks: Mapping[str, Sequence[str]],
    on: frozenset[str],
) -> float:
    """Score a model with exactly these blocks on."""
    return score([layer for block in on for layer in blocks[block]])


if __name__ == "__main__":
    main(__file__, measure)
