"""Router statistics for the log, and where the balance coefficient comes from."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from cotune import ALoRAConfig, CoLAConfig
from cotune.adapters import RouterUsage
from cotune.training._routers import find_balance, summarise_usage, watch
from helpers import tiny_batch, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_check:FutureWarning")


def adapted(config):
    return get_peft_model(tiny_model("llama"), config)


def test_only_routed_adapters_have_a_balance_coefficient():
    targets = ["q_proj"]
    routed = ALoRAConfig(r=2, target_modules=targets, router_balance=0.5)
    assert find_balance(adapted(routed)) == 0.5
    assert find_balance(adapted(CoLAConfig(r=2, target_modules=targets))) is None
    assert find_balance(adapted(LoraConfig(r=2, target_modules=targets))) is None
    assert find_balance(tiny_model("llama")) is None


def test_a_wrapped_model_is_looked_into():
    model = adapted(ALoRAConfig(r=2, target_modules=["q_proj"]))
    assert find_balance(torch.nn.Sequential(model)) == 0.0


def test_usage_is_the_mean_over_layers_per_task_and_expert():
    def usage(first, entropy):
        shares = torch.tensor([[first, 1 - first], [0.5, 0.5]])
        return RouterUsage(("a", "b"), shares, torch.tensor([entropy, 1.0]))

    found = summarise_usage({"x": usage(0.25, 0.5), "y": usage(0.75, 0.25)})
    assert found == {
        "router/a/expert_0": 0.5,
        "router/a/expert_1": 0.5,
        "router/a/entropy": 0.375,
        "router/b/expert_0": 0.5,
        "router/b/expert_1": 0.5,
        "router/b/entropy": 1.0,
    }


def test_watching_sees_all_layers_and_can_be_left_out():
    model = adapted(ALoRAConfig(r=2, target_modules=["q_proj", "v_proj"]))
    with watch(model, True) as stats:
        model(**tiny_batch("llama"))
    assert stats is not None and len(stats.usage()) == 4
    with watch(model, False) as stats:
        assert stats is None
