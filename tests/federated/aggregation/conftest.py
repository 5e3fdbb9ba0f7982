from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch

from cotune.federated.aggregation import (
    AGGREGATION,
    Aggregator,
    Packet,
    Received,
    Seat,
    Site,
)

SITES = {"q": Site(d_in=12, d_out=10), "v": Site(d_in=12, d_out=7)}
WIDTH = 4
WEIGHTS = (3.0, 5.0, 11.0, 1.0)
EQUAL = (4, 4, 4, 4)
MIXED = (2, 5, 1, 3)


def build(name: str) -> Aggregator:
    kind = AGGREGATION[name]
    return kind(width=WIDTH) if name == "fed-alora-any" else kind()


def own(
    rank: int, seed: int, scale: float = 2.0, dtype: torch.dtype = torch.float32
) -> Packet:
    """All roles that any method knows, as one trained client has them."""
    draw = torch.Generator().manual_seed(seed)
    layers = {}
    for layer, site in SITES.items():
        shapes = {
            "A": (rank, site.d_in),
            "B": (site.d_out, rank),
            "A_own": (rank, site.d_in),
            "B_own": (site.d_out, rank),
            "core": (rank, rank),
            "M": (WIDTH, rank),
            "B1": (rank, WIDTH),
            "B2": (site.d_out, rank),
        }
        layers[layer] = {
            role: torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype)
            for role, shape in shapes.items()
        }
        # B0 comes from the server: the same for all clients.
        common = torch.Generator().manual_seed(99)
        layers[layer]["B0"] = torch.randn(
            (site.d_out, WIDTH), generator=common, dtype=torch.float64
        ).to(dtype)
    return Packet(layers, scale)


def ranks_for(method: Aggregator) -> tuple[int, ...]:
    return EQUAL if method.equal_ranks else MIXED


def clients(
    method: Aggregator, ranks: Sequence[int] | None = None
) -> dict[str, Packet]:
    """Trained clients, of mixed ranks where the method takes them."""
    ranks = ranks_for(method) if ranks is None else ranks
    common = own(max(ranks), seed=0)
    found = {}
    for index, rank in enumerate(ranks):
        packet = own(rank, seed=index + 1)
        layers = {
            layer: {**roles, **{r: common.layers[layer][r] for r in method.frozen}}
            for layer, roles in packet.layers.items()
        }
        found[f"c{index}"] = Packet(layers, packet.scale)
    return found


def run(
    method: Aggregator, owns: dict[str, Packet], weights=WEIGHTS, first=None
) -> Packet:
    first = first or own(max(p.layers["q"]["A"].shape[0] for p in owns.values()), 0)
    opened = method.open(method.start(first), owns)
    for (client, packet), weight in zip(owns.items(), weights, strict=False):
        opened.add(client, method.upload(packet), weight)
    return opened.finish()


def shares(weights: Sequence[float], count: int) -> list[float]:
    used = weights[:count]
    return [w / sum(used) for w in used]


def seat(packet: Packet) -> Seat:
    return Seat(packet.layers["q"]["A"].shape[0], packet.scale)


def delta(method: Aggregator, packet: Packet, layer: str) -> torch.Tensor:
    """The update of a client in float64, multiplied out, told from its roles."""
    x = {role: t.double() for role, t in packet.layers[layer].items()}
    s = packet.scale
    if "M" in method.private:
        return s * (x["B0"] + x["B2"] @ x["B1"]) @ x["M"] @ x["A"]
    if "core" in method.private:
        return s * x["B"] @ x["core"] @ x["A"]
    if "A_own" in method.private:
        return s * (x["B"] @ x["A"] + x["B_own"] @ x["A_own"])
    return s * x["B"] @ x["A"]


def after(method: Aggregator, packet: Packet, todo: Received, layer: str):
    """The update of a client that has loaded, folded and restarted."""
    roles = {**packet.layers[layer], **todo.layers.get(layer, {})}
    zero = {"A": "B", "B1": "B2"}
    for role in method.restart:
        if role in zero:  # a restarted pair has one zero factor
            roles[zero[role]] = torch.zeros_like(roles[zero[role]])
    total = delta(method, Packet({layer: roles}, packet.scale), layer)
    if layer in todo.fold:
        fold = todo.fold[layer]
        total = total + fold.B.double() @ fold.A.double()
    return total


def far(x: torch.Tensor, y: torch.Tensor) -> float:
    """Relative distance in the Frobenius norm."""
    return float((x.double() - y.double()).norm() / y.double().norm())


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """Small clients with known factors, and the update that each one computes."""
    return SimpleNamespace(
        SITES=SITES,
        WIDTH=WIDTH,
        WEIGHTS=WEIGHTS,
        EQUAL=EQUAL,
        MIXED=MIXED,
        build=build,
        own=own,
        ranks_for=ranks_for,
        clients=clients,
        run=run,
        shares=shares,
        seat=seat,
        delta=delta,
        after=after,
        far=far,
    )
