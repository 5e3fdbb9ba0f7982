"""Small data files, tasks and tokenizers for the data tests."""

import gzip
import json
import os
from pathlib import Path

import pytest

from cotune.data import Task, TaskSpec, load_tasks

CHATML = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def choice_rows(number, options=("no", "yes"), start=0):
    """Make rows of a choice task with different prompts."""
    return [
        {
            "prompt": f"question {i}",
            "options": list(options),
            "answer": options[i % len(options)],
        }
        for i in range(start, start + number)
    ]


@pytest.fixture
def make_rows():
    """Return the function that makes rows of a choice task."""
    return choice_rows


@pytest.fixture
def write():
    """Return a function that writes rows as JSON lines, gzipped if the name says so."""

    def write(path: Path, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        data = "".join(line + "\n" for line in lines).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return write


@pytest.fixture
def load(tmp_path, write):
    """Return a function that writes the parts of one task and loads it."""

    def load(train, *, test=None, seed=0, **settings) -> Task:
        write(tmp_path / "task" / "train.jsonl", train)
        if test is not None:
            write(tmp_path / "task" / "test.jsonl", test)
        settings = {"name": "task", "source": "task", "kind": "choice", **settings}
        (task,) = load_tasks([TaskSpec(**settings)], tmp_path, seed=seed)
        return task

    return load


@pytest.fixture
def tokenizer():
    """Return a function that makes a tokenizer of one token per byte.

    ``gpt`` has no special tokens around a text, ``llama`` <s> before it, ``bert`` <s>
    before and </s> after it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<s>": 0, "</s>": 1} | {c: i + 2 for i, c in enumerate(letters)}

    def make(style="gpt", chat_template=None, eos="</s>"):
        core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        single = {"gpt": "$A", "llama": "<s> $A", "bert": "<s> $A </s>"}[style]
        core.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=[("<s>", 0), ("</s>", 1)]
        )
        made = PreTrainedTokenizerFast(
            tokenizer_object=core, bos_token="<s>", eos_token=eos
        )
        made.chat_template = chat_template
        return made

    return make


@pytest.fixture
def chatml():
    """Return a small chat template."""
    return CHATML


@pytest.fixture(scope="session")
def real_data():
    """Return the folder of real data, or skip."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("COTUNE_DATA", default))
    if not (folder / "flan8").is_dir():
        pytest.skip(f"no real data at {folder}; set COTUNE_DATA")
    return folder
