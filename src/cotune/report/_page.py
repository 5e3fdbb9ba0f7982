"""Put the sections together into one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .._errors import ConfigError
from .._files import write_text
from ._blocks import Chart, Section
from ._numbers import show_number
from ._run_folder import RunFolder, open_runs
from ._sections import SECTIONS

_HERE = Path(__file__).parent / "page"
_FEW_ROWS = 16


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Write the report of run folders as one HTML file, in one move.

    Args:
        runs: Run folders; several are shown side by side.
        out: The file. One that is there is replaced.

    Returns:
        ``out``.

    Raises:
        ConfigError: A folder that is not of a run, a broken file, or no plotly.
    """
    write_text(out, build_page(runs))
    return out


def build_page(runs: Sequence[Path]) -> str:
    """Build the report of run folders.

    The same folders give the same text, byte by byte.

    Args:
        runs: Run folders; several are shown side by side.

    Returns:
        The page, about 2 MB, since it carries plotly.js, compressed.

    Raises:
        ConfigError: A folder that is not of a run, a broken file, or no plotly.
    """
    opened = open_runs(runs)
    built = {name: _build_section(name, opened) for name in SECTIONS}
    sections = {name: found for name, found in built.items() if found is not None}
    if not sections:
        raise ConfigError(
            f"report: needs a folder with results, got {', '.join(map(str, runs))}, "
            "where there is nothing to show yet. Wait for the run to write its log."
        )
    return render_page(", ".join(run.name for run in opened), sections)


def _build_section(name: str, runs: Sequence[RunFolder]) -> Section | None:
    try:
        return SECTIONS[name](runs)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        folders = ", ".join(str(run.path) for run in runs)
        raise ConfigError(
            f"report: files of {folders} must have the form that cotune writes, got "
            f"another in the section {name!r}: {error!r}. Were they edited by hand, or "
            "written by another version?"
        ) from error


def render_page(title: str, sections: Mapping[str, Section]) -> str:
    """Put sections together into one HTML page that needs nothing beside it.

    Args:
        title: Of the page; escaped, like every text of a section.
        sections: Name -> section, in the order of the page. Names are anchors.

    Returns:
        The page; with a chart in it about 2 MB, since it carries plotly.js then.

    Raises:
        ConfigError: There is a chart, and no plotly.

    Example:
        >>> from cotune.report import Section, Table, render_page
        >>> table = Table("Two numbers", ["name", "value"], [["one", 1]])
        >>> page = render_page("Mine", {"first": Section("First", "A lead.", [table])})
        >>> "Two numbers" in page
        True
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    charts = _collect_charts(sections)
    plotly = _read_plotly() if charts else ""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=title,
        sections=sections,
        charts=Markup(_as_script_json(charts)) if charts else "",
        plotly=_pack(plotly),
        script=Markup(script),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        # Only these two scripts of ours run; nothing that a file slips in.
        policy=_write_policy([plotly, script]),
        version=version("cotune"),
        few_rows=_FEW_ROWS,
        show_number=show_number,
    )


def _collect_charts(sections: Mapping[str, Section]) -> dict[str, Any]:
    """Return what the script draws, by the ids that the template gives."""
    return {
        f"{name}-{place}": {
            "style": block.style,
            "traces": block.traces,
            "layout": block.layout,
            "height": block.height,
        }
        for name, section in sections.items()
        for place, block in enumerate(section.blocks, start=1)
        if isinstance(block, Chart)
    }


def _as_script_json(value: Any) -> str:
    """Write JSON in which nothing can end a script element."""
    text = json.dumps(value, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _read_plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ConfigError(
            "report: needs the package plotly, got none. "
            "Run: pip install 'cotune[plot]'."
        ) from error
    return get_plotlyjs()


def _pack(code: str) -> str:
    """Compress code for the page, whose own script unpacks it: 2 MB instead of 5."""
    # No time in it, so that equal pages have equal bytes.
    return base64.b64encode(gzip.compress(code.encode(), 9, mtime=0)).decode()


def _write_policy(scripts: Sequence[str]) -> str:
    """Write a policy that lets these scripts run, and nothing be loaded from afar."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
