"""The section "Beyond the papers" of the document, from two records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.evidence.parts import Part, read_part
from cotune.report import Section, Table

HERE = Path(__file__).parent
PROFILES = ("full", "quick")
COMMAND = "python -m benchmarks.evidence.beyond.run --profile"


def read_sharing(root: Path = HERE) -> Mapping[str, Any] | None:
    """Read the record of the larger profile that was run; None if none was."""
    for profile in PROFILES:
        path = root / "results" / f"{profile}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def build_beyond(
    composed: Mapping[str, Any] | None, found: Mapping[str, Any] | None
) -> Section | None:
    """Say what was searched beyond the papers, and what came out.

    Args:
        composed: The record of L15; None if it was not run.
        found: That of the factor that the data favour; None if it was not run.

    Returns:
        The section; None if neither was run.
    """
    leads, tables = [], []
    if composed is not None:
        leads.append(_say_composed(composed["extra"]))
        tables.append(_composed(composed))
    if found is not None:
        leads.append(_say_sharing(found))
        tables += [_toy(found), _real(found)]
    if not tables:
        return None
    return Section("Beyond the papers", " ".join(leads), tables)


def _say_composed(extra: Mapping[str, Any]) -> str:
    count, ahead, held = (len(extra[key]) for key in ("new", "ahead", "confirmed"))
    text = (
        f"{count} arms that no paper has were tried. {ahead} of them beat the best "
        f"published one ({extra['best_published']}) in intervals that hold for all "
        f"{count} at once"
    )
    if ahead:
        text += f", {held} did so again on another family with fresh seeds"
    text += f". Presets made of them: {', '.join(extra['confirmed']) or 'none'}."
    if extra["not_run"]:
        text += f" Not run: {', '.join(extra['not_run'])}."
    return text


def _composed(record: Mapping[str, Any]) -> Table:
    parts = [read_part(one) for one in record["parts"]]
    rows = [[p.what, *_show(p), p.outcome] for p in parts if p.counts]
    columns = ["what", "score", "rival", "difference", "95 %, all at once", "outcome"]
    return Table("Methods put together (L15)", columns, rows)


def _show(part: Part) -> list[str]:
    interval = f"{part.low:+.3f} to {part.high:+.3f}"
    gap = f"{part.difference:+.3f}"
    return [f"{part.value:.3f}", f"{part.reference:.3f}", gap, interval]


def _say_sharing(found: Mapping[str, Any]) -> str:
    toys = [
        (choice, better)
        for toy in found["toy"]
        for choice, better in zip(toy["choices"], toy["better"], strict=True)
    ]
    named = [pair for pair in toys if pair[0] in ("A", "B")]
    right = sum(choice == better for choice, better in named)
    pays = sum(min(t["share_A"], t["share_B"]) < t["local"] for t in found["toy"])
    decided = [one for one in found["federations"] if one["better"] != "open"]
    hits = sum(one["choice"] == one["better"] for one in decided)
    text = (
        "Should clients share A or B? `cotune analyze sharing` asks their gradients at "
        f"the base model. In the linear toy it names a factor in {len(named)} of "
        f"{len(toys)} draws, the better one in {right} of them; sharing the better one "
        f"beats training alone in {pays} of {len(found['toy'])} mixtures. On real rows "
    )
    return text + (
        f"sharing A was told from sharing B in {len(decided)} of "
        f"{len(found['federations'])} federations; it named the better factor in "
        f"{hits} of these."
    )


def _toy(found: Mapping[str, Any]) -> Table:
    seeds = len(found["toy"][0]["choices"])
    caption = (
        f"Linear clients (F9), {seeds} draws each: relative test error after the last "
        "average, lower is better"
    )
    columns = ["shared rows", "A misses", "B misses", "choice"]
    columns += ["local", "share A", "share B", "A - B, 95 %", "better factor"]
    rows = [
        [
            f"{toy['row']:.0%}",
            f"{toy['missed_A']:.0%}",
            f"{toy['missed_B']:.0%}",
            _count(toy["choices"]),
            f"{toy['local']:.3f}",
            f"{toy['share_A']:.3f}",
            f"{toy['share_B']:.3f}",
            _interval(*toy["difference"]),
            _count(toy["better"]),
        ]
        for toy in found["toy"]
    ]
    return Table(caption, columns, rows)


def _real(found: Mapping[str, Any]) -> Table:
    apart = found["separate"]
    updates = apart["updates"]
    rows = [
        _asked(f"{apart['setting']}, LoRAs trained apart", "updates", updates),
        _asked(apart["setting"], "gradients", [apart["gradients"]]),
    ]
    for one in found["federations"]:
        gaps = [
            f"{gap['value']:.3f} - {gap['reference']:.3f}: "
            + _interval(gap["difference"], gap["low"], gap["high"])
            for gap in one["gaps"].values()
        ]
        row = _asked(one["setting"], "gradients", one["asked"])
        rows.append([*row[:-3], *gaps, one["better"]])
    columns = ["tasks", "asked", "A misses (unrelated)", "B misses (unrelated)"]
    columns += ["choice", "aggregated: share A - share B", "trained: share A - share B"]
    seeds = ", ".join(map(str, found["seeds"]))
    caption = (
        f"Real rows, seeds {seeds} where no others are named; sharing A is FedSA-LoRA, "
        f"sharing B Fed-ALoRA, treated alike; command: {COMMAND} {found['profile']}. "
        "Updates of short runs from one start favour A whatever the data say, so only "
        "gradients count"
    )
    return Table(caption, [*columns, "better after aggregation"], rows)


def _asked(name: str, source: str, asked: Sequence[Mapping[str, Any]]) -> list[str]:
    numbers = [
        f"{fmean(one[f'missed_{factor}'] for one in asked):.0%} "
        f"({fmean(one[f'random_{factor}'] for one in asked):.0%})"
        for factor in "AB"
    ]
    return [name, source, *numbers, _count([x["choice"] for x in asked]), *["-"] * 3]


def _interval(mean: float, low: float, high: float) -> str:
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _count(several: Sequence[str]) -> str:
    counted = Counter(several).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{name} {count}" for name, count in counted)
