"""Tokens per second and memory of a whole training run, against PEFT LoRA.

The same recipe, rows, steps and Trainer; only the adapter differs. Every run is a fresh
process, the arms in turn, because peak memory is that of a process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, figure, parser, publish, read_arguments

QUESTION = "Training runs: ours / PEFT LoRA"
METHODS = ("lora", "cola", "alora", "colora")
BASES: dict[str, dict[str, Any]] = {
    "embedded": {"name": "embedded", "kind": "causal"},
    "minilm": {"name": "all-MiniLM-L6-v2", "kind": "embedding"},
    "llama": {"name": "{folder}/llama", "kind": "causal"},
}


def write_llama(folder: Path) -> None:
    """Write a Llama of 6 layers, 768 wide, with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from benchmarks.harness import SHAPES
    from cotune.embedded import load_tokenizer

    tokenizer = load_tokenizer()
    shape = {**SHAPES["cpu"], "vocab_size": len(tokenizer)}
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def one_run(name: str, method: str, steps: int, folder: Path) -> dict[str, float]:
    """Train in this process; return rows per second and the peak of memory in MiB."""
    from peft import LoraConfig

    from cotune import CoTuneConfig
    from cotune.data import DataSpec, LimitSpec, load_data
    from cotune.embedded import write_tasks
    from cotune.training import BaseSpec, TrainingSpec, run_training

    write_tasks(folder / "tasks")
    # Scoring at the end is not timed; it should not take the time either.
    limits = LimitSpec(test_rows=2)
    data = DataSpec(root=str(folder / "tasks"), folders=(".",), limits=limits)
    tasks = load_data(data)
    fields = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
    if method == "peft":
        adapter = LoraConfig(**fields)
    else:
        names = [task.name for task in tasks]
        adapter = CoTuneConfig(method=method, tasks=names, **fields)
    spec = {k: v.format(folder=folder) for k, v in BASES[name].items()}
    result = run_training(
        BaseSpec(**spec),
        tasks,
        adapter,
        TrainingSpec(
            max_steps=steps,
            per_device_train_batch_size=32,
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        ),
        Path(tempfile.mkdtemp(dir=folder)) / "run",
    )
    logged = next(e for e in result.log_history if "train_samples_per_second" in e)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": logged["train_samples_per_second"], "MiB": peak}


def fresh(name: str, method: str, steps: int, folder: Path) -> dict[str, float]:
    """Run :func:`one_run` in a process of its own."""
    call = f"one_run({name!r}, {method!r}, {steps}, Path({str(folder)!r}))"
    code = (
        "import json; from pathlib import Path\n"
        "from benchmarks.end_to_end.run import one_run\n"
        f"print('RESULT' + json.dumps({call}))"
    )
    asked = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    line = next(x for x in done.stdout.splitlines() if x.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


def main() -> None:
    """Measure, print, write."""
    parse = parser(QUESTION)
    parse.add_argument("--steps", type=int)
    args = read_arguments(parse, __file__)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_llama(folder / "llama")
        for name in BASES:
            runs: dict[str, list[dict[str, float]]] = {}
            for _ in range(args.pairs):
                for method in ("peft", *METHODS):
                    run = fresh(name, method, args.steps, folder)
                    runs.setdefault(method, []).append(run)
            rows = [run["rows"] for run in runs["peft"]]
            figures.append(
                figure(f"{name}, PEFT LoRA: rows per second, absolute", rows)
            )
            for method in METHODS:
                pairs = list(zip(runs[method], runs["peft"], strict=True))
                speed = [ours["rows"] / theirs["rows"] for ours, theirs in pairs]
                memory = [ours["MiB"] / theirs["MiB"] for ours, theirs in pairs]
                label = f"{name}, {method}"
                figures.append(figure(f"{label}: rows per second", speed))
                figures.append(figure(f"{label}: peak memory", memory))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
