"""The commands of ``cotune analyze``, on runs of a tiny model."""

import json
from pathlib import Path

import pytest
import torch

from cotune import read_adapter
from cotune.adapters import CoTuneConfig
from cotune.analysis import conflict, sharing, similarity
from cotune.cli.analyze import _gradients, _scorer
from cotune.cli.analyze._gradients import task_gradients
from cotune.cli.analyze._sharing import gradients_on_both, put_at_zero
from cotune.recipes import load_recipe_tasks, open_base, open_run, read_recipe
from cotune.training import adapt, choose_parts, score_task
from recipes.small_world import call, run

pytestmark = pytest.mark.slow


def train(world, name, *changes) -> Path:
    folder = world / name
    options = [word for change in changes for word in ("--set", change)]
    run("train", world / "recipe.yaml", "--set", f"output_dir={folder}", *options)
    return folder


@pytest.fixture(scope="session")  # as its folder: tests of other files may come between
def pair(world) -> list[Path]:
    """Return two runs of LoRA with different seeds, trained for a while."""
    changes = ("adapter.method=lora", "training.max_steps=12")
    return [train(world, f"seed{n}", *changes, f"training.seed={n}") for n in range(2)]


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def lines(folder: Path) -> list[str]:
    (path,) = folder.glob("analysis/*.jsonl")
    return path.read_text().splitlines()


def measured(folder: Path, *, adapter=True) -> tuple[float, float]:
    """Score a run without the code under test: mean accuracy and mean loss."""
    opened = open_run(folder)
    parts = choose_parts(opened.tasks)

    def scores():
        return [
            score_task(opened.model, opened.base, task, parts[task.name])
            for task in opened.tasks
        ]

    if adapter:
        found = scores()
    else:
        with opened.model.disable_adapter():
            found = scores()
    return tuple(sum(column) / len(found) for column in zip(*found, strict=True))


def test_similarity_prints_and_writes_the_numbers_of_the_library(pair, tmp_path):
    text = run(
        *("analyze", "similarity", *pair, "--factor", "B"),
        *("--out", tmp_path / "s.json", "--plot", tmp_path / "s.png"),
    )
    own = similarity(
        {path.name: read_adapter(path / "adapter") for path in pair}, factor="B"
    )
    assert read(tmp_path / "s.json") == own.to_dict()
    assert "random_level: 0.125" in text and "over all layers" in text
    assert (tmp_path / "s.png").stat().st_size > 1000


def test_contributions_add_up_to_what_the_adapters_gained(pair):
    text = run("analyze", "contribution", pair[0])
    found = read(pair[0] / "analysis" / "contribution.json")
    players = [row["player"] for row in found["rows"]]
    assert players == ["model.layers.0", "model.layers.1"]
    gain = measured(pair[0], adapter=False)[1] - measured(pair[0])[1]
    assert abs(gain) > 1e-3
    assert found["summary"]["gain"] == pytest.approx(gain, abs=1e-6)
    assert sum(row["phi"] for row in found["rows"]) == pytest.approx(gain, abs=1e-6)
    assert "method: exact" in text


def test_a_second_call_evaluates_nothing_again(pair, monkeypatch):
    run("analyze", "contribution", pair[0])
    first = read(pair[0] / "analysis" / "contribution.json")

    def never(self):
        raise AssertionError("evaluated again")

    monkeypatch.setattr(_scorer.Scorer, "measure", never)
    run("analyze", "contribution", pair[0])
    assert read(pair[0] / "analysis" / "contribution.json") == first


@pytest.mark.slow
def test_an_interrupted_call_goes_on_where_it_stopped(pair, tmp_path, monkeypatch):
    measure = _scorer.Scorer.measure
    done = []

    def stop_after_five(self):
        if len(done) == 5:
            done.append(None)
            raise KeyboardInterrupt
        done.append(None)
        return measure(self)

    monkeypatch.setattr(_scorer.Scorer, "measure", stop_after_five)
    command = ("analyze", "contribution", pair[0], "--by", "module", "--rows", "3")
    out = ("--out", tmp_path / "c.json")
    stopped = call(*command, *out)
    assert stopped.exit_code == 130
    assert "Stopped with 5 evaluations" in stopped.stderr
    assert not (tmp_path / "c.json").exists()
    resumed = call(*command, *out)
    assert "5 finished evaluations" in resumed.stderr
    # Four layers: 16 sets, and one call that was stopped.
    assert len(done) == 16 + 1
    monkeypatch.undo()
    run(*command, "--out", tmp_path / "whole" / "c.json")
    assert read(tmp_path / "c.json") == read(tmp_path / "whole" / "c.json")


def test_other_rows_begin_a_file_of_their_own(pair, tmp_path):
    for rows in ("2", "3"):
        run(
            *("analyze", "stability", pair[0], "--rows", rows),
            *("--out", tmp_path / "s.json"),
        )
    assert len(list(tmp_path.glob("s.*.jsonl"))) == 2


