import json
import logging
import warnings

import pytest

from cotune._errors import ConfigError
from cotune.data import LeakageWarning, RowError, TaskSpec, load_tasks


def test_rows_are_normal_and_carry_their_place(load, make_rows, tmp_path):
    task = load(make_rows(4), test=make_rows(2, start=4))
    assert task.train.column_names == ["prompt", "options", "answer", "where"]
    assert task.train[1] == {
        **make_rows(2)[1],
        "where": f"{tmp_path}/task/train.jsonl:2",
    }
    assert (len(task.train), len(task.test), task.validation) == (4, 2, None)
    assert task.skipped == ()


def test_options_that_all_rows_share_are_the_labels(load, make_rows):
    turned = make_rows(1, options=("yes", "no"), start=2)
    assert load(make_rows(2) + turned).labels == ("no", "yes")
    assert load(make_rows(2) + make_rows(1, options=("a", "b"))).labels is None


def test_text_tasks_have_no_options(load):
    task = load([{"prompt": "p", "answer": "a"}], kind="text")
    assert task.train[0]["options"] is None
    assert task.labels is None


def test_chats_keep_their_messages(load):
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    task = load([{"messages": chat}], kind="chat")
    assert task.train.column_names == ["messages", "answer", "where"]
    assert task.train[0]["messages"] == chat


def test_labels_are_gathered_from_the_training_rows(load):
    rows = [{"prompt": p, "answer": a} for p, a in [("1", "z"), ("2", "b"), ("3", "z")]]
    task = load(rows, kind="label", limits={"train_rows": 1})
    assert task.labels == ("b", "z")
    assert task.train[0]["options"] == ["b", "z"]


def test_a_test_answer_that_training_never_had_is_a_bad_row(load):
    rows = [{"prompt": str(i), "answer": "ab"[i]} for i in range(2)]
    with pytest.raises(RowError, match=r"test.jsonl:1: the answer must be one of"):
        load(rows, test=[{"prompt": "x", "answer": "c"}], kind="label")


def test_one_label_alone_is_refused(load):
    with pytest.raises(ConfigError, match="at least two options, got \\['a'\\]"):
        load([{"prompt": "p", "answer": "a"}], kind="label")


def test_labels_by_index_need_names(load):
    rows = [{"prompt": str(i), "answer": i} for i in range(2)]
    by_index = {"kind": "label", "fields": {"answer_is": "index"}}
    with pytest.raises(ConfigError, match="index needs the labels, got none"):
        load(rows, **by_index)
    task = load(rows, **by_index, options=["no", "yes"])
    assert task.train["answer"][:] == ["no", "yes"]
    assert task.labels == ("no", "yes")


