from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cotune._errors import ConfigError
from cotune.report import Section, Table, build_page, render_page, write_report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(HTMLParser):
    """Collects what a browser would make of a page."""

    VOID = ("meta", "link", "img", "br", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def charts_of(page: str) -> dict:
    found = re.search(
        r'<script type="application/json" id="charts">(.*?)</script>', page
    )
    assert found is not None
    return json.loads(found[1])


def test_every_tag_of_the_page_is_closed_in_order(make_run) -> None:
    page = Page(build_page([make_run()]))
    assert page.open == []


def test_a_page_of_sections_of_ones_own_shows_them_as_text_without_plotly() -> None:
    table = Table(EVIL, ["name", "value"], [["one", 1], ["two", None]])
    text = render_page("Mine", {"first": Section("First", EVIL, [table])})
    page = Page(text)
    assert page.open == []
    assert "Mine" in page.texts["title"]
    assert "one" in page.texts["th"] and "1" in page.texts["td"]
    assert EVIL not in text and EVIL in page.texts["caption"]
    assert len(text) < 100_000


def test_the_page_asks_for_nothing_from_elsewhere(make_run) -> None:
    page = Page(build_page([make_run()]))
    assert {tag for tag, _ in page.tags} & {
        "iframe",
        "object",
        "embed",
        "base",
    } == set()
    links = [a.get("src") or a.get("href") for _, a in page.tags]
    outside = [link for link in links if link and not link.startswith(("#", "data:,"))]
    assert outside == []
    style = "".join(page.texts["style"])
    assert "@import" not in style and "url(" not in style


def test_only_the_two_scripts_of_the_page_may_run(make_run) -> None:
    page = build_page([make_run()])
    policy = next(a["content"] for a in Page(page).all("meta") if "http-equiv" in a)
    assert policy is not None and "default-src 'none'" in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    packed = re.search(r'<script type="application/gzip" id="plotly">(.*?)</sc', page)
    assert packed is not None
    scripts.append(gzip.decompress(base64.b64decode(packed[1])).decode())
    digests = [hashlib.sha256(text.encode()).digest() for text in scripts]
    assert {base64.b64encode(digest).decode() for digest in digests} == allowed
    assert len(scripts) == 2


def test_markup_in_files_stays_text(make_run) -> None:
    folder = make_run(tasks=(EVIL, "other"))
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"description": EVIL, "base": {"name": EVIL}}))
    text = build_page([folder])
    page = Page(text)
    assert page.all("img") == []
    assert len(page.all("script")) == 3
    assert "<script>alert" not in text
    assert EVIL in "".join(page.texts["p"])
    names = charts_of(text)["scores-1"]["traces"][0]["y"]
    assert all("<" not in name for name in names)


def test_the_numbers_of_charts_and_tables_are_those_of_the_files(make_run) -> None:
    folder = make_run()
    page = build_page([folder])
    charts = charts_of(page)
    tasks = json.loads((folder / "metrics.json").read_text())["tasks"]
    for trace, key in zip(
        charts["scores-1"]["traces"], ("base", "adapter", "single"), strict=True
    ):
        assert trace["x"] == [score[key] for score in tasks.values()]
    history = json.loads((folder / "log_history.json").read_text())
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert charts["curves-1"]["traces"][0]["y"] == losses
    shown = {
        float(a["data-value"] or "nan")
        for a in Page(page).all("td")
        if "data-value" in a
    }
    assert set(losses) <= shown
    assert {score["adapter"] for score in tasks.values()} <= shown


def test_every_chart_has_a_name_and_a_table_with_headings(make_run) -> None:
    page = Page(build_page([make_run()]))
    plots = [a for a in page.all("div") if a.get("class") == "plot"]
    assert len(plots) == len(page.all("figure")) == len(page.all("figcaption")) > 15
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)
    assert len(page.all("table")) == len(page.all("caption")) >= len(plots)
    scrolls = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolls)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_page_stays_small_although_it_carries_plotly(make_run) -> None:
    assert len(build_page([make_run()]).encode()) < 2.5e6


@pytest.mark.slow
def test_the_same_folder_gives_the_same_page(make_run) -> None:
    folder = make_run()
    assert build_page([folder]) == build_page([folder])


def test_paths_of_this_machine_are_cut(make_run) -> None:
    folder = make_run()
    page = build_page([folder])
    assert "someone" not in page
    assert ".../secret/data" in page
    assert str(folder) not in page


def test_two_runs_stand_side_by_side_with_one_base(make_run) -> None:
    page = build_page([make_run("first"), make_run("second")])
    names = [trace["name"] for trace in charts_of(page)["scores-1"]["traces"]]
    assert names == ["Base model", "first", "Trained alone", "second"]


def test_a_page_is_written_in_one_file(make_run, tmp_path: Path) -> None:
    out = write_report([make_run()], tmp_path / "new" / "report.html")
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rounds.json").write_text("[]")
    with pytest.raises(ConfigError, match="nothing to show yet"):
        build_page([tmp_path])


def test_a_file_of_another_form_is_refused_by_name(make_run) -> None:
    folder = make_run()
    (folder / "schedule.json").write_text('{"first_steps": [0]}')
    with pytest.raises(ConfigError, match="in the section 'activation'"):
        build_page([folder])


def test_without_plotly_the_error_says_what_to_install(
    make_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ConfigError, match=r"pip install 'cotune\[plot\]'"):
        build_page([make_run()])
