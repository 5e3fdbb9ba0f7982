"""The model of a recipe without its numbers: what would be trained, at no cost."""

from __future__ import annotations

from torch import nn

from ..data import list_tasks
from ._recipe import Recipe


def build_shape(recipe: Recipe) -> nn.Module:
    """Build base and adapter of a recipe on the meta device: shapes, no numbers.

    Args:
        recipe: What would be run. Only the base model's config is loaded.

    Returns:
        The PEFT model, on the meta device.

    Raises:
        ConfigError: The base model cannot be found, or the adapter does not fit it.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    from ..training.bases import find_model

    base = recipe.base
    config = AutoConfig.from_pretrained(find_model(base.name), revision=base.revision)
    causal = base.kind == "causal"
    with torch.device("meta"):
        model = (AutoModelForCausalLM if causal else AutoModel).from_config(config)
        tasks = [task.name for task in list_tasks(recipe.data)]
        adapter = recipe.adapter.build(tasks)  # type: ignore[attr-defined]
        if str(adapter.start).startswith("pissa"):
            # Its factors have the shapes of any other start; only the copies add to
            # them, and there is no weight here to take them from.
            adapter.start_svd = "exact"
        return get_peft_model(model, adapter)
