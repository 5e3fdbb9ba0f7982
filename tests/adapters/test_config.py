"""The config: presets, defaults from the table, and every fault in one message."""

from __future__ import annotations

import copy
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, PeftConfig
from peft.utils import PeftType

import cotune
from cotune import CoTuneConfig
from cotune._errors import ConfigError
from cotune.adapters import (
    METHODS,
    ALoRAConfig,
    CoLAConfig,
    CoLoRAConfig,
    DualConfig,
    HydraLoRAConfig,
    MoELoRAConfig,
    MTLLoRAConfig,
    find_method,
)

PRESETS = {
    "cola": CoLAConfig,
    "alora": ALoRAConfig,
    "hydralora": HydraLoRAConfig,
    "moelora": MoELoRAConfig,
    "colora": CoLoRAConfig,
    "dual": DualConfig,
    "mtl": MTLLoRAConfig,
}
TASKS = ["art", "bio"]


@pytest.mark.parametrize("method", PRESETS)
def test_a_preset_sets_the_method_and_nothing_else(method: str) -> None:
    preset = PRESETS[method](tasks=TASKS)
    general = CoTuneConfig(method=method, tasks=TASKS)
    assert preset.to_dict() == general.to_dict()
    assert isinstance(preset, CoTuneConfig)
    assert getattr(cotune, PRESETS[method].__name__) is PRESETS[method]


def test_every_method_has_a_preset_but_lora_which_is_the_default() -> None:
    assert set(PRESETS) == set(METHODS) - {"lora"}
    assert CoTuneConfig().method == "lora"


@pytest.mark.parametrize("method", METHODS)
def test_the_table_fills_what_is_left_open(method: str) -> None:
    line = METHODS[method]
    config = CoTuneConfig(method=method, tasks=TASKS)
    got = (config.num_A, config.num_B, config.coupling, config.core, config.start)
    assert got == (line.num_A, line.num_B, line.coupling, line.core, line.start)
    assert config.peft_type == PeftType.COTUNE == "COTUNE"  # pyright: ignore


def test_what_the_user_says_goes_before_the_table() -> None:
    config = CoLAConfig(num_A=4, num_B=10, coupling="learned", start="pissa-split")
    assert (config.num_A, config.num_B) == (4, 10)
    assert (config.coupling, config.start) == ("learned", "pissa-split")


def test_another_coupling_brings_its_own_sizes() -> None:
    config = ALoRAConfig(coupling="by-task", tasks=TASKS)
    assert (config.num_A, config.num_B) == ("tasks", 1)
    config = CoTuneConfig(coupling="task-weights", tasks=TASKS)
    assert (config.num_A, config.num_B) == (1, 3)


def test_names_and_defaults_of_peft_are_kept() -> None:
    theirs = {field.name: field for field in fields(LoraConfig)}
    ours = {field.name for field in fields(CoTuneConfig)}
    kept = {
        "r",
        "lora_alpha",
        "lora_dropout",
        "use_rslora",
        "target_modules",
        "exclude_modules",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "layers_to_transform",
        "layers_pattern",
        "bias",
        "task_type",
        "inference_mode",
    }
    assert kept <= ours and kept <= set(theirs)


def test_every_field_has_a_help_text_and_a_line_in_the_docstring() -> None:
    inherited = {field.name for field in fields(PeftConfig)}
    doc = inspect.cleandoc(str(CoTuneConfig.__doc__))  # Python 3.13 does it itself.
    for field in fields(CoTuneConfig):
        if field.name not in inherited:
            assert field.metadata["help"], field.name
            assert f"    {field.name}: " in doc, field.name


def test_lists_of_layers_become_sets_and_nothing_of_the_caller_is_kept() -> None:
    tasks, ranks = ["art"], {"q": 2}
    config = CoTuneConfig(
        target_modules=["q", "v"],
        exclude_modules=["k"],
        tasks=tasks,
        rank_pattern=ranks,
    )
    assert config.target_modules == {"q", "v"} and config.exclude_modules == {"k"}
    tasks.append("bio")
    ranks["v"] = 3
    assert config.tasks == ["art"] and config.rank_pattern == {"q": 2}


def test_the_scale_is_that_of_lora() -> None:
    assert CoTuneConfig().scale(8, 16) == 2.0
    assert CoTuneConfig(use_rslora=True).scale(16, 8) == 2.0


