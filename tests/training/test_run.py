"""One run: its folder, its scores, what it refuses."""

import json
import logging

import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file

from cotune import ALoRAConfig, CoLAConfig
from cotune._errors import ConfigError
from cotune.data import EncodeSpec
from cotune.training import evaluate, load_base, run_training
from training.small_runs import make_tasks

NAMES = ["plain", "flipped"]
ENCODE = EncodeSpec(max_length=40)


def by_task(targets):
    return ALoRAConfig(r=4, coupling="by-task", tasks=NAMES, target_modules=targets)


def one_for_all(targets):
    return LoraConfig(r=4, target_modules=targets)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["causal", "embedding", "classifier"])
def test_parts_per_task_learn_what_one_lora_for_all_cannot(
    tmp_path, base_spec, tasks, quick, kind
):
    # The tasks give opposite answers to the same words.
    def mean(make, name):
        result = run_training(
            base_spec(kind),
            tasks,
            make("all-linear"),
            quick(max_steps=30, per_device_train_batch_size=8),
            tmp_path / name,
            encode=ENCODE,
        )
        return result.evaluation.summaries()["accuracy"]

    own = mean(by_task, "own")
    assert own.mean > 0.9 and own.worst > 0.8
    assert mean(one_for_all, "all").mean == pytest.approx(0.5, abs=0.1)


@pytest.fixture(scope="module")
def result(root, tasks, tmp_path_factory):
    """Return one run with everything on."""
    from cotune.training import BaseSpec, TrainingSpec

    training = TrainingSpec(
        max_steps=4,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        logging_steps=1,
        report_to="tensorboard",
        disable_tqdm=True,
        use_cpu=True,
    )
    return run_training(
        BaseSpec(name=str(root / "bert"), kind="embedding"),
        tasks,
        by_task(["query", "value"]),
        training,
        tmp_path_factory.mktemp("run") / "run",
        encode=ENCODE,
        single={"plain": 0.5, "flipped": 0.5},
    )


def test_the_run_folder_has_everything(result):
    names = {path.name for path in result.folder.iterdir()}
    assert names == {
        "adapter",
        "checkpoints",
        "log_history.json",
        "metrics.json",
        "settings.json",
        "tensorboard",
    }
    assert [p.name for p in (result.folder / "tensorboard").iterdir()]
    checkpoints = {path.name for path in (result.folder / "checkpoints").iterdir()}
    assert checkpoints == {"checkpoint-2", "checkpoint-4"}
    assert not list(result.folder.rglob("training_args.bin"))


def test_what_is_returned_is_what_is_written(result):
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics == result.evaluation.as_dict()
    assert metrics["dm_percent"]["single"] is not None
    history = json.loads((result.folder / "log_history.json").read_text())
    assert [entry["step"] for entry in history if "loss" in entry] == [1, 2, 3, 4]
    assert result.steps == 4 and not result.model.training


def test_the_adapter_loads_in_plain_peft_and_scores_the_same(result, tasks):
    base = load_base(result.base.spec, tasks, encode=ENCODE)
    model = PeftModel.from_pretrained(base.model, str(result.saved)).eval()
    found = evaluate(model, tasks, base, single={"plain": 0.5, "flipped": 0.5})
    assert found == result.evaluation


@pytest.mark.slow
def test_the_configs_of_the_user_are_not_changed(tmp_path, base_spec, tasks, quick):
    config = CoLAConfig(r=2, target_modules=["query"])
    before = config.to_dict()
    result = run_training(
        base_spec("embedding"), tasks, config, quick(max_steps=1), tmp_path / "run"
    )
    assert config.to_dict() == before
    assert result.model.active_peft_config.tasks == NAMES
    assert result.model.active_peft_config.task_type == "FEATURE_EXTRACTION"


