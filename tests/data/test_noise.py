import random

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data import DataSpec, TaskSpec, list_tasks, load_data, make_generator
from cotune.data._noise import add_label_noise

LETTERS = "abcde"


def table(size, options=3):
    """Make rows whose options stand in different orders."""
    names = list(LETTERS[:options])
    return [
        {
            "prompt": f"question {i}",
            "options": names[i % options :] + names[: i % options],
            "answer": names[(i * i) % options],
            "where": f"f:{i}",
        }
        for i in range(size)
    ]


def spoil(rows, share, seed=0):
    """Return prompt -> answer, after noise."""
    made = add_label_noise(
        Dataset.from_list(rows), share=share, generator=make_generator(seed)
    )
    return dict(zip(made["prompt"], made["answer"], strict=True))


def right(rows):
    return {row["prompt"]: row["answer"] for row in rows}


def wrong(rows, share, seed=0):
    """Return prompt -> wrong answer, for the rows that got one."""
    truth = right(rows)
    return {p: a for p, a in spoil(rows, share, seed).items() if a != truth[p]}


sizes = st.integers(1, 40)
shares = st.floats(0, 0.99)


@given(size=sizes, options=st.integers(2, 5), share=shares, seed=st.integers(0, 3))
def test_the_share_of_the_rows_gets_another_option(size, options, share, seed):
    rows = table(size, options)
    found = wrong(rows, share, seed)
    assert len(found) == round(share * size)
    assert set(found.values()) <= set(LETTERS[:options])


@given(size=sizes, low=shares, high=shares, seed=st.integers(0, 3))
def test_a_higher_share_holds_the_wrong_rows_of_a_lower_one(size, low, high, seed):
    low, high = sorted((low, high))
    rows = table(size)
    assert wrong(rows, low, seed).items() <= wrong(rows, high, seed).items()


