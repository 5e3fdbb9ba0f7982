"""Whose is which tensor: the one place where roles meet the tensors of an adapter.

``roles_of`` names the tensors of a layer by role; the aggregator says which roles are
shared. Everything else that the adapter trains is private, also what no aggregator has
heard of: routers, task weights, heads. So nothing leaves a client by being forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from .._errors import ConfigError
from ..adapters import CollaborativeLayer, CoTuneConfig
from ._any_rank import ROLES, any_rank_roles
from .aggregation import Aggregator, Layers, Packet
from .aggregation._mean import MeanAggregator

ADAPTER = "default"
PREFIX = "base_model.model."
_MATRICES = {"A": "num_A", "B": "num_B"}


def layers_of(model: nn.Module) -> dict[str, CollaborativeLayer]:
    """Return the adapted layers of a model, by their name in the base model."""
    return {
        name.removeprefix(PREFIX): module
        for name, module in model.named_modules()
        if isinstance(module, CollaborativeLayer)
    }


def roles_of(layer: CollaborativeLayer) -> dict[str, Tensor]:
    """Name the tensors of one layer by role, in the shapes of a packet.

    Args:
        layer: With an adapter of one task.

    Returns:
        Role -> view of the parameter: writing to it changes the layer. B is stored
        transposed in the layer, so its view is no contiguous one.
    """
    A = layer.cotune_A[ADAPTER]
    own = any_rank_roles(layer)
    if own is not None:
        return {"A": _one(A), **own}
    B = layer.cotune_B[ADAPTER]
    roles: dict[str, Tensor] = {"A": _one(A), "B": _one(B).mT}
    if layer.specs[ADAPTER].config.coupling == "shared-and-own":
        roles = {"A": A[0], "B": B[0].mT, "A_own": A[1], "B_own": B[1].mT}
    if ADAPTER in layer.cotune_core:
        roles["core"] = layer.cotune_core[ADAPTER][0]
    for role in ("router", "weight"):
        bank = getattr(layer, f"cotune_{role}")
        if ADAPTER in bank:
            roles[role] = bank[ADAPTER]
    return roles


def read_packet(model: nn.Module) -> Packet:
    """Copy all factors of a model, by layer and role."""
    layers = layers_of(model)
    scale = next(iter(layers.values())).specs[ADAPTER].scale
    copies = {
        name: {
            role: x.detach().to("cpu", copy=True).contiguous()
            for role, x in roles_of(layer).items()
        }
        for name, layer in layers.items()
    }
    return Packet(copies, scale)


@torch.no_grad()
def write_layers(model: nn.Module, values: Layers) -> None:
    """Put factors into a model.

    Args:
        model: Changed in place.
        values: Layer -> role -> tensor of the shape that the role has there.

    Raises:
        ConfigError: A layer or role that the model lacks, or another shape.
    """
    layers = layers_of(model)
    for name, tensors in values.items():
        roles = roles_of(layers[name]) if name in layers else {}
        for role, value in tensors.items():
            if role not in roles or roles[role].shape != value.shape:
                raise ConfigError(
                    f"write_layers: {name}/{role} must be a factor of this adapter in "
                    f"its shape, got {tuple(value.shape)}. Is the recipe the same on "
                    "all sides?"
                )
            roles[role].copy_(value)


def read_private(model: nn.Module, method: Aggregator) -> dict[str, Tensor]:
    """Copy what never leaves the client: all trained tensors but the shared ones.

    Returns:
        Name -> tensor: ``layer/role``, and ``:name`` for heads and the like.
    """
    public = {*method.shared, *method.frozen}
    kept = {
        f"{layer}/{role}": x
        for layer, tensors in read_packet(model).layers.items()
        for role, x in tensors.items()
        if role not in public
    }
    return kept | {n: x.detach().to("cpu", copy=True) for n, x in _others(model)}


@torch.no_grad()
def write_private(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`read_private` returned."""
    others = dict(_others(model))
    layers: dict[str, dict[str, Tensor]] = {}
    for name, x in tensors.items():
        if name in others:
            others[name].copy_(x)
        else:
            layer, _, role = name.rpartition("/")
            layers.setdefault(layer, {})[role] = x
    write_layers(model, layers)


def freeze_roles(model: nn.Module, roles: tuple[str, ...]) -> None:
    """Keep some roles from being trained, whatever PEFT or an optimizer does.

    Args:
        model: Changed in place.
        roles: E.g. A for `ffa`, or all shared ones for a newcomer.
    """
    for layer in layers_of(model).values():
        for role, x in (any_rank_roles(layer) or {}).items():
            if role in roles and isinstance(x, nn.Parameter):
                x.requires_grad_(False)
        own = layer.specs[ADAPTER].config.coupling == "shared-and-own"
        names = [f"cotune_{role}" for role in roles if not own and role in _MATRICES]
        layer.frozen_factors[ADAPTER] = tuple(names)
        if own and roles:
            layer.kept_rows[ADAPTER] = {
                f"cotune_{role}": _first_row(getattr(layer, f"cotune_{role}")[ADAPTER])
                for role in roles
            }
        layer.set_adapter(layer.active_adapters)


def find_misfits(method: Aggregator, name: str, config: CoTuneConfig) -> Iterator[str]:
    """Say why an adapter cannot be trained with an aggregator.

    Args:
        method: The aggregator.
        name: Its name.
        config: The adapter.

    Yields:
        One message per fault, the key of the recipe first.
    """
    roles = {"A", "B", "core"} if config.core != "none" else {"A", "B"}
    if config.coupling == "shared-and-own":
        roles |= {"A_own", "B_own"}
    if (config.method, config.coupling, config.core) == ("lora", "full", "none"):
        roles |= {*ROLES}  # a plain B can be made of these
    needed = {*method.shared, *method.private, *method.frozen}
    if needed - roles:
        fitting = {"colora": "colora", "feddpa": "dual"}.get(name, "lora")
        yield (
            f"adapter.method: {name} needs the factors {', '.join(sorted(needed))}, "
            f"got {config.method}, which has {', '.join(sorted(roles))}. Set it to "
            f"{fitting}."
        )
    for role, field in _MATRICES.items():
        single = getattr(config, field) in (1, "tasks")
        if role in {*method.shared, *method.frozen} and not single:
            yield (
                f"adapter.{field}: must be 1, because {name} shares {role}, got "
                f"{getattr(config, field)}. Set it to 1, or keep {role} private."
            )
    if str(config.start).startswith("pissa") and not isinstance(method, MeanAggregator):
        yield (
            f"adapter.start: must be kaiming or gaussian for {name}, which works on "
            f"products B A, got {config.start}."
        )


def _one(bank: Tensor) -> Tensor:
    """Return the matrix of a bank of one, else the bank."""
    return bank[0] if len(bank) == 1 else bank


def _first_row(bank: Tensor) -> tuple[Tensor, Tensor]:
    live = torch.ones(len(bank), *[1] * (bank.ndim - 1), dtype=torch.bool)
    live[0] = False
    return live, bank.detach().clone()


def _others(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield what is trained beside the factors, e.g. the head of a classifier."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and ".cotune_" not in name:
            yield f":{name}", parameter