@pytest.mark.slow
def test_the_bank_may_list_the_tasks_in_another_order(
    tmp_path, base_spec, tasks, quick
):
    config = ALoRAConfig(
        r=2,
        coupling="by-task",
        tasks=["other", "flipped", "plain"],
        target_modules=["query"],
    )

    def train(steps):
        result = run_training(
            base_spec("embedding"),
            tasks[:1],
            config,
            quick(max_steps=steps),
            tmp_path / str(steps),
        )
        assert result.base.names == ("other", "flipped", "plain")
        name = "base_model.model.encoder.layer.0.attention.self.query.cotune_A"
        return load_file(result.saved / "adapter_model.safetensors")[name]

    # B starts at zero, so the first step leaves A alone.
    start, later = train(1), train(3)
    assert torch.equal(start[:2], later[:2])
    assert not torch.equal(start[2], later[2])


@pytest.mark.slow
def test_the_whole_model_can_be_trained(tmp_path, base_spec, tasks, quick):
    result = run_training(
        base_spec("embedding"), tasks, None, quick(max_steps=2), tmp_path / "run"
    )
    assert result.saved == tmp_path / "run" / "model"
    assert (result.saved / "model.safetensors").exists()
    before = load_base(base_spec("embedding"), tasks).model
    word = "embeddings.word_embeddings.weight"
    assert not torch.equal(result.model.get_parameter(word), before.get_parameter(word))
    assert all(one.base is not None for one in result.evaluation.tasks)
    assert all(one.adapter is not None for one in result.evaluation.tasks)


@pytest.mark.slow
def test_tasks_without_rows_to_score_are_trained_and_named(
    tmp_path, base_spec, quick, caplog
):
    some = make_tasks(tmp_path / "data", rows=8, parts=("train",))
    with caplog.at_level(logging.WARNING):
        result = run_training(
            base_spec("embedding"),
            some,
            one_for_all(["query"]),
            quick(max_steps=1),
            tmp_path / "run",
        )
    assert result.evaluation.tasks == ()
    assert "not scored: plain, flipped" in caplog.text


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(tmp_path, base_spec, tasks, quick):
    def run(name, seed):
        result = run_training(
            base_spec("embedding"),
            tasks,
            CoLAConfig(
                r=2,
                coupling="random",
                lora_dropout=0.2,
                target_modules=["query", "value"],
            ),
            quick(max_steps=2, seed=seed),
            tmp_path / name,
        )
        return load_file(result.saved / "adapter_model.safetensors")

    first, again, other = run("a", 5), run("b", 5), run("c", 6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
def test_bf16_and_checkpointing_train(tmp_path, base_spec, tasks, quick):
    result = run_training(
        base_spec(),
        tasks,
        by_task(["q_proj", "v_proj"]),
        quick(max_steps=2, bf16=True, gradient_checkpointing=True),
        tmp_path / "run",
        encode=ENCODE,
    )
    losses = [entry["loss"] for entry in result.log_history if "loss" in entry]
    assert len(losses) == 2 and all(0 < loss < 10 for loss in losses)


def test_a_folder_in_use_is_refused(result, tasks, quick):
    with pytest.raises(ConfigError, match="must be new or empty"):
        run_training(
            result.base.spec, tasks, one_for_all(["query"]), quick(), result.folder
        )


def test_a_bank_that_lacks_a_task_is_refused(tmp_path, base_spec, tasks, quick):
    config = ALoRAConfig(
        r=2, coupling="by-task", tasks=["plane"], target_modules=["query"]
    )
    with pytest.raises(ConfigError, match="Did you mean plane"):
        run_training(base_spec("embedding"), tasks, config, quick(), tmp_path / "run")


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path, base_spec, tasks, quick):
    with pytest.raises(ConfigError, match="must be a complete checkpoint"):
        run_training(
            base_spec("embedding"),
            tasks,
            one_for_all(["query"]),
            quick(),
            tmp_path / "run",
            resume=tmp_path / "checkpoint-5",
        )
