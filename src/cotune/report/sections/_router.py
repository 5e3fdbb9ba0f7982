"""How routers spread the tokens of each task over the experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._blocks import Block, Section
from .._charts import Point, heat_map, step_chart
from .._numbers import as_number
from .._run_folder import RunFolder

_PREFIX, _EXPERT, _ENTROPY = "router/", "expert_", "entropy"


def build_router(runs: Sequence[RunFolder]) -> Section | None:
    """Show the last shares of the experts per task, and the entropy over the steps.

    Args:
        runs: The runs of the page.

    Returns:
        The section; None if no run has logged a router.
    """
    blocks = [block for run in runs for block in _blocks(run)]
    if not blocks:
        return None
    lead = (
        "Mean share of each expert among the tokens of a task, over all layers. Equal "
        "rows mean that the router does not tell the tasks apart. Entropy is in nats; "
        "the highest, ln(experts), is an even spread."
    )
    return Section("Use of the routers", lead, blocks)


def _blocks(run: RunFolder) -> list[Block]:
    shares: dict[str, dict[int, float]] = {}
    entropies: dict[str, list[Point]] = {}
    for entry in run.history:
        for task, what, value in _parse(entry):
            if what == _ENTROPY:
                entropies.setdefault(task, []).append((entry["step"], value))
            else:
                expert = int(what.removeprefix(_EXPERT))
                # Later entries replace earlier ones; a batch need not hold all tasks.
                shares.setdefault(task, {})[expert] = value
    if not shares:
        return []
    experts = sorted({expert for found in shares.values() for expert in found})
    tasks = sorted(shares)
    share = heat_map(
        f"Last shares of the experts: {run.name}",
        f"Map of shares: {len(tasks)} tasks by {len(experts)} experts.",
        tasks,
        [f"expert {expert}" for expert in experts],
        [[shares[task].get(expert) for expert in experts] for task in tasks],
        of="Task",
        unit="share",
    )
    if not entropies:
        return [share]
    ordered = {task: entropies[task] for task in tasks if task in entropies}
    title = f"Entropy of the routers: {run.name}"
    entropy = step_chart(title, ordered, of="Task", unit="entropy in nats")
    return [share, entropy]


def _parse(entry: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Split ``router/<task>/<what>``; a task's name may hold slashes."""
    found: list[tuple[str, str, float]] = []
    for key, logged in entry.items():
        value = as_number(logged)
        if key.startswith(_PREFIX) and value is not None:
            task, _, what = key.removeprefix(_PREFIX).rpartition("/")
            found.append((task, what, value))
    return found
