"""Does training together lift a task, and more so when the tasks are alike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from scipy.stats import spearmanr

from benchmarks.evidence.arms import COLORA, LORA, SEPARATE
from benchmarks.evidence.bench import Bench, separate_arm
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from benchmarks.evidence.runs import ArmRuns, Runs
from cotune import read_adapter
from cotune.analysis import affinity

Point = dict[str, float | str]
"""A task of a setting at one seed: its affinity with the others, its gain per arm."""


def measure(bench: Bench) -> Measured:
    """Train users alone and together, from one task to several families."""
    parts: list[Part] = []
    points = []
    for base, options in bench.options["bases"].items():
        for rows in options["rows"]:
            runs = {
                kind: _run(bench, setting, rows, control=rows in options["control"])
                for kind, setting in options["settings"].items()
            }
            by_seed = _join([_points(kind, one) for kind, one in runs.items()])
            parts += _parts(f"{base}, {rows} rows", runs, by_seed)
            points.append({"base": base, "rows": rows, "by_seed": by_seed})
    return Measured(parts, {"affinity_and_gain": points})


def _run(bench: Bench, setting: str, rows: int, *, control: bool) -> Runs:
    alone = separate_arm(bench.recipe(setting), len(bench.tasks(setting)))
    arms = [alone, LORA, COLORA] if control else [alone, COLORA]
    return bench.run(setting, arms, changes=[f"data.limits.train_rows={rows}"])


def _gain(where: str, runs: Runs) -> list[Part]:
    """Compare together with alone; one LoRA for all is the control beside it."""
    ours, control = COLORA.name, LORA.name
    pairs = (ours, SEPARATE), (control, SEPARATE), (ours, control)
    names = {ours: "CoLoRA together", control: "one LoRA for all", SEPARATE: "alone"}
    return [
        runs.part(
            f"{where}: {names[one]} - {names[other]}",
            one,
            other,
            counts=(one, other) == (ours, SEPARATE),
        )
        for one, other in pairs
        if {one, other} <= set(runs.arms)
    ]


def _parts(
    where: str, runs: Mapping[str, Runs], points: list[list[Point]]
) -> list[Part]:
    """Return the gain of every setting, their order, and what affinity says of it."""
    gains = [p for kind, one in runs.items() for p in _gain(f"{where}, {kind}", one)]
    nothing = all(one.is_at_chance(*one.arms) for one in runs.values())
    joint = [arm for arm in next(iter(runs.values())).arms if arm != SEPARATE]
    correlations = [
        _correlate(where, points, arm, at_chance=nothing) for arm in sorted(joint)
    ]
    return [*gains, *_compare(where, runs), *correlations]


def _gains(runs: Runs) -> list[float]:
    ours, alone = runs.arms[COLORA.name].means, runs.arms[SEPARATE].means
    return [one - other for one, other in zip(ours, alone, strict=True)]


def _compare(where: str, runs: Mapping[str, Runs]) -> list[Part]:
    """Compare the gains of more alike users with those of the least alike."""
    *alike, last = runs
    least = _gains(runs[last])
    return [
        part_of(
            f"{where}, gain: {kind} - {last}",
            _gains(runs[kind]),
            least,
            at_chance=any(
                runs[one].is_at_chance(COLORA.name, SEPARATE) for one in (kind, last)
            ),
        )
        for kind in alike
    ]


def _points(kind: str, runs: Runs) -> list[list[Point]]:
    """Return, per seed, each task's affinity with the others, and its gain per arm."""
    alone = runs.arms[SEPARATE]
    found: list[list[Point]] = []
    for seed, scores in enumerate(alone.scores):
        near = _affinities(alone, seed)
        found.append(
            [
                {"setting": kind, "task": task, "affinity": near[task]}
                | {
                    arm: runs.arms[arm].scores[seed][task] - score
                    for arm in runs.arms
                    if arm != SEPARATE
                }
                for task, score in scores.items()
            ]
        )
    return found


def _join(settings: list[list[list[Point]]]) -> list[list[Point]]:
    """Put the tasks of all settings together, per seed."""
    return [[p for one in group for p in one] for group in zip(*settings, strict=True)]


def _affinities(alone: ArmRuns, seed: int) -> dict[str, float]:
    """Return task -> mean affinity with the other tasks, as the task advisor has it."""
    folder = Path(alone.recipes[seed].output_dir)
    names = list(alone.rows[seed])
    advice = affinity({n: read_adapter(folder / n / "adapter") for n in names})
    return {
        name: fmean(
            value for other, value in zip(names, row, strict=True) if other != name
        )
        for name, row in zip(names, advice.matrix, strict=True)
    }


def _correlate(
    where: str, tasks: list[list[Point]], arm: str, *, at_chance: bool
) -> Part:
    """Correlate affinity and gain over all tasks and settings, per seed."""
    found = [
        _rank([float(p["affinity"]) for p in one], [float(p[arm]) for p in one])
        for one in tasks
    ]
    what = f"{where}: rank correlation of affinity and gain of {arm}"
    counts = arm == COLORA.name
    return part_of(what, found, 0.0, at_chance=at_chance, counts=counts)


def _rank(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's correlation; 0 where one side has nothing to rank."""
    if min(len(set(one)), len(set(other))) == 1:
        return 0.0
    return float(spearmanr(one, other).statistic)


if __name__ == "__main__":
    main(__file__, measure)
