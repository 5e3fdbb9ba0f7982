"""The adapter that a client ends up with, written at its own home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..._adapter import Adapter, LowRank, plain_factors
from ..._files import publish
from ...operators.convert import export_lora
from .._any_rank import any_rank_roles
from .._ownership import ADAPTER, layers_of
from ._fold import add_folds

if TYPE_CHECKING:
    from peft import PeftModel


def write_personal(
    model: PeftModel, folds: Mapping[str, LowRank], target: Path
) -> None:
    """Write the adapter of a model; the folder appears whole.

    Args:
        model: With shared and private factors in place.
        folds: What was folded into the frozen part. Where there is something, and
            where B is made of other factors, the adapter is written as plain LoRA, of
            the rank of both together.
        target: The folder; replaced if it is there.
    """
    draft = target.with_name(f".{target.name}.unfinished")
    draft.mkdir(mode=0o700, parents=True, exist_ok=True)
    layers = layers_of(model)
    made = any(any_rank_roles(layer) for layer in layers.values())
    if not folds and not made:
        model.save_pretrained(str(draft))
    else:
        own = {n: layer.low_rank(ADAPTER) for n, layer in layers.items()}
        own = {n: LowRank(x.A.cpu(), x.B.cpu()) for n, x in own.items()}
        whole = {n: plain_factors(x) for n, x in add_folds(folds, own).items()}
        config = {**model.peft_config[ADAPTER].to_dict(), "core": "none"}
        export_lora(Adapter(whole, config), draft)
    publish(draft, target)
