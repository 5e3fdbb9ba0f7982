"""Write docs/examples/federations.html from the runs: no typed figures.

python -m benchmarks.federated_scores.page
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.federated_scores.run import HERE, SCORES, Row, tabulate
from cotune.report import Chart, Section, Table, bar_chart, render_page

RECORD = HERE / "results" / "minilm.json"
PAGE = HERE.parents[1] / "docs" / "examples" / "federations.html"
NAMES = dict(zip(SCORES, ("after aggregation", "after training"), strict=True))


def build_page(record: Mapping[str, Any]) -> str:
    """Return the page: one section per set of clients and ranks."""
    rows = tabulate(record["runs"])
    sections = {"about": _about(record)}
    for clients in dict.fromkeys(row.clients for row in rows):
        for ranks in dict.fromkeys(row.ranks for row in rows):
            own = [r for r in rows if (r.clients, r.ranks) == (clients, ranks)]
            name = f"{clients}-{ranks}".replace(" ", "-")
            sections[name] = _section(clients, ranks, own)
    return render_page("Federations on real rows", sections)


def _about(record: Mapping[str, Any]) -> Section:
    recipe = record["config"]["recipe"]
    cells = [
        ["base model", recipe["base"]["name"]],
        ["training rows per client", recipe["data"]["limits"]["train_rows"]],
        ["test rows per client", recipe["data"]["limits"]["test_rows"]],
        ["rounds", recipe["federated"]["rounds"]],
        ["local steps per round", recipe["federated"]["local_steps"]],
        ["learning rate, for all", recipe["training"]["learning_rate"]],
        ["rank, if equal", recipe["adapter"]["r"]],
        ["ranks, if mixed", ", ".join(map(str, record["config"]["ranks"]["mixed"]))],
        ["seeds", ", ".join(str(seed) for seed in record["config"]["seeds"])],
        ["machine", record["hardware"]["cpu"]],
    ]
    lead = (
        "Eight clients with one Natural Instructions task each. Nothing is tuned: one "
        "learning rate for all, and a small budget."
    )
    return Section("What was run", lead, [Table("Settings", ["what", "value"], cells)])


def _section(clients: str, ranks: str, rows: Sequence[Row]) -> Section:
    lead = (
        "Mean accuracy over clients and seeds: of the final state as each client gets "
        "it, and after the last local training."
    )
    columns = ["method", *(f"{n}{k}" for n in NAMES.values() for k in _KINDS), "MB"]
    cells = [[row.method, *_cells(row), round(row.megabytes, 1)] for row in rows]
    table = Table("Means, deviations over seeds, worst clients", columns, cells)
    title = f"Clients of {clients}, {ranks} ranks"
    return Section(title, lead, [_chart(rows), table])


_KINDS = ("", ", deviation", ", worst client")


def _cells(row: Row) -> list[float]:
    kinds = (row.means, row.spreads, row.worsts)
    return [round(kind[score], 3) for score in SCORES for kind in kinds]


def _chart(rows: Sequence[Row]) -> Chart:
    names = [row.method for row in rows]
    return bar_chart(
        "Accuracy by method",
        f"Bars of mean accuracy for {', '.join(names)}.",
        names,
        {NAMES[score]: [row.means[score] for row in rows] for score in SCORES},
        spread={NAMES[score]: [row.spreads[score] for row in rows] for score in SCORES},
        of="method",
        unit="accuracy",
        share=True,
    )


def main() -> None:
    """Read, build, write."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    PAGE.write_text(build_page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