@pytest.fixture
def hub_task(tmp_path, monkeypatch):
    """Return a function that loads a local hub data set whose labels have names."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    text, label = datasets.Value("string"), datasets.ClassLabel(names=["pos", "neg"])
    features = datasets.Features({"prompt": text, "answer": label})
    columns = {"prompt": ["a", "b", "c"], "answer": [0, 1, -1]}
    rows = datasets.Dataset.from_dict(columns, features=features)
    (tmp_path / "hub").mkdir()
    rows.to_parquet(str(tmp_path / "hub" / "train.parquet"))

    def load(**settings):
        source = {"hub": str(tmp_path / "hub"), "without": ["test"]}
        spec = TaskSpec(name="t", source=source, kind="label", **settings)
        return load_tasks([spec])[0]

    yield load
    datasets.enable_progress_bars()


def test_hub_labels_get_their_names_in_the_order_of_the_data_set(hub_task):
    task = hub_task(on_bad_row="skip")
    assert task.labels == ("pos", "neg")
    assert task.train["answer"][:] == ["pos", "neg"]
    assert [fault.where.rsplit(":")[-1] for fault in task.skipped] == ["3"]


def test_a_hub_row_without_a_label_is_a_bad_row(hub_task):
    with pytest.raises(RowError, match="train:3: field 'answer' must be text"):
        hub_task()


def test_hub_labels_can_be_renamed(hub_task):
    fields = {"answer_is": "index"}
    task = hub_task(options=["good", "bad"], fields=fields, on_bad_row="skip")
    assert task.train["answer"][:] == ["good", "bad"]


def test_all_bad_rows_are_listed_with_their_lines(load, make_rows):
    rows = [*make_rows(2), "{broken", *[{"prompt": "p"}] * 30]
    with pytest.raises(RowError) as error:
        load(rows)
    assert len(error.value.faults) == 31
    lines = str(error.value).splitlines()
    assert lines[0] == (
        "task 'task': every row must be usable, got 31 bad rows of 33. Mend them, or "
        "set on_bad_row: skip to leave them out."
    )
    assert "task/train.jsonl:3: the line must be one JSON object" in lines[1]
    assert "task/train.jsonl:4: the row must have every field" in lines[2]
    assert lines[-1] == "  ... and 11 more."
    assert len(lines) == 22


def test_bad_rows_are_left_out_and_logged_if_the_recipe_says_so(
    load, make_rows, caplog
):
    with caplog.at_level(logging.WARNING):
        task = load([*make_rows(2), "[]"], on_bad_row="skip")
    assert len(task.train) == 2
    assert [fault.where[-1] for fault in task.skipped] == ["3"]
    assert "1 bad rows of" in caplog.text
    assert "train.jsonl:3: the line must be a JSON object, got []" in caplog.text


def test_a_task_of_bad_rows_only_is_refused_even_then(load):
    with pytest.raises(RowError, match="got 2 bad rows of 2"):
        load(["[]", "[]"], on_bad_row="skip")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_rows_is_refused(load, make_rows, part):
    rows = {"train": make_rows(2), "test": make_rows(2, start=2), part: ["", " "]}
    with pytest.raises(ConfigError, match=f"{part}.jsonl must hold at least one row"):
        load(rows["train"], test=rows["test"])


def test_rows_in_both_training_and_test_are_warned_of(load, make_rows):
    with pytest.warns(LeakageWarning, match="got 2 whose input is in both"):
        load(make_rows(4), test=make_rows(4, start=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(make_rows(4), test=make_rows(4, start=4))


def test_validation_rows_come_from_a_share_or_a_file(load, make_rows, write, tmp_path):
    task = load(make_rows(10), validation_share=0.3)
    assert (len(task.train), len(task.validation)) == (7, 3)
    write(tmp_path / "task" / "validation.jsonl", make_rows(5, start=20))
    assert len(load(make_rows(10)).validation) == 5
    with pytest.raises(ConfigError, match="from a file or from validation_share"):
        load(make_rows(10), validation_share=0.3)


def test_limits_draw_training_rows_by_seed_and_test_rows_always_alike(load, make_rows):
    limits = {"train_rows": 5, "test_rows": 5}
    parts = {"train": make_rows(50), "test": make_rows(50, start=50)}
    one, two = (load(**parts, seed=seed, limits=limits) for seed in (1, 2))
    again = load(**parts, seed=1, limits=limits)
    assert len(one.train) == len(one.test) == 5
    assert one.train["where"][:] == again.train["where"][:] != two.train["where"][:]
    assert one.test["where"][:] == two.test["where"][:]


def test_a_missing_field_in_every_row_shows_the_nearest(load):
    with pytest.raises(RowError, match="Did you mean promt"):
        load([{"promt": "p", "options": ["a", "b"], "answer": "a"}])


def test_names_must_differ_and_tasks_must_be_there():
    spec = TaskSpec(name="a", source="x", kind="text")
    with pytest.raises(
        ConfigError, match="must have its own name, got a more than once"
    ):
        load_tasks([spec, spec])
    with pytest.raises(ConfigError, match="at least one task, got none"):
        load_tasks([])


def test_the_faults_of_all_tasks_are_reported_together(tmp_path, write, make_rows):
    write(tmp_path / "good" / "train.jsonl", make_rows(2))
    write(tmp_path / "bad" / "train.jsonl", ["[]"])
    names = ("good", "bad", "absent")
    specs = [TaskSpec(name=name, source=name, kind="choice") for name in names]
    with pytest.raises(ConfigError) as error:
        load_tasks(specs, tmp_path)
    assert "task 'bad': every row must be usable" in str(error.value)
    assert "task 'absent': source.path: must exist" in str(error.value)
    assert "good'" not in str(error.value).split("Known")[0]


def test_a_metric_without_its_package_stops_before_any_reading(load, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="package rouge_score must be installed"):
        load([{"prompt": "p", "answer": "a"}], kind="text", metric="rougeL")


def test_large_files_are_not_held_as_python_objects(load):
    text = json.dumps({"prompt": "x" * 100, "answer": "y"})
    task = load([text] * 5000, kind="text")
    assert len(task.train) == 5000
    assert task.train[4999]["where"].endswith(":5000")
