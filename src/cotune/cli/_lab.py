"""``cotune lab``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ..theory import Finding, FindingGroup


class Experiment(StrEnum):
    """The groups of the laboratory."""

    linear = "linear"
    coto = "coto"
    federated = "federated"


def run_lab(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiments.")],
    quick: Annotated[
        bool,
        typer.Option(
            "--quick/--full",
            help="Smaller sizes, or those that the published checks have.",
        ),
    ] = True,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Seeds per experiment; default: each one's own."),
    ] = None,
    output_dir: Annotated[
        Path, typer.Option(help="Where the JSON file and the picture are written.")
    ] = Path("lab"),
) -> None:
    """Repeat a group of experiments, and show each number beside its rule.

    Ends with code 1 if a number breaks its rule.
    """
    from .._files import write_text
    from ..theory import LAB
    from ._show import show

    def tell(finding: Finding) -> None:
        verdict = "holds" if finding.passed else "does not hold"
        show(f"{finding.name}: {verdict}. {finding.claim}")

    name = experiment.value
    found = cast("FindingGroup", LAB[name](seeds=seeds, quick=quick, tell=tell))
    show(build_lab_table(found))
    write_text(output_dir / f"{name}.json", found.to_json() + "\n")
    picture = draw(found, output_dir / f"{name}.png")
    show(f"Everything lies in {output_dir}" + ("" if picture else NO_PICTURE))
    if not found.passed:
        raise typer.Exit(1)


NO_PICTURE = '. No picture: matplotlib is missing. Run: pip install "cotune[plot]"'


def build_lab_table(found: FindingGroup) -> Table:
    """Build the table of all checks of a group.

    Args:
        found: The findings.

    Returns:
        One line per check: experiment, what was measured, value, rule, outcome.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    verdict = "all checks pass" if found.passed else "NOT all checks pass"
    table = Table(title=f"{found.name}: {verdict}", box=SIMPLE, pad_edge=False)
    for column in ("experiment", "check", "value", "rule", ""):
        table.add_column(column)
    for finding in found.findings:
        for check in finding.checks:
            outcome = "pass" if check.passed else "FAIL"
            value = f"{check.value:.4g}"
            table.add_row(finding.name, check.what, value, check.rule, outcome)
    return table


def draw(found: FindingGroup, path: Path) -> Path | None:
    """Draw all findings of a group.

    Args:
        found: The findings.
        path: Where to write the PNG.

    Returns:
        The path; None if matplotlib is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        return None
    return found.plot(path)
