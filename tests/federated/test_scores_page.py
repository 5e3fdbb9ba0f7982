"""The page of federations on real rows says what the runs gave."""

import json
import re

import pytest

pytest.importorskip("plotly")

from benchmarks.federated_scores.page import PAGE, RECORD, build_page
from benchmarks.federated_scores.run import SCORES, tabulate

RUNS = json.loads(RECORD.read_text(encoding="utf-8"))["runs"]


@pytest.mark.slow
def test_the_published_page_is_what_the_runs_say():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == build_page(record)


def test_every_method_has_every_seed_and_its_means():
    rows = tabulate(RUNS)
    seeds = {run["seed"] for run in RUNS}
    assert {row.seeds for row in rows} == {len(seeds)}
    one = rows[0]
    own = [
        run[SCORES[0]]["mean"]
        for run in RUNS
        if (run["clients"], run["ranks"], run["method"])
        == (one.clients, one.ranks, one.method)
    ]
    assert one.means[SCORES[0]] == pytest.approx(sum(own) / len(own))


@pytest.mark.slow
def test_the_tables_of_the_page_have_the_numbers():
    page = PAGE.read_text(encoding="utf-8")
    for row in tabulate(RUNS):
        name = f"{row.clients}-{row.ranks}".replace(" ", "-")
        section = page.split(f'id="{name}"')[1].split("</section>")[0]
        heading = rf'<th scope="row">{re.escape(row.method)}</th>.*?</tr>'
        line = re.findall(heading, section, re.DOTALL)[-1]
        for kind in (row.means, row.spreads, row.worsts):
            for score in SCORES:
                assert f'data-value="{round(kind[score], 3)}"' in line
