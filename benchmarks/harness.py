"""What all benchmarks share: shapes, paired timing, marks, JSON with hardware.

Absolute times on shared machines mean nothing. Every figure is the median of ratios of
two steps that ran right after one another in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES: dict[str, dict[str, Any]] = {
    "cpu": {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "vocab_size": 1000,
    },
    "llama-1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "llama-8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
}


@dataclass(frozen=True)
class Figure:
    """One measured ratio and its mark.

    Args:
        name: What was measured.
        value: Median over the pairs.
        low: Lower quartile.
        high: Upper quartile.
        mark: What to reach, or None.
        at_most: Whether the mark is an upper bound (else a lower one).
        note: Anything a reader must know.
    """

    name: str
    value: float
    low: float
    high: float
    mark: float | None = None
    at_most: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the mark is reached; None without one."""
        if self.mark is None:
            return None
        return self.value <= self.mark if self.at_most else self.value >= self.mark


def parser(question: str) -> argparse.ArgumentParser:
    """Return the command line that all benchmarks have."""
    parse = argparse.ArgumentParser(description=question)
    parse.add_argument("--device", default="cpu", help="cpu or cuda")
    parse.add_argument("--shape", default="cpu", choices=list(SHAPES))
    parse.add_argument("--pairs", type=int, default=9, help="repetitions of each ratio")
    parse.add_argument("--threads", type=int, default=torch.get_num_threads())
    parse.add_argument("--out", type=Path, default=None, help="JSON to write")
    return parse


def read_arguments(parse: argparse.ArgumentParser, file: str) -> argparse.Namespace:
    """Read the command line; what it leaves open stands in the config.

    Args:
        parse: All options of the benchmark.
        file: The benchmark's ``run.py``; ``config.yaml`` lies beside it.
    """
    config = yaml.safe_load(Path(file).with_name("config.yaml").read_text())
    unknown = sorted(config.keys() - vars(parse.parse_args([])).keys())
    if unknown:
        parse.error(f"config.yaml: keys must be options, got {', '.join(unknown)}.")
    parse.set_defaults(**config)
    return parse.parse_args()


def base_model(shape: str, device: str, seed: int = 0) -> LlamaForCausalLM:
    """Return a frozen Llama with random weights: fp32 on a CPU, else bf16."""
    torch.manual_seed(seed)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(LlamaConfig(**SHAPES[shape]))
    finally:
        torch.set_default_dtype(before)
    return model.requires_grad_(False)


def twin(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """Return another module tree on the same weights, so that arms share memory."""
    with torch.device("meta"):
        copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict(), assign=True)
    copy.model.rotary_emb = model.model.rotary_emb
    return copy.requires_grad_(False).train()


def synchronise(device: str) -> None:
    """Wait for the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(step: Callable[[], None], device: str) -> float:
    """Time one call."""
    synchronise(device)
    start = time.perf_counter()
    step()
    synchronise(device)
    return time.perf_counter() - start


def paired_ratios(
    reference: Callable[[], None],
    arms: Mapping[str, Callable[[], None]],
    *,
    pairs: int,
    device: str,
    warmup: int = 2,
) -> dict[str, list[float]]:
    """Return, per arm, time of the arm / time of the reference, interleaved.

    The reference runs before and after each arm, and the arm is divided by the mean of
    both, so that a slow drift of the machine cancels.
    """
    for _ in range(warmup):
        for step in (reference, *arms.values()):
            step()
    ratios: dict[str, list[float]] = {name: [] for name in arms}
    for _ in track(range(pairs), description="pairs", transient=True):
        before = seconds(reference, device)
        for name, step in arms.items():
            spent = seconds(step, device)
            after = seconds(reference, device)
            ratios[name].append(spent / ((before + after) / 2))
            before = after
    return ratios


def figure(
    name: str,
    values: list[float],
    mark: float | None = None,
    at_most: bool = True,
    note: str = "",
) -> Figure:
    """Summarise ratios by median and quartiles."""
    low, middle, high = (
        statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    )
    return Figure(name, middle, low, high, mark, at_most, note)


def hardware(device: str) -> dict[str, Any]:
    """Describe the machine and the versions, without names of hosts or people."""
    described: dict[str, Any] = {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load_at_end": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("torch", "transformers", "peft")},
        "commit": _commit(),
    }
    if device != "cpu":
        described["gpu"] = torch.cuda.get_device_name()
    return described


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(line.split(":")[1].strip() for line in lines if "model name" in line)


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def publish(
    question: str, figures: list[Figure], args: argparse.Namespace, folder: str
) -> None:
    """Print the table and write the JSON beside the benchmark."""
    table = Table(title=question)
    for column in ("what", "median", "quartiles", "mark", "met"):
        table.add_column(column)
    for row in figures:
        bound = "" if row.mark is None else ("<= " if row.at_most else ">= ")
        mark = "" if row.mark is None else f"{bound}{row.mark:g}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        spread = f"{row.low:.3f} .. {row.high:.3f}"
        table.add_row(row.name, f"{row.value:.3f}", spread, mark, met)
    Console().print(table)
    out = args.out or Path(folder) / "results" / f"{args.device}-{args.shape}.json"
    record = {
        "question": question,
        "settings": {k: str(v) for k, v in vars(args).items() if k != "out"},
        "hardware": hardware(args.device),
        "figures": [{**asdict(row), "met": row.met} for row in figures],
    }
    write_whole(out, json.dumps(record, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one move; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
