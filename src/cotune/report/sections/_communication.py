"""What travelled between clients and server, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section, Table
from .._charts import Point, line_chart
from .._run_folder import RunFolder

_SCORES = {
    "score_after_aggregation": "after aggregation",
    "score_after_training": "after local training",
}


def build_communication(runs: Sequence[RunFolder]) -> Section | None:
    """Show bytes and scores per federated round.

    Reads ``rounds.json``: a list with one mapping per round, with ``round`` and
    ``clients``, which maps a client's name to ``up`` and ``down`` in bytes and, where
    they were measured, ``score_after_aggregation`` and ``score_after_training``; and
    ``dropped``, client name -> reason, for replies that were refused.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no run was federated.
    """
    blocks = [block for run in runs if run.rounds for block in _blocks(run)]
    if not blocks:
        return None
    lead = (
        "Bytes of the tensors that clients sent up and received, and the scores that "
        "came of it. Private factors never travel."
    )
    return Section("Communication", lead, blocks)


def _blocks(run: RunFolder) -> list[Block]:
    blocks: list[Block] = [_traffic(run)]
    lines: dict[str, list[Point]] = {}
    for key, word in _SCORES.items():
        for name, choose in (("mean", _mean), ("lowest client", min)):
            points: list[Point] = [
                (float(one["round"]), choose(found))
                for one in run.rounds
                if (found := _found(one, key))
            ]
            if points:
                lines[f"{name}, {word}"] = points
    if lines:
        blocks.append(
            line_chart(
                f"Scores per round: {run.name}",
                "Lines of the mean and the lowest score over the clients, per round.",
                lines,
                x="round",
                y="score",
            )
        )
    return [*blocks, _clients(run), *_dropped(run)]


def _traffic(run: RunFolder) -> Block:
    lines: dict[str, list[Point]] = {}
    for key, word in (("up", "up, from clients"), ("down", "down, to clients")):
        sent = 0.0
        lines[word] = []
        for one in run.rounds:
            sent += sum(_found(one, key))
            lines[word].append((one["round"], sent / 1e6))
    return line_chart(
        f"Traffic so far: {run.name}",
        "Lines of the bytes sent up and down, summed over clients and rounds.",
        lines,
        x="round",
        y="megabytes in all",
    )


def _clients(run: RunFolder) -> Table:
    names = dict.fromkeys(name for one in run.rounds for name in one["clients"])
    rows = []
    for name in names:
        own = [one["clients"][name] for one in run.rounds if name in one["clients"]]
        up, down = (sum(client[key] for client in own) for key in ("up", "down"))
        last = [own[-1].get(key) for key in _SCORES]
        rows.append([name, len(own), up, down, *last])
    heads = [f"Last score {word}" for word in _SCORES.values()]
    columns = ["Client", "Rounds", "Bytes up", "Bytes down", *heads]
    return Table(f"Clients: {run.name}", columns, rows)


def _dropped(run: RunFolder) -> list[Block]:
    rows = [
        [one["round"], client, str(reason)]
        for one in run.rounds
        for client, reason in (one.get("dropped") or {}).items()
    ]
    title = f"Replies refused: {run.name}"
    return [Table(title, ["Round", "Client", "Reason"], rows)] if rows else []


def _found(one: Mapping[str, Any], key: str) -> list[float]:
    return [
        client[key] for client in one["clients"].values() if client.get(key) is not None
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
