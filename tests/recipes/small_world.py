"""A tiny model, two tasks and a recipe on disk, and the command line to run on them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

LETTERS = "abcdefgh"
TASKS = ("left", "right")


def write_world(folder: Path, *, seed: int = 0, hidden: int = 16) -> Path:
    """Write ``base/`` (model and tokenizer), ``data/`` and ``recipe.yaml``.

    Args:
        folder: Where.
        seed: Of the model.
        hidden: Width of the model.

    Returns:
        The recipe.
    """
    write_base(folder / "base", seed=seed, hidden=hidden)
    for number, task in enumerate(TASKS):
        for part, rows in (("train", 16), ("test", 6)):
            path = folder / "data" / task / f"{part}.jsonl"
            write_rows(path, make_rows(rows, part=part, flipped=number == 1))
    return write_recipe(folder / "recipe.yaml", recipe_values(folder))


def recipe_values(folder: Path) -> dict[str, Any]:
    """Return the content of the recipe: CoLoRA, two steps."""
    return {
        "base": {"name": str(folder / "base")},
        "data": {
            "root": str(folder / "data"),
            "folders": ["."],
            "validation_share": 0.25,
            "encode": {"max_length": 32},
        },
        "adapter": {
            "method": "colora",
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q_proj", "v_proj"],
        },
        "training": {
            "learning_rate": 0.01,
            "max_steps": 2,
            "per_device_train_batch_size": 4,
            "save_strategy": "no",
            "use_cpu": True,
            "disable_tqdm": True,
        },
        "output_dir": str(folder / "run"),
    }


def write_recipe(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def write_rows(path: Path, rows: list[Any]) -> None:
    """Write rows as JSON lines; texts are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def make_rows(number: int, *, part: str, flipped: bool = False) -> list[dict[str, Any]]:
    """Make rows that ask which half of the letters a word is made of."""
    dice = random.Random(part)
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < number:
        half = dice.randrange(2)
        word = part[0] + "".join(dice.choices(LETTERS[4 * half :][:4], k=5))
        answer = ("yes", "no")[half ^ flipped]
        rows[word] = {"prompt": word, "options": ["no", "yes"], "answer": answer}
    return list(rows.values())


def write_base(folder: Path, *, seed: int = 0, hidden: int = 16) -> None:
    """Save a random Llama of two layers, with a tokenizer of one token per byte."""
    import torch
    import transformers as hf
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<s>": 0, "</s>": 1} | {c: i + 2 for i, c in enumerate(letters)}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    torch.manual_seed(seed)
    config = hf.LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=hidden,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = hf.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def call(*arguments: str | Path) -> Any:
    """Run the command line in this process; unexpected errors are raised.

    Returns:
        Typer's result: ``exit_code``, ``stdout``, ``stderr``.
    """
    from cotune.cli import app

    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def run(*arguments: str | Path) -> str:
    """Run the command line and return what it prints; it must succeed."""
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout
