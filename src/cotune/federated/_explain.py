"""What leaves a client: every array with its bytes, and which privacy tools apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

from .._errors import ConfigError
from .aggregation import Aggregator, Cohort, Site, Traffic, traffic
from .privacy import Tool, list_tools


@dataclass(frozen=True)
class SentArray:
    """One array of one layer on its way between a client and the server.

    Args:
        layer: Name of the layer.
        role: Its role, as in ``Packet``.
        way: ``up`` leaves the client, ``down`` comes from the server.
        rank: r_k of the client.
        shape: Of the array.
        dtype: ``float32`` and so on.
        nbytes: Bytes of its numbers, without the few that name and frame them.
    """

    layer: str
    role: str
    way: Literal["up", "down"]
    rank: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


@dataclass(frozen=True)
class Explanation:
    """What leaves the clients of a federation, and what stays.

    Args:
        arrays: Every array of one client in one round, for every rank that occurs.
            Down: at its largest, once all clients of a round have replied.
        private: Roles that never leave the client, and persist.
        frozen: Roles that nobody trains; each client draws them from the common seed.
        clients: How many clients there are, by rank.
        per_round: How many are asked in a round.
        rounds: How many rounds.
        first: Bytes of all clients of the first round.
        later: Bytes of all clients of any other round.
        tools: The privacy tools, with reasons.

    With fewer clients per round than there are, ``first`` and ``later`` are means over
    the draws of clients, rounded; the payload of methods that stack is then that of the
    widest draw.
    """

    arrays: tuple[SentArray, ...]
    private: tuple[str, ...]
    frozen: tuple[str, ...]
    clients: Mapping[int, int]
    per_round: int
    rounds: int
    first: Traffic
    later: Traffic
    tools: tuple[Tool, ...]

    @property
    def total(self) -> Traffic:
        """Return the bytes of all clients in all rounds."""
        return Traffic(
            up=self.first.up + (self.rounds - 1) * self.later.up,
            down=self.first.down + (self.rounds - 1) * self.later.down,
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table: a heading, then one line per array.

        Returns:
            Layer, role, way, rank, shape, dtype, bytes per client and round. Layers in
            the order of the model.
        """
        heading = ("layer", "role", "way", "rank", "shape", "dtype", "bytes")
        lines = [
            (
                array.layer,
                array.role,
                array.way,
                str(array.rank),
                " x ".join(map(str, array.shape)) or "one number",
                array.dtype,
                f"{array.nbytes:,}",
            )
            for array in self.arrays
        ]
        return [heading, *lines]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, with the totals."""
        return {
            "arrays": [asdict(array) for array in self.arrays],
            "private": list(self.private),
            "frozen": list(self.frozen),
            "clients_by_rank": {str(rank): n for rank, n in self.clients.items()},
            "per_round": self.per_round,
            "rounds": self.rounds,
            "bytes": {
                "first_round": asdict(self.first),
                "later_round": asdict(self.later),
                "run": asdict(self.total),
            },
            "privacy": [asdict(tool) for tool in self.tools],
        }


def explain(
    method: Aggregator,
    sites: Mapping[str, Site],
    ranks: Sequence[int],
    *,
    rounds: int,
    per_round: int | None = None,
    dtype: str = "float32",
) -> Explanation:
    """Say what leaves each client, before anything runs.

    Args:
        method: Who owns what.
        sites: Layer name -> shape of its base weight, in the order of the model.
        ranks: r_k of every client.
        rounds: How many rounds, at least 1.
        per_round: How many clients are asked in a round; None: all.
        dtype: What travels: float32, float16 or float64.

    Returns:
        Every array, bytes per round and run, what stays, and the privacy tools.

    Raises:
        ConfigError: No clients, no rounds, an unknown dtype, or ranks that differ where
            the method needs one rank.

    Example:
        >>> from cotune.federated.aggregation import AGGREGATION
        >>> sites = {"q": Site(d_in=8, d_out=6)}
        >>> found = explain(AGGREGATION["fed-alora"](), sites, [2, 2], rounds=3)
        >>> found.rows()[1]
        ('q', 'B', 'up', '2', '6 x 2', 'float32', '48')
        >>> found.total
        Traffic(up=288, down=288)
    """
    asked = len(ranks) if per_round is None else per_round
    _check(method, ranks, rounds, asked, dtype)
    itemsize = _SIZES[dtype]
    # The widest draw: the payload of methods that stack grows with the ranks in it.
    cohort = Cohort(tuple(sorted(ranks, reverse=True)[:asked]), max(ranks))
    return Explanation(
        arrays=tuple(_list_arrays(method, sites, sorted(set(ranks)), cohort, dtype)),
        private=method.private,
        frozen=method.frozen,
        clients=dict(sorted(Counter(ranks).items())),
        per_round=asked,
        rounds=rounds,
        # Nobody has replied before the first round: there is nothing to stack yet.
        first=_sum(method, sites, ranks, asked, Cohort((), max(ranks)), itemsize),
        later=_sum(method, sites, ranks, asked, cohort, itemsize),
        tools=list_tools(method),
    )


_SIZES = {"float16": 2, "float32": 4, "float64": 8}


def _check(
    method: Aggregator, ranks: Sequence[int], rounds: int, asked: int, dtype: str
) -> None:
    if rounds < 1 or not 1 <= asked <= len(ranks):
        raise ConfigError(
            f"explain: there must be rounds, and from 1 to all clients in each, got "
            f"{rounds} rounds with {asked} of {len(ranks)} clients."
        )
    if method.sent and method.equal_ranks and len(set(ranks)) > 1:
        raise ConfigError(
            f"explain: {type(method).__name__} must have clients of one rank, got "
            f"{sorted(set(ranks))}. For clients of different ranks see fed-alora-any "
            "or flexlora."
        )
    if dtype not in _SIZES:
        raise ConfigError(
            f"explain: dtype must be one of {', '.join(_SIZES)}, got {dtype!r}."
        )


def _list_arrays(
    method: Aggregator,
    sites: Mapping[str, Site],
    ranks: Sequence[int],
    cohort: Cohort,
    dtype: str,
) -> Iterator[SentArray]:
    for layer, site in sites.items():
        for rank in ranks:
            up = method.up_shapes(site, rank)
            down = method.down_shapes(site, rank, cohort)
            ways: tuple[tuple[Literal["up", "down"], Any], ...]
            ways = (("up", up), ("down", down))
            for way, shapes in ways:
                for role, shape in shapes.items():
                    nbytes = _SIZES[dtype] * prod(shape)
                    yield SentArray(layer, role, way, rank, shape, dtype, nbytes)


def _sum(
    method: Aggregator,
    sites: Mapping[str, Site],
    ranks: Sequence[int],
    asked: int,
    cohort: Cohort,
    itemsize: int,
) -> Traffic:
    """Sum over the clients of a round; a mean where not all are asked."""
    total = Traffic(0, 0)
    for rank, count in Counter(ranks).items():
        one = traffic(method, sites, rank, cohort, itemsize=itemsize)
        total += Traffic(count * one.up, count * one.down)
    share = asked / len(ranks)
    if share == 1:
        return total
    return Traffic(round(total.up * share), round(total.down * share))
