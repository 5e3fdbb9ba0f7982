"""How alike the factors are, read from the adapters themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from .._blocks import Block, Section
from .._charts import Number, heat_map, strip_prefix
from .._numbers import as_number, show_number
from .._run_folder import RunFolder, find_analyses

if TYPE_CHECKING:
    from ..._adapter import Adapter
    from ...analysis import Similarity


def build_similarity(runs: Sequence[RunFolder]) -> Section | None:
    """Compare the subspaces of all factors of all runs that share a base model.

    Args:
        runs: The runs of the page.

    Returns:
        The section, with what ``analysis/`` holds beside; None if there are no two
        factors to compare.
    """
    blocks: list[Block] = []
    for base, adapters in _group_by_base(runs).items():
        both = (_compare(adapters, "A"), _compare(adapters, "B"))
        found = [one for one in both if one is not None]
        blocks += [_draw_matrix(base, one.summary()) for one in found]
        if found:
            blocks.append(_draw_layers(base, found))
    stored = find_analyses(runs, "similarity")
    blocks += [_draw_matrix(name, one["summary"]) for name, one in stored]
    if not blocks:
        return None
    lead = (
        "Mean squared cosine of the principal angles: of row spaces for A, of column "
        "spaces for B. 1 is the same subspace. Random subspaces reach the random "
        "level, so a value means nothing without it. A factor of zeros has no value."
    )
    return Section("Similarity of the factors", lead, blocks)


def _group_by_base(runs: Sequence[RunFolder]) -> dict[str, dict[str, Adapter]]:
    from ..._adapter_file import read_adapter
    from ..._errors import AdapterFileError

    bases: dict[str, dict[str, Adapter]] = {}
    for run in runs:
        for leaf in run.leaves:
            if leaf.adapter is None:
                continue
            name = run.name if leaf is run else f"{run.name}: {leaf.name}"
            told = (leaf.settings.get("base") or {}).get("name")
            try:
                adapter = read_adapter(leaf.adapter)
            except AdapterFileError:
                # Another method of PEFT, without factors A and B.
                continue
            base = str(told or adapter.config.get("base_model_name_or_path"))
            bases.setdefault(base, {})[name] = adapter
    return bases


def _compare(
    adapters: Mapping[str, Adapter], factor: Literal["A", "B"]
) -> Similarity | None:
    from ...analysis import similarity

    if sum(_count_members(adapter, factor) for adapter in adapters.values()) < 2:
        return None
    return similarity(adapters, factor=factor)


def _count_members(adapter: Adapter, factor: str) -> int:
    first = next(iter(adapter.layers.values()))
    return len(first.A if factor == "A" else first.B)


def _draw_matrix(of: str, summary: Mapping[str, Any]) -> Block:
    level = show_number(summary["random_level"])
    names, factor = list(summary["names"]), summary["factor"]
    return heat_map(
        f"Likeness of {factor}, mean over the layers ({of})",
        f"Map of the likeness of {len(names)} factors {factor}; the random level is "
        f"{level}.",
        names,
        names,
        [[as_number(value) for value in row] for row in summary["matrix"]],
        of="Factor",
        unit=f"likeness, random: {level}",
        low=0,
        high=1,
    )


def _draw_layers(base: str, found: Sequence[Similarity]) -> Block:
    columns: dict[str, dict[str, Number]] = {}
    for one in found:
        values: dict[str, list[float]] = {}
        levels: dict[str, list[float]] = {}
        for pair in one.pairs:
            levels.setdefault(pair.layer, []).append(pair.random)
            if not math.isnan(pair.value):
                values.setdefault(pair.layer, []).append(pair.value)
        columns[one.factor] = {k: fmean(found) for k, found in values.items()}
        columns[f"random {one.factor}"] = {k: fmean(f) for k, f in levels.items()}
    layers = dict.fromkeys(layer for column in columns.values() for layer in column)
    return heat_map(
        f"Likeness per layer, mean over the pairs ({base})",
        f"Map of {len(layers)} layers by factor, with the random level beside each.",
        strip_prefix(list(layers)),
        list(columns),
        [[column.get(layer) for column in columns.values()] for layer in layers],
        of="Layer",
        unit="likeness",
        low=0,
        high=1,
    )
