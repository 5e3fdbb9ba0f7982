from cotune.operators.merge._plain_config import plain_config


def test_the_config_says_scale_one_with_patterns_for_other_ranks(draw):
    layers = {"a": draw(0, rank=3), "b": draw(1, rank=1), "c": draw(2, rank=3)}
    config = plain_config([{}], layers)
    assert config["peft_type"] == "LORA"
    assert config["r"] == config["lora_alpha"] == 3
    assert config["rank_pattern"] == config["alpha_pattern"] == {"b": 1}
    assert config["rank_pattern"] is not config["alpha_pattern"]
    assert config["target_modules"] == ["a", "b", "c"]
    assert not config["use_rslora"]


def test_what_is_said_about_the_base_model_is_carried_and_the_rest_is_not(draw):
    configs = [
        {"task_type": None, "use_dora": False, "modules_to_save": None, "loftq": 1},
        {"task_type": "CAUSAL_LM", "fan_in_fan_out": True, "modules_to_save": ["x"]},
        {"task_type": "SEQ_CLS", "modules_to_save": ["y", "x"]},
    ]
    config = plain_config(configs, {"a": draw(0)})
    assert config["task_type"] == "CAUSAL_LM"
    assert config["fan_in_fan_out"] is True
    assert config["modules_to_save"] == ["x", "y"]
    assert "loftq" not in config
    assert plain_config([{}], {"a": draw(0)})["modules_to_save"] is None
