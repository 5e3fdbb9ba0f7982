import pytest
import torch
from peft import LoraConfig, PeftModel

from cotune import CoLAConfig, ConfigError
from cotune.adapters._fit import fit_adapter
from helpers import tiny_model


@pytest.mark.parametrize("targets", [["q_proj"], "all-linear", r".*\.1\..*v_proj"])
@pytest.mark.parametrize("config", [CoLAConfig, LoraConfig])
def test_an_adapter_that_fits_is_put_around_the_model(config, targets) -> None:
    model = fit_adapter(tiny_model("llama"), config(r=2, target_modules=targets))
    assert isinstance(model, PeftModel)
    with torch.no_grad():
        assert model(torch.arange(4)[None]).logits.isfinite().all()


@pytest.mark.parametrize("config", [CoLAConfig, LoraConfig])
def test_every_name_without_a_layer_is_told_with_the_nearest(config) -> None:
    wrong = config(target_modules=["q_proj", "v_prj", "kproj"])
    with pytest.raises(ConfigError) as error:
        fit_adapter(tiny_model("llama"), wrong)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("adapter.target_modules: Unknown layer 'kproj'. Did you")
    assert lines[1].startswith("adapter.target_modules: Unknown layer 'v_prj'. Did you")
    assert "down_proj" in lines[0]


def test_names_of_other_modules_are_looked_at_too() -> None:
    config = LoraConfig(target_modules=["query"], modules_to_save=["clasifier"])
    with pytest.raises(ConfigError, match="modules_to_save: Unknown layer 'clasifier'"):
        fit_adapter(tiny_model("bert"), config)


def test_a_part_of_a_name_is_no_name() -> None:
    with pytest.raises(ConfigError, match="Unknown layer 'proj'"):
        fit_adapter(tiny_model("llama"), CoLAConfig(target_modules=["proj"]))


def test_what_peft_refuses_is_told_with_the_names_of_the_layers() -> None:
    with pytest.raises(ConfigError, match=r"must fit the base model, got: .*q_proj"):
        fit_adapter(tiny_model("llama"), CoLAConfig(target_modules="no_such_layer"))


def test_a_pattern_of_ranks_that_no_layer_has_is_told() -> None:
    wrong = CoLAConfig(
        r=2,
        target_modules=["q_proj"],
        rank_pattern={"q_proj": 4, r"layers\.1\..*q_proj": 3, "q_prj": 1},
        alpha_pattern={"layers.7.q_proj": 1.0},
    )
    with pytest.raises(ConfigError) as error:
        fit_adapter(tiny_model("llama"), wrong)
    first, second = str(error.value).splitlines()
    assert first.startswith("adapter.rank_pattern: Unknown layer 'q_prj'. Did you mean")
    assert second.startswith("adapter.alpha_pattern: Unknown layer 'layers.7.q_proj'.")
