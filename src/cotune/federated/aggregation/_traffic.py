"""How many bytes travel: exact functions of shapes and ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ._aggregator import Aggregator
from ._packet import Cohort, Shapes, Site


@dataclass(frozen=True)
class Traffic:
    """Bytes of one client in one round; add two to sum them.

    Args:
        up: From the client to the server.
        down: From the server to the client.
    """

    up: int
    down: int

    @property
    def total(self) -> int:
        """Return up + down."""
        return self.up + self.down

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.up + other.up, self.down + other.down)


def count_numbers(shapes: Shapes) -> int:
    """Count the numbers in tensors of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def layer_traffic(
    method: Aggregator, site: Site, rank: int, cohort: Cohort, *, itemsize: int = 4
) -> Traffic:
    """Count the bytes of one layer, for one client and one round.

    Args:
        method: Who owns what.
        site: Shape of the base weight.
        rank: r_k of this client.
        cohort: Ranks of the clients whose replies make the payload.
        itemsize: Bytes per number; 4 for float32, 1 counts numbers.

    Returns:
        Bytes of the tensors, without the few that name and frame them.
    """
    return Traffic(
        up=itemsize * count_numbers(method.up_shapes(site, rank)),
        down=itemsize * count_numbers(method.down_shapes(site, rank, cohort)),
    )


def traffic(
    method: Aggregator,
    sites: Mapping[str, Site],
    rank: int,
    cohort: Cohort,
    *,
    itemsize: int = 4,
) -> Traffic:
    """Count the bytes of all layers, for one client and one round.

    Args:
        method: Who owns what.
        sites: Layer name -> shape of its base weight.
        rank: r_k of this client.
        cohort: Ranks of the clients whose replies make the payload.
        itemsize: Bytes per number; 4 for float32, 1 counts numbers.

    Returns:
        The sum of :func:`layer_traffic` over the layers.
    """
    parts = (
        layer_traffic(method, site, rank, cohort, itemsize=itemsize)
        for site in sites.values()
    )
    return sum(parts, start=Traffic(0, 0))
