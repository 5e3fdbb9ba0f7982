"""Does the factor that the data favour score better when it is shared?

python -m benchmarks.evidence.beyond.run

Sharing A (FedSA-LoRA) and sharing B (Fed-ALoRA) are trained and tuned alike; what
``cotune analyze sharing`` says beforehand is compared with the better one.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from rich.console import Console

from benchmarks.evidence.arms import SEPARATE
from benchmarks.evidence.bench import Bench, read_profile, separate_arm
from benchmarks.evidence.beyond.toy import run_toy
from benchmarks.evidence.command import CACHE
from benchmarks.evidence.federation import AGGREGATED, SCORES, run_federations
from benchmarks.evidence.files import write
from benchmarks.evidence.parts import part_of
from benchmarks.harness import hardware
from cotune import read_adapter
from cotune.analysis import Sharing, sharing, sharing_from_gradients
from cotune.cli.analyze._sharing import gradients_on_both
from cotune.recipes import Recipe

HERE = Path(__file__).parent
SCORED = HERE.parents[1] / "federated_scores"
FACTORS = {"A": "fedsa", "B": "fed-alora"}
"""Factor -> the aggregation that shares it."""


def main() -> None:
    """Run what is not in the cache yet, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="quick", help="quick or full")
    parser.add_argument("--cache", type=Path, default=CACHE, help="finished runs")
    args = parser.parse_args()
    logging.getLogger("cotune").setLevel(logging.ERROR)
    config = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    console = Console()
    bench = Bench(read_profile(args.profile), args.cache, report=console.print)
    start = time.perf_counter()
    record = {
        "profile": args.profile,
        "seeds": list(bench.profile.seeds),
        "toy": _toy(config["toy"]),
        "separate": _separate(bench, config["separate"], config["rows"]),
        "federations": [
            *_scored(bench, config["rows"]),
            *(
                _federation(bench, name, config["rows"])
                for name in config["profiles"][args.profile]["federations"]
            ),
        ],
        "seconds": round(time.perf_counter() - start, 1),
        "hardware": hardware("cpu"),
    }
    path = HERE / "results" / f"{args.profile}.json"
    write(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    console.print(record, f"Written: {path.name}")


def _toy(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare choice and better factor, for every mixture."""
    sizes = {name: config[name] for name in ("seeds", "rounds", "local_steps")}
    found = []
    for row in config["row"]:
        seeds = run_toy(row, **sizes)
        gap = part_of("", [s.share_A for s in seeds], [s.share_B for s in seeds])
        found.append(
            {
                "row": row,
                "choices": [one.found.choice for one in seeds],
                "better": ["A" if s.share_A < s.share_B else "B" for s in seeds],
                "missed_A": fmean(s.found.missed_A for s in seeds),
                "missed_B": fmean(s.found.missed_B for s in seeds),
                "share_A": fmean(s.share_A for s in seeds),
                "share_B": fmean(s.share_B for s in seeds),
                "local": fmean(s.local for s in seeds),
                "difference": [gap.difference, gap.low, gap.high],
            }
        )
    return found


def _separate(bench: Bench, setting: str, rows: int) -> dict[str, Any]:
    """Ask the updates of LoRAs that were trained apart, and the gradients."""
    recipe = bench.recipe(setting)
    arm = separate_arm(recipe, len(bench.tasks(setting)))
    runs = bench.run(setting, [arm]).arms[SEPARATE]
    updates = []
    for one in runs.recipes:
        folder = Path(one.output_dir)
        tasks = {t: read_adapter(folder / t / "adapter") for t in runs.rows[0]}
        updates.append(_say(sharing(tasks)))
    gradients = _say(_ask(recipe, bench.profile.seeds[0], rows))
    return {"setting": setting, "updates": updates, "gradients": gradients}


def _scored(bench: Bench, rows: int) -> list[dict[str, Any]]:
    """Ask the clients of ``benchmarks.federated_scores``, and compare its scores."""
    text = (SCORED / "results" / "minilm.json").read_text(encoding="utf-8")
    record, found = json.loads(text), []
    for name, include in record["config"]["clients"].items():
        folders = [{"path": "natural_instructions", "include": include}]
        changes = f"data.folders={json.dumps(folders)}"
        asked = _ask(bench.recipe("sentiment", changes), 0, rows)
        found.append(compare_scored(record, name, _say(asked)))
    return found


def compare_scored(
    record: Mapping[str, Any], clients: str, asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Compare both factors on one set of clients of ``benchmarks.federated_scores``.

    Args:
        record: Its runs.
        clients: Name of the set.
        asked: What their gradients say.
    """
    runs = [run for run in record["runs"] if run["clients"] == clients]
    gaps = {}
    for key in SCORES:
        A, B = (
            [run[key]["mean"] for run in runs if run["method"] == method]
            for method in FACTORS.values()
        )
        gaps[key] = part_of(f"share A - share B, {key}", A, B).as_dict()
    seeds = len(record["config"]["seeds"])
    return {
        "setting": f"eight clients of {clients}, {seeds} seeds, one rate for all",
        "choice": asked["choice"],
        "asked": [asked],
        "gaps": gaps,
        "better": _better(gaps[AGGREGATED]),
    }


def _federation(bench: Bench, setting: str, rows: int) -> dict[str, Any]:
    """Train with A and with B shared; compare with what the gradients say."""
    recipe = bench.recipe(setting)
    asked = [_ask(recipe, seed, rows) for seed in bench.profile.seeds]
    found = run_federations(bench, setting, list(FACTORS.values()))
    A, B = (found.arms[name] for name in FACTORS.values())
    gaps = {
        key: part_of(f"share A - share B, {key}", A.means(key), B.means(key)).as_dict()
        for key in SCORES
    }
    return {
        "setting": setting,
        "described": found.describe(),
        "choice": _usual([one.choice for one in asked]),
        "asked": [_say(one) for one in asked],
        "gaps": gaps,
        "better": _better(gaps[AGGREGATED]),
    }


def _ask(recipe: Recipe, seed: int, rows: int) -> Sharing:
    """Compare gradients at the base model; the seed draws the random factors."""
    dice = torch.Generator().manual_seed(seed)
    return sharing_from_gradients(
        *gradients_on_both(recipe, rows, None, dice), generator=dice
    )


def _say(found: Sharing) -> dict[str, Any]:
    kept = ("choice", "missed_A", "missed_B", "random_A", "random_B", "agreeing")
    summary = found.summary()
    return {name: summary[name] for name in kept}


def _usual(choices: Sequence[str]) -> str:
    return Counter(choices).most_common(1)[0][0]


def _better(gap: Mapping[str, Any]) -> str:
    """Return the factor that scores better when shared; open if it cannot be told."""
    if gap["low"] > 0:
        return "A"
    return "B" if gap["high"] < 0 else "open"


if __name__ == "__main__":
    main()
