"""Does training together lift a task, and more so when the tasks are alike?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from scipy.stats import spearmanr

from benchmarks.evidence.arms import COLORA, SEPARATE
from benchmarks.evidence.bench import ArmRuns, Bench, Runs, separate_arm
from benchmarks.evidence.command import Measured, main
from benchmarks.evidence.parts import Part, part_of
from cotune import read_adapter
from cotune.analysis import affinity


def measure(bench: Bench) -> Measured:
    """Train users alone and together, from one task to several families."""
    parts: list[Part] = []
    points = []
    for base, settings in bench.options["settings"].items():
        for rows in bench.options["rows"]:
            where = f"{base}, {rows} rows"
            runs = {
                kind: _run(bench, setting, rows) for kind, setting in settings.items()
            }
            parts += [
                one.part(f"{where}, {kind}: together - alone", COLORA.name, SEPARATE)
                for kind, one in runs.items()
            ]
            parts += _compare(where, runs)
            found = [_points(kind, one) for kind, one in runs.items()]
            by_seed = [
                [p for one in group for p in one] for group in zip(*found, strict=True)
            ]
            parts.append(_correlate(where, by_seed))
            points.append({"base": base, "rows": rows, "by_seed": by_seed})
    return Measured(parts, {"affinity_and_gain": points})


def _run(bench: Bench, setting: str, rows: int) -> Runs:
    alone = separate_arm(bench.recipe(setting), len(bench.tasks(setting)))
    changes = [f"data.limits.train_rows={rows}"]
    return bench.run(setting, [alone, COLORA], changes=changes)


Point = dict[str, float | str]


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
    """Return, per seed, each task's affinity with the others and its gain."""
    ours, alone = runs.arms[COLORA.name], runs.arms[SEPARATE]
    found: list[list[Point]] = []
    for seed, scores in enumerate(ours.scores):
        near = _affinities(alone, seed)
        found.append(
            [
                {
                    "setting": kind,
                    "task": task,
                    "affinity": near[task],
                    "gain": score - alone.scores[seed][task],
                }
                for task, score in scores.items()
            ]
        )
    return found


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


def _correlate(where: str, tasks: list[list[Point]]) -> Part:
    """Correlate affinity and gain over all tasks and settings, per seed."""
    found = [
        float(
            spearmanr([p["affinity"] for p in one], [p["gain"] for p in one]).statistic
        )
        for one in tasks
    ]
    what = f"{where}: rank correlation of affinity and gain"
    return part_of(what, found, 0.0)


if __name__ == "__main__":
    main(__file__, measure)
