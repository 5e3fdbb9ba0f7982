"""Read and write an adapter folder, ours or PEFT's LoRA, as one ``Adapter`` value.

A folder holds ``adapter_config.json`` and ``adapter_model.safetensors``. Tensors are
read when a layer is asked for, so that merging streams: memory is one layer. Pickled
files are never opened.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ._adapter import Adapter, Factors
from ._errors import AdapterFileError
from ._plain_lora import find_more_than_lora

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_OURS = {
    f"cotune_{name}": name
    for name in ("A", "B", "core", "router", "weight", "A0", "B0")
}
_LORA = {"lora_A.weight": "A", "lora_B.weight": "B"}
_TRANSPOSED = ("B", "B0")


def read_adapter(folder: str | os.PathLike[str]) -> Adapter:
    """Read an adapter folder written by cotune or by PEFT's LoRA.

    Args:
        folder: Holds ``adapter_config.json`` and ``adapter_model.safetensors``.

    Returns:
        The adapter. Its tensors stay on disk until a layer is read.

    Raises:
        AdapterFileError: A file is missing, pickled, corrupt or incomplete; numbers
            are not finite (when the layer is read); another PEFT method; or a LoRA that
            does more than add s B A to linear layers (DoRA, biases, embeddings,
            convolutions, starts such as PiSSA that change the base weight).
    """
    folder = Path(folder)
    config = read_config(folder)
    shapes = _read_shapes(folder / WEIGHTS)
    kind = str(config.get("peft_type"))
    if kind not in ("COTUNE", "LORA"):
        raise AdapterFileError(
            f"{folder / CONFIG}: peft_type must be COTUNE or LORA, got {kind!r}. "
            "Convert the adapter to LoRA first (peft.convert_to_lora)."
        )
    more = find_more_than_lora(config, shapes) if kind == "LORA" else None
    if more is not None:
        raise AdapterFileError(
            f"{folder / CONFIG}: the update must be low-rank and nothing else, got "
            f"{more}. Merge it into its base model instead, or load it with PEFT."
        )
    names = _OURS if kind == "COTUNE" else _LORA
    places, extra = _sort_keys(shapes, names)
    _check_complete(folder, places)
    _check_linear(folder / WEIGHTS, places, shapes, 2 if kind == "LORA" else 3)
    _check_config(folder, config, places, shapes)
    layers = FileLayers(folder / WEIGHTS, places, config)
    tasks = tuple(config.get("tasks") or ())
    return Adapter(layers, config, tasks, _read_extra(folder / WEIGHTS, extra))


def write_adapter(adapter: Adapter, folder: str | os.PathLike[str]) -> None:
    """Write an adapter folder, in the form that its config's ``peft_type`` says.

    Each file appears whole or not at all; the weights come first.

    Args:
        adapter: What to write. LORA layers must have M = N = 1.
        folder: Made if it is not there; other files in it stay.

    Raises:
        AdapterFileError: A LORA layer that is not a plain pair.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ours = adapter.config.get("peft_type") == "COTUNE"
    tensors: dict[str, Tensor] = dict(adapter.extra)
    for layer, factors in adapter.layers.items():
        named = _our_tensors(factors) if ours else _lora_tensors(layer, factors)
        for name, tensor in named.items():
            tensors[f"{_PREFIX}{layer}.{name}"] = tensor.contiguous()
    draft = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        save_file(tensors, draft / WEIGHTS, metadata={"format": "pt"})
        text = json.dumps(adapter.config, indent=2, sort_keys=True, default=_plain)
        (draft / CONFIG).write_text(text + "\n", encoding="utf-8")
        for name in (WEIGHTS, CONFIG):
            os.replace(draft / name, folder / name)
    finally:
        shutil.rmtree(draft)