def test_stability_ends_at_the_base_model_and_at_the_run(pair):
    run("analyze", "stability", pair[1], "--draws", "4")
    psi = read(pair[1] / "analysis" / "stability.json")["summary"]["psi"]
    assert psi["0"] == pytest.approx(measured(pair[1], adapter=False)[0])
    assert psi["1"] == pytest.approx(measured(pair[1])[0])
    assert len(lines(pair[1])) == 1 + 4


def test_connectivity_ends_at_the_two_runs(pair, tmp_path):
    run(
        *("analyze", "connectivity", *pair, "--grid", "3"),
        *("--out", tmp_path / "c.json"),
    )
    rows = read(tmp_path / "c.json")["rows"]
    for place, row in ((0, rows[0]), (1, rows[2])):
        score, loss = measured(pair[place])
        assert row[f"weight {pair[place].name}"] == 1
        assert row["score"] == pytest.approx(score)
        assert row["loss"] == pytest.approx(loss, abs=1e-6)


def test_the_fusion_gap_of_two_runs_is_smaller_after_align(pair, tmp_path):
    run("analyze", "fusion-gap", *pair, "--out", tmp_path / "g.json")
    summary = read(tmp_path / "g.json")["summary"]
    assert 0 < summary["after"] < summary["before"]


def test_change_compares_two_states_of_a_factor(pair, tmp_path):
    run("analyze", "change", *pair, "--factor", "B", "--out", tmp_path / "c.json")
    found = read(tmp_path / "c.json")
    assert {row["factor"] for row in found["rows"]} == {"B"}
    assert found["summary"]["reference"] == str(pair[0])


def test_conflict_is_that_of_the_gradients_on_the_shared_factor(trained, tmp_path):
    run("analyze", "conflict", trained, "--rows", "8", "--out", tmp_path / "c.json")
    found = read(tmp_path / "c.json")["summary"]
    opened = open_run(trained)
    own = conflict(
        task_gradients(
            opened.model, opened.base, opened.tasks, factor="B", rows=8, batch_size=8
        )
    )
    assert found["norms"] == pytest.approx(own.summary()["norms"], rel=1e-4)
    assert found["matrix"][0] == pytest.approx(own.matrix()[0], abs=1e-4)


def test_conflict_refuses_a_factor_that_is_not_shared(routed):
    result = call("analyze", "conflict", routed, "--factor", "A")
    assert result.exit_code == 2
    assert "must be a factor that the tasks share" in result.stderr


def test_affinity_of_a_recipe_compares_gradients_without_training(world, tmp_path):
    text = run(
        *("analyze", "affinity", world / "recipe.yaml", "--rows", "8"),
        *("--out", tmp_path / "a.json"),
    )
    found = read(tmp_path / "a.json")["summary"]
    assert found["source"] == "gradients"
    assert found["tasks"] == ["left", "right"]
    # A tiny model: a seed for the start gives the same numbers to all digits.
    again = ("--out", tmp_path / "again.json")
    run("analyze", "affinity", world / "recipe.yaml", "--rows", "8", *again)
    assert read(tmp_path / "again.json")["summary"] == found
    assert -1 < found["matrix"][0][1] < 1
    assert "miss at least" in text


@pytest.mark.slow
def test_affinity_of_a_run_with_one_adapter_per_task_compares_updates(world, tmp_path):
    folder = train(world, "apart", "separate=true", "adapter.method=lora")
    run(
        *("analyze", "affinity", folder, "--groups", "2"),
        *("--out", tmp_path / "a.json"),
    )
    found = read(tmp_path / "a.json")["summary"]
    assert found["source"] == "updates"
    assert [group["tasks"] for group in found["groups"]] == [["left"], ["right"]]


def test_sharing_of_a_recipe_compares_gradients_on_both_factors(world, tmp_path):
    text = run(
        *("analyze", "sharing", world / "recipe.yaml", "--rows", "8"),
        *("--out", tmp_path / "s.json"),
    )
    found = read(tmp_path / "s.json")["summary"]
    assert found["source"] == "gradients"
    assert found["tasks"] == ["left", "right"]
    assert 0 < found["missed_A"] < 1 and 0 < found["missed_B"] < 1
    assert "a shared A misses at least" in " ".join(text.split())
    again = ("--out", tmp_path / "again.json")
    run("analyze", "sharing", world / "recipe.yaml", "--rows", "8", *again)
    assert read(tmp_path / "again.json")["summary"] == found


def test_with_either_factor_at_zero_the_model_is_its_base_and_has_gradients(world):
    recipe = read_recipe(world / "recipe.yaml")
    tasks = load_recipe_tasks(recipe)
    opened = open_base(recipe, tasks)
    batch = opened.base.collate([opened.base.encode(tasks[0])[0]])
    expected = float(opened.base.loss(opened.base.model, batch, 1).detach())
    model = adapt(opened.base, CoTuneConfig(method="lora", r=2)).eval()
    for factor in ("A", "B"):
        put_at_zero(model, factor, torch.Generator().manual_seed(0))
        loss = float(opened.base.loss(model, batch, 1).detach())
        assert loss == pytest.approx(expected, rel=1e-6)
    dice = torch.Generator().manual_seed(0)
    on_A, on_B = gradients_on_both(recipe, 4, None, dice)
    for task, layers in on_A.items():
        for layer, gradient in layers.items():
            # Rank of the recipe on the one side, a width of the layer on the other.
            assert gradient.shape[0] == on_B[task][layer].shape[1]
            assert float(gradient.norm()) > 0 and float(on_B[task][layer].norm()) > 0


