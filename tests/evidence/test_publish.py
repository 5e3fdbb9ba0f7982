import re

import pytest
from benchmarks.evidence.advise import NO_ADVICE, advise, read_advice
from benchmarks.evidence.publish import (
    DOCS,
    LINES,
    Line,
    build_markdown,
    build_page,
    build_sections,
    build_which_method,
    command_of,
    read_lines,
)

AGAIN = "Run: python -m benchmarks.evidence.publish"


def test_the_published_document_is_what_the_records_say() -> None:
    written = (DOCS / "EVIDENCE.md").read_text(encoding="utf-8")
    assert written == build_markdown(read_lines()), AGAIN


def test_the_published_page_is_what_the_records_say() -> None:
    written = (DOCS / "evidence.html").read_text(encoding="utf-8")
    assert written == build_page(read_lines()), AGAIN


def test_the_published_advice_is_what_the_records_carry() -> None:
    written = (DOCS / "which_method.md").read_text(encoding="utf-8")
    assert written == build_which_method(read_lines()), AGAIN


def test_advice_follows_the_verdict_and_is_none_without_a_run() -> None:
    for row in read_advice():
        assert row["line"] in LINES and row["weak"] and row["holds"]
        assert advise(row, "holds") == row["holds"]
        assert advise(row, "does not hold here") == row["weak"]
        assert advise(row, "not testable here") == row["weak"]
        assert advise(row, "not run yet") == NO_ADVICE


def test_every_line_gives_advice() -> None:
    assert {row["line"] for row in read_advice()} == set(LINES)


def test_every_line_stands_in_the_ledger_also_those_not_run() -> None:
    lines = read_lines()
    rows = build_sections(lines)["ledger"].blocks[0].rows
    assert [row[0] for row in rows] == list(LINES)
    empty = [Line(line.name, line.config, None) for line in lines]
    rows = build_sections(empty)["ledger"].blocks[0].rows
    assert {row[5] for row in rows} == {"not run yet"}


def test_a_line_that_was_run_shows_its_command_and_every_part() -> None:
    text = build_markdown(read_lines())
    for line in read_lines():
        if line.record is not None:
            assert command_of(line.name, line.record["profile"]) in text
            assert all(part.what.replace("|", "\\|") in text for part in line.parts)


@pytest.mark.parametrize(
    ("seeds", "words"), [([0], "of the first seed"), ([0, 1], "of the first 2 seeds")]
)
def test_a_line_says_how_many_seeds_chose_its_rates(
    seeds: list[int], words: str
) -> None:
    run = next(line for line in read_lines() if line.record and line.record["settings"])
    assert run.record is not None
    line = Line(run.name, run.config, {**run.record, "tuning_seeds": seeds})
    assert words + " |" in build_markdown([line])


def test_the_document_names_no_folder_of_a_machine() -> None:
    assert not re.search(r"/(work|root|home|tmp)\b", build_markdown(read_lines()))
