"""What does a round cost the server: time, bytes, memory? And at 100,000 clients?

Measures rounds of the aggregators (each in a process of its own), fits the law
seconds = a x arrays + b x bytes to the linear methods, and extrapolates. Replies are
looked at (finite, shapes, norm) as the server does; the network is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.federated.measure import (
    SCALE,
    Measured,
    Setting,
    reply_pool,
    sites_of,
    start_state,
)
from benchmarks.federated.tables import TABLES
from benchmarks.harness import hardware
from cotune.federated.aggregation import (
    AGGREGATION,
    Cohort,
    Packet,
    aggregate,
    traffic,
)

REST = {"rounds": 1, "clients": 0}
LINEAR = ("fedit", "fed-alora", "fed-alora-any")
CONFIG = Path(__file__).with_name("config.yaml")


def settings(file: Path = CONFIG) -> list[Setting]:
    """Return what is measured: all combinations of each entry of the config."""
    found: list[Setting] = []
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")):
        lists = {"model": ["llama-1b"], "rank": [8], **entry}
        rest = {key: lists.pop(key, default) for key, default in REST.items()}
        for values in product(*lists.values()):
            found.append(Setting(**dict(zip(lists, values, strict=True)), **rest))
    return found


def measured(setting: Setting) -> Measured:
    """Measure one setting in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.federated.measure"]
    done = subprocess.run(
        [*command, json.dumps(asdict(setting))],
        capture_output=True,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def fit(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Fit seconds = a x arrays + b x bytes; every row counts by its ratio."""
    used = [row for row in rows if row["method"] in LINEAR]
    seconds = np.array([row["seconds"] for row in used])
    sizes = np.array([[row["arrays"], row["bytes_up"]] for row in used], dtype=float)
    scaled = sizes / seconds[:, None]
    (a, b), *_ = np.linalg.lstsq(scaled, np.ones(len(used)), rcond=None)
    ratios = scaled @ np.array([a, b])
    replies = [row["bytes_up"] / row["asked"] for row in used]
    peaks = [row["peak"] / size for row, size in zip(used, replies, strict=True)]
    return {
        "seconds_per_array": float(a),
        "seconds_per_gb": float(b) * 1e9,
        "lowest_ratio": float(ratios.min()),
        "highest_ratio": float(ratios.max()),
        "replies_in_memory": float(np.median(peaks)),
    }


def extrapolate(law: dict[str, float]) -> list[dict[str, Any]]:
    """Apply the law to clients and models that nobody has here."""
    rows: list[dict[str, Any]] = []
    for model in ("llama-1b", "llama-8b"):
        sites = sites_of(model)
        for name in LINEAR:
            method = AGGREGATION[name]()
            one = traffic(method, sites, 8, Cohort((8,)))
            arrays = len(sites) * len(method.sent)
            for clients in (100, 1_000, 10_000, 100_000):
                seconds = clients * (
                    law["seconds_per_array"] * arrays
                    + law["seconds_per_gb"] * one.up / 1e9
                )
                rows.append(
                    {
                        "model": model,
                        "method": name,
                        "clients": clients,
                        "bytes_up": clients * one.up,
                        "bytes_down": clients * one.down,
                        "seconds": seconds,
                        "wire_seconds_10gbit": clients * one.total * 8 / 1e10,
                        "memory": law["replies_in_memory"] * one.up,
                    }
                )
    return rows


def hierarchy_error() -> float:
    """Compare a mean of regional means with the flat mean, for a linear method."""
    method = AGGREGATION["fedit"]()
    sites = sites_of("minilm")
    state, pool = start_state(method, sites, 8), reply_pool(method, sites, 8)
    weights = [float(1 + 7 * i % 13) for i in range(60)]
    replies = {
        f"c{i:02d}": (pool[i % len(pool)], weight) for i, weight in enumerate(weights)
    }
    flat = aggregate(method, state, replies)
    regions: dict[str, tuple[Packet, float]] = {}
    for region in range(6):
        own = {k: v for k, v in replies.items() if int(k[1:]) % 6 == region}
        total = sum(weight for _, weight in own.values())
        mean = aggregate(method, state, own)
        regions[f"r{region}"] = (Packet(mean.layers, SCALE), total)
    two = aggregate(method, state, regions)
    return max(
        float((two.layers[n][r] - x).norm() / x.norm())
        for n, roles in flat.layers.items()
        for r, x in roles.items()
    )


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the record in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)


def main() -> None:
    """Measure, fit, extrapolate, print, write."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--config", type=Path, default=CONFIG, help="what to measure")
    parse.add_argument("--out", type=Path, default=None, help="JSON to write")
    args = parse.parse_args()
    torch.set_num_threads(1)
    rows = [
        {**asdict(setting), **asdict(measured(setting))}
        for setting in track(
            settings(args.config), description="rounds", transient=True
        )
    ]
    law = fit(rows)
    record = {
        "question": "What does a round cost the server?",
        "hardware": hardware("cpu"),
        "measured": rows,
        "law": law,
        "extrapolated": extrapolate(law),
        "hierarchy_error": hierarchy_error(),
    }
    write(args.out or Path(__file__).parent / "results" / "cpu.json", record)
    for title, build in TABLES.items():
        heading, *lines = build(record)
        table = Table(*heading, title=title)
        for line in lines:
            table.add_row(*line)
        Console().print(table)


if __name__ == "__main__":
    main()
