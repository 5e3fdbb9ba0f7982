"""Take out the layers that contribute least."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..._adapter import Adapter
from ..._errors import ConfigError
from ._result import PruneResult, keep_layers


def by_contribution(
    adapter: Adapter, *, scores: Mapping[str, float], drop: float = 0.5
) -> PruneResult:
    """Take out the layers, or groups of layers, of the smallest score.

    Args:
        adapter: Any adapter.
        scores: Name -> contribution, e.g. the Shapley values of
            ``cotune.analysis``. A name is a layer (``model.layers.0.self_attn.q_proj``)
            or the start of several (``model.layers.0``), which then go together; the
            longest name that fits a layer counts.
        drop: Share of the scores that goes, in [0, 1): round(drop * n), the smallest
            first, negative ones before all; of equal ones the later first.

    Returns:
        The adapter with those layers taken out.

    Raises:
        ConfigError: A layer without score, a score without layer or not finite,
            ``drop`` outside its range, or no layer would be left.

    Source: arXiv:2410.22911 (CopRA), pruning by Shapley value.
    """
    if not 0 <= drop < 1:
        raise ConfigError(f"by_contribution: drop must be in [0, 1), got {drop!r}.")
    group = {name: _group_of(name, scores) for name in adapter.layers}
    idle = [name for name in scores if name not in group.values()]
    wrong = [name for name, score in scores.items() if not math.isfinite(score)]
    if idle or wrong:
        raise ConfigError(
            "by_contribution: scores must be finite and each must fit a layer, got "
            f"{(idle + wrong)[0]!r}: {scores[(idle + wrong)[0]]!r}."
        )
    place = {name: position for position, name in enumerate(scores)}
    order = sorted(scores, key=lambda name: (scores[name], -place[name]))
    dropped = set(order[: round(drop * len(order))])
    kept = [name for name in adapter.layers if group[name] not in dropped]
    return keep_layers("by_contribution", adapter, kept)


def _group_of(name: str, scores: Mapping[str, float]) -> str:
    """Return the longest key that is the layer's name or a dotted start of it."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in scores:
            return ".".join(parts[:end])
    raise ConfigError(
        f"by_contribution: every layer needs a score, got none for {name}. "
        "Name the layer, its block, or any start of its name in scores."
    )
