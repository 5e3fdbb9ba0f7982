"""Switching groups of adapter layers of one model on and off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from .._errors import ConfigError, unknown_name
from ._bypass import Switchable, check_compiled, check_layer, own_factors, switch
from ._groups import Group, group_layers, layer_key
from ._originals import find_changed_base, original_weight


class Switch:
    """Holds the adapter layers of a model and obeys masks.

    A layer that is off returns base(x) in training mode; its factors are not executed,
    so they get no gradient, and optimizers pass over them. In evaluation mode
    everything is on. Layers without a trained factor are left alone.

    Args:
        model: A model with adapters of cotune or PEFT, wrapped or not.
        by: Name in ``GROUPINGS``.
        originals: What :func:`keep_base` returned; needed for starts of PEFT that
            change the base.

    Raises:
        ConfigError: No trained adapter layer; one that cannot be switched off; factors
            shared between groups; fewer than two groups; a compiled model with layers
            of PEFT; a start that changed the base, without ``originals``.

    Example:
        ``with switch.applied(schedule.mask(step, total, switch.groups)): ...``
    """

    def __init__(
        self,
        model: nn.Module,
        by: str = "block",
        originals: Mapping[str, Tensor] | None = None,
    ) -> None:
        layers = dict(_trained_layers(model))
        if not layers:
            raise ConfigError(
                f"schedule: the model must have adapter layers with trained factors, "
                f"got none in {type(model).__name__}. Call get_peft_model first."
            )
        keys = {name: _outermost(name, layers) for name in layers}
        self.groups: tuple[Group, ...] = group_layers(keys.values(), by)
        group_of = {key: g.name for g in self.groups for key in g.layers}
        self._members: dict[str, list[nn.Module]] = {g.name: [] for g in self.groups}
        for name, layer in layers.items():
            check_layer(layer, name)
            self._members[group_of[keys[name]]].append(layer)
        self._factors = {
            group: [factor for layer in members for factor in own_factors(layer)]
            for group, members in self._members.items()
        }
        self._check_shared(model)
        if self.has_hooked_layers:
            check_compiled(model)
        self._originals = _find_originals(model, layers, originals)
        self._off: tuple[str, ...] = ()
        self.clear()

    def set(self, mask: Mapping[str, bool]) -> None:
        """Switch groups on or off until the next call.

        Args:
            mask: Group name -> on, for every group.

        Raises:
            ConfigError: A group is missing or unknown.
        """
        for name in mask:
            if name not in self._members:
                raise ConfigError(unknown_name("group", name, self._members))
        missing = [name for name in self._members if name not in mask]
        if missing:
            raise ConfigError(
                f"mask: must say on or off for every group, got nothing for "
                f"{', '.join(missing)}. Use schedule.mask(step, total, groups)."
            )
        self._off = tuple(name for name in self._members if not mask[name])
        for name, members in self._members.items():
            for layer in members:
                switch(layer, mask[name], self._originals.get(id(layer)))

    def clear(self) -> None:
        """Switch everything on, also what another switch left off."""
        self.set(dict.fromkeys(self._members, True))

    @contextmanager
    def applied(self, mask: Mapping[str, bool]) -> Iterator[None]:
        """Obey a mask inside the block, forward, backward and optimizer step.

        Args:
            mask: Group name -> on, for every group.
        """
        try:
            self.set(mask)
            yield
        finally:
            self.clear()

    def drop_gradients(self) -> None:
        """Set the gradients of all factors that are off to None.

        Call it before the optimizer step. Most often there are none. But a zero from
        ``zero_grad(set_to_none=False)``, or the gradient of a penalty on the factors,
        would move moments, decay weights and count a step.
        """
        for group in self._off:
            for factor in self._factors[group]:
                factor.grad = None

    def factors(self, group: str) -> list[nn.Parameter]:
        """Return the trained factors of a group.

        Args:
            group: Name of a group.
        """
        if group not in self._factors:
            raise ConfigError(unknown_name("group", group, self._factors))
        return list(self._factors[group])

    @property
    def has_hooked_layers(self) -> bool:
        """Whether some layers are not switched by a flag of their own but by hooks."""
        return any(
            not isinstance(layer, Switchable)
            for members in self._members.values()
            for layer in members
        )

    @property
    def replaces_weights(self) -> bool:
        """Whether some layers compute with another weight while they are off."""
        return bool(self._originals)

    def _check_shared(self, model: nn.Module) -> None:
        owner: dict[int, str] = {}
        names = {id(factor): name for name, factor in model.named_parameters()}
        for group, factors in self._factors.items():
            for factor in factors:
                first = owner.setdefault(id(factor), group)
                if first != group:
                    raise ConfigError(
                        "schedule: trained factors must belong to one group, got "
                        f"{names.get(id(factor), 'a factor')} in {first} and {group}. "
                        "It cannot be off in one and on in the other; use another "
                        "tuner, or untie the factors."
                    )


def _trained_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        # Trained tokens come with other tuners, as saved modules do. They stay on.
        aside = isinstance(module, TrainableTokensLayer)
        if _is_tuner(module) and not aside and own_factors(module):
            yield name, module


def _is_tuner(module: nn.Module) -> bool:
    return isinstance(module, BaseTunerLayer)


def _outermost(name: str, layers: Mapping[str, nn.Module]) -> str:
    """Return the key of the outermost adapter layer that a layer is part of.

    Some tuners wrap a module and its parts, and compute both in one call.
    """
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        outer = ".".join(parts[:length])
        if outer in layers:
            return layer_key(outer)
    return layer_key(name)


def _find_originals(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    originals: Mapping[str, Tensor] | None,
) -> dict[int, nn.Parameter]:
    foreign = {n: la for n, la in layers.items() if not isinstance(la, Switchable)}
    changed = find_changed_base(model) if foreign else None
    if originals is None and changed is not None:
        raise ConfigError(
            "schedule: off must mean the original function, got a changed base: "
            f"{changed}. Call originals = keep_base(model) before PEFT and pass "
            "originals=originals, or use a cotune config with start='pissa', which "
            "keeps the base."
        )
    if originals is None or changed is None:
        return {}
    return {
        id(layer): original_weight(layer, name, originals)
        for name, layer in foreign.items()
    }
