import json

import pytest
from benchmarks.federated.measure import MODELS, Setting, measure
from benchmarks.federated.run import extrapolate, fit, settings
from benchmarks.federated.tables import PAGE, RECORD, TABLES, fill, size, span
from benchmarks.harness import SHAPES

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))


def test_the_page_shows_the_record():
    page = PAGE.read_text(encoding="utf-8")
    assert fill(page, RECORDED) == page, "run: python -m benchmarks.federated.tables"


def test_the_record_is_of_the_settings_that_are_measured_now():
    measured = [
        Setting(**{key: row[key] for key in Setting.__dataclass_fields__})
        for row in RECORDED["measured"]
    ]
    assert sorted(map(repr, measured)) == sorted(map(repr, settings()))


def test_the_law_is_that_of_the_measured_rows():
    assert fit(RECORDED["measured"]) == pytest.approx(RECORDED["law"])
    assert extrapolate(RECORDED["law"]) == RECORDED["extrapolated"]


def test_memory_did_not_grow_over_a_thousand_rounds():
    rows = [row for row in RECORDED["measured"] if row["clients"] == 1000]
    assert len(rows) == 2
    for row in rows:
        assert row["rounds"] == 1000
        assert row["late"] - row["early"] < 0.2 * row["early"]


@pytest.mark.parametrize("method", ["fedit", "fed-alora", "fed-alora-any", "zeropad"])
def test_ten_times_the_clients_take_no_more_memory(method):
    peaks = {
        row["asked"]: row["peak"]
        for row in RECORDED["measured"]
        if row["method"] == method and row["model"] == "llama-1b" and row["rank"] == 8
    }
    assert peaks[1000] < 1.5 * peaks[100]


def test_a_mean_of_regional_means_is_the_mean():
    assert RECORDED["hierarchy_error"] < 1e-6


def test_a_small_round_can_be_measured():
    found = measure(Setting("fed-alora", "minilm", 2, 20, rounds=2, clients=50))
    assert found.bytes_up == 4 * 2 * 384 * 12 * 20
    assert found.arrays == 12 * 20
    assert found.held <= 8
    assert 0 < found.check_seconds < found.seconds


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_lines_of_one_width(name):
    heading, *lines = TABLES[name](RECORDED)
    assert lines
    assert {len(line) for line in lines} == {len(heading)}


@pytest.mark.parametrize("model", ["llama-1b", "llama-8b"])
def test_models_are_those_of_the_other_benchmarks(model):
    shape = SHAPES[model]
    share = shape["num_key_value_heads"] / shape["num_attention_heads"]
    width = shape["hidden_size"]
    assert MODELS[model] == (shape["num_hidden_layers"], width, width * share)


def test_sizes_and_times_are_short():
    assert [size(x) for x in (5, 1500, 2e12)] == ["5 B", "1.5 kB", "2 TB"]
    assert [span(x) for x in (0.01, 5, 7200)] == ["10 ms", "5 s", "2 h"]
