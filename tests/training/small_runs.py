"""Small models on disk and small tasks, also for scripts in other processes."""

from __future__ import annotations

import json
import random
from pathlib import Path

from cotune.data import Task, TaskSpec, load_tasks

LETTERS = "abcdefgh"


def write_model(folder: Path, family: str, *, dropout: float = 0.0) -> Path:
    """Save a random model of two layers, 32 wide; its tokens are bytes.

    Args:
        folder: Where.
        family: ``llama`` or ``bert``.
        dropout: Of the model itself, if it has one.
    """
    import torch
    import transformers as hf

    tokenizer = make_tokenizer(family)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 96,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    if family == "llama":
        model = hf.LlamaForCausalLM(
            hf.LlamaConfig(num_key_value_heads=2, attention_dropout=dropout, **sizes)
        )
    else:
        model = hf.BertModel(
            hf.BertConfig(
                hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0, **sizes
            )
        )
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(family: str):
    """Make a tokenizer: <s> before a text, and for ``bert`` </s> after it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<s>": 0, "</s>": 1} | {c: i + 2 for i, c in enumerate(letters)}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(
        single={"llama": "<s> $A", "bert": "<s> $A </s>"}[family],
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def write_rows(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def choice_rows(number: int, *, flipped: bool = False, seed: int = 0):
    """Make rows that ask whether a word is made of the first half of the letters.

    Args:
        number: How many.
        flipped: Answer "no" where "yes" is right: no model without parts per task can
            do both tasks.
        seed: Of the words.
    """
    dice = random.Random(seed)
    rows = []
    for _ in range(number):
        half = dice.randrange(2)
        word = "".join(dice.choices(LETTERS[4 * half :][:4], k=5))
        answer = ("yes", "no")[half ^ flipped]
        rows.append({"prompt": word, "options": ["no", "yes"], "answer": answer})
    return rows


def make_tasks(
    folder: Path,
    names=("plain", "flipped"),
    *,
    rows: int = 24,
    kind: str = "choice",
    parts=("train", "validation", "test"),
    **settings,
) -> list[Task]:
    """Write and load tasks; every second one has its answers flipped.

    Args:
        folder: Where the rows go.
        names: Names of the tasks.
        rows: Training rows of each; half as many for validation and for test.
        kind: As in a recipe.
        parts: Which parts are written.
        **settings: More fields of the tasks.
    """
    specs = []
    for number, name in enumerate(names):
        for seed, part in enumerate(parts):
            some = rows if part == "train" else rows // 2
            found = choice_rows(some, flipped=number % 2 == 1, seed=seed)
            write_rows(folder / name / f"{part}.jsonl", found)
        specs.append(TaskSpec(name=name, source=name, kind=kind, **settings))
    return load_tasks(specs, folder)
