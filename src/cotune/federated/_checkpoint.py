"""What a server needs to go on after it was stopped, in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from .._errors import ConfigError
from ._tensor_file import read_tensors, write_tensors
from .aggregation import Packet

FILE = "server.safetensors"
"""Name of the checkpoint in the folder of a run."""

_FORMAT = 1
_OF_OTHERS = ("settings.json", "recipe.yaml")
"""Files of a run that is no federation, as long as there is no checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a server between two rounds.

    Args:
        round: The last round that is done; 0 before the first.
        state: The aggregator's state.
        recipe: What must be the same to go on (leave out what may change, such as the
            number of rounds). JSON values.
        generators: Name -> state of a ``torch.Generator`` (``get_state()``).
        accountant: State of the privacy accountant, or None. JSON values.
        history: One entry per round. JSON values; NaN is kept.
        clients: Client id -> what the server knows of it, such as the last round in
            which its reply was taken. JSON values.
        tensors: Anything else, by name.
    """

    round: int
    state: Packet
    recipe: Mapping[str, Any]
    generators: Mapping[str, Tensor] = field(default_factory=dict)
    accountant: Any = None
    history: Sequence[Any] = ()
    clients: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def claim_folder(folder: Path, *, resume: bool) -> None:
    """Refuse the folder of another run, before anything in it is replaced.

    Args:
        folder: Of the run.
        resume: Whether it may hold an earlier part of this run.

    Raises:
        ConfigError: It holds a run that is not to be resumed, or one of another kind.
    """
    if (folder / FILE).exists():
        if not resume:
            raise ConfigError(
                f"output_dir: must be new or empty, got {folder}, which holds a run. "
                "Choose another, delete it, or pass --resume."
            )
        return
    others = [name for name in _OF_OTHERS if (folder / name).exists()]
    if others:
        raise ConfigError(
            f"output_dir: must be new, empty, or of the same run, got {folder}, which "
            f"holds {others[0]} of something else. Choose another."
        )


def hash_recipe(recipe: Mapping[str, Any]) -> str:
    """Hash a recipe: the same for equal content, whatever the order of its keys.

    Args:
        recipe: JSON values.

    Returns:
        64 hexadecimal digits (SHA-256).

    Raises:
        ConfigError: A value that JSON cannot hold.

    Example:
        >>> hash_recipe({"a": 1, "b": 2}) == hash_recipe({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(_as_text(recipe, "recipe").encode()).hexdigest()


def save_checkpoint(folder: str | Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of a run in one move; one that is there is replaced.

    Args:
        folder: Of the run; made if it is missing.
        checkpoint: What to keep. Tensors are not modified.

    Returns:
        The file. Only its owner can read it.

    Raises:
        ConfigError: A value that JSON cannot hold. Nothing is written then.
    """
    path = Path(folder).expanduser() / FILE
    tensors = {
        f"state/{layer}/{role}": x
        for layer, roles in checkpoint.state.layers.items()
        for role, x in roles.items()
    }
    tensors |= {f"generator/{n}": x for n, x in checkpoint.generators.items()}
    tensors |= {f"tensor/{n}": x for n, x in checkpoint.tensors.items()}
    content = {
        "format": _FORMAT,
        "round": checkpoint.round,
        "scale": checkpoint.state.scale,
        # safetensors sorts its names; a Packet keeps the order of the model.
        "layers": {n: list(roles) for n, roles in checkpoint.state.layers.items()},
        "recipe": dict(checkpoint.recipe),
        "recipe_hash": hash_recipe(checkpoint.recipe),
        "accountant": checkpoint.accountant,
        "history": list(checkpoint.history),
        "clients": dict(checkpoint.clients),
    }
    text = _as_text(content, "checkpoint", sort=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, {"cotune": text})
    return path


def load_checkpoint(folder: str | Path, recipe: Mapping[str, Any]) -> Checkpoint | None:
    """Read the checkpoint of a run, if there is one.

    Args:
        folder: Of the run.
        recipe: What :class:`Checkpoint` calls so, of the run that wants to go on.

    Returns:
        The checkpoint, bit for bit as saved; None if the folder has none.

    Raises:
        ConfigError: The file is damaged, or was made with another recipe; the message
            names what differs.
    """
    path = Path(folder).expanduser() / FILE
    if not path.exists():
        return None
    tensors, notes = read_tensors(path)
    try:
        content = json.loads(notes["cotune"])
        saved = content["recipe"]
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}, this is {_FORMAT}")
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: must be a checkpoint of `cotune federate`, got: {error}. "
            "Take another folder for this run."
        ) from error
    _check_recipe(path, content["recipe_hash"], saved, recipe)
    layers = {
        layer: {role: tensors[f"state/{layer}/{role}"] for role in roles}
        for layer, roles in content["layers"].items()
    }
    return Checkpoint(
        round=content["round"],
        state=Packet(layers, content["scale"]),
        recipe=saved,
        generators=_under("generator/", tensors),
        accountant=content["accountant"],
        history=content["history"],
        clients=content["clients"],
        tensors=_under("tensor/", tensors),
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {name: x for name, x in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): x for name, x in found.items()}


def _check_recipe(
    path: Path, digest: str, saved: Mapping[str, Any], recipe: Mapping[str, Any]
) -> None:
    if digest == hash_recipe(recipe):
        return
    here = json.loads(_as_text(recipe, "recipe"))  # tuples are lists there
    keys = [key for key in {**saved, **here} if saved.get(key) != here.get(key)]
    raise ConfigError(
        f"{path}: a run must go on with the recipe it was started with, got another "
        f"one; these differ: {', '.join(keys[:5])}. Use the first recipe, or another "
        "folder."
    )


def _as_text(value: Any, where: str, *, sort: bool = True) -> str:
    try:
        return json.dumps(value, sort_keys=sort, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: must hold what JSON can (text, numbers, lists, mappings), got: "
            f"{error}. Convert it first."
        ) from error
