"""What holds for every analysis of the table."""

import dataclasses
import inspect
import json

import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import (
    ANALYSES,
    Result,
    affinity_from_gradients,
    sharing_from_gradients,
)

NAMES = ["block 0", "block 1", "block 2"]


def score_of_a(adapter):
    return float(next(iter(adapter.layers.values())).A.mean())


@pytest.fixture
def results(adapter):
    """Return a result of every analysis, by name."""
    several = {name: adapter(seed) for seed, name in enumerate("abc")}
    gradients = {
        name: {"q": adapter(n).layers["model.layers.0.q_proj"].B[0]}
        for n, name in enumerate("abc")
    }
    calls = {
        "similarity": lambda run: run(several),
        "connectivity": lambda run: run(several, score_of_a, loss=score_of_a),
        "stability": lambda run: run(lambda on: float(len(on)), NAMES),
        "fusion-gap": lambda run: run(list(several.values())),
        "contribution": lambda run: run(lambda on: float(len(on) ** 2), NAMES),
        "change": lambda run: run(several["a"], several["b"], factors=("A", "B")),
        "conflict": lambda run: run(gradients),
        "affinity": lambda run: run(several),
        "sharing": lambda run: run(several),
        "pruning": lambda run: run(several["a"], score_of_a),
        "merging": lambda run: run(several, lambda task, found: score_of_a(found)),
    }
    return {name: calls[name](run) for name, run in ANALYSES.items()}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_result_is_frozen_and_knows_its_name(results, name):
    found = results[name]
    assert isinstance(found, Result)
    assert found.name == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(found, dataclasses.fields(found)[0].name, None)


@pytest.mark.parametrize("name", ANALYSES)
def test_the_json_has_name_summary_and_rows(results, name):
    document = json.loads(results[name].to_json())
    assert list(document) == ["analysis", "summary", "rows"]
    assert document["analysis"] == name
    assert document["summary"] and document["rows"]
    assert document == results[name].to_dict()


@pytest.mark.parametrize("name", ANALYSES)
def test_the_frame_has_the_numbers_of_the_rows(results, name):
    frame = results[name].to_frame()
    rows = results[name].rows()
    assert list(frame.columns) == list(rows[0])
    assert frame.to_dict("records") == [dict(row) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_a_picture_is_written(results, name, tmp_path):
    path = results[name].plot(tmp_path / "made" / "picture.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in path.parent.iterdir()] == ["picture.png"]


def test_a_picture_of_an_unknown_kind_is_refused(results, tmp_path):
    with pytest.raises(ConfigError, match="the suffix must be one of"):
        results["similarity"].plot(tmp_path / "picture.doc")


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_says_where_it_comes_from(name):
    text = inspect.getdoc(ANALYSES[name])
    for part in ("Args:", "Returns:", "Raises:", "Source:"):
        assert part in text


def test_the_advice_from_gradients_is_a_result_too():
    dice = torch.Generator().manual_seed(0)
    gradients = {n: {"q": torch.randn(5, 2, generator=dice)} for n in "abcd"}
    assert json.loads(affinity_from_gradients(gradients).to_json())["rows"]


@pytest.mark.parametrize(
    "run",
    [
        lambda several, on_A, on_B: ANALYSES["similarity"](several),
        lambda several, on_A, on_B: ANALYSES["fusion-gap"](list(several.values())),
        lambda several, on_A, on_B: ANALYSES["change"](several["a"], several["b"]),
        lambda several, on_A, on_B: ANALYSES["affinity"](several),
        lambda several, on_A, on_B: ANALYSES["sharing"](several),
        lambda several, on_A, on_B: ANALYSES["conflict"](on_B),
        lambda several, on_A, on_B: affinity_from_gradients(on_B),
        lambda several, on_A, on_B: sharing_from_gradients(on_A, on_B),
    ],
)
def test_what_is_made_on_the_way_is_on_the_device_of_the_input(adapter, run):
    several = {name: adapter(seed) for seed, name in enumerate("abc")}
    layer = "model.layers.0.q_proj"
    on_A = {name: {"q": one.layers[layer].A[0]} for name, one in several.items()}
    on_B = {name: {"q": one.layers[layer].B[0]} for name, one in several.items()}
    wanted = run(several, on_A, on_B).to_dict()
    # As on a GPU: what is made without naming a device lands on another one.
    with torch.device("meta"):
        found = run(several, on_A, on_B)
    assert found.to_dict() == wanted
