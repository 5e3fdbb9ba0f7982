"""Are contributions spread more evenly over the blocks with CoTo than with LoRA?"""

from __future__ import annotations

import math
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
    # Few rows: each adapter is scored with 2^blocks sets of blocks on.
    scorer = Scorer(bench.recipe(setting), rows)
    coto, lora = (Games(arms[arm.name], scorer) for arm in (COTO, LORA))
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
    ]
    shares = {name: one.shares() for name, one in (("CoTo", coto), ("LoRA", lora))}
    return Measured(parts, {"shares_by_seed": shares, "rows_per_task": rows})


class Games:
    """Contributions of the blocks of every run of an arm.

    Args:
        runs: The runs.
        scorer: With the rows that decide the value of a set of blocks.
    """

    def __init__(self, runs: ArmRuns, scorer: Scorer) -> None:
        self.games: list[Contribution] = []
        self.halves: list[float] = []
        for recipe in runs.recipes:
            adapter = read_adapter(Path(recipe.output_dir) / "adapter")
            blocks = scorer.blocks(adapter)

            def layers(on: frozenset[str], of: dict = blocks) -> list[str]:
                return [layer for block in on for layer in of[block]]

            with scorer.switching(adapter) as model:
                self.games.append(
                    contribution(
                        lambda on: model.minus_loss(layers(on)),
                        list(blocks),
                        method="exact",
                    )
                )
                half = stability(
                    lambda on: model.accuracy(layers(on)),
                    list(blocks),
                    q=[0.5],
                    draws=None,
                )
            self.halves.append(half.at(0.5))

    def shares(self) -> list[tuple[float, ...]]:
        """Return the share of each block in the sum, per run."""
        return [game.shares for game in self.games]

    def top_shares(self) -> list[float]:
        """Return how much of the sum the third of the blocks with most of it has."""
        return [sum(sorted(one)[-math.ceil(len(one) / 3) :]) for one in self.shares()]

    def variations(self) -> list[float]:
        """Return the coefficient of variation, per run."""
        return [game.variation for game in self.games]


if __name__ == "__main__":
    main(__file__, measure)
