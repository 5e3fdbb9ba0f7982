"""Write the eight tasks as files."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from .._errors import ConfigError
from .._files import write_text
from .._registry import Registry
from ._world import Row, Task, World, split_world

TASKS: Registry[Task] = Registry(
    "embedded task",
    {
        "gate": "cotune.embedded._sorting:gate",
        "stamp": "cotune.embedded._sorting:stamp",
        "fee": "cotune.embedded._sorting:fee",
        "card": "cotune.embedded._picking:card",
        "shelf": "cotune.embedded._picking:shelf",
        "lot": "cotune.embedded._picking:lot",
        "door": "cotune.embedded._outsiders:door",
        "chip": "cotune.embedded._outsiders:chip",
    },
)
"""Name -> function that draws one row from a world."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "sorting": ("gate", "stamp", "fee"),
    "picking": ("card", "shelf", "lot"),
    "outsiders": ("door", "chip"),
}
"""Which tasks share a rule. The outsiders share theirs with no task."""

MOST_ROWS = 1000  # the smallest task has about 2900 prompts in its test world


def draw_rows(name: str, count: int, world: World, seed: int) -> list[Row]:
    """Draw rows of a task, no prompt twice.

    Args:
        name: A name in ``TASKS``.
        count: How many, 1 to 1000.
        world: The words to use.
        seed: Seed of the draws, at least 0.

    Returns:
        The rows; the first ones are the same for every ``count``.

    Raises:
        ConfigError: An unknown name, or a count out of range.
    """
    if not 1 <= count <= MOST_ROWS:
        raise ConfigError(
            f"embedded task {name}: rows must be 1 to {MOST_ROWS}, got {count!r}. "
            "Choose another number."
        )
    draw, generator = TASKS[name], torch.Generator().manual_seed(seed)
    rows: dict[str, Row] = {}
    while len(rows) < count:
        row = draw(world, generator)
        rows.setdefault(row["prompt"], row)
    return list(rows.values())


def write_tasks(
    folder: str | Path, seed: int = 0, *, train_rows: int = 96, test_rows: int = 200
) -> dict[str, dict[str, Path]]:
    """Write the eight tasks as JSON lines, ``<folder>/<task>/{train,test}.jsonl``.

    The rules of the tasks are fixed; the seed decides which words are kept for the test
    rows and which rows are drawn. A row is ``{"prompt", "options", "answer"}``.

    Args:
        folder: Where to write; made if it is not there. Files of the same name are
            replaced.
        seed: Seed of all draws, at least 0.
        train_rows: Rows per task to train on, 1 to 1000.
        test_rows: Rows per task to test on, 1 to 1000.

    Returns:
        Task name -> ``{"train": path, "test": path}``, in the order of ``TASKS``.

    Raises:
        ConfigError: A seed or a number of rows out of range.
    """
    if seed < 0:
        raise ConfigError(f"write_tasks: seed must be at least 0, got {seed!r}.")
    worlds = split_world(torch.Generator().manual_seed(seed))
    splits = ("train", train_rows, worlds[0]), ("test", test_rows, worlds[1])
    files: dict[str, dict[str, Path]] = {name: {} for name in TASKS}
    for place, name in enumerate(TASKS):
        for column, (split, count, world) in enumerate(splits):
            # Twenty streams a seed: none is shared by two seeds, tasks or splits.
            stream = 20 * seed + 2 * place + column + 1
            path = Path(folder) / name / f"{split}.jsonl"
            rows = draw_rows(name, count, world, stream)
            write_text(path, "".join(json.dumps(r) + "\n" for r in rows))
            files[name][split] = path
    return files
