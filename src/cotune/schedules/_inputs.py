"""Keeping the backward pass out of the blocks below the lowest active adapter.

Autograd stops there by itself, unless the embeddings are told to require gradients.
transformers and PEFT do that whenever gradient checkpointing is on. Only the reentrant
kind needs it; for the other kind it just sends the backward pass through all blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Checkpointing = Literal["none", "plain", "reentrant"]


def checkpointing_of(model: nn.Module) -> Checkpointing:
    """Say which gradient checkpointing a transformers model uses.

    Args:
        model: Any model.

    Returns:
        ``"reentrant"`` if any part uses that kind, else ``"plain"`` if any part uses
        the other kind, else ``"none"``.
    """
    kinds = {
        _is_reentrant(module)
        for module in model.modules()
        if getattr(module, "gradient_checkpointing", False) is True
    }
    if not kinds:
        return "none"
    return "reentrant" if True in kinds else "plain"


def free_inputs(model: nn.Module) -> list[RemovableHandle]:
    """Take the forced gradients off the embeddings, where nothing needs them.

    Args:
        model: Model in which checkpointing of the plain kind is on.

    Returns:
        Handles; removing them brings the forced gradients back. Empty if the kind is
        not plain, or the embeddings are trained.
    """
    if checkpointing_of(model) != "plain":
        return []
    embeddings = dict.fromkeys(_forced_embeddings(model))
    return [embedding.register_forward_hook(_detach) for embedding in embeddings]


def has_forced_inputs(model: nn.Module) -> bool:
    """Whether some frozen embeddings are told to require gradients.

    Args:
        model: Any model.
    """
    return any(True for _ in _forced_embeddings(model))


def _detach(module: nn.Module, args: Any, output: Any) -> Any:
    # Runs after the hook that forces the gradient, as it was registered later.
    if isinstance(output, Tensor) and module.training:
        return output.detach()
    return output


def _is_reentrant(module: nn.Module) -> bool:
    function = getattr(module, "_gradient_checkpointing_func", None)
    # torch's own default, for models that do not say.
    return bool(getattr(function, "keywords", {}).get("use_reentrant", True))


def _forced_embeddings(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if module.__dict__.get("_require_grads_hook") is None:
            continue
        embedding = module.get_input_embeddings()  # type: ignore[operator]
        # Trained ones need the backward pass themselves.
        if isinstance(embedding, nn.Module) and not any(
            parameter.requires_grad for parameter in embedding.parameters()
        ):
            yield embedding