class FileLayers(Mapping[str, Factors]):
    """The layers of an adapter file, each read from disk when it is asked for.

    Args:
        path: The safetensors file.
        places: Layer name -> factor name -> key in the file.
        config: The adapter's config, for the scale.
    """

    def __init__(
        self,
        path: Path,
        places: Mapping[str, Mapping[str, str]],
        config: Mapping[str, Any],
    ) -> None:
        self._path = path
        self._places = places
        self._config = config

    def __contains__(self, layer: object) -> bool:
        return layer in self._places  # That of a mapping would read the layer.

    def __getitem__(self, layer: str) -> Factors:
        keys = self._places[layer]
        with safe_open(self._path, framework="pt") as file:
            tensors = {name: file.get_tensor(key) for name, key in keys.items()}
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise AdapterFileError(
                    f"{self._path}: numbers must be finite, got NaN or infinity in "
                    f"{name} of {layer}. The adapter is broken; train it again."
                )
        if self._config["peft_type"] == "LORA":
            tensors = {name: tensor.unsqueeze(0) for name, tensor in tensors.items()}
        else:
            tensors = {n: t.mT if n in _TRANSPOSED else t for n, t in tensors.items()}
        scale = _scale(self._config, layer, tensors["A"].shape[1])
        return Factors(scale=scale, **tensors)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return layer name -> (d_in, d_out), from the file's header alone."""
        with safe_open(self._path, framework="pt") as file:
            return {
                layer: (
                    file.get_slice(keys["A"]).get_shape()[-1],
                    file.get_slice(keys["B"]).get_shape()[self._out_axis],
                )
                for layer, keys in self._places.items()
            }

    @property
    def _out_axis(self) -> int:
        return 0 if self._config["peft_type"] == "LORA" else -1


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``adapter_config.json``.

    Raises:
        AdapterFileError: It is missing, or not a JSON object.
    """
    path = folder / CONFIG
    if not path.exists():
        raise AdapterFileError(
            f"{folder}: must hold {CONFIG}, got "
            f"{'a folder without it' if folder.is_dir() else 'no such folder'}. "
            "Pass the folder that save_pretrained wrote."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterFileError(f"{path}: must be valid JSON, got {error}.") from error
    if not isinstance(config, dict):
        raise AdapterFileError(f"{path}: must be a JSON object, got {config!r}.")
    return config


def _read_shapes(path: Path) -> dict[str, list[int]]:
    """Read names and shapes off the head of the file, no numbers."""
    if not path.exists():
        pickled = sorted(p.name for p in path.parent.glob("*.bin"))
        found = f"only {', '.join(pickled)}" if pickled else "no such file"
        raise AdapterFileError(
            f"{path}: must exist, got {found}. Pickled weights are not opened, since "
            "they can run code; save again with safe_serialization=True."
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise AdapterFileError(
            f"{path}: must be a whole safetensors file, got: {error}. "
            "Copy or save it again."
        ) from error


def _sort_keys(
    keys: Iterable[str], names: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Split keys into layer -> factor -> key, and the rest."""
    places: dict[str, dict[str, str]] = {}
    extra: list[str] = []
    for key in keys:
        ending = next((end for end in names if key.endswith("." + end)), None)
        if ending is None:
            extra.append(key)
            continue
        layer = key.removeprefix(_PREFIX).removesuffix("." + ending)
        places.setdefault(layer, {})[names[ending]] = key
    return dict(sorted(places.items(), key=lambda item: natural(item[0]))), extra


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key that puts layer 2 before layer 10.

    Example:
        >>> sorted(["layers.10.q", "layers.2.q"], key=natural)
        ['layers.2.q', 'layers.10.q']
    """
    parts = name.split(".")
    return tuple((0, int(p)) if p.isdigit() else (1, p) for p in parts)


def _check_complete(folder: Path, places: Mapping[str, Mapping[str, str]]) -> None:
    if not places:
        raise AdapterFileError(
            f"{folder / WEIGHTS}: must hold low-rank factors, got none. Is it the "
            "file of another method?"
        )
    for layer, keys in places.items():
        missing = {"A", "B"} - set(keys)
        if missing:
            raise AdapterFileError(
                f"{folder / WEIGHTS}: every layer must have A and B, got no "
                f"{' and '.join(sorted(missing))} for {layer}. The file is incomplete."
            )


def _check_linear(
    path: Path,
    places: Mapping[str, Mapping[str, str]],
    shapes: Mapping[str, Sequence[int]],
    axes: int,
) -> None:
    for layer, keys in places.items():
        shape = tuple(shapes[keys["A"]])
        if len(shape) != axes:
            raise AdapterFileError(
                f"{path}: every layer must be linear, its A with {axes} axes, got "
                f"shape {shape} for {layer}. Convolutions cannot be read."
            )


def _check_config(
    folder: Path,
    config: Mapping[str, Any],
    places: Mapping[str, Mapping[str, str]],
    shapes: Mapping[str, Sequence[int]],
) -> None:
    """Look whether a config was changed by hand, or is that of other weights."""
    alphas = {"lora_alpha": config.get("lora_alpha", 1)}
    for name, alpha in (alphas | (config.get("alpha_pattern") or {})).items():
        if not isinstance(alpha, int | float):
            raise AdapterFileError(
                f"{folder / CONFIG}: {name} must be a number, got {alpha!r}. Mend it."
            )
    tasks = len(config.get("tasks") or ())
    for key in (keys["core"] for keys in places.values() if "core" in keys):
        count = shapes[key][0]
        if count != tasks:
            raise AdapterFileError(
                f"{folder / CONFIG}: must name as many tasks as {key} has cores, "
                f"got {tasks} for {count}. Bring back the config of these weights."
            )


def _read_extra(path: Path, keys: list[str]) -> dict[str, Tensor]:
    if not keys:
        return {}
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in keys}


def _scale(config: Mapping[str, Any], layer: str, r: int) -> float:
    from peft.utils.other import get_pattern_key

    patterns = config.get("alpha_pattern") or {}
    key = get_pattern_key(list(patterns), layer)
    alpha = patterns.get(key, config.get("lora_alpha", r))
    return alpha / (r**0.5 if config.get("use_rslora") else r)


def _our_tensors(factors: Factors) -> dict[str, Tensor]:
    return {
        f"cotune_{name}": tensor.mT if name in _TRANSPOSED else tensor
        for name, tensor in factors.tensors().items()
    }


def _lora_tensors(layer: str, factors: Factors) -> dict[str, Tensor]:
    if set(factors.tensors()) != {"A", "B"} or len(factors.A) * len(factors.B) != 1:
        raise AdapterFileError(
            f"{layer}: a plain LoRA layer must be one pair A, B, got "
            f"{len(factors.A)} A, {len(factors.B)} B. Export a task first."
        )
    return {"lora_A.weight": factors.A[0], "lora_B.weight": factors.B[0]}


def _plain(value: Any) -> Any:
    """Turn sets and enums into what JSON knows."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(getattr(value, "value", value))
