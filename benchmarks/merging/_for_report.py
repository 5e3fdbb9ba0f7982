"""Folders for ``cotune report``: one per arm with means, one with both arms' runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.harness import write_whole
from benchmarks.merging._measure import Measured
from benchmarks.merging._summary import mean_connectivity, mean_merging, mean_pruning
from benchmarks.merging._train import ARMS, Question, Trained
from cotune.recipes import Comparison, override


def write_for_report(
    folder: Path, question: Question, trained: Trained, found: Mapping[str, Measured]
) -> None:
    """Write what the report reads; nothing in it names a row of the data.

    Args:
        folder: Where; one folder per arm and ``both`` are made in it.
        question: What was asked.
        trained: The runs.
        found: Arm -> what was measured.
    """
    for arm, measured in found.items():
        for kind, mean in (
            ("pruning", mean_pruning),
            ("merging", mean_merging),
            ("connectivity", mean_connectivity),
        ):
            path = folder / arm / "analysis" / f"{kind}.json"
            write_whole(path, mean(measured).to_json() + "\n")
        _write_example(folder / arm, arm, question, trained)
    one, other = trained.runs.values()
    both = Comparison(
        cells=(*one.cells, *other.cells),
        base=one.base,
        metric=one.metric,
        higher_is_better=one.higher_is_better,
        folder=folder / "both",
    )
    both.save(folder / "both" / "comparison.json")


def _write_example(
    folder: Path, arm: str, question: Question, trained: Trained
) -> None:
    """Copy the curves of the first run of an arm, with the recipe of all."""
    cell = trained.runs[arm].cells[0]
    run = Path(cell.folder) / trained.tasks[0].name
    for name in ("log_history.json", "schedule.json"):
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    values = override(question.recipe.model_dump(mode="json"), ARMS[arm].overrides)
    values["training"]["learning_rate"] = trained.rates[arm]
    # Where data and runs lie is nobody else's business.
    values["data"]["root"] = "data"
    values["output_dir"] = f"runs/{arm}"
    write_whole(folder / "recipe.yaml", yaml.safe_dump(values, sort_keys=False))
