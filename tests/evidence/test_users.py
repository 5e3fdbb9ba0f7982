"""One task, dealt out to users that share no row."""

import json

import pytest
import yaml
from benchmarks.evidence.bench import HERE, Bench, Profile
from benchmarks.evidence.users import ROOT, USERS, deal

from cotune.recipes import load_recipe_tasks


@pytest.fixture
def task(tmp_path):
    """Return a folder with 14 training and 9 test rows."""
    folder = tmp_path / "data" / "family" / "task"
    folder.mkdir(parents=True)
    for name, count in (("train", 14), ("test", 9)):
        rows = [
            {"prompt": f"{name} {n}", "options": ["a", "b"], "answer": "a"}
            for n in range(count)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def read(path):
    return [json.loads(line)["prompt"] for line in path.read_text().splitlines()]


def test_every_row_goes_to_one_user(task, tmp_path) -> None:
    deal(task, tmp_path / "dealt", users=3)
    for name, sizes in (("train", [5, 5, 4]), ("test", [3, 3, 3])):
        files = [tmp_path / "dealt" / f"user-{n}" / f"{name}.jsonl" for n in (1, 2, 3)]
        dealt = [read(file) for file in files]
        assert [len(own) for own in dealt] == sizes
        together = [prompt for own in dealt for prompt in own]
        assert together != read(task / f"{name}.jsonl")
        assert sorted(together) == sorted(read(task / f"{name}.jsonl"))


def test_a_second_deal_is_the_same(task, tmp_path) -> None:
    deal(task, tmp_path / "one")
    deal(task, tmp_path / "other")
    for path in (tmp_path / "one").rglob("*.jsonl"):
        again = tmp_path / "other" / path.relative_to(tmp_path / "one")
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_users_of_the_setting_are_tasks_without_a_row_in_common(
    profile, tmp_path, monkeypatch
) -> None:
    path = HERE / "settings" / profile / "split.yaml"
    (folder,) = yaml.safe_load(path.read_text())["data"]["folders"]
    there = tmp_path / "data" / folder
    there.mkdir(parents=True)
    for name, count in (("train", 519), ("test", 130)):
        rows = [{"prompt": f"{name} {n}", "answer": "a"} for n in range(count)]
        text = "".join(json.dumps({**r, "options": ["a", "b"]}) + "\n" for r in rows)
        (there / f"{name}.jsonl").write_text(text)
    monkeypatch.setenv("COTUNE_DATA", str(tmp_path / "data"))
    bench = Bench(Profile(profile, (0,), (0.1,), None), tmp_path / "cache")
    tasks = load_recipe_tasks(bench.recipe("split"))
    assert [task.name for task in tasks] == [f"user-{n + 1}" for n in range(USERS)]
    assert str(tmp_path / "cache" / ROOT) == bench.recipe("split").data.root
    used = [
        prompt
        for task in tasks
        for part in (task.train, task.validation, task.test)
        if part is not None
        for prompt in part["prompt"]
    ]
    assert len(used) == len(set(used))
    assert {len(task.train) for task in tasks} == {100}
