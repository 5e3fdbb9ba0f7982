"""The model of a recipe without its numbers: what would be trained, at no cost."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from .._errors import ConfigError
from ._recipe import Recipe
from ._tasks import list_recipe_tasks

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from ..adapters import CoTuneConfig

_LOADERS = {
    "causal": "AutoModelForCausalLM",
    "embedding": "AutoModel",
    "classifier": "AutoModelForSequenceClassification",
}


def build_shape(recipe: Recipe, config: PretrainedConfig | None = None) -> nn.Module:
    """Build base and adapter of a recipe on the meta device: shapes, no numbers.

    Args:
        recipe: What would be run.
        config: Config of the base model; None loads it, and it alone.

    Returns:
        The PEFT model, on the meta device.

    Raises:
        ConfigError: The base model's config cannot be found, or the adapter does not
            fit it.
    """
    from ..adapters._fit import fit_adapter

    adapter = _adapter_config(recipe)
    config = _load_config(recipe) if config is None else copy.deepcopy(config)
    with torch.device("meta"):
        model = _base_shape(recipe, config)
        return fit_adapter(model, adapter)


def _adapter_config(recipe: Recipe) -> CoTuneConfig:
    from ..training import BASES

    names = [task.name for task in list_recipe_tasks(recipe)]
    adapter = recipe.need_adapter().build(names)
    adapter.task_type = BASES[recipe.base.kind].task_type
    # The fast one draws on the CPU; shapes are the same, and here none costs anything.
    adapter.start_svd = "exact"
    return adapter


def _base_shape(recipe: Recipe, config: PretrainedConfig) -> nn.Module:
    import transformers

    kind = recipe.base.kind
    model = getattr(transformers, _LOADERS[kind]).from_config(config)
    if kind == "embedding" and isinstance(getattr(model, "pooler", None), nn.Module):
        # As EmbeddingBase does: it is not used.
        model.register_module("pooler", None)
    return model


def _load_config(recipe: Recipe) -> PretrainedConfig:
    from transformers import AutoConfig

    from ..training.bases._load import find_model

    base = recipe.base
    try:
        return AutoConfig.from_pretrained(find_model(base.name), revision=base.revision)
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        told = str(error).strip().removesuffix(".")
        raise ConfigError(
            f"base.name: the config of {base.name!r} must be at hand, got: {told}. "
            "Check the name and, for hub names, the network."
        ) from error
