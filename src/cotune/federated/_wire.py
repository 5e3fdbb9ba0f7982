"""What travels: orders down, replies up; nothing else has a way out of this package.

An order is the state (one packet, or several where a client must fold what it missed)
and a few words: experiment, recipe hash, client, round, what to do. A reply is exactly
the shared tensors, the number of examples, scores and seconds; or one code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from .._errors import ConfigError
from .aggregation import Packet

if TYPE_CHECKING:
    from flwr.app import ArrayRecord, RecordDict

Todo = Literal["train", "score", "fit"]
"""train: a round. score: only score, and write the adapter at home. fit: a newcomer
trains its private factors alone."""

Code = Literal[
    "ok", "recipe", "config", "no-state", "stranger", "out-of-memory", "failed"
]
"""All that a client says about its own failures.

- recipe: the order is for another recipe than the client's.
- config: the recipe does not fit the client's model or data.
- no-state: the private factors that the order builds on are not there.
- stranger: the node has no client's name.
- out-of-memory: as it says.
- failed: anything else; the client's own log has the text.
"""
CODES: tuple[Code, ...] = (
    "ok",
    "recipe",
    "config",
    "no-state",
    "stranger",
    "out-of-memory",
    "failed",
)

SCORES = ("score_after_aggregation", "score_after_training")
NUMBERS = (*SCORES, "rows", "seconds", "epsilon")
"""All numbers of a reply but its weight: scores, rows scored, seconds of work, and the
privacy that local training spent."""


@dataclass(frozen=True)
class Order:
    """What the server asks of one client.

    Args:
        experiment: Id of the run: names the client's store.
        digest: Hash of the recipe that the server runs.
        client: Who is meant.
        round: The round, from 1.
        base: The last round in which this client's reply was taken; 0: none yet.
        todo: What to do.
        score: Whether to score, before and after training.
        states: Version of the server's state -> packet, oldest first; all but the last
            are only there to be folded.
    """

    experiment: str
    digest: str
    client: str
    round: int
    base: int
    todo: Todo
    score: bool
    states: Mapping[int, Packet] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What a client answers, before it is checked.

    Args:
        code: "ok", or why there is nothing else.
        raw: ``layer/role`` -> bytes of ``numpy.save``, as they came.
        examples: n_k.
        numbers: Scores, rows and seconds, those that are finite numbers.
    """

    code: Code
    raw: Mapping[str, Any] = field(default_factory=dict)
    examples: Any = 0
    numbers: Mapping[str, float] = field(default_factory=dict)


def write_order(
    order: Order, write: Callable[[Packet], ArrayRecord] | None = None
) -> RecordDict:
    """Write an order as Flower's records.

    Args:
        order: What to write.
        write: Writes a packet; one that remembers saves work where many clients get
            the same. None: :func:`write_arrays`.
    """
    from flwr.app import ConfigRecord, RecordDict

    words: dict[str, Any] = {
        "experiment": order.experiment,
        "recipe": order.digest,
        "client": order.client,
        "round": order.round,
        "base": order.base,
        "todo": order.todo,
        "score": order.score,
    }
    words |= {f"scale-{version}": x.scale for version, x in order.states.items()}
    content = RecordDict({"order": ConfigRecord(words)})
    for version, packet in order.states.items():
        content[f"state-{version}"] = (write or write_arrays)(packet)
    return content


def read_order(content: RecordDict) -> Order:
    """Read an order.

    Raises:
        ConfigError: It is none.
    """
    try:
        words = content.config_records["order"]
        names = [name for name in content.array_records if name.startswith("state-")]
        versions = sorted(int(name.removeprefix("state-")) for name in names)
        states = {
            version: Packet(
                read_arrays(content.array_records[f"state-{version}"]),
                float(cast(float, words[f"scale-{version}"])),
            )
            for version in versions
        }
        return Order(
            experiment=str(words["experiment"]),
            digest=str(words["recipe"]),
            client=str(words["client"]),
            round=int(cast(int, words["round"])),
            base=int(cast(int, words["base"])),
            todo=cast(Todo, words["todo"]),
            score=bool(words["score"]),
            states=states,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"order: must be one of cotune's server, got: {error}. Have all parties "
            "the same version of cotune?"
        ) from error


def write_reply(
    packet: Packet, examples: int, numbers: Mapping[str, float]
) -> RecordDict:
    """Write a good reply; the packet is the shared part and nothing else."""
    from flwr.app import ConfigRecord, MetricRecord, RecordDict

    metrics: dict[str, Any] = {"num-examples": examples, **numbers}
    return RecordDict(
        {
            "reply": ConfigRecord({"code": "ok"}),
            "update": write_arrays(packet),
            "numbers": MetricRecord(metrics),
        }
    )


def write_refusal(code: Code) -> RecordDict:
    """Write a reply that says no more than a code."""
    from flwr.app import ConfigRecord, RecordDict

    return RecordDict({"reply": ConfigRecord({"code": code})})


def read_reply(content: RecordDict) -> Reply:
    """Read a reply. Never raises, whatever a client sent; arrays are left unread."""
    code = dict(content.config_records.get("reply") or {}).get("code")
    if code not in CODES:
        return Reply("failed")
    if code != "ok":
        return Reply(code)
    arrays = content.array_records.get("update") or {}
    metrics = dict(content.metric_records.get("numbers") or {})
    numbers = {
        name: float(value)
        for name in NUMBERS
        if isinstance(value := metrics.get(name), int | float) and math.isfinite(value)
    }
    raw = {str(name): array.data for name, array in dict(arrays).items()}
    return Reply("ok", raw, metrics.get("num-examples"), numbers)


def write_arrays(packet: Packet) -> ArrayRecord:
    """Write the tensors of a packet as ``layer/role``, in float32."""
    from flwr.app import Array, ArrayRecord

    return ArrayRecord(
        {
            name: Array(x.detach().cpu().to(torch.float32).numpy())
            for name, x in flatten(packet).items()
        }
    )


def read_arrays(record: ArrayRecord) -> dict[str, dict[str, Tensor]]:
    """Read tensors by layer and role."""
    named = {name: torch.from_numpy(x.numpy()) for name, x in record.items()}
    return unflatten(named)


def flatten(packet: Packet) -> dict[str, Tensor]:
    """Name the tensors of a packet ``layer/role``. Nothing is copied."""
    return {
        f"{layer}/{role}": x
        for layer, roles in packet.layers.items()
        for role, x in roles.items()
    }


def unflatten(
    tensors: Mapping[str, Tensor], layers: Sequence[str] = ()
) -> dict[str, dict[str, Tensor]]:
    """Undo :func:`flatten`.

    Args:
        tensors: ``layer/role`` -> tensor.
        layers: Layers in their order, also those without a tensor.
    """
    found: dict[str, dict[str, Tensor]] = {layer: {} for layer in layers}
    for name, x in tensors.items():
        layer, _, role = name.rpartition("/")
        found.setdefault(layer, {})[role] = x
    return found
