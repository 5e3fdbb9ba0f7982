"""The server's state before the first round: shared factors, and no rows."""

from __future__ import annotations

from .._ownership import read_packet
from .._plan import Plan
from ..aggregation import Packet, Site, Tensors
from ..client._bases import lend_model


def draw_start(plan: Plan) -> tuple[Packet, dict[str, Site]]:
    """Draw a fresh adapter at the largest rank, and take what the server holds of it.

    The base is loaded once for this, since some starts decompose its weights.

    Args:
        plan: What the federation computes.

    Returns:
        The first state, and layer -> shape of its base weight.
    """
    seed = plan.training.seed
    with lend_model(plan, rank=plan.max_rank, task=None, seed=seed) as (_, model):
        first = read_packet(model)
    return plan.method.start(first), find_sites(first)


def find_sites(first: Packet) -> dict[str, Site]:
    """Read the shapes of the base weights off a pair of factors.

    Args:
        first: Layers with A (..., d_in) and B (..., d_out, r), or B0 (d_out, d_m).
    """
    return {
        layer: Site(d_in=roles["A"].shape[-1], d_out=_rows(roles))
        for layer, roles in first.layers.items()
    }


def _rows(roles: Tensors) -> int:
    return (roles["B"] if "B" in roles else roles["B0"]).shape[-2]
