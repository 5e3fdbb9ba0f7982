"""Registering with PEFT from outside: complete, once, and whatever comes first."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.utils.peft_types import PeftType

from cotune import CoTuneConfig
from cotune.adapters import CoTuneModel, register
from cotune.adapters._register import add_peft_type
from helpers import run_python


def test_the_member_is_like_any_other() -> None:
    member = PeftType["COTUNE"]
    assert isinstance(member, PeftType) and isinstance(member, str)
    assert member is PeftType("COTUNE") is PeftType.COTUNE  # pyright: ignore
    assert member.name == member.value == member == "COTUNE"
    assert member in list(PeftType) and "COTUNE" in PeftType.__members__
    assert len(PeftType) == len(list(PeftType)) == len(set(PeftType))
    assert hash(member) == hash(PeftType["COTUNE"]) and member != PeftType.LORA
    assert repr(member) == "<PeftType.COTUNE: 'COTUNE'>"
    assert json.dumps({"peft_type": member}) == '{"peft_type": "COTUNE"}'


def test_the_member_survives_copying_and_pickling() -> None:
    member = PeftType["COTUNE"]
    assert copy.copy(member) is member and copy.deepcopy(member) is member
    assert pickle.loads(pickle.dumps(member)) is member


def test_the_mappings_of_peft_know_us() -> None:
    member = PeftType["COTUNE"]
    assert PEFT_TYPE_TO_CONFIG_MAPPING[member] is CoTuneConfig
    assert PEFT_TYPE_TO_TUNER_MAPPING[member] is CoTuneModel
    assert PEFT_TYPE_TO_PREFIX_MAPPING[member] == CoTuneModel.prefix == "cotune_"


def test_registering_again_changes_nothing() -> None:
    before = list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    for _ in range(3):
        add_peft_type()
        register()
    assert (list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)) == before


def test_no_name_of_ours_looks_like_lora_to_peft() -> None:
    assert "lora_" not in CoTuneModel.prefix
    layer: Any = CoTuneModel.tuner_layer_cls
    for name in (*layer.adapter_layer_names, *layer.other_param_names):
        assert "lora_" not in name


ORDERS = [
    "import peft, cotune",
    "from cotune import CoLAConfig; import peft",
]
ASK = """
import json, sys
sys.dont_write_bytecode = True
{order}
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as known
config = known[peft.PeftType["COTUNE"]]
print(json.dumps([config.__name__, peft.__spec__.loader.__class__.__name__]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_imports_registers(order: str, tmp_path: Path) -> None:
    found = run_python(ASK.format(order=order))
    assert found == ["CoTuneConfig", "SourceFileLoader"]
