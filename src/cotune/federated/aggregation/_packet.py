"""The values that travel: named tensors with the scale they are meant for.

A tensor is named by layer and by role. Shapes for client k:

========  =============  ========================================================
role      shape          meaning
========  =============  ========================================================
A         (r_k, d_in)    down-projection
B         (d_out, r_k)   up-projection
core      (r, r)         personal core S_k between B and A (or (r,), or a scalar)
A_own     (r, d_in)      a second, personal pair (FedDPA)
B_own     (d_out, r)     its up-projection
M         (d_m, r_k)     personal map into the shared width d_m
B0        (d_out, d_m)   accumulator, frozen on the client
B1        (r_k, d_m)     trained, drawn afresh each round
B2        (d_out, r_k)   trained, zero at the start of each round
dB        (d_out, d_m)   the product B2 B1 that is sent
A_rest    (R, d_in)      right factor of what plain means lose (FedEx)
B_rest    (d_out, R)     left factor of it
========  =============  ========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ..._adapter import LowRank
from ..._errors import ConfigError

Tensors = Mapping[str, Tensor]
"""Role -> tensor, for one layer."""

Layers = Mapping[str, Tensors]
"""Layer name -> role -> tensor."""

Shapes = dict[str, tuple[int, ...]]
"""Role -> shape, for one layer."""


@dataclass(frozen=True)
class Packet:
    """Named tensors and their scale: what a client sends, or what a server holds.

    Args:
        layers: Layer name -> role -> tensor.
        scale: The s with which these tensors enter the model, delta = s * B @ A.
    """

    layers: Layers
    scale: float = 1.0

    @property
    def nbytes(self) -> int:
        """Count the bytes of all tensors."""
        tensors = (x for roles in self.layers.values() for x in roles.values())
        return sum(x.numel() * x.element_size() for x in tensors)

    def pick(self, roles: Iterable[str]) -> Packet:
        """Keep some roles of every layer. Tensors are shared, not copied.

        Args:
            roles: The roles to keep, in the order of the result.

        Returns:
            A packet with exactly these roles.

        Raises:
            ConfigError: A layer lacks one of the roles.
        """
        roles = tuple(roles)
        for layer, tensors in self.layers.items():
            missing = [role for role in roles if role not in tensors]
            if missing:
                raise ConfigError(
                    f"Packet: layer {layer!r} must hold {', '.join(missing)}, got "
                    f"{', '.join(tensors) or 'nothing'}. Pass all factors of the layer."
                )
        kept = {n: {role: t[role] for role in roles} for n, t in self.layers.items()}
        return Packet(kept, self.scale)


@dataclass(frozen=True)
class Seat:
    """What the server must know of a client to prepare its payload.

    Args:
        rank: r_k, at least 1.
        scale: s_k = alpha_k / r_k, above 0.
    """

    rank: int
    scale: float


@dataclass(frozen=True)
class Site:
    """The shape of one adapted base weight.

    Args:
        d_in: Number of input features.
        d_out: Number of output features.
    """

    d_in: int
    d_out: int


@dataclass(frozen=True)
class Cohort:
    """The ranks on which the size of a payload may depend.

    Args:
        ranks: r_k of the clients whose replies made the payload.
        max_rank: The largest rank of the whole federation; 0 takes that of ``ranks``.
    """

    ranks: tuple[int, ...]
    max_rank: int = 0

    @property
    def widest(self) -> int:
        """Return the largest rank of the federation."""
        return max((self.max_rank, *self.ranks))


@dataclass(frozen=True)
class Received:
    """What a client does with a payload before it trains.

    Args:
        layers: Tensors that replace those of the client, in its rank and its scale.
        fold: Layer -> update to *add* to the frozen part of the client, in units of the
            base weight. Empty for most methods.
    """

    layers: Layers
    fold: Mapping[str, LowRank] = field(default_factory=dict[str, LowRank])
