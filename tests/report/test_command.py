from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cotune.cli import app


@pytest.mark.slow
def test_the_command_writes_the_page_and_says_where(make_run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    found = CliRunner().invoke(app, ["report", str(make_run()), "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert "page.html" in found.output.replace("\n", "")
    assert "What was trained" in out.read_text(encoding="utf-8")
