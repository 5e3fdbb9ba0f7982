"""The loaders on real data: FLAN tasks and Natural Instructions."""

import warnings

import pytest

from cotune.data import DataSpec, FolderSpec, discover, list_tasks, load_data


@pytest.mark.slow
def test_flan8_loads_without_a_bad_row_or_a_leak(real_data):
    data = DataSpec(root=str(real_data), folders=[FolderSpec(path="flan8")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tasks = load_data(data)
    assert len(tasks) == 8
    assert {(len(t.train), len(t.test)) for t in tasks} == {(300, 200)}
    free = {t.name for t in tasks if t.spec.kind == "text"}
    assert free == {"structure_to_text", "text_formatting"}
    labels = {t.name: t.labels for t in tasks if t.spec.kind == "choice"}
    assert labels["coreference"] is None
    assert len(labels["question_classification"]) == 6


def test_natural_instructions_are_found_by_family(real_data):
    tasks = discover("natural_instructions", real_data)
    assert len(tasks) == 36
    assert {task.kind for task in tasks} == {"choice"}
    sentiment = [task for task in tasks if task.name.startswith("sentiment_analysis-")]
    assert len(sentiment) == 13


@pytest.mark.slow
def test_natural_instructions_load_as_their_index_says(real_data):
    import json

    folder = FolderSpec(path="natural_instructions", definitions=True)
    data = DataSpec(root=str(real_data), folders=[folder])
    index = json.loads((real_data / "natural_instructions" / "index.json").read_text())
    for task in load_data(data):
        entry = index[task.spec.source.path.removeprefix("natural_instructions/")]
        assert sorted(task.labels) == sorted(entry["labels"])
        assert (len(task.train), len(task.test)) == (entry["train"], entry["test"])
        assert task.train[0]["prompt"].startswith(entry["definition"])


def test_a_run_with_few_rows_takes_the_same_validation_rows(real_data):
    folder = FolderSpec(path="flan8", include=["paraphrase"])
    data = DataSpec(root=str(real_data), folders=[folder], validation_share=0.1)
    few = data.model_copy(
        update={"limits": data.limits.model_copy(update={"train_rows": 25})}
    )
    (full,), (small,) = load_data(data, seed=3), load_data(few, seed=3)
    assert full.validation["where"][:] == small.validation["where"][:]
    assert set(small.train["where"]) < set(full.train["where"])
    assert list_tasks(few)[0].limits.train_rows == 25
