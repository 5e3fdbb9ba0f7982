"""Export one task to plain LoRA, and check that plain PEFT computes the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import Tensor

    from ..recipes import OpenedRun

ROWS = 32


@dataclass(frozen=True)
class Proof:
    """What the check found, on test rows of the task.

    Args:
        folder: The plain LoRA.
        rank: Its rank.
        difference: Largest difference of a logit, ours against PEFT's.
        effect: Largest change of a logit by the adapter.
    """

    folder: Path
    rank: int
    difference: float
    effect: float


def export_and_compare(run: Path, task: str, out: Path) -> Proof:
    """Export a task, load it with PEFT and transformers alone, and compare outputs.

    Args:
        run: Folder of a run with a causal language model.
        task: Whose update.
        out: Where to write the plain LoRA.

    Returns:
        What was found.

    Raises:
        ConfigError: No such run or task.
    """
    import torch

    from .._adapter_file import read_adapter
    from ..operators.convert import export_lora
    from ..recipes import open_run

    opened = open_run(run)
    opened.check_task(task)
    written = export_lora(read_adapter(run / "adapter"), out, task=task)
    batch = _test_batch(opened, task)
    plain = _load_plain(opened, out)
    with torch.no_grad():
        ours = opened.model(**batch, tasks=task).logits
        theirs = plain(**batch).logits
        with opened.model.disable_adapter():
            base = opened.model(**batch, tasks=task).logits
    return Proof(out, written.rank, _gap(ours, theirs), _gap(ours, base))


def _gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs.to(ours.device)).abs().max())


def _test_batch(opened: OpenedRun, task: str) -> dict[str, Tensor]:
    (own,) = [one for one in opened.tasks if one.name == task]
    rows = opened.base.encode(own, "test")
    batch = opened.base.collate([dict(row) for row in list(cast(Any, rows))[:ROWS]])
    names = ("input_ids", "attention_mask")
    return {name: batch[name].to(opened.model.device) for name in names}


def _load_plain(opened: OpenedRun, folder: Path) -> Any:
    """Load as someone would who has never heard of cotune."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from ..training.bases._load import find_model

    name, dtype = find_model(opened.recipe.base.name), opened.base.model.dtype
    base = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    return PeftModel.from_pretrained(base, folder).eval().to(opened.model.device)
