"""Check M7: what is saved is the adapter, all of it, once; and it comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    AutoPeftModel,
    AutoPeftModelForCausalLM,
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from torch import Tensor, nn

from adapters.models import PER_TASK, TASKS, adapted, config_of, grid, methods
from cotune import CoTuneConfig, export_lora, read_adapter
from cotune.adapters import CollaborativeLayer
from helpers import (
    FAMILIES,
    TASK_TYPES,
    factors_of,
    fill_factors,
    folder_bytes,
    logits,
    run_python,
    tiny_batch,
    tiny_model,
)

STATIC = [m for m in methods() if m not in ("alora", "hydralora", "moelora")]
COPIES = [("cola", "pissa"), ("cola", "pissa-split"), ("dual", "pissa-split")]


def error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def tasks_for(method: str) -> dict[str, Any]:
    return {"tasks": ["law", "art", "law", "bio"]} if method in PER_TASK else {}


# -- what is in the file ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "start"), [*((m, None) for m in methods()), *COPIES]
)
def test_a_checkpoint_is_its_parameters_once_and_the_copies_of_the_start(
    method: str, start: str | None, tmp_path: Path
) -> None:
    model = adapted(method, start=start)
    model.save_pretrained(str(tmp_path))
    everything = [p for _, p in factors_of(model)]
    assert folder_bytes(tmp_path) == sum(4 * p.numel() for p in everything)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    copies = sum(p.numel() for n, p in factors_of(model) if n[-10:-8] in ("A0", "B0"))
    assert folder_bytes(tmp_path) == 4 * (trained + copies)
    assert (copies > 0) == (method == "cola" or start is not None)
    header = 2000 + 300 * len(everything)
    file = tmp_path / "adapter_model.safetensors"
    assert file.stat().st_size <= folder_bytes(tmp_path) + header


def test_equal_copies_of_a_start_are_written_once_not_once_per_factor(
    tmp_path: Path,
) -> None:
    adapted("cola", num_A=2, num_B=3, start="pissa").save_pretrained(str(tmp_path))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    for name, value in tensors.items():
        factors = {"A": 2, "B": 3, "A0": 1, "B0": 1}[name.rpartition("cotune_")[2]]
        assert len(value) == factors, name


@pytest.mark.parametrize("method", methods())
def test_names_in_the_file_hold_our_prefix_and_no_adapter_name(
    method: str, tmp_path: Path
) -> None:
    adapted(method).save_pretrained(str(tmp_path))
    for name in load_file(tmp_path / "adapter_model.safetensors"):
        assert ".cotune_" in name and "lora_" not in name and "default" not in name


def test_the_card_says_which_import_is_missing(tmp_path: Path) -> None:
    model = adapted("cola")
    for _ in range(2):
        model.save_pretrained(str(tmp_path))
    card = (tmp_path / "README.md").read_text()
    assert card.count("KeyError: 'COTUNE'") == 1
    assert card.index("import cotune") < card.index("from peft import")
    assert not list(tmp_path.glob("*.tmp"))


def test_the_config_file_repeats_the_config(tmp_path: Path) -> None:
    config = config_of(
        "dual",
        "llama",
        default_task="bio",
        layers_to_transform=[0],
        rank_pattern={"q_proj": 3},
        alpha_pattern={"q_proj": 5},
        exclude_modules=["k_proj"],
        modules_to_save=["lm_head"],
    )
    config.save_pretrained(str(tmp_path))
    written = json.loads((tmp_path / "adapter_config.json").read_text())
    assert written["peft_type"] == "COTUNE" and written["method"] == "dual"
    again = PeftConfig.from_pretrained(str(tmp_path))
    assert isinstance(again, CoTuneConfig)
    assert again.to_dict() == config.to_dict()


# -- loading in this process -----------------------------------------------------------


@pytest.mark.parametrize("low_memory", [False, True], ids=["", "low_cpu_mem_usage"])
@pytest.mark.parametrize(
    ("method", "start"), [*((m, None) for m in methods()), *COPIES]
)
def test_a_loaded_adapter_gives_the_same_output_bit_for_bit(
    method: str, start: str | None, low_memory: bool, tmp_path: Path
) -> None:
    model = adapted(method, start=start)
    batch = tiny_batch("llama")
    wanted = logits(model, batch, **tasks_for(method))
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(
        tiny_model("llama"), str(tmp_path), low_cpu_mem_usage=low_memory
    )
    assert torch.equal(logits(loaded, batch, **tasks_for(method)), wanted)
    assert not any(p.is_meta for p in loaded.parameters())
    assert not any(p.requires_grad for p in loaded.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_loads_to_go_on_training_in_every_family(
    family: str, tmp_path: Path
) -> None:
    model = adapted("cola", family)
    batch = tiny_batch(family)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(
        tiny_model(family), str(tmp_path), is_trainable=True
    )
    assert torch.equal(logits(loaded, batch), logits(model, batch))
    for name, parameter in factors_of(loaded):
        frozen = "cotune_A0" in name or "cotune_B0" in name
        assert parameter.requires_grad == (not frozen), name


def test_an_adapter_loads_under_another_name_beside_others(tmp_path: Path) -> None:
    model = adapted("mtl")
    batch = tiny_batch("llama")
    wanted = logits(model, batch, **tasks_for("mtl"))
    model.save_pretrained(str(tmp_path))
    other = adapted("cola")
    plain = logits(other, batch)
    other.load_adapter(str(tmp_path), "second")
    assert torch.equal(logits(other, batch), plain)
    other.set_adapter("second")
    assert torch.equal(logits(other, batch, **tasks_for("mtl")), wanted)


def test_names_that_contain_one_another_save_apart(tmp_path: Path) -> None:
    names = ["default", "default2", "efaul"]
    model = adapted("cola")
    for name in names[1:]:
        model.add_adapter(name, config_of("cola", "llama", num_A=2, num_B=2))
    fill_factors(model)
    batch = tiny_batch("llama")
    wanted = {}
    for name in names:
        model.set_adapter(name)
        wanted[name] = logits(model, batch)
    model.save_pretrained(str(tmp_path))
    for name in names:
        folder = tmp_path if name == "default" else tmp_path / name
        loaded = PeftModel.from_pretrained(tiny_model("llama"), str(folder))
        assert torch.equal(logits(loaded, batch), wanted[name])
        one = sum(p.numel() for _, p in factors_of(loaded))
        assert folder_bytes(folder) == 4 * one


def test_modules_to_save_and_patterns_come_back(tmp_path: Path) -> None:
    fields = {
        "modules_to_save": ["lm_head"],
        "rank_pattern": {"v_proj": 3, "layers.1.self_attn.q_proj": 1},
        "alpha_pattern": {"v_proj": 7},
    }
    model = adapted("cola", **fields)
    batch = tiny_batch("llama")
    head = model.get_base_model().lm_head.modules_to_save["default"]
    with torch.no_grad():
        head.weight.add_(0.1)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(tiny_model("llama"), str(tmp_path))
    assert torch.equal(logits(loaded, batch), logits(model, batch))
    layers = loaded.get_base_model().model.layers
    assert layers[0].self_attn.v_proj.specs["default"].r == 3
    assert layers[0].self_attn.v_proj.specs["default"].scale == 7 / 3
    assert layers[0].self_attn.q_proj.specs["default"].r == 2
    assert layers[1].self_attn.q_proj.specs["default"].r == 1


def test_factors_in_bf16_stay_so_in_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = tiny_model("llama", dtype=torch.bfloat16)
    model = get_peft_model(
        base, config_of("cola", "llama"), autocast_adapter_dtype=False
    )
    fill_factors(model)
    model.save_pretrained(str(tmp_path))
    assert folder_bytes(tmp_path) == sum(2 * p.numel() for _, p in factors_of(model))
    loaded = PeftModel.from_pretrained(
        tiny_model("llama", dtype=torch.bfloat16),
        str(tmp_path),
        autocast_adapter_dtype=False,
    )
    batch = tiny_batch("llama")
    assert torch.equal(logits(loaded, batch), logits(model.eval(), batch))


@pytest.mark.parametrize("low_memory", [False, True], ids=["", "low_cpu_mem_usage"])
def test_loading_for_inference_on_a_base_in_bf16_trains_nothing(
    low_memory: bool, tmp_path: Path
) -> None:
    adapted("cola").save_pretrained(str(tmp_path))
    base = tiny_model("llama", dtype=torch.bfloat16)
    loaded = PeftModel.from_pretrained(
        base, str(tmp_path), low_cpu_mem_usage=low_memory
    )
    assert {p.dtype for _, p in factors_of(loaded)} == {torch.float32}
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_state_dict_moves_between_models() -> None:
    model = adapted("colora", family="opt")
    batch = tiny_batch("opt")
    state = get_peft_model_state_dict(model)
    other = adapted("colora", family="opt", filled=False)
    result = set_peft_model_state_dict(other, state)
    assert not result.unexpected_keys
    assert not [key for key in result.missing_keys if "cotune_" in key]
    wanted = logits(model, batch, **tasks_for("colora"))
    assert torch.equal(logits(other, batch, **tasks_for("colora")), wanted)


def test_an_adapter_injected_without_a_wrapper_saves_and_loads() -> None:
    model = inject_adapter_in_model(config_of("cola", "llama"), tiny_model("llama"))
    fill_factors(model)
    state = get_peft_model_state_dict(model)
    assert len(state) == len(list(factors_of(model)))
    for low_memory in (False, True):
        other = inject_adapter_in_model(
            config_of("cola", "llama"),
            tiny_model("llama"),
            low_cpu_mem_usage=low_memory,
        )
        set_peft_model_state_dict(other, state, low_cpu_mem_usage=low_memory)
        batch = tiny_batch("llama")
        assert torch.equal(logits(other, batch), logits(model, batch))


def test_injection_from_a_state_dict_finds_the_layers() -> None:
    model = inject_adapter_in_model(config_of("cola", "llama"), tiny_model("llama"))
    fill_factors(model)
    state = get_peft_model_state_dict(model)
    other = inject_adapter_in_model(
        config_of("cola", "llama"), tiny_model("llama"), state_dict=state
    )
    set_peft_model_state_dict(other, state)
    batch = tiny_batch("llama")
    assert torch.equal(logits(other, batch), logits(model, batch))


def test_transformers_saves_and_loads_what_it_adapted_by_itself(
    tmp_path: Path,
) -> None:
    model = tiny_model("llama")
    model.add_adapter(config_of("cola", "llama"), "default")
    fill_factors(model)
    batch = tiny_batch("llama")
    model.save_pretrained(str(tmp_path))
    other = tiny_model("llama")
    other.load_adapter(str(tmp_path))
    assert torch.equal(logits(other, batch), logits(model, batch))
    other.disable_adapters()
    assert torch.equal(logits(other, batch), logits(tiny_model("llama"), batch))
    other.enable_adapters()
    assert torch.equal(logits(other, batch), logits(model, batch))
    assert other.active_adapters() == ["default"]


@pytest.mark.parametrize("task_type", ["CAUSAL_LM", None])
def test_auto_classes_find_base_and_adapter(
    task_type: str | None, tmp_path: Path
) -> None:
    base = tiny_model("gpt2")
    base.save_pretrained(str(tmp_path / "base"))
    base.name_or_path = str(tmp_path / "base")
    config = config_of("hydralora", "gpt2", task_type=task_type)
    model = get_peft_model(base, config)
    fill_factors(model)
    model.save_pretrained(str(tmp_path / "adapter"))
    batch = tiny_batch("gpt2")
    auto = AutoPeftModel if task_type is None else AutoPeftModelForCausalLM
    loaded = auto.from_pretrained(str(tmp_path / "adapter"))
    assert torch.equal(logits(loaded, batch), logits(model.eval(), batch))


# -- loading in a fresh process --------------------------------------------------------

LOAD_ALL = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
import cotune
from pathlib import Path
import torch
from peft import PeftModel
from helpers import logits, tiny_batch, tiny_model
same = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    model = PeftModel.from_pretrained(tiny_model("llama"), str(folder))
    wanted = torch.load(folder / "logits.pt", weights_only=True)
    tasks = json.loads((folder / "call.json").read_text())
    got = logits(model, tiny_batch("llama"), **tasks)
    same[folder.name] = bool(torch.equal(got, wanted))
print(json.dumps(same))
"""


