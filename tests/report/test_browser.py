"""The page in a real browser: no complaints, charts drawn, numbers right."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotune.report import write_report
from report.browser import Browser, find_chromium, open_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_chromium() is None,
        reason="needs Chromium: apt-get install chromium, or set COTUNE_CHROMIUM",
    ),
]

EVIL = "<img src=x onerror=\"document.title='broken'\"></script><b>"
PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(make_run, tmp_path: Path) -> Path:
    """Return a page with all sections."""
    return write_report([make_run("first")], tmp_path / "page.html")


@pytest.fixture
def small(make_run, tmp_path: Path) -> Path:
    """Return a page with scores and curves of two runs."""
    runs = [keep_little(make_run(name)) for name in ("first", "second")]
    return write_report(runs, tmp_path / "small.html")


def keep_little(folder: Path) -> Path:
    for name in ("adapter", "analysis"):
        shutil.rmtree(folder / name)
    for name in ("schedule.json", "comparison.json", "rounds.json"):
        (folder / name).unlink()
    return folder


def assert_clean(browser: Browser) -> None:
    assert browser.complaints == []
    outside = [
        u for u in browser.requests if not u.startswith(("file:", "data:", "blob:"))
    ]
    assert outside == []


CONTRAST = """
(() => {
  const read = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const bend = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const linear = (c) => bend(c / 255);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const back = (node) => {
    for (; node; node = node.parentElement) {
      const color = read(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const ratio = (node, key) => {
    const pair = [light(read(getComputedStyle(node)[key])), light(back(node))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  const names = "h1,h2,p,a,th,td,dt,dd,summary,pre,button";
  const texts = [...document.querySelectorAll(names)];
  const labels = [...document.querySelectorAll(".plot .xtick text, .plot .legendtext")];
  const bars = [...document.querySelectorAll(".plot .bars .point > path")];
  return {
    text: Math.min(...texts.map((n) => ratio(n, "color"))),
    label: Math.min(...labels.map((n) => ratio(n, "fill"))),
    bar: Math.min(...bars.map((n) => ratio(n, "fill"))),
    counts: [texts.length, labels.length, bars.length],
  };
})()
"""


def assert_stands_out(browser: Browser) -> None:
    """Check the levels of WCAG 2.2 AA: 4.5 for text, 3 for graphics."""
    found = browser.run(CONTRAST)
    assert min(found["counts"]) > 10
    assert found["text"] >= 4.5
    assert found["label"] >= 4.5
    assert found["bar"] >= 3.0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK], ids=["phone", "desk"])
def test_all_charts_are_drawn_without_complaint_or_request(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.show(page, width=width, dark=dark)
    plots = browser.run("document.querySelectorAll('.plot').length")
    drawn = browser.run(
        "[...document.querySelectorAll('.plot')].filter(p => "
        "p.querySelector('svg .trace, svg .hm, svg .point')).length"
    )
    assert plots == drawn > 20
    assert_clean(browser)
    assert_stands_out(browser)
    # Nothing makes the page wider than its window; wide tables scroll in themselves.
    assert browser.run("document.documentElement.scrollWidth") == width
    wide = browser.run(
        "[...document.querySelectorAll('.plot svg')].filter(s => "
        "s.getBoundingClientRect().right > innerWidth).length"
    )
    assert wide == 0
    picture = page.with_suffix(".png")
    browser.picture(picture)
    assert picture.stat().st_size > 20_000


def test_the_drawn_numbers_are_those_of_the_files(
    browser: Browser, small: Path
) -> None:
    browser.show(small, width=DESK)
    tasks = json.loads((small.parent / "first" / "metrics.json").read_text())["tasks"]
    drawn = browser.run("document.getElementById('scores-1').data.map(t => t.x)")
    keys = ("base", "adapter", "single", "adapter")
    assert drawn == [[score[key] for score in tasks.values()] for key in keys]
    history = json.loads((small.parent / "first" / "log_history.json").read_text())
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert browser.run("document.getElementById('curves-1').data[0].y") == losses
    shown = browser.run(
        "[...document.querySelectorAll('#curves figure:first-of-type td[data-value]')]"
        ".map(cell => Number(cell.dataset.value))"
    )
    assert shown == [loss for loss in losses for _ in ("first", "second")]


def test_colours_and_widths_follow_the_reader(browser: Browser, small: Path) -> None:
    fill = "document.querySelector('#scores-1 .bars .point > path').style.fill"
    width = "document.querySelector('#scores-1 svg').getBoundingClientRect().width"
    browser.show(small, width=DESK)
    light, wide = browser.run(fill), browser.run(width)
    browser.set_media("", dark=True)
    browser.wait_for(f"{fill} !== {json.dumps(light)}")
    browser.resize(PHONE)
    browser.wait_for(f"{width} < {wide / 2}")
    assert_clean(browser)


def test_paper_is_white_and_has_the_short_tables(browser: Browser, page: Path) -> None:
    browser.show(page, width=DESK, dark=True)
    browser.set_media("print", dark=True)
    width = "document.querySelector('#scores-1 svg').getBoundingClientRect().width"
    browser.wait_for(f"{width} === 680")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    label = "getComputedStyle(document.querySelector('#scores-1 .xtick text')).fill"
    browser.wait_for(f"{label} === 'rgb(0, 0, 0)'")
    assert browser.run("document.querySelector('#scores details').open")
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    browser.set_media("", dark=True)
    browser.wait_for("!document.querySelector('#scores details').open")
    assert_clean(browser)


def test_everything_can_be_reached_with_the_keyboard(
    browser: Browser, small: Path
) -> None:
    browser.show(small, width=DESK)
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}

    def press_tab() -> str:
        browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", **key)
        return browser.run(
            "document.activeElement.className || document.activeElement.localName"
        )

    first = press_tab()
    assert first == "skip"
    found = {press_tab() for _ in range(60)}
    assert {"a", "summary", "button", "scroll"} <= found


def test_names_with_markup_are_shown_and_do_nothing(
    browser: Browser, make_run, tmp_path: Path
) -> None:
    run = make_run(tasks=(EVIL, "plain"))
    out = write_report([keep_little(run)], tmp_path / "evil.html")
    browser.show(out, width=DESK)
    assert_clean(browser)
    assert browser.run("document.title") == "first"
    assert browser.run("document.querySelectorAll('main img, main b').length") == 0
    label = "document.querySelector('#scores-1 .ytick text').textContent"
    assert browser.run(label).startswith("<img src=x")
    assert browser.run("document.querySelector('#scores tbody th').textContent") == EVIL


def test_a_script_that_is_not_of_the_page_does_not_run(
    browser: Browser, small: Path
) -> None:
    text = small.read_text(encoding="utf-8")
    small.write_text(
        text.replace("</main>", "<script>document.title='broken'</script></main>"),
        encoding="utf-8",
    )
    browser.show(small, width=DESK)
    assert browser.run("document.title") == "first, second"
    assert any("Content Security Policy" in text for text in browser.complaints)
