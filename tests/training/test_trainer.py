"""The Trainer that knows tasks."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cotune import ALoRAConfig, MTLLoRAConfig
from cotune._errors import ConfigError
from cotune.adapters import watch_routers
from cotune.data import MixtureSpec
from cotune.training import CoTuneTrainer, TrainingSpec, adapt, build_arguments
from cotune.training._arguments import build_callbacks
from cotune.training._checkpoints import list_checkpoints
from cotune.training._learning_rates import find_factor
from training.small_runs import make_tasks

NAMES = ["plain", "flipped"]


@pytest.fixture
def make(tmp_path, load_kind, targets, quick, tasks):
    """Return a function that makes a trainer of a by-task adapter."""

    def make(
        kind="causal", config=None, *, some=None, folder="run", more=None, **training
    ):
        if config is None:
            config = ALoRAConfig(r=4, coupling="by-task", tasks=NAMES)
        config.target_modules = set(targets(kind))
        torch.manual_seed(0)
        base = load_kind(kind, some)
        model = adapt(base, config)
        args = build_arguments(quick(**training), tmp_path / folder)
        some = tasks if some is None else some
        return CoTuneTrainer(model, args, base=base, tasks=some, **(more or {}))

    return make


def trained(trainer):
    model = trainer.current_model
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


def test_batches_keep_tasks_and_follow_the_mixture(make):
    trainer = make(more={"mixture": MixtureSpec(name="uniform")}, seed=3)
    trainer.mixture.set_epoch(2)
    rows = trainer.mixture.draw_epoch(2).tolist()
    loader = trainer.get_train_dataloader()
    loader.set_epoch(2)
    batches = list(loader)
    found = torch.cat([batch["tasks"] for batch in batches]).tolist()
    assert found == [trainer.train_dataset[row]["tasks"] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["causal", "embedding", "classifier"])
def test_two_small_batches_make_the_step_of_one_large_one(make, kind):
    # Answers have different lengths, so that a mean of means would differ.
    large = make(kind, folder="large", per_device_train_batch_size=8, max_steps=3)
    small = make(
        kind,
        folder="small",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        max_steps=3,
    )
    large.train(), small.train()
    for name, parameter in trained(large).items():
        assert torch.allclose(parameter, trained(small)[name], atol=2e-5), name
    left, right = (t.state.log_history[0]["loss"] for t in (large, small))
    assert left == pytest.approx(right, rel=1e-4)


def test_learning_rates_per_factor_reach_the_optimizer(make):
    config = MTLLoRAConfig(r=2, tasks=NAMES)
    trainer = make(config=config, more={"lr_ratios": {"B": 8.0, "weight": 2.0}})
    trainer.create_optimizer_and_scheduler(num_training_steps=4)
    names = {id(p): n for n, p in trainer.current_model.named_parameters()}
    rates = {
        find_factor(names[id(p)]): group["initial_lr"]
        for group in trainer.optimizer.param_groups
        for p in group["params"]
    }
    assert rates == pytest.approx({"A": 0.01, "B": 0.08, "core": 0.01, "weight": 0.02})


def routed(balance):
    return ALoRAConfig(r=2, router_balance=balance)


@pytest.mark.slow
def test_router_statistics_are_logged_at_every_log(make):
    trainer = make(config=routed(0.0), logging_steps=2)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in logs] == [2, 4]
    for entry in logs:
        shares = [entry[f"router/plain/expert_{e}"] for e in range(3)]
        assert sum(shares) == pytest.approx(1.0, abs=1e-5)
        assert 0 < entry["router/flipped/entropy"] <= 1.0987
    assert "router/plain/entropy" not in trainer.state.log_history[-1]


@pytest.mark.slow
def test_the_balance_loss_evens_the_routers_out_with_and_without_checkpointing(make):
    def imbalance(balance, checkpointing=False):
        trainer = make(
            config=routed(balance),
            folder=f"{balance}{checkpointing}",
            max_steps=10,
            learning_rate=5e-2,
            gradient_checkpointing=checkpointing,
            more={"lr_ratios": {"A": 1e-6, "B": 1e-6}},
        )
        for name, parameter in trainer.current_model.named_parameters():
            if "cotune_router" in name:
                parameter.data *= 8
        trainer.train()
        batch = next(iter(trainer.get_train_dataloader()))
        with watch_routers(trainer.current_model) as stats, torch.no_grad():
            trainer.base.loss(trainer.current_model, batch)
            return float(stats.balance_loss()) - 1

    evened = imbalance(5.0)
    assert evened < 0.75 * imbalance(0.0)
    assert imbalance(5.0, checkpointing=True) == pytest.approx(evened, abs=1e-6)


@pytest.mark.slow
def test_the_balance_loss_is_added_once_per_step_however_it_is_cut(make):
    whole = run_first_loss(make, per_device_train_batch_size=8)
    parts = run_first_loss(
        make, per_device_train_batch_size=2, gradient_accumulation_steps=4
    )
    # The balance loss is that of each part, about 1: 10 times it, not 40 times.
    assert parts == pytest.approx(whole, abs=5.0)
    assert whole > 10


def run_first_loss(make, **training):
    folder = str(training)
    trainer = make(config=routed(10.0), max_steps=1, folder=folder, **training)
    trainer.train()
    return trainer.state.log_history[0]["loss"]


@pytest.mark.slow
def test_evaluation_scores_each_task_in_its_own_metric(make, tmp_path):
    some = [
        *make_tasks(tmp_path / "a", ["plain"], rows=12),
        *make_tasks(tmp_path / "b", ["flipped"], rows=12, kind="text", metric="loss"),
    ]
    trainer = make(some=some, eval_steps=2, max_steps=4)
    trainer.train()
    found = [log for log in trainer.state.log_history if "eval_loss" in log]
    assert [log["step"] for log in found] == [2, 4]
    names = {name for name in found[0] if name.startswith("eval_")}
    assert names == {
        "eval_plain_accuracy",
        "eval_plain_loss",
        "eval_flipped_loss",
        "eval_mean_accuracy",
        "eval_worst_accuracy",
        "eval_mean_loss",
        "eval_worst_loss",
        "eval_loss",
    }
    mean = (found[0]["eval_plain_loss"] + found[0]["eval_flipped_loss"]) / 2
    assert found[0]["eval_loss"] == pytest.approx(mean)


def test_evaluation_leaves_the_model_in_training_mode(make):
    trainer = make()
    trainer.current_model.train()
    frozen = trainer.current_model.get_submodule("base_model.model.model.norm")
    frozen.eval()
    trainer.evaluate()
    assert trainer.current_model.training and not frozen.training


def test_evaluation_without_validation_rows_is_refused_before_training(make, tmp_path):
    some = make_tasks(tmp_path / "a", rows=8, parts=("train", "test"))
    with pytest.raises(ConfigError, match="must be validation rows, got none"):
        make(some=some, eval_steps=2)


def test_evaluation_takes_no_other_rows(make):
    with pytest.raises(ConfigError, match="must be called without a data set"):
        make().evaluate([1])


def test_sharding_where_nothing_would_be_sharded_is_refused(make):
    # Some versions of transformers and accelerate notice by themselves.
    with pytest.raises((ConfigError, ValueError, RuntimeError), match=r"fsdp|no avail"):
        make(fsdp=True)


@pytest.mark.slow
def test_the_best_checkpoint_is_kept_and_loaded(make):
    # Opposite answers and a tiny rate: the mean accuracy stays, the first is the best.
    trainer = make(
        max_steps=8,
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="mean_accuracy",
        learning_rate=1e-6,
    )
    trainer.train()
    folder = Path(trainer.args.output_dir)
    assert trainer.state.best_model_checkpoint == str(folder / "checkpoint-2")
    names = [path.name for path in list_checkpoints(folder)]
    assert names == ["checkpoint-2", "checkpoint-6", "checkpoint-8"]
    state = json.loads((folder / "checkpoint-8" / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"] == str(folder / "checkpoint-2")
    best = load_file(folder / "checkpoint-2" / "adapter_model.safetensors")
    last = load_file(folder / "checkpoint-8" / "adapter_model.safetensors")
    for name, parameter in trained(trainer).items():
        assert torch.equal(parameter, best[name.replace(".default", "")])
    assert any(not torch.equal(best[name], last[name]) for name in best)


@pytest.mark.slow
def test_training_stops_early_and_stays_stopped_when_resumed(make, tmp_path):
    spec = TrainingSpec(eval_strategy="epoch", early_stopping_patience=2)

    def build():
        return make(
            max_steps=20,
            eval_steps=1,
            save_strategy="steps",
            save_steps=1,
            load_best_model_at_end=True,
            metric_for_best_model="mean_accuracy",
            learning_rate=1e-6,
            more={"callbacks": build_callbacks(spec, tmp_path)},
        )

    trainer = build()
    trainer.train()
    # The first evaluation is the best; two without a better one end the run.
    assert trainer.state.global_step == 3
    again = build()
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 3
    for name, parameter in trained(trainer).items():
        assert torch.equal(parameter, trained(again)[name]), name


@pytest.mark.slow
def test_a_run_resumed_at_its_end_trains_no_further_step(make):
    # 5 steps are no whole number of epochs: the parent would train a sixth.
    settings = {"max_steps": 5, "save_strategy": "steps", "save_steps": 5}
    trainer = make(**settings)
    trainer.train()
    again = make(**settings)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 5
    for name, parameter in trained(trainer).items():
        assert torch.equal(parameter, trained(again)[name]), name


@pytest.mark.slow
def test_checkpoints_hold_no_pickle_of_the_arguments(make, tmp_path):
    trainer = make(max_steps=2, save_strategy="steps", save_steps=2)
    trainer.train()
    folder = tmp_path / "run" / "checkpoint-2"
    assert not (folder / "training_args.bin").exists()
    assert (folder / "adapter_model.safetensors").exists()
    state = json.loads((folder / "trainer_state.json").read_text())
    assert state["global_step"] == 2
    # What torch saved can be read without running anything.
    for name in ("optimizer.pt", "scheduler.pt"):
        assert torch.load(folder / name, weights_only=True)


def test_no_checkpoint_to_resume_from_is_an_error(make):
    with pytest.raises(ConfigError, match="none is complete"):
        make().train(resume_from_checkpoint=True)
