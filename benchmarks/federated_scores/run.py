"""How well do eight clients do, by what they share? Real rows, several seeds.

Every run is a whole federation through the public interface, in a process of its own;
finished ones are kept in the work folder, so an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.harness import hardware

HERE = Path(__file__).parent
SCORES = ("score_after_aggregation", "score_after_training")
Run = dict[str, Any]


def list_runs(config: dict[str, Any]) -> list[Run]:
    """Return every run: its clients, ranks, method and seed."""
    return [
        {"clients": clients, "ranks": ranks, "method": method, "seed": seed}
        for seed in config["seeds"]
        for clients in config["clients"]
        for ranks, methods in config["methods"].items()
        for method in methods
    ]


def recipe_of(config: dict[str, Any], run: Run, root: str, folder: Path) -> Run:
    """Return the content of the run's recipe."""
    made = json.loads(json.dumps(config["recipe"]))
    made["data"]["root"] = root
    made["data"]["folders"][0]["include"] = config["clients"][run["clients"]]
    made["adapter"]["method"] = "colora" if run["method"] == "colora" else "lora"
    made["training"]["seed"] = made["federated"]["seed"] = run["seed"]
    made["federated"]["aggregation"] = run["method"]
    made["federated"]["ranks"] = config["ranks"][run["ranks"]]
    made["output_dir"] = str(folder)
    return made


def carry_out(job: tuple[Run, str]) -> dict[str, Any]:
    """Run one federation, or read what it gave: client -> scores and bytes."""
    import torch

    from cotune.recipes import check_recipe, federate

    recipe, folder = job[0], Path(job[1])
    done = folder / "metrics.json"
    if not done.is_file():
        torch.set_num_threads(1)
        federate(check_recipe(recipe), engine="local", resume=True)
    return json.loads(done.read_text(encoding="utf-8"))["federated"]["clients"]


def summary(run: Run, clients: dict[str, Any]) -> dict[str, Any]:
    """Return mean and worst client of both scores, and the bytes of all rounds."""
    found: dict[str, Any] = dict(run)
    for key in SCORES:
        values = [one[key] for one in clients.values()]
        found[key] = {"mean": statistics.fmean(values), "worst": min(values)}
    for way in ("up", "down"):
        found[way] = sum(one[way] for one in clients.values())
    return found


@dataclass(frozen=True)
class Row:
    """One method with one set of clients and ranks, over its seeds.

    Args:
        clients: Which set.
        ranks: ``equal`` or ``mixed``.
        method: Name of the aggregation.
        seeds: How many.
        means: Score -> mean over clients and seeds.
        spreads: Score -> standard deviation over seeds, 0 for one seed.
        worsts: Score -> score of the worst client, mean over seeds.
        megabytes: Up and down, all clients and rounds.
    """

    clients: str
    ranks: str
    method: str
    seeds: int
    means: dict[str, float]
    spreads: dict[str, float]
    worsts: dict[str, float]
    megabytes: float


def tabulate(runs: Sequence[dict[str, Any]]) -> list[Row]:
    """Gather the seeds of each method."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for run in runs:
        key = (run["clients"], run["ranks"], run["method"])
        groups.setdefault(key, []).append(run)
    return [_row(key, group) for key, group in groups.items()]


def _row(key: tuple[str, str, str], group: list[dict[str, Any]]) -> Row:
    means = {score: [run[score]["mean"] for run in group] for score in SCORES}
    several = len(group) > 1
    return Row(
        *key,
        len(group),
        {k: statistics.fmean(v) for k, v in means.items()},
        {k: statistics.stdev(v) if several else 0.0 for k, v in means.items()},
        {s: statistics.fmean(run[s]["worst"] for run in group) for s in SCORES},
        (group[0]["up"] + group[0]["down"]) / 1e6,
    )


def show(rows: Sequence[Row]) -> Table:
    """Return a table: means over seeds, and their standard deviation."""
    table = Table(title="Accuracy of clients, mean (worst) after aggregation, training")
    for name in ("clients", "ranks", "method", "aggregated", "trained", "MB up + down"):
        table.add_column(name)
    for row in rows:
        cells = [
            f"{row.means[s]:.3f} +- {row.spreads[s]:.3f} ({row.worsts[s]:.3f})"
            for s in SCORES
        ]
        names = (row.clients, row.ranks, row.method)
        table.add_row(*names, *cells, f"{row.megabytes:.1f}")
    return table


def main() -> None:
    """Run what is not done yet, print, write."""
    config = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    parse = argparse.ArgumentParser(description=__doc__)
    root = config["recipe"]["data"]["root"]
    parse.add_argument("--root", default=root, help="where natural_instructions/ is")
    parse.add_argument("--work", type=Path, default=Path("runs/federated_scores"))
    parse.add_argument("--workers", type=int, default=1)
    parse.add_argument("--seeds", type=int, nargs="+", default=config["seeds"])
    parse.add_argument("--out", type=Path, default=HERE / "results" / "minilm.json")
    args = parse.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    config["seeds"] = args.seeds
    runs = list_runs(config)
    jobs = []
    for run in runs:
        name = "-".join(str(x).replace(" ", "_") for x in run.values())
        folder = args.work / name
        jobs.append((recipe_of(config, run, args.root, folder), str(folder)))
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        found = list(track(pool.map(carry_out, jobs), "runs", total=len(jobs)))
    rows = [summary(run, one) for run, one in zip(runs, found, strict=True)]
    record = {"config": config, "hardware": hardware("cpu"), "runs": rows}
    record["hardware"]["workers"] = args.workers
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    Console().print(show(tabulate(rows)))


if __name__ == "__main__":
    main()