@pytest.mark.slow
def test_m7_a_fresh_process_gives_the_same_output_bit_for_bit(tmp_path: Path) -> None:
    batch = tiny_batch("llama")
    for method in methods():
        model = adapted(method)
        folder = tmp_path / method
        model.save_pretrained(str(folder))
        call = tasks_for(method)
        torch.save(logits(model, batch, **call), folder / "logits.pt")
        (folder / "call.json").write_text(json.dumps(call))
    same = run_python(LOAD_ALL, str(tmp_path), str(Path(__file__).parents[1]))
    assert same == dict.fromkeys(sorted(methods()), True)


@pytest.mark.slow
def test_without_the_import_peft_stops_with_the_error_of_the_card(
    tmp_path: Path,
) -> None:
    adapted("cola").save_pretrained(str(tmp_path))
    code = """
import json, sys, warnings
warnings.simplefilter("ignore")
from peft import PeftConfig
try:
    PeftConfig.from_pretrained(sys.argv[1])
except KeyError as error:
    print(json.dumps([repr(error), "cotune" in sys.modules]))
"""
    assert run_python(code, str(tmp_path)) == ["KeyError('COTUNE')", False]


# -- export to plain LoRA --------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")
@pytest.mark.parametrize(("method", "family"), grid(STATIC))
def test_m7_an_export_in_plain_peft_gives_the_same_output_per_task(
    method: str, family: str, tmp_path: Path
) -> None:
    model = adapted(method, family)
    batch = tiny_batch(family)
    model.save_pretrained(str(tmp_path / "ours"))
    for task in TASKS if method in PER_TASK else [None]:
        wanted = logits(model, batch, **({} if task is None else {"tasks": task}))
        folder = tmp_path / f"lora-{task}"
        export_lora(read_adapter(tmp_path / "ours"), folder, task=task)
        plain = PeftModel.from_pretrained(tiny_model(family), str(folder))
        assert isinstance(plain.peft_config["default"], LoraConfig)
        assert not any(isinstance(m, CollaborativeLayer) for m in plain.modules())
        assert error(logits(plain, batch), wanted) <= 1e-5


def test_the_export_of_a_router_is_refused_as_inexact(tmp_path: Path) -> None:
    adapted("alora").save_pretrained(str(tmp_path / "ours"))
    adapter = read_adapter(tmp_path / "ours")
    with pytest.raises(ValueError, match="the router chooses per token"):
        export_lora(adapter, tmp_path / "lora")


def test_a_head_trained_beside_the_adapter_is_exported(tmp_path: Path) -> None:
    model = adapted("cola", "bert")
    head = model.get_base_model().classifier
    assert type(head).__name__ == "ModulesToSaveWrapper"
    assert TASK_TYPES["bert"] == "SEQ_CLS"
    with torch.no_grad():
        nn.init.normal_(head.modules_to_save["default"].weight)
    model.save_pretrained(str(tmp_path / "ours"))
    batch = tiny_batch("bert")
    export_lora(read_adapter(tmp_path / "ours"), tmp_path / "lora")
    plain = PeftModel.from_pretrained(tiny_model("bert"), str(tmp_path / "lora"))
    assert error(logits(plain, batch), logits(model, batch)) <= 1e-5
