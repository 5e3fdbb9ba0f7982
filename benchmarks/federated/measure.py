"""One federated round on the server, in a process of its own, so that its peak counts.

``python -m benchmarks.federated.measure '{"method": "fedit", ...}'`` prints one line of
JSON. Replies are made one at a time, as they would come off the wire; only the server's
own work is timed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from cotune.federated._validate import Fault, ReplyCheck
from cotune.federated.aggregation import (
    AGGREGATION,
    Aggregator,
    Packet,
    Seat,
    Site,
    count_numbers,
)

# Layers, width, width of the values. Not from the harness, which loads transformers:
# that would be most of the time of a measurement.
MODELS = {
    "minilm": (6, 384, 384),
    "llama-1b": (16, 2048, 512),
    "llama-8b": (32, 4096, 1024),
}
SCALE = 2.0
POOL = 4  # different replies; the rest are copies of these


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Args:
        method: Aggregation method.
        model: One of ``MODELS``; its query and value projections are adapted.
        rank: r_k of all clients.
        asked: Clients of the round.
        rounds: Rounds, one after the other.
        clients: Clients of the federation; their ids differ over rounds.
    """

    method: str
    model: str
    rank: int
    asked: int
    rounds: int = 1
    clients: int = 0


@dataclass(frozen=True)
class Measured:
    """What came out.

    Args:
        seconds: The server's work in a round, median over the rounds.
        check_seconds: Of that, looking at replies (finite, shapes, norm).
        bytes_up: Received in a round.
        arrays: Received in a round.
        peak: Highest memory above what the process had before its first round, bytes.
        early: Memory after the first tenth of the rounds, above the same, bytes.
        late: Memory after the last round.
        held: Most replies that waited in memory.
    """

    seconds: float
    check_seconds: float
    bytes_up: int
    arrays: int
    peak: int
    early: int
    late: int
    held: int


def sites_of(model: str) -> dict[str, Site]:
    """Return the query and value projections of a model."""
    layers, d, values = MODELS[model]
    return {
        f"layers.{i}.{name}": Site(d_in=d, d_out=d_out)
        for i in range(layers)
        for name, d_out in (("q_proj", d), ("v_proj", values))
    }


def start_state(method: Aggregator, sites: dict[str, Site], rank: int) -> Packet:
    """Return a server's state with random factors."""
    draw = torch.Generator().manual_seed(0)
    layers = {
        layer: {
            "A": torch.randn(rank, site.d_in, generator=draw),
            "B": torch.randn(site.d_out, rank, generator=draw),
            "B0": torch.zeros(site.d_out, 16),
        }
        for layer, site in sites.items()
    }
    return method.start(Packet(layers, SCALE))


def reply_pool(method: Aggregator, sites: dict[str, Site], rank: int) -> list[Packet]:
    """Return a few different replies."""
    draw = torch.Generator().manual_seed(1)
    return [
        Packet(
            {
                layer: {
                    role: torch.randn(shape, generator=draw) * 0.01
                    for role, shape in method.up_shapes(site, rank).items()
                }
                for layer, site in sites.items()
            },
            SCALE,
        )
        for _ in range(POOL)
    ]


def copy_of(packet: Packet) -> Packet:
    """Return the reply in memory of its own, as one that came off the wire has."""
    layers = {
        layer: {role: x.clone() for role, x in roles.items()}
        for layer, roles in packet.layers.items()
    }
    return Packet(layers, packet.scale)


def memory() -> int:
    """Return the memory of this process now, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def forget_peak() -> None:
    """Let the peak begin anew; `getrusage` would give that of whoever started us."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_memory() -> int:
    """Return the highest memory since :func:`forget_peak`, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def clients_of(setting: Setting) -> Iterator[list[str]]:
    """Yield the ids of every round's clients."""
    among = max(setting.clients, setting.asked)
    for number in range(setting.rounds):
        first = number * setting.asked
        yield [f"c{(first + i) % among:06d}" for i in range(setting.asked)]


def measure(setting: Setting) -> Measured:
    """Run the rounds of one setting."""
    method = AGGREGATION[setting.method]()
    sites = sites_of(setting.model)
    state = start_state(method, sites, setting.rank)
    pool = reply_pool(method, sites, setting.rank)
    check, held = ReplyCheck(max_norm=1e9), 0
    shapes = {
        f"{layer}/{role}": shape
        for layer, site in sites.items()
        for role, shape in method.up_shapes(site, setting.rank).items()
    }
    spent: list[float] = []
    looked: list[float] = []
    early = late = 0
    forget_peak()
    before = memory()
    for number, clients in enumerate(clients_of(setting)):
        total = looking = 0.0
        opened = method.open(state, clients)
        for index, client in enumerate(sorted(clients)):
            reply = copy_of(pool[index % POOL])
            named = {
                f"{layer}/{role}": x
                for layer, roles in reply.layers.items()
                for role, x in roles.items()
            }
            begin = time.perf_counter()
            fault = check(named, 10.0, shapes)
            middle = time.perf_counter()
            assert not isinstance(fault, Fault)
            opened.add(client, reply, 10.0)
            total += time.perf_counter() - begin
            looking += middle - begin
            held = max(held, opened.held)
            del reply, named
        begin = time.perf_counter()
        state = opened.finish()
        method.download(state, Seat(setting.rank, SCALE))
        total += time.perf_counter() - begin
        spent.append(total)
        looked.append(looking)
        late = memory()
        if number + 1 <= max(1, setting.rounds // 10):
            early = late
    shapes_up = (method.up_shapes(site, setting.rank) for site in sites.values())
    per_reply = sum(count_numbers(shapes) for shapes in shapes_up)
    middle_round = sorted(range(len(spent)), key=spent.__getitem__)[len(spent) // 2]
    return Measured(
        seconds=spent[middle_round],
        check_seconds=looked[middle_round],
        bytes_up=4 * per_reply * setting.asked,
        arrays=len(shapes) * setting.asked,
        peak=peak_memory() - before,
        early=early - before,
        late=late - before,
        held=held,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(asdict(measure(Setting(**json.loads(sys.argv[1]))))))
