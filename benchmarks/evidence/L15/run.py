"""Beyond the papers: do the methods compose, and does a version of them win?

Arms that nobody published stand against the best published one. The best of several
new arms wins by luck, so their intervals hold all at once, and a winner must win again
on another family with fresh seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from benchmarks.evidence.arms import (
    ALORA,
    COLA,
    COLA_LEARNED,
    COLA_SPLIT,
    COLORA,
    COTO,
    HYDRA,
    LORA,
    PISSA,
    method,
)
from benchmarks.evidence.bench import Bench, Runs
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.L15.together import joint_differences
from benchmarks.evidence.parts import Part, part_from
from cotune._errors import ConfigError, unknown_name
from cotune.recipes import Arm, Difference

PUBLISHED = (LORA, PISSA, COTO, COLA, ALORA, HYDRA, COLORA)

CORE = method("alora", "ALoRA + core", "adapter.core=full")
SPLIT = method("alora", "ALoRA + pissa-split", "adapter.start=pissa-split")
COTO_ALORA = method("alora", "ALoRA + CoTo", *COTO.overrides)
ALL = method(
    "alora",
    "ALoRA + core + pissa-split + CoTo",
    "adapter.core=full",
    "adapter.start=pissa-split",
    *COTO.overrides,
)
COTO_COLORA = method("colora", "CoLoRA + CoTo", *COTO.overrides)

NEW = {
    CORE: ALORA,
    SPLIT: ALORA,
    COTO_ALORA: ALORA,
    ALL: ALORA,
    COTO_COLORA: COLORA,
    COLA_SPLIT: COLA,
    COLA_LEARNED: COLA,
}
"""Arm that nobody published -> the published method that it is built on."""


def measure(bench: Bench) -> Measured:
    """Compare all new arms with the best published one, and test winners again."""
    setting = bench.options["setting"]
    published = pick(PUBLISHED, bench.options["published"])
    new = pick(list(NEW), bench.options["new"])
    runs = bench.run(setting, [*published, *new])
    best = find_best(runs, published)
    gaps = compare(runs, new, best)
    parts = [
        runs.part(f"{arm.name} - {built.name}", arm.name, built.name, counts=False)
        for arm, built in NEW.items()
        if arm in new and built in published
    ]
    parts += [_part(setting, runs, arm, best, gaps[arm.name]) for arm in new]
    winners = [arm for arm in new if gaps[arm.name].low > 0]
    extra: dict[str, Any] = {
        "published": [arm.name for arm in published],
        "best_published": best.name,
        "new": [arm.name for arm in new],
        "not_run": [arm.name for arm in NEW if arm not in new],
        "ahead": [arm.name for arm in winners],
        "confirmed": [],
    }
    if winners:
        again = confirm(bench, winners, best)
        parts += again
        held = [part.outcome == "holds" for part in again]
        won = [arm.name for arm, ok in zip(winners, held, strict=True) if ok]
        extra["confirmed"] = won
    return Measured(parts, extra)


def pick(arms: Sequence[Arm], names: str | Sequence[str]) -> list[Arm]:
    """Return the arms that a profile names; ``all`` stands for all.

    Raises:
        ConfigError: A name is unknown.
    """
    if names == "all":
        return list(arms)
    known = {arm.name: arm for arm in arms}
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name("arm", name, known))
    return [known[name] for name in names]


def find_best(runs: Runs, arms: Sequence[Arm]) -> Arm:
    """Return the arm with the best mean test score.

    The test rows choose it, so luck is on its side, not on that of its rivals.
    """
    return max(arms, key=lambda arm: fmean(runs.arms[arm.name].means))


def compare(runs: Runs, arms: Sequence[Arm], best: Arm) -> dict[str, Difference]:
    """Compare arms with the best, in intervals that hold all at once."""
    rows = {arm.name: runs.arms[arm.name].rows for arm in arms}
    return joint_differences(rows, runs.arms[best.name].rows)


def confirm(bench: Bench, winners: Sequence[Arm], best: Arm) -> list[Part]:
    """Run winners again on another family, with seeds that nothing was chosen with."""
    seeds = tuple(max(bench.profile.seeds) + 1 + n for n in bench.profile.seeds)
    fresh = Bench(
        replace(bench.profile, seeds=seeds),
        bench.cache,
        options=bench.options,
        workers=bench.workers,
        report=bench.report,
    )
    setting = bench.options["confirm"]
    runs = fresh.run(setting, [best, *winners])
    bench.seen += fresh.seen
    gaps = compare(runs, winners, best)
    where = f"again, {setting}, fresh seeds"
    return [_part(where, runs, arm, best, gaps[arm.name]) for arm in winners]


def _part(where: str, runs: Runs, arm: Arm, best: Arm, gap: Difference) -> Part:
    value, reference = (fmean(runs.arms[one.name].means) for one in (arm, best))
    chance = runs.is_at_chance(arm.name, best.name)
    what = f"{where}: {arm.name} - best published ({best.name})"
    return part_from(what, value, reference, gap, at_chance=chance)


if __name__ == "__main__":
    main(__file__, measure)
