"""An adapter of the user's config around a base."""

import pytest
from peft import LoraConfig

from cotune import CoLAConfig, CoLoRAConfig
from cotune.training import adapt
from cotune.training._adapt import name_tasks


def test_the_task_type_and_the_tasks_are_filled_in(load_kind):
    config = CoLAConfig(r=2, target_modules=["q_proj"])
    model = adapt(load_kind(), config)
    assert model.active_peft_config.task_type == "CAUSAL_LM"
    assert model.active_peft_config.tasks == ["plain", "flipped"]
    assert config.task_type is None and config.tasks == []


def test_what_the_user_set_stays(load_kind):
    config = CoLoRAConfig(
        r=2,
        tasks=["flipped", "plain"],
        target_modules=["q_proj"],
        task_type="CAUSAL_LM",
    )
    model = adapt(load_kind(names=config.tasks), config)
    assert model.active_peft_config.tasks == ["flipped", "plain"]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (None, ("a", "b")),
        (LoraConfig(), ("a", "b")),
        (CoLAConfig(), ("a", "b")),
        (CoLAConfig(tasks=["b", "c", "a"]), ("b", "c", "a")),
    ],
)
def test_the_bank_decides_the_order_if_it_lists_tasks(config, names):
    assert name_tasks(config, ["a", "b"]) == names
