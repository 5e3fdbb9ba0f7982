"""Measure the eight embedded tasks with plain PEFT LoRA: alone, by family, together.

    python scripts/compare_embedded_tasks.py --seeds 0 1 2

prints the accuracy on the test rows. All three ways see every train row equally often:
a task gets the same number of steps, alone or in its share of a joint run.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from cotune.embedded import (
    FAMILIES,
    TASKS,
    Row,
    load_model,
    load_tokenizer,
    write_tasks,
)

SEPARATOR = "\n"  # the default of cotune.data
BATCH = 32


@dataclass(frozen=True)
class Run:
    """The settings of one comparison.

    Args:
        rows: Train rows per task.
        steps: Steps per task, of 32 rows each.
        rank: r of the LoRA; alpha is 2 r.
        learning_rate: Peak; 10 steps up, then down to 0 in a line.
    """

    rows: int = 96
    steps: int = 100
    rank: int = 8
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class Encoded:
    """Rows as tokens, padded on the right.

    Args:
        ids: Token ids, shape (rows, length).
        mask: 1 on tokens, 0 on padding, shape (rows, length).
        labels: The answer's ids, -100 elsewhere, shape (rows, length).
        options: The id of each option; every option is one token. One list a row.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor
    options: list[list[int]]

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return some rows as keyword arguments of a model, without spare padding."""
        chosen = list(rows)
        width = int(self.mask[chosen].sum(1).max())
        return {
            "input_ids": self.ids[chosen, :width],
            "attention_mask": self.mask[chosen, :width],
            "labels": self.labels[chosen, :width],
        }


def encode(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Tokenise rows as prompt, line break, answer."""

    def plain(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    start = [tokenizer.bos_token_id]
    pairs = [(start + plain(r["prompt"] + SEPARATOR), plain(r["answer"])) for r in rows]
    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(pairs):
        stop = len(prompt) + len(answer)
        ids[row, :stop] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : stop] = torch.tensor(answer)
        mask[row, :stop] = 1
    return Encoded(
        ids, mask, labels, [[plain(o)[0] for o in r["options"]] for r in rows]
    )


@torch.no_grad()
def score(model: Any, data: Encoded) -> float:
    """Return the share of rows whose answer is the likeliest of the options."""
    model.eval()
    everything = data.batch(range(len(data.options)))
    last = (everything["labels"] != -100).int().argmax(1)
    answers = data.ids.gather(1, last.unsqueeze(1)).squeeze(1)
    logits = model(
        input_ids=everything["input_ids"], attention_mask=everything["attention_mask"]
    ).logits[torch.arange(len(last)), last - 1]
    right = [
        options[int(logits[row, options].argmax())] == int(answers[row])
        for row, options in enumerate(data.options)
    ]
    return sum(right) / len(right)


def train_lora(
    base: LlamaForCausalLM, data: Encoded, run: Run, steps: int, seed: int
) -> peft.PeftModel:
    """Train a LoRA on all linears of a copy of the base model.

    Args:
        base: The base model; not changed.
        data: The train rows, of one task or several.
        run: Settings.
        steps: Number of steps.
        seed: Seed of the factors and of the order of the rows.

    Returns:
        The trained model.
    """
    torch.manual_seed(seed)  # PEFT draws A from the global generator
    config = peft.LoraConfig(
        r=run.rank,
        lora_alpha=2 * run.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(copy.deepcopy(base), config).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=run.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 10, 1 - step / steps)
    )
    order: list[int] = []
    for _ in range(steps):
        while len(order) < BATCH:
            order += torch.randperm(len(data.options)).tolist()
        loss = model(**data.batch(order[:BATCH])).loss
        order = order[BATCH:]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def compare(run: Run, seed: int) -> dict[str, dict[str, float]]:
    """Score the base model, a LoRA per task, one per family, and one for all.

    Args:
        run: Settings.
        seed: Seed of the tasks' rows and of the training.

    Returns:
        Way -> task -> accuracy. The outsiders have no joint run as a family.
    """
    base, tokenizer = load_model(), load_tokenizer()
    train, test = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, files in write_tasks(folder, seed, train_rows=run.rows).items():
            train[name], test[name] = (
                [json.loads(line) for line in Path(path).open(encoding="utf-8")]
                for path in (files["train"], files["test"])
            )
    test = {name: encode(rows, tokenizer) for name, rows in test.items()}
    ways = {
        "separate": [(name,) for name in TASKS],
        "family": [FAMILIES["sorting"], FAMILIES["picking"]],
        "together": [tuple(TASKS)],
    }
    found = {"base": {name: score(base, test[name]) for name in TASKS}}
    for way, groups in ways.items():
        found[way] = {}
        for names in groups:
            rows = encode([row for name in names for row in train[name]], tokenizer)
            model = train_lora(base, rows, run, run.steps * len(names), seed)
            found[way] |= {name: score(model, test[name]) for name in names}
    return found


def main() -> None:
    """Print the comparison for every seed, and the mean over them."""
    parser = argparse.ArgumentParser(description="Compare the embedded tasks.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=Run.rows)
    parser.add_argument("--steps", type=int, default=Run.steps)
    parser.add_argument("--rank", type=int, default=Run.rank)
    parser.add_argument("--learning-rate", type=float, default=Run.learning_rate)
    given = vars(parser.parse_args())
    seeds, threads = given.pop("seeds"), given.pop("threads")
    torch.set_num_threads(threads)
    results = []
    for seed in seeds:
        began = time.perf_counter()
        results.append(compare(Run(**given), seed))
        show(f"seed {seed}, {time.perf_counter() - began:.0f} s", results[-1:])
    show(f"mean of {len(seeds)} seeds", results)


def show(title: str, results: list[dict[str, dict[str, float]]]) -> None:
    """Print one table, averaged over the results."""
    print(f"{title:20}" + "".join(f"{name:>7}" for name in TASKS), flush=True)
    for way in results[0]:
        cells = ""
        for name in TASKS:
            values = [found[way][name] for found in results if name in found[way]]
            cells += f"{sum(values) / len(values):7.3f}" if values else f"{'-':>7}"
        print(f"{way:20}{cells}", flush=True)


if __name__ == "__main__":
    main()
