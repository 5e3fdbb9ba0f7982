"""The tables of ``cotune federate --explain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ..federated._explain import Explanation


def build_explain_tables(found: Explanation, layers: int) -> Iterator[Table | str]:
    """Lay out what leaves a client, what it costs, what stays, and privacy tools.

    Args:
        found: What was found.
        layers: How many layers to show one by one; 0 shows all.

    Yields:
        Tables and texts, in the order to show them.
    """
    yield _arrays(found, layers)
    yield _bytes(found)
    yield (
        f"Stays at home: {', '.join(found.private) or 'no factor'}; rows, routers and "
        f"heads in any case.\nDrawn from the common seed, never sent: "
        f"{', '.join(found.frozen) or 'nothing'}.\nBeside the arrays a reply holds the "
        "number of training rows, two scores, the number of rows scored, the seconds "
        "of work and, with privacy.local, the epsilon spent; or one code if it "
        "failed.\n"
    )
    yield _tools(found)


def _arrays(found: Explanation, layers: int) -> Table:
    names = list(dict.fromkeys(array.layer for array in found.arrays))
    shown = names if layers == 0 else names[:layers]
    left = len(names) - len(shown)
    heading, *lines = found.rows()
    caption = f"and {left} more layers (--layers 0 shows all)" if left else None
    title = "What travels, per client and round"
    table = _table(title, heading, right=1, caption=caption)
    before = ""
    for line in lines:
        if line[0] in shown:
            name, before = "" if line[0] == before else line[0], line[0]
            table.add_row(name, *line[1:])
    return table


def _bytes(found: Explanation) -> Table:
    table = _table("Bytes of all clients", ("", "up", "down"), right=2)
    rounds = {"first round": found.first, "later round": found.later}
    for name, one in {**rounds, f"all {found.rounds} rounds": found.total}.items():
        table.add_row(name, f"{one.up:,}", f"{one.down:,}")
    return table


def _tools(found: Explanation) -> Table:
    table = _table("Privacy tools", ("tool", "can be used", "what it does, or why not"))
    for tool in found.tools:
        table.add_row(tool.name, "yes" if tool.applies else "no", tool.reason)
    return table


def _table(
    title: str, heading: tuple[str, ...], *, right: int = 0, caption: str | None = None
) -> Table:
    """Make an empty table whose last columns hold numbers."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, caption=caption, box=SIMPLE, pad_edge=False)
    for number, name in enumerate(heading):
        numeric = number >= len(heading) - right
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    return table
