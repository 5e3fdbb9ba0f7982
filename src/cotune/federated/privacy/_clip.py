"""Bound what one client can do to the shared factors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..aggregation import Packet


class Clipped(NamedTuple):
    """A reply whose update is at most ``max_norm`` long.

    Args:
        packet: The reply, shortened; the very one that came if it was short enough.
        norm: Length of the update as it came.
        factor: What the update was multiplied by, in [0, 1].
    """

    packet: Packet
    norm: float
    factor: float


def clip_update(sent: Packet, state: Packet, max_norm: float) -> Clipped:
    """Shorten the update of one client to a length, over all its tensors together.

    The update is ``sent - state`` for roles that the state holds. A role that it does
    not hold (the dB of `fed-alora-any`) is an update as it is.

    Args:
        sent: What the client sent, finite. Not modified.
        state: The server's state that the client trained from; same layers and shapes.
        max_norm: Largest length (L2), above 0.

    Returns:
        ``state + factor x (sent - state)``, with factor = min(1, max_norm / length),
        less what rounding to the dtype of the reply can add to the length. An update of
        length 0 stays as it is: nothing is divided by it.

    Source: arXiv:1710.06963, algorithm 1, flat clipping. Differs: over the shared
    factors alone, since nothing else leaves the client.
    """
    norm = update_norm(sent, state)
    if norm <= max_norm:
        return Clipped(sent, norm, 1.0)
    factor = max(0.0, max_norm - _rounding(sent, state, max_norm)) / norm
    layers = {
        layer: {
            role: _shorten(x, state.layers[layer].get(role), factor)
            for role, x in roles.items()
        }
        for layer, roles in sent.layers.items()
    }
    return Clipped(Packet(layers, sent.scale), norm, factor)


def update_norm(sent: Packet, state: Packet) -> float:
    """Measure an update, over all its tensors together.

    Args:
        sent: As in :func:`clip_update`.
        state: As in :func:`clip_update`.

    Returns:
        The length (L2), at least 0, in float64.
    """
    squares = 0.0
    for layer, roles in sent.layers.items():
        for role, x in roles.items():
            start = state.layers[layer].get(role)
            update = x if start is None else x.double() - start.double()
            length = torch.linalg.vector_norm(update, dtype=torch.float64)
            squares += float(length) ** 2
    return math.sqrt(squares)


def _rounding(sent: Packet, state: Packet, max_norm: float) -> float:
    """Bound the length (L2) of what rounding to the dtype of the reply adds."""
    # At most eps / 2 of every number, which is one of the state plus its update. Twice
    # that, because the lengths themselves are rounded.
    epsilon, squares = 0.0, 0.0
    for layer, roles in sent.layers.items():
        for role, x in roles.items():
            epsilon = max(epsilon, torch.finfo(x.dtype).eps)
            start = state.layers[layer].get(role)
            if start is not None:
                length = torch.linalg.vector_norm(start, dtype=torch.float64)
                squares += float(length) ** 2
    return epsilon * (math.sqrt(squares) + max_norm)


def _shorten(x: Tensor, start: Tensor | None, factor: float) -> Tensor:
    if start is None:
        return x * factor
    base = start.double()
    return (base + factor * (x.double() - base)).to(x.dtype)
