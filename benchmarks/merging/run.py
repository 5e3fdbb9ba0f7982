"""Are adapters trained with CoTo easier to merge and to prune than plain LoRA?

Two arms, equal tasks, steps, seeds and learning rates to choose from. Finished runs and
scores are kept in the work folder, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.harness import hardware, write_whole
from benchmarks.merging._for_report import write_for_report
from benchmarks.merging._judge import Judge
from benchmarks.merging._measure import Measured, measure
from benchmarks.merging._summary import compare_arms, mean_merging, tabulate
from benchmarks.merging._train import ARMS, Question, Trained, read_question, train

HERE = Path(__file__).parent


def main() -> None:
    """Train, measure, print, write."""
    args = _parse()
    torch.set_num_threads(args.threads)
    work = args.work / args.question
    changes = [] if args.data is None else [f"data.root={args.data}"]
    question = read_question(HERE / f"{args.question}.yaml", work, changes)
    console = Console(highlight=False)
    trained = train(question, console.print)
    judge = Judge(question.recipe, trained.tasks, question.most_rows)
    found = {arm: measure(arm, question, trained, judge, console.print) for arm in ARMS}
    record = _describe(args.question, question, trained, judge, found)
    console.print(_table(record))
    out = args.out or HERE / "results" / f"{args.question}.json"
    write_whole(out, json.dumps(record, indent=1) + "\n")
    write_for_report(work / "report", question, trained, found)
    console.print(f"The numbers lie in {out}; for `cotune report`: {work / 'report'}")


def _parse() -> argparse.Namespace:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("question", choices=["embedded", "minilm"])
    parse.add_argument("--data", default=None, help="folder of the data sets")
    parse.add_argument("--work", type=Path, default=Path("runs/merging"))
    parse.add_argument("--threads", type=int, default=torch.get_num_threads())
    parse.add_argument("--out", type=Path, default=None, help="JSON to write")
    return parse.parse_args()


def _describe(
    name: str,
    question: Question,
    trained: Trained,
    judge: Judge,
    found: Mapping[str, Measured],
) -> dict[str, Any]:
    arms = {arm: tabulate(measured) for arm, measured in found.items()}
    recipe = question.recipe.model_dump(mode="json")
    # Where data and runs lie differs from machine to machine.
    recipe["data"].pop("root")
    recipe.pop("output_dir")
    return {
        "question": __doc__.splitlines()[0] if __doc__ else name,
        "setting": {
            "name": name,
            "seeds": question.seeds,
            "merged_seeds": question.merged_seeds,
            "learning_rates": question.learning_rates,
            "pilot_tasks": question.pilot or "all",
            "test_rows": {task.name: len(task.test or ()) for task in trained.tasks},
            "recipe": recipe,
        },
        "hardware": hardware("cpu"),
        "rates": trained.rates,
        "validation_by_rate": {
            arm: {f"{rate:g}": score for rate, score in rates.items()}
            for arm, rates in trained.pilot.items()
        },
        "training_seconds": trained.seconds,
        "base": {task: judge.accuracy(task) for task in judge.batches},
        "table": compare_arms(arms),
        "barriers": {
            arm: {task: line.lines[0].barrier for task, line in one.lines.items()}
            for arm, one in found.items()
        },
        "merge_errors": {arm: mean_merging(one).errors for arm, one in found.items()},
        "tasks": arms,
    }


def _table(record: Mapping[str, Any]) -> Table:
    one, other = ARMS
    title = f"Mean test accuracy over {len(record['base'])} tasks"
    table = Table(title=title)
    for column in ("", one, other, f"{other} - {one}", "95 %, over tasks"):
        table.add_column(column, justify="left" if not column else "right")
    for row in record["table"]:
        table.add_row(
            row["row"],
            f"{row[one]:.3f}",
            f"{row[other]:.3f}",
            f"{row[f'{other} - {one}']:+.3f}",
            f"{row['low']:+.3f} .. {row['high']:+.3f}",
        )
    return table


if __name__ == "__main__":
    main()
