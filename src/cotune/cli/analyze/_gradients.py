"""Gradients of tasks on one factor, kept task by task so that a stop costs little."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import typer
from torch import Tensor, nn

from ._scorer import ADAPTED
from ._session import show_progress

if TYPE_CHECKING:
    from ...data import Task
    from ...recipes import Recipe
    from ...training import Base

IGNORED = -100
"""Label of tokens without a loss, as in transformers."""


def adapt_plain(recipe: Recipe, base: Base) -> nn.Module:
    """Return the base with a plain LoRA, whatever the method of the recipe.

    Args:
        recipe: Whose rank, alpha and target modules are taken.
        base: The loaded base; it is adapted in place.
    """
    from ...adapters import CoTuneConfig
    from ...training import adapt

    asked = recipe.need_adapter().model_dump()
    shape = ("r", "lora_alpha", "target_modules", "exclude_modules")
    config = CoTuneConfig(method="lora", **{name: asked[name] for name in shape})
    return adapt(base, config).eval()


@dataclass(frozen=True)
class KeptGradients:
    """Finished gradients, one file per task.

    Args:
        folder: Where; made with the first task. Its name tells what was computed.
    """

    folder: Path

    def read(self, task: str) -> dict[str, Tensor] | None:
        """Return the gradients of a task, or None if it is not finished."""
        from safetensors.torch import load_file

        path = self._path(task)
        return load_file(path) if path.is_file() else None

    def write(self, task: str, gradients: Mapping[str, Tensor]) -> None:
        """Keep the gradients of a task, in one move."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{os.getpid()}.tmp"
        save_file({name: g.contiguous() for name, g in gradients.items()}, draft)
        os.replace(draft, self._path(task))

    def _path(self, task: str) -> Path:
        # A name may hold what a file's cannot.
        short = hashlib.sha256(task.encode()).hexdigest()[:16]
        return self.folder / f"{short}.safetensors"


def keep_beside(
    out: Path, tasks: Sequence[Task], rows: int, *depends_on: str
) -> KeptGradients:
    """Choose where gradients are kept: beside the result, under a digest.

    Args:
        out: The JSON file that will be written.
        tasks: The tasks.
        rows: Most training rows of each.
        *depends_on: What else the gradients depend on.
    """
    digest = hashlib.sha256("\n".join(depends_on).encode())
    for task in tasks:
        digest.update(f"{task.name} {rows}".encode())
        count = min(rows, len(task.train))
        for row in cast("Any", task.train.select(range(count))):
            # Where a row lies does not count; generated data move every time.
            said = {name: row[name] for name in row if name != "where"}
            digest.update(json.dumps(said, default=str).encode())
    mark = digest.hexdigest()[:8]
    return KeptGradients(out.with_name(f"{out.stem}.{mark}.gradients"))


@contextmanager
def show_gradients(keep: KeptGradients | None) -> Generator[Any]:
    """Show a bar; when interrupted, say where the finished tasks lie.

    Args:
        keep: Where they are kept.

    Yields:
        What is to be told how many are done.

    Raises:
        typer.Exit: With code 130, when interrupted.
    """
    try:
        with show_progress("gradients") as progress:
            yield progress
    except KeyboardInterrupt:
        where = "Nothing was kept; --out keeps finished tasks."
        if keep is not None:
            count = len(list(keep.folder.glob("*.safetensors")))
            where = f"{count} finished tasks lie in {keep.folder}. The same command "
            where += "goes on from there."
        typer.echo(f"Stopped. {where}", err=True)
        raise typer.Exit(130) from None


def task_gradients(
    model: nn.Module,
    base: Base,
    tasks: Sequence[Task],
    *,
    factor: str,
    rows: int,
    batch_size: int,
    keep: KeptGradients | None = None,
    progress: Any = None,
) -> dict[str, dict[str, Tensor]]:
    """Return every task's mean gradient on a factor, over its first training rows.

    Args:
        model: A model with a cotune adapter; its mode and numbers stay.
        base: How rows become batches and losses.
        tasks: The tasks.
        factor: ``A`` or ``B``.
        rows: Most rows per task.
        batch_size: Rows per forward pass.
        keep: Where finished tasks are kept, and found again.
        progress: Told after every task.

    Returns:
        Task -> layer -> gradient in fp32 on the CPU: (M, r, d_in) for A, (N, d_out, r)
        for B.
    """
    from ...adapters import CollaborativeLayer

    banks = {
        name.removeprefix(ADAPTED): getattr(module, f"cotune_{factor}")["default"]
        for name, module in model.named_modules()
        if isinstance(module, CollaborativeLayer)
    }
    model.requires_grad_(False)
    for bank in banks.values():
        bank.requires_grad_(True)
    found: dict[str, dict[str, Tensor]] = {}
    for done, task in enumerate(tasks, start=1):
        own = None if keep is None else keep.read(task.name)
        if own is None:
            every = list(banks.values())
            sums = _sum_gradients(model, base, task, every, rows, batch_size)
            turned = [grad.mT if factor == "B" else grad for grad in sums]
            own = dict(zip(banks, turned, strict=True))
            if keep is not None:
                keep.write(task.name, own)
        found[task.name] = own
        if progress is not None:
            progress(done, len(tasks))
    return found


def _sum_gradients(
    model: nn.Module,
    base: Base,
    task: Task,
    banks: Sequence[nn.Parameter],
    rows: int,
    batch_size: int,
) -> list[Tensor]:
    encoded = base.encode(task)
    encoded = [encoded[number] for number in range(min(rows, len(encoded)))]
    device = banks[0].device
    sums = [torch.zeros_like(bank, dtype=torch.float32) for bank in banks]
    starts = range(0, len(encoded), batch_size)
    batches = [base.collate(encoded[start : start + batch_size]) for start in starts]
    items = sum(_count_answers(base, batch["labels"]) for batch in batches)
    for batch in batches:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        loss = base.loss(model, batch, items)
        grads = torch.autograd.grad(loss, banks, allow_unused=True)
        for total, grad in zip(sums, grads, strict=True):
            if grad is not None:
                total += grad
    return [total.cpu() for total in sums]


def _count_answers(base: Base, labels: Tensor) -> int:
    """Count what the loss is a mean over: rows, or answer tokens."""
    return len(labels) if base.counts_rows else int((labels != IGNORED).sum())
