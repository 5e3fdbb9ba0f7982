"""Write docs/EVIDENCE.md, evidence.html and which_method.md: no typed figures.

python -m benchmarks.evidence.publish
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evidence.advise import build_advice
from benchmarks.evidence.bench import HERE
from benchmarks.evidence.beyond.page import build_beyond, read_sharing
from benchmarks.evidence.command import read_config, show
from benchmarks.evidence.files import write
from benchmarks.evidence.parts import NOT_RUN, Part, decide, read_part
from benchmarks.evidence.tables import tabulate_aggregations, tabulate_arms
from cotune.report import Section, Table, render_page

LINES = tuple(f"L{number}" for number in range(1, 16))
PROFILES = ("full", "quick")
DOCS = HERE.parents[1] / "docs"


@dataclass(frozen=True)
class Line:
    """A line of the ledger, with what was measured.

    Args:
        name: ``L1`` to ``L15``.
        config: Content of its ``config.yaml``.
        record: Content of its record, of the largest profile that was run; None if it
            was not run yet.
    """

    name: str
    config: Mapping[str, Any]
    record: Mapping[str, Any] | None

    @property
    def parts(self) -> list[Part]:
        """Return what was measured."""
        return [read_part(one) for one in self.record["parts"]] if self.record else []

    @property
    def verdict(self) -> str:
        """Derive the verdict by the rule, again."""
        return NOT_RUN if self.record is None else decide(self.parts)

    @property
    def why(self) -> str:
        """Return the sentence of the profile that was run."""
        if self.record is None:
            return str(self.config["why"].get("not run", ""))
        return str(self.config["why"].get(self.record["profile"], ""))


def read_lines(root: Path = HERE) -> list[Line]:
    """Read all lines, with the record of the largest profile of each."""
    return [
        Line(name, read_config(root / name), _read_record(root / name))
        for name in LINES
    ]


def _read_record(folder: Path) -> Mapping[str, Any] | None:
    for profile in PROFILES:
        path = folder / "results" / f"{profile}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    return None


def build_sections(lines: Sequence[Line]) -> dict[str, Section]:
    """Build the document: the ledger, then one section per line that was run."""
    sections = {"ledger": _ledger(lines)}
    for line in lines:
        if line.record is not None:
            title = f"{line.name}: {line.config['claim']}"
            lead = f"Verdict: {line.verdict}. {line.why}".strip()
            sections[line.name.lower()] = Section(title, lead, list(_tables(line)))
    composed = next((line.record for line in lines if line.name == "L15"), None)
    beyond = build_beyond(composed, read_sharing())
    return sections if beyond is None else {**sections, "beyond": beyond}


def _ledger(lines: Sequence[Line]) -> Section:
    rows = [
        [
            line.name,
            line.config["claim"],
            line.config["paper"].strip(),
            _summarise(line),
            _where(line),
            line.verdict,
            line.why or "-",
        ]
        for line in lines
    ]
    lead = (
        "A claim holds if every interval that counts lies on its side, holds in part "
        "if some do, and does not hold here if none does. Intervals are 95 % intervals "
        "of paired differences: bootstrap over test rows and seeds, or Student's t "
        "where a run gives one number."
    )
    columns = ["line", "claim", "paper", "here", "run on", "verdict", "why"]
    return Section("Ledger", lead, [Table("All lines", columns, rows)])


def _summarise(line: Line) -> str:
    """Say how many parts hold, and show the first one."""
    if line.record is None:
        return "-"
    counted = [part for part in line.parts if part.counts]
    held = sum(part.outcome == "holds" for part in counted)
    first = counted[0]
    value, _, gap, interval = show(first)
    number = f"{value} ({interval})" if first.rule else f"{gap} ({interval})"
    several = f"{held} of {len(counted)} hold; " if len(counted) > 1 else ""
    return f"{several}{first.what}: {number}"


def _where(line: Line) -> str:
    """Say which model and which profile."""
    if line.record is None:
        return "-"
    models = _models(line) or "no pre-trained model"
    return f"{models}; {line.record['profile']}"


def _models(line: Line) -> str:
    return ", ".join(dict.fromkeys(one["model"] for one in _settings(line)))


def _settings(line: Line) -> list[Mapping[str, Any]]:
    """Return all settings on which arms were tuned, those of federations too."""
    assert line.record is not None
    return [*line.record["settings"], *_federations(line)]


def _federations(line: Line) -> list[Mapping[str, Any]]:
    assert line.record is not None
    return line.record["extra"].get("federations", [])


def _tables(line: Line) -> Iterator[Table]:
    record = line.record
    assert record is not None
    yield Table("What was run", ["", "value"], _describe(line))
    columns = ["what", "value", "reference", "difference", "95 % or rule", "outcome"]
    rows = [
        [p.what, *show(p), p.outcome if p.counts else f"({p.outcome})"]
        for p in line.parts
    ]
    note = "In brackets: beside the claim, the verdict does not read it."
    yield Table(f"Parts. {note}", columns, rows)
    for setting in record["settings"]:
        yield tabulate_arms(setting)
    for setting in _federations(line):
        yield tabulate_aggregations(setting)


def _describe(line: Line) -> list[list[str]]:
    record = line.record
    assert record is not None
    hardware = record["hardware"]
    versions = ", ".join(f"{k} {v}" for k, v in hardware["versions"].items())
    minutes = record["seconds"] / 60
    return [
        ["how", line.config["here"].strip()],
        ["command", command_of(line.name, record["profile"])],
        ["base model", _models(line) or "none"],
        ["profile", record["profile"]],
        ["seeds", _seeds(line)],
        ["learning rates", _rates(line)],
        [
            "machine",
            f"{hardware['cpu']}, {hardware['threads']} of {hardware['cores']} cores, "
            "shared with other work",
        ],
        ["versions", f"{versions}, commit {hardware['commit']}"],
        ["wall time", f"{minutes:.0f} min, without runs that other lines had made"],
    ]


def command_of(name: str, profile: str) -> str:
    """Return the command that repeats a line."""
    return f"python -m benchmarks.evidence.{name}.run --profile {profile}"


def _seeds(line: Line) -> str:
    record = line.record
    assert record is not None
    if not _settings(line):
        return "those of the experiment"
    return ", ".join(map(str, record["seeds"]))


def _rates(line: Line) -> str:
    record = line.record
    assert record is not None
    if not _settings(line):
        return "none chosen"
    rates = ", ".join(f"{rate:g}" for rate in record["learning_rates"])
    # Records from before more than one seed could choose name none.
    count = len(record.get("tuning_seeds", record["seeds"][:1]))
    seeds = "the first seed" if count == 1 else f"the first {count} seeds"
    return f"{rates}; chosen per arm on validation rows of {seeds}"


def build_markdown(lines: Sequence[Line]) -> str:
    """Write the document as Markdown."""
    texts = [(HERE / "introduction.md").read_text(encoding="utf-8")]
    for section in build_sections(lines).values():
        texts.append(f"## {section.title}\n\n{section.lead}\n")
        for block in section.blocks:
            assert isinstance(block, Table)
            texts.append(f"{block.caption}\n\n{_markdown_table(block)}\n")
    return "\n".join(texts)


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(map(_escape, line))} |" for line in lines)


def _escape(cell: object) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


def build_page(lines: Sequence[Line]) -> str:
    """Write the document as one HTML page, in the style of the reports."""
    return render_page("Evidence", build_sections(lines))


def build_which_method(lines: Sequence[Line]) -> str:
    """Write the page "Which method when" as Markdown."""
    verdicts = {line.name: line.verdict for line in lines}
    parts = [part for line in lines if line.name == "L14" for part in line.parts]
    advisor = [
        f"{part.what}: {part.value:+.2f} ({part.low:+.2f} to {part.high:+.2f}): "
        + ADVISOR[part.outcome]
        for part in parts
        if "affinity" in part.what
    ]
    return build_advice(verdicts, advisor)


ADVISOR = {
    "holds": "tasks that it calls alike gain more from training together.",
    "open": "it cannot be told whether tasks that it calls alike gain more.",
    "reversed": "tasks that it calls alike gain *less*.",
    "at chance": "nothing was learned, so nothing is decided.",
}
"""What a correlation of affinity and gain says about the task advisor."""


def main() -> None:
    """Write all documents into ``docs/``."""
    lines = read_lines()
    write(DOCS / "which_method.md", build_which_method(lines))
    write(DOCS / "EVIDENCE.md", build_markdown(lines))
    write(DOCS / "evidence.html", build_page(lines))


if __name__ == "__main__":
    main()
