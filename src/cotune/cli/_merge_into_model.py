"""Merge adapters into a full model, for ``cotune merge-adapters --into-model``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._adapter import Adapter
    from ..operators.merge import MergeSpec
    from ..training import BaseSpec

KINDS = {"CAUSAL_LM": "causal", "FEATURE_EXTRACTION": "embedding"}
"""PEFT's name of a task type -> kind of base model."""


def merge_into_model(
    spec: MergeSpec, adapters: Sequence[Adapter], paths: Sequence[Path]
) -> None:
    """Load the base model, merge layer by layer, and write it.

    Memory is the base model and one layer of the adapters.

    Args:
        spec: What is merged, and how.
        adapters: The adapters, as read.
        paths: Where they were read: runs know their base model.

    Raises:
        ConfigError: No base model that can be loaded, or one that does not fit.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    from ..operators.merge import merge_into_weights
    from ..training import load_base
    from ._operators import written_whole
    from ._show import show
    from .analyze._session import show_progress

    base = load_base(_choose_base(spec, adapters[0], paths[0]), [])
    weights = {
        name.removesuffix(".weight"): parameter
        for name, parameter in base.model.named_parameters()
        if name.endswith(".weight")
    }
    turned = [
        name
        for name, module in base.model.named_modules()
        if isinstance(module, Conv1D)
    ]
    with show_progress("layers") as progress, torch.no_grad():
        for name, weight in merge_into_weights(
            weights,
            adapters,
            method=spec.method,
            weights=spec.weights,
            tasks=[entry.task for entry in spec.adapters],
            layers=spec.layers,
            any_base=spec.any_base,
            transposed=turned,
            generator=torch.Generator().manual_seed(spec.seed),
            progress=progress,
            **spec.options,
        ):
            weights[name].copy_(weight)
    with written_whole(Path(spec.out)) as folder:
        base.model.save_pretrained(folder)
        base.tokenizer.save_pretrained(folder)
    show(
        f"The base model with {len(adapters)} adapters merged by {spec.method} lies in "
        f"{spec.out}"
    )


def _choose_base(spec: MergeSpec, adapter: Adapter, path: Path) -> BaseSpec:
    from .._errors import ConfigError
    from ..recipes import read_run_recipe
    from ..training import BaseSpec

    task_type = str(adapter.config.get("task_type"))
    if (path / "recipe.yaml").is_file():
        found = read_run_recipe(path).base
        # Weights are changed, so they are needed as they are.
        found = found.model_copy(update={"quantization": None, "device_map": None})
    else:
        name = adapter.config.get("base_model_name_or_path")
        if task_type not in KINDS or not (spec.base or name):
            raise ConfigError(
                "into_model: the adapter's config must say of which base model it is, "
                f"got base {name!r} and task_type {task_type!r}. Pass --base, and runs "
                "of cotune or adapters with a task_type of "
                f"{' or '.join(KINDS)}."
            )
        found = BaseSpec(name=str(spec.base or name), kind=KINDS[task_type])
    if found.kind == "classifier":
        raise ConfigError(
            "into_model: the base must be a model without a head, got a classifier, "
            "whose head lies beside the layers. Merge into an adapter instead."
        )
    if spec.base is not None:
        found = found.model_copy(update={"name": spec.base})
    return found