def test_a_config_survives_copying_and_its_file(tmp_path: Path) -> None:
    config = DualConfig(tasks=TASKS, default_task="bio", layers_to_transform=0)
    assert copy.deepcopy(config) == config
    config.target_modules = ["q"]
    config.save_pretrained(str(tmp_path))
    again = CoTuneConfig.from_pretrained(str(tmp_path))
    assert again.layers_to_transform == 0 and again.default_task == "bio"
    assert again.num_A == "tasks" and again.method == "dual"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"r": 0}, "r: must be a whole number >= 1, got 0"),
    ({"r": True}, "r: must be a whole number >= 1, got True"),
    ({"num_A": 0}, "num_A: must be a whole number >= 1, got 0"),
    ({"num_B": -1}, "num_B: must be a whole number >= 1, got -1"),
    ({"num_B": "many"}, "num_B: must be a whole number >= 1, got 'many'"),
    ({"lora_alpha": 0}, "lora_alpha: must be > 0, got 0"),
    ({"lora_alpha": float("nan")}, "lora_alpha: must be > 0, got nan"),
    ({"lora_alpha": float("inf")}, "lora_alpha: must be > 0, got inf"),
    ({"lora_dropout": 1.0}, r"lora_dropout: must be in \[0, 1\), got 1.0"),
    ({"lora_dropout": -0.1}, r"lora_dropout: must be in \[0, 1\), got -0.1"),
    ({"router_balance": -1.0}, "router_balance: must be >= 0, got -1.0"),
    ({"start_svd_iterations": -1}, "iterations: must be a whole number >= 0, got -1"),
    ({"rank_pattern": {"q": 0}}, r"rank_pattern\['q'\]: must be >= 1, got 0"),
    ({"alpha_pattern": {"q": 0}}, r"alpha_pattern\['q'\]: must be > 0, got 0"),
    ({"method": "hydra"}, "Unknown method 'hydra'. Did you mean hydralora"),
    (
        {"coupling": "heuristic"},
        "Unknown coupling 'heuristic'. Did you mean heur",
    ),
    ({"core": "diagonal"}, "Unknown core 'diagonal'. Did you mean diag"),
    ({"start": "pisa"}, "Unknown start 'pisa'. Did you mean pissa"),
    ({"start_svd": "slow"}, "Unknown start_svd 'slow'"),
    ({"fast": "of"}, "Unknown fast 'of'. Did you mean off"),
    ({"bias": "all"}, "bias: must be 'none', got 'all'. Biases are not trained"),
    ({"method": "colora"}, "has parts per task, got no names. Pass tasks="),
    ({"num_A": "tasks", "coupling": "by-task"}, "has parts per task, got no names"),
    ({"tasks": ["a", "b", "a"]}, "tasks: names must differ, got a more than once"),
    ({"tasks": [""]}, "tasks: must be non-empty names"),
    ({"tasks": ["art"], "default_task": "at"}, "Unknown task 'at'. Did you mean art"),
    ({"default_task": "art"}, "Unknown task 'art'. Known: none"),
    ({"method": "moelora", "num_A": 2}, "num_A = num_B, got num_A=2, num_B=3"),
]


@pytest.mark.parametrize(("given", "message"), FAULTS, ids=lambda v: str(v)[:40])
def test_a_wrong_field_is_named_with_its_value(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        CoTuneConfig(**given)
    assert str(caught.value).startswith("CoTuneConfig: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lora_alpha", "16", "lora_alpha: must be > 0, got '16'"),
        ("lora_dropout", "0.1", r"lora_dropout: must be in \[0, 1\), got '0.1'"),
        ("router_balance", None, "router_balance: must be >= 0, got None"),
        ("start_svd_iterations", 1.5, "must be a whole number >= 0, got 1.5"),
        ("alpha_pattern", {"q": "x"}, r"alpha_pattern\['q'\]: must be > 0, got 'x'"),
        ("tasks", "art", r"tasks: must be a list of names, got 'art'. Write \['art'\]"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_fault_like_any_other(
    name: str, value: object, message: str
) -> None:
    config = CoTuneConfig()
    # Not through the constructor: the type checker of the tests would be first.
    setattr(config, name, value)
    with pytest.raises(ConfigError, match=message):
        config.__post_init__()


def test_faults_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        CoTuneConfig(r=0, lora_dropout=2.0, lora_alpha=-1, coupling="ful")
    text = str(caught.value)
    for name in ("r:", "lora_dropout:", "lora_alpha:", "coupling:"):
        assert name in text


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="rank"):
        CoTuneConfig(rank=8)  # pyright: ignore


def test_an_unknown_method_gets_the_nearest_names() -> None:
    with pytest.raises(ConfigError, match="Did you mean colora"):
        find_method("colra")
