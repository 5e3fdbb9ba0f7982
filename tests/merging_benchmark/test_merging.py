"""The runner of ``benchmarks/merging``, on a tiny model."""

from __future__ import annotations

from statistics import fmean
from types import SimpleNamespace

import pytest
import yaml
from benchmarks.merging._judge import Judge
from benchmarks.merging._measure import measure, merge_trials
from benchmarks.merging._summary import (
    compare_arms,
    mean_connectivity,
    mean_merging,
    mean_pruning,
    tabulate,
)
from benchmarks.merging._train import ARMS, read_question, train

from cotune.operators.merge import MERGE
from cotune.recipes import open_run
from cotune.training import score_tasks
from recipes.small_world import recipe_values, write_world


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return everything of one whole run."""
    folder = tmp_path_factory.mktemp("merging")
    write_world(folder)
    recipe = recipe_values(folder) | {"separate": True}
    recipe["adapter"]["method"] = "lora"
    content = {
        "learning_rates": [0.01, 0.03],
        "seeds": [0, 1],
        "merged_seeds": [0],
        "pilot_tasks": None,
        "most_rows": 100,
        "recipe": recipe,
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(content))
    question = read_question(folder / "small.yaml", folder / "work")
    said: list[str] = []
    trained = train(question, said.append)
    judge = Judge(question.recipe, trained.tasks, question.most_rows)
    arms = {arm: measure(arm, question, trained, judge, said.append) for arm in ARMS}
    return SimpleNamespace(
        question=question, trained=trained, judge=judge, arms=arms, folder=folder
    )


@pytest.mark.slow
def test_the_judge_scores_as_training_does_and_leaves_the_base_alone(found):
    before = {n: p.clone() for n, p in found.judge.base.model.named_parameters()}
    rate = found.trained.rates["LoRA"]
    for seed in (0, 1):
        for task in found.trained.tasks:
            place = found.folder / "work" / f"lora-lr{rate:g}-seed{seed}" / task.name
            opened = open_run(place)
            own = score_tasks(
                opened.model, opened.base, opened.tasks, {task.name: "test"}
            )
            adapter = found.trained.adapters["LoRA", task.name, seed]
            assert found.judge.accuracy(task.name, adapter) == own[task.name]
    after = dict(found.judge.base.model.named_parameters())
    assert all((after[name] == before[name]).all() for name in before)


@pytest.mark.slow
def test_the_table_has_every_row_for_both_arms(found):
    arms = {arm: tabulate(one) for arm, one in found.arms.items()}
    table = compare_arms(arms)
    names = [row["row"] for row in table]
    assert names[:3] == ["single", "two seeds, 1:1", "two seeds, 1:2"]
    assert {"pruned: every_other first=0", "pruned: magnitude sparsity=0.5"} <= {*names}
    for operator in (*MERGE, "ensemble", "base model"):
        assert f"2 tasks: {operator}" in names
    assert len(names) == 3 + 5 + 2 + len(merge_trials(2))
    single = table[0]
    scores = [one.whole for one in found.arms["CoTo"].pruned.values()]
    assert single["CoTo"] == pytest.approx(fmean(scores))
    assert single["CoTo - LoRA"] == pytest.approx(single["CoTo"] - single["LoRA"])


@pytest.mark.slow
def test_what_the_report_gets_are_means_of_what_was_measured(found):
    measured = found.arms["LoRA"]
    pruned = list(measured.pruned.values())
    assert mean_pruning(measured).whole == pytest.approx(fmean(p.whole for p in pruned))
    assert mean_merging(measured).means() == measured.merged[0].means()
    halves = [line.lines[0].half for line in measured.lines.values()]
    assert mean_connectivity(measured).lines[0].half == pytest.approx(fmean(halves))


@pytest.mark.slow
def test_a_second_call_trains_and_scores_nothing_again(found, monkeypatch):
    def never(*_, **__):
        raise AssertionError("again")

    monkeypatch.setattr("cotune.recipes._cells.run_recipe", never)
    trained = train(found.question, lambda _: None)
    judge = Judge(found.question.recipe, trained.tasks, 100)
    monkeypatch.setattr(judge, "accuracy", never)
    for arm in ARMS:
        again = measure(arm, found.question, trained, judge, lambda _: None)
        assert again == found.arms[arm]


def test_the_interval_is_students_over_the_tasks():
    # Gaps 1, 2, 3: mean 2, deviation 1, t(.975; 2) = 4.303.
    scores = {"LoRA": [0.0, 0.0, 0.0], "CoTo": [1.0, 2.0, 3.0]}
    arms = {
        arm: {"single": dict(zip("abc", values, strict=True))}
        for arm, values in scores.items()
    }
    (row,) = compare_arms(arms)
    half = 4.3027 / 3**0.5
    assert (row["low"], row["high"]) == pytest.approx((2 - half, 2 + half), abs=1e-4)
