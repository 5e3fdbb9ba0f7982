"""The model side of ``cotune analyze``."""

import itertools

import pytest
import torch

from cotune import ConfigError, read_adapter
from cotune.cli.analyze._gradients import task_gradients
from cotune.cli.analyze._scorer import Scorer, put_factors
from cotune.recipes import open_run
from recipes.small_world import run

LAYERS = [f"model.layers.{n}.self_attn.{k}_proj" for n in range(2) for k in "qv"]


@pytest.mark.slow
def test_values_are_the_same_with_and_without_kept_activations(trained):
    kept, plain = (Scorer(open_run(trained), cache_bytes=size) for size in (2**30, 0))
    for off in itertools.chain.from_iterable(
        itertools.combinations(LAYERS, count) for count in range(5)
    ):
        assert kept.value(off, "loss") == plain.value(off, "loss")
    assert kept._activations.skipped > 0
    assert plain._activations.skipped == 0


def test_layers_off_are_the_base_model_and_come_back(trained):
    scorer = Scorer(open_run(trained))
    before = scorer.measure()
    off = scorer.value(LAYERS, "loss")
    with scorer.model.disable_adapter():
        assert off == pytest.approx(-scorer.measure()[1], abs=1e-6)
    assert scorer.measure() == before


@pytest.mark.slow
def test_factors_of_another_run_make_its_model(world, trained):
    other = world / "other"
    change = ("--set", "training.seed=3", "--set", f"output_dir={other}")
    run("train", world / "recipe.yaml", *change)
    mine, theirs = open_run(trained), open_run(other)
    put_factors(mine.model, read_adapter(other / "adapter"))
    found, wanted = mine.model.state_dict(), theirs.model.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_groups_are_those_of_the_schedules(trained):
    scorer = Scorer(open_run(trained))
    assert list(scorer.groups("block")) == ["model.layers.0", "model.layers.1"]
    assert list(scorer.groups("module")) == LAYERS


@pytest.mark.slow
def test_the_fingerprint_knows_adapter_rows_and_settings(world, trained):
    def mark(*overrides, **options):
        opened = open_run(trained, overrides)
        return Scorer(opened, **options).fingerprint([trained / "adapter"])

    assert mark() == mark()
    others = [mark(rows=2), mark(tasks=["left"]), mark("evaluation.batch_size=3")]
    assert len({mark(), *others}) == 4


def test_gradients_are_those_of_the_mean_loss_over_all_rows(trained):
    opened = open_run(trained)
    options = {"factor": "B", "rows": 10}
    whole = task_gradients(
        opened.model, opened.base, opened.tasks, batch_size=10, **options
    )
    parts = task_gradients(
        opened.model, opened.base, opened.tasks, batch_size=4, **options
    )
    for task in ("left", "right"):
        for layer in LAYERS:
            assert whole[task][layer].shape[2] == 2
            torch.testing.assert_close(whole[task][layer], parts[task][layer])


def test_a_gradient_says_how_the_loss_changes(trained):
    opened = open_run(trained)
    task, base, model = opened.tasks[0], opened.base, opened.model
    model.double()
    grad = task_gradients(model, base, [task], factor="A", rows=6, batch_size=6)
    bank = model.get_submodule(f"base_model.model.{LAYERS[0]}").cotune_A["default"]
    encoded = base.encode(task)
    batch = base.collate([encoded[n] for n in range(6)])
    own = grad[task.name][LAYERS[0]]
    losses = []
    for step in (0.05, -0.05):
        with torch.no_grad():
            bank += step * own / own.norm()
            losses.append(float(base.loss(model, batch)))
            bank -= step * own / own.norm()
    slope = (losses[0] - losses[1]) / 0.1
    assert float(own.norm()) == pytest.approx(slope, rel=1e-2)


def test_tasks_of_several_metrics_are_refused(trained):
    opened = open_run(trained)
    left, right = opened.tasks
    spec = right.spec.model_copy(update={"metric": "exact_match"})
    object.__setattr__(right, "spec", spec)
    with pytest.raises(ConfigError, match="must have one metric"):
        Scorer(opened)
    assert Scorer(opened, tasks=[left.name]).metric == "accuracy"
