"""Load an adapter folder onto a base model, with errors that help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from ._adapter_file import FileLayers, read_adapter
from ._errors import AdapterFileError

if TYPE_CHECKING:
    from peft import PeftModel


def load_adapter(
    base_model: nn.Module,
    folder: str | os.PathLike[str],
    *,
    adapter_name: str = "default",
    is_trainable: bool = False,
) -> PeftModel:
    """Put a saved adapter on its base model: checks first, then PEFT's own loading.

    Args:
        base_model: The model that the adapter was trained on. Changed in place.
        folder: Written by ``save_pretrained``, of cotune or of PEFT's LoRA.
        adapter_name: Name to give the adapter.
        is_trainable: Whether to train it further.

    Returns:
        The model with the adapter active.

    Raises:
        AdapterFileError: The folder cannot be read, holds numbers that are not finite,
            or the base model lacks its layers or has them in other sizes.
    """
    from peft import PeftModel

    adapter = read_adapter(folder)
    assert isinstance(adapter.layers, FileLayers)
    for layer in adapter.layers:
        adapter.layers[layer]  # refuses numbers that are not finite
    faults = list(_misfits(adapter.layers.sizes(), base_model))
    if faults:
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise AdapterFileError(
            f"{folder}: the base model must be the one the adapter was trained on "
            f"({adapter.config.get('base_model_name_or_path')}), got "
            f"{'; '.join(faults[:3])}{more}. Load the right base model."
        )
    return PeftModel.from_pretrained(
        base_model, str(folder), adapter_name=adapter_name, is_trainable=is_trainable
    )


def _misfits(sizes: dict[str, tuple[int, int]], base_model: nn.Module) -> Iterator[str]:
    from .adapters._base_layer import features_of

    modules = dict(base_model.named_modules())
    for layer, size in sizes.items():
        if layer not in modules:
            yield f"no layer {layer}"
        elif (found := features_of(modules[layer])) != size:
            yield f"{layer} of size {found} where the adapter has {size}"
