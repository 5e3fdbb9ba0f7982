"""Learning rates per factor."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from cotune import ALoRAConfig, MTLLoRAConfig
from cotune._errors import ConfigError
from cotune.training._learning_rates import find_factor, set_learning_rates
from helpers import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_check:FutureWarning")


def adapted(config):
    return get_peft_model(tiny_model("llama"), config)


def rates(model, ratios, **settings):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.1, **settings)
    set_learning_rates(optimizer, model, ratios)
    names = {id(p): n for n, p in model.named_parameters()}
    return optimizer, {
        find_factor(names[id(p)]): group["lr"]
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_factors_are_found_by_name_ours_and_pefts():
    assert find_factor("x.q_proj.cotune_B.default") == "B"
    assert find_factor("x.q_proj.cotune_router.default") == "router"
    assert find_factor("x.q_proj.lora_A.default.weight") == "A"
    assert find_factor("x.embed.lora_embedding_B.default") == "B"
    assert find_factor("x.q_proj.cotune_A0.default") is None
    assert find_factor("x.lora_magnitude_vector.default.weight") is None


def test_each_factor_gets_its_multiple():
    model = adapted(
        MTLLoRAConfig(r=2, tasks=["a", "b"], target_modules=["q_proj", "v_proj"])
    )
    _, found = rates(model, {"B": 16.0, "core": 0.5, "weight": 2.0})
    expected = {"A": 0.1, "B": 1.6, "core": 0.05, "weight": 0.2}
    assert found == pytest.approx(expected)


def test_routers_have_a_rate_of_their_own():
    model = adapted(ALoRAConfig(r=2, target_modules=["q_proj"]))
    assert rates(model, {"router": 3.0})[1]["router"] == pytest.approx(0.3)


def test_lora_plus_works_on_pefts_lora():
    model = adapted(LoraConfig(r=2, target_modules=["q_proj"]))
    assert rates(model, {"B": 4.0})[1] == pytest.approx({"A": 0.1, "B": 0.4})


def test_other_settings_of_a_group_stay_and_the_first_rate_is_the_recipes():
    model = adapted(LoraConfig(r=2, target_modules=["q_proj"]))
    optimizer, _ = rates(model, {"A": 2.0, "B": 4.0}, weight_decay=0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2, 0.4]
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.25}


def test_a_factor_that_is_not_trained_is_refused():
    model = adapted(LoraConfig(r=2, target_modules=["q_proj"]))
    with pytest.raises(ConfigError, match=r"got router\. It trains: A, B"):
        rates(model, {"router": 2.0})


def test_one_step_moves_each_factor_by_its_rate():
    model = adapted(LoraConfig(r=2, target_modules=["q_proj"]))
    optimizer, _ = rates(model, {"B": 8.0}, eps=1e-30, weight_decay=0.0)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    # The first step of Adam has the length of the learning rate.
    for name, parameter in model.named_parameters():
        if (factor := find_factor(name)) is not None:
            step = {"A": 0.1, "B": 0.8}[factor]
            moved = (before[name] - parameter.detach()).mean()
            assert float(moved) == pytest.approx(step, rel=1e-4)