@given(size=sizes, share=shares, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_options_makes_no_difference(size, share, order):
    rows = table(size)
    moved = [{**row, "options": sorted(row["options"])} for row in rows]
    order.shuffle(moved)
    assert spoil(rows, share) == spoil(moved, share)


def test_rows_that_are_alike_come_out_alike_in_any_order():
    rows = [*table(5), *table(5), *table(3)]
    moved = random.Random(0).sample(rows, len(rows))
    one, two = (
        add_label_noise(Dataset.from_list(them), share=0.4, generator=make_generator(1))
        for them in (rows, moved)
    )
    pairs = [sorted(zip(x["prompt"], x["answer"], strict=True)) for x in (one, two)]
    assert pairs[0] == pairs[1]


def test_only_answers_change_and_the_rows_given_stay_as_they_are():
    rows = Dataset.from_list(table(20))
    made = add_label_noise(rows, share=0.5, generator=make_generator(0))
    assert rows.to_list() == table(20)
    assert made.features == rows.features
    kept = ("prompt", "options", "where")
    assert [[row[k] for k in kept] for row in made] == [
        [row[k] for k in kept] for row in rows
    ]


def test_the_seed_decides():
    rows = table(40)
    assert wrong(rows, 0.3, seed=1) == wrong(rows, 0.3, seed=1)
    assert wrong(rows, 0.3, seed=1).keys() != wrong(rows, 0.3, seed=2).keys()


def test_the_other_options_are_drawn_evenly():
    rows = [
        {"prompt": str(i), "options": list("abcd"), "answer": "b", "where": "f:1"}
        for i in range(4000)
    ]
    found = list(wrong(rows, 0.9).values())
    counts = [found.count(letter) for letter in "acd"]
    # 1200 expected, standard deviation 28: five of them either way.
    assert all(abs(count - 1200) < 141 for count in counts)
    assert sum(counts) == 3600


def test_no_share_returns_the_rows_themselves():
    rows = Dataset.from_list(table(9))
    assert add_label_noise(rows, share=0.0, generator=make_generator(0)) is rows
    assert add_label_noise(rows, share=0.05, generator=make_generator(0)) is rows


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    rows = Dataset.from_list(table(3))
    with pytest.raises(ConfigError, match=r"label_noise: must be in \[0, 1\), got"):
        add_label_noise(rows, share=share, generator=make_generator(0))
    with pytest.raises(ValidationError, match="label_noise"):
        DataSpec.model_validate({"folders": ["x"], "label_noise": share})
    with pytest.raises(ValidationError, match="label_noise"):
        TaskSpec(name="a", source="x", kind="choice", label_noise=share)


def test_validation_and_test_rows_stay_right(load, make_rows):
    parts = {"train": make_rows(40), "test": make_rows(10, start=40)}
    more = {"validation_share": 0.25, "limits": {"train_rows": 20}}
    clean, noisy = (load(**parts, **more, label_noise=share) for share in (0, 0.5))
    for part in ("validation", "test"):
        assert getattr(clean, part).to_list() == getattr(noisy, part).to_list()
    assert clean.train["where"][:] == noisy.train["where"][:]
    pairs = zip(clean.train["answer"], noisy.train["answer"], strict=True)
    assert sum(a != b for a, b in pairs) == 10


def test_a_label_task_gets_another_of_its_labels(load):
    rows = [{"prompt": str(i), "answer": "xyz"[i % 3]} for i in range(30)]
    task = load(rows, kind="label", label_noise=0.5)
    assert task.labels == ("x", "y", "z")
    truth = [row["answer"] for row in rows]
    pairs = zip(truth, task.train["answer"], strict=True)
    assert sum(a != b for a, b in pairs) == 15
    assert set(task.train["answer"]) <= set("xyz")


def test_every_task_draws_its_own_rows_and_the_seed_of_the_run_decides(
    tmp_path, write, make_rows
):
    for name in "ab":
        write(tmp_path / name / "train.jsonl", make_rows(40))
    data = DataSpec(root=str(tmp_path), folders=[{"path": "."}], label_noise=0.3)
    answers = [
        task.train["answer"][:]
        for seed in (0, 1)
        for task in load_data(data, seed=seed)
    ]
    assert len({tuple(one) for one in answers}) == 4


def test_a_task_may_set_a_share_of_its_own(tmp_path, write, make_rows):
    rows = make_rows(20)
    tasks = []
    for name, own in (
        ("a", {}),
        ("b", {"label_noise": 0}),
        ("c", {"label_noise": 0.5}),
    ):
        write(tmp_path / name / "train.jsonl", rows)
        tasks.append({"name": name, "source": name, "kind": "choice", **own})
    data = DataSpec.model_validate(
        {"root": str(tmp_path), "tasks": tasks, "label_noise": 0.1}
    )
    wrong = [
        sum(
            a != row["answer"]
            for a, row in zip(task.train["answer"], rows, strict=True)
        )
        for task in load_data(data)
    ]
    assert wrong == [2, 0, 10]


@pytest.mark.parametrize("kind", ["text", "chat"])
def test_a_task_without_options_is_refused_with_its_name(kind):
    task = {"name": "free", "source": "x", "kind": kind}
    refused = rf"must have options .* got 'free' \({kind}\)\. Set label_noise: 0"
    with pytest.raises(ValidationError, match=refused):
        TaskSpec.model_validate({**task, "label_noise": 0.1})
    data = DataSpec.model_validate({"tasks": [task], "label_noise": 0.1})
    with pytest.raises(ConfigError, match=refused):
        list_tasks(data)
    spared = {**task, "label_noise": 0}
    data = DataSpec.model_validate({"tasks": [spared], "label_noise": 0.1})
    assert list_tasks(data)[0].label_noise == 0


def test_tasks_without_noise_say_nothing_of_it():
    """Names of finished runs are made of what differs from the defaults."""
    task = {"name": "a", "source": "x", "kind": "choice"}
    data = DataSpec.model_validate({"tasks": [task], "label_noise": 0.0})
    filled = data.model_copy(update={"tasks": tuple(list_tasks(data))})
    assert "label_noise" not in filled.model_dump_json(exclude_defaults=True)
