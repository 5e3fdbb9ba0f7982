from dataclasses import fields

import pytest
from pydantic import ValidationError

from cotune import METHODS, CoTuneConfig
from cotune.recipes._adapter_spec import _LEFT_OUT, AdapterSpec


def test_the_section_has_every_field_of_the_config_with_its_help() -> None:
    config = {f.name: f for f in fields(CoTuneConfig) if f.name not in _LEFT_OUT}
    assert set(AdapterSpec.model_fields) == set(config)
    for name, field in AdapterSpec.model_fields.items():
        assert str(field.description).startswith(config[name].metadata["help"])


@pytest.mark.parametrize("method", METHODS)
def test_a_resolved_section_builds_the_same_config(method) -> None:
    spec = AdapterSpec(method=method, target_modules=["v", "q"])
    resolved = spec.resolve(["a", "b"])
    assert resolved.build([]) == spec.build(["a", "b"])
    values = resolved.model_dump()
    assert values["coupling"] == METHODS[method].coupling
    assert None not in (
        values["num_A"],
        values["num_B"],
        values["core"],
        values["start"],
    )
    assert resolved.resolve([]) == resolved


def test_the_order_of_layers_in_a_resolved_section_does_not_depend_on_hashes() -> None:
    spec = AdapterSpec(target_modules=["v_proj", "k_proj", "q_proj"])
    assert spec.resolve(["a"]).target_modules == ["k_proj", "q_proj", "v_proj"]


def test_faults_are_found_before_the_tasks_are_known() -> None:
    with pytest.raises(ValidationError, match="needs num_A <= num_B"):
        AdapterSpec(method="cola", num_A=3, num_B=2, coupling="heuristic-code")


def test_a_default_task_needs_no_list_of_tasks() -> None:
    config = AdapterSpec(method="colora", default_task="b").build(["a", "b"])
    assert config.default_task == "b"