@pytest.mark.slow
def test_sharing_of_adapters_compares_updates_and_says_when_not_to(world, tmp_path):
    folder = train(world, "to-share", "separate=true", "adapter.method=lora")
    text = run("analyze", "sharing", folder, "--out", tmp_path / "s.json")
    adapters = {t: read_adapter(folder / t / "adapter") for t in ("left", "right")}
    own = sharing(adapters, generator=torch.Generator().manual_seed(0))
    assert read(tmp_path / "s.json") == own.to_dict()
    assert "then compare gradients" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("contribution", "--metric", "los"), "Did you mean loss"),
        (("stability", "--by", "blocks"), "Did you mean block"),
        (("contribution", "--task", "lefft"), "Did you mean left"),
        (("contribution", "--method", "exakt"), "Did you mean exact"),
    ],
)
def test_mistakes_end_with_a_message_that_helps(pair, words, message):
    name, *options = words
    result = call("analyze", name, pair[0], *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = call("analyze", "stability", tmp_path)
    assert result.exit_code == 2
    assert "must be the folder of a finished run" in result.stderr


def test_pruning_starts_at_the_run_and_ends_at_the_base_model(pair):
    run("analyze", "pruning", pair[0])
    found = read(pair[0] / "analysis" / "pruning.json")
    assert found["summary"]["whole"] == pytest.approx(measured(pair[0])[0])
    base = measured(pair[0], adapter=False)[0]
    assert found["summary"]["base"] == pytest.approx(base)
    operators = {row["operator"] for row in found["rows"]}
    assert {"whole", "every_other", "magnitude"} <= operators


def test_pruning_takes_the_operators_that_are_named_and_goes_on(pair, tmp_path):
    out = ("--out", tmp_path / "p.json")
    run("analyze", "pruning", pair[0], "-o", "every_other", *out)
    rows = read(tmp_path / "p.json")["rows"]
    assert [row["operator"] for row in rows] == ["whole", "every_other", "every_other"]
    assert [row["kept"] for row in rows] == [1, 0.5, 0.5]
    again = call("analyze", "pruning", pair[0], "-o", "every_other", *out)
    assert "4 finished evaluations" in again.stderr
    wrong = call("analyze", "pruning", pair[0], "-o", "by_contribution", *out)
    assert wrong.exit_code == 2
    assert "must fit this adapter" in wrong.stderr


@pytest.mark.slow
def test_merging_scores_the_tasks_of_separate_runs(world, tmp_path):
    folder = train(world, "to-merge", "separate=true", "adapter.method=lora")
    run("analyze", "merging", folder, "-o", "mix", "-o", "ties", "--weight", "1.0")
    found = read(folder / "analysis" / "merging.json")
    means = found["summary"]["means"]
    assert list(means) == ["own adapter", "base model", "mix", "ties"]
    own = {r["task"]: r["score"] for r in found["rows"] if r["operator"] != "mix"}
    assert set(own) == {"left", "right"}
    scores = [measured(folder / task)[0] for task in ("left", "right")]
    assert means["own adapter"] == pytest.approx(sum(scores) / 2)


def test_merging_refuses_runs_that_share_a_task(pair):
    result = call("analyze", "merging", *pair)
    assert result.exit_code == 2
    assert "every task must come once" in result.stderr


@pytest.mark.parametrize("command", ["conflict", "affinity"])
def test_interrupted_gradients_go_on_task_by_task(
    command, world, trained, tmp_path, monkeypatch
):
    whole = _gradients._sum_gradients
    done = []

    def stop_at_the_second(model, base, task, *rest):
        done.append(task.name)
        if len(done) == 2:
            raise KeyboardInterrupt
        return whole(model, base, task, *rest)

    monkeypatch.setattr(_gradients, "_sum_gradients", stop_at_the_second)
    about = trained if command == "conflict" else world / "recipe.yaml"
    out = ("--rows", "4", "--out", tmp_path / "c.json")
    stopped = call("analyze", command, about, *out)
    assert stopped.exit_code == 130
    assert "1 finished tasks" in stopped.stderr
    assert not (tmp_path / "c.json").exists()
    run("analyze", command, about, *out)
    assert done == ["left", "right", "right"]
    kept = read(tmp_path / "c.json")
    monkeypatch.undo()
    run("analyze", command, about, "--rows", "4", "--out", tmp_path / "new" / "c.json")
    assert read(tmp_path / "new" / "c.json") == kept
