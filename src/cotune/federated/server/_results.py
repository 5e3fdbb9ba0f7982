"""The files of a finished run: what clients scored, and what it cost to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..._files import as_json, write_json
from ...data import METRICS
from ...training import Evaluation, TaskScore
from .._plan import Client, Plan
from .._wire import SCORES

ROUNDS = "rounds.json"
METRICS_FILE = "metrics.json"


def write_rounds(folder: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rounds.json``: per round and client, bytes and scores.

    Args:
        folder: Of the run.
        rounds: One entry per round.
    """
    write_json(folder / ROUNDS, as_json(list(rounds)))


def write_results(
    folder: Path,
    plan: Plan,
    rounds: Sequence[Mapping[str, Any]],
    last: Mapping[str, Mapping[str, float | int]],
) -> None:
    """Write ``metrics.json``.

    ``tasks`` and ``summary`` are as of any run, with clients for tasks; the score is
    that after the last aggregation. ``federated`` has both scores and the bytes.

    Args:
        folder: Of the run.
        plan: What was computed.
        rounds: One entry per round.
        last: Client -> numbers of the order to score or to fit after the last round.
    """
    clients = {c.name: _sum_up(c, rounds, last.get(c.name, {})) for c in plan.clients}
    content = _evaluation(plan, clients).as_dict()
    content["federated"] = {
        "aggregation": plan.spec.aggregation.model_dump(),
        "rounds": len(rounds),
        "skipped": sum(bool(entry["skipped"]) for entry in rounds),
        "dropped": sum(len(entry["dropped"]) for entry in rounds),
        "up": sum(found["up"] for found in clients.values()),
        "down": sum(found["down"] for found in clients.values()),
        "scores": {key: _spread(plan, clients, key) for key in SCORES},
        "clients": clients,
    }
    write_json(folder / METRICS_FILE, as_json(content))


def _sum_up(
    client: Client, rounds: Sequence[Mapping[str, Any]], last: Mapping[str, Any]
) -> dict[str, Any]:
    """Add up one client's traffic, and take its last scores."""
    entries = [entry["clients"].get(client.name, {}) for entry in rounds]
    found: dict[str, Any] = {"task": client.task, "rank": client.rank}
    for key in ("up", "down"):
        found[key] = sum(entry.get(key, 0) for entry in [*entries, last])
    for key in SCORES:
        known = [entry.get(key) for entry in [*entries, last]]
        found[key] = next((x for x in reversed(known) if x is not None), None)
    found["rounds"] = sum("examples" in entry for entry in entries)
    found["rows"] = int(last.get("rows", 0))
    return found


def _evaluation(plan: Plan, clients: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    scores = [
        TaskScore(
            task=client.name,
            metric=client.metric,
            higher_is_better=METRICS[client.metric].higher_is_better,
            part="held out",
            rows=clients[client.name]["rows"],
            base=None,
            adapter=clients[client.name][SCORES[0]],
        )
        for client in plan.clients
        if clients[client.name][SCORES[0]] is not None
    ]
    return Evaluation(tuple(scores))


def _spread(
    plan: Plan, clients: Mapping[str, Mapping[str, Any]], key: str
) -> dict[str, Any]:
    """Return mean and worst over the clients, apart for each metric."""
    found: dict[str, Any] = {}
    for metric in dict.fromkeys(client.metric for client in plan.clients):
        names = [c.name for c in plan.clients if c.metric == metric]
        scores = {n: clients[n][key] for n in names if clients[n][key] is not None}
        if scores:
            choose = min if METRICS[metric].higher_is_better else max
            worst = choose(scores, key=lambda name: scores[name])
            mean = fmean(scores.values())
            found[metric] = {
                "mean": mean,
                "worst": scores[worst],
                "worst_client": worst,
            }
    return found
