"""What an adapter consists of, counted and owned as the tables say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from adapters.layers import D_IN, D_OUT, coupling_cases, make_layer
from adapters.models import TASKS, adapted, config_of, methods
from cotune import export_lora, read_adapter
from cotune.adapters import (
    METHODS,
    CollaborativeLayer,
    FactorLine,
    explain_adapter,
    explain_model,
)
from helpers import factors_of, folder_bytes, tiny_model

FROZEN = ("A0", "B0")
COPIES = [("cola", "pissa"), ("cola", "pissa-split"), ("dual", "pissa-split")]
every = pytest.mark.parametrize(
    ("method", "start"), [*((m, None) for m in methods()), *COPIES]
)


def owners_by_factor(lines: list[FactorLine]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for line in lines:
        found[line.factor].add(line.owner)
    return dict(found)


def total(lines: list[FactorLine], *owners: str) -> int:
    return sum(line.parameters for line in lines if line.owner in owners)


@pytest.mark.slow
@every
def test_all_numbers_of_a_model_are_counted_once(
    method: str, start: str | None, tmp_path: Path
) -> None:
    model = adapted(method, start=start)
    lines = explain_model(model)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert total(lines, "shared", "private") == trained
    everything = sum(p.numel() for _, p in factors_of(model))
    assert total(lines, "shared", "private", "frozen") == everything
    model.save_pretrained(str(tmp_path))
    assert sum(line.bytes for line in lines) == folder_bytes(tmp_path)
    assert all(line.bytes == 4 * line.parameters for line in lines)


@pytest.mark.slow
@every
def test_a_saved_adapter_is_explained_like_its_model(
    method: str, start: str | None, tmp_path: Path
) -> None:
    model = adapted(method, start=start)
    model.save_pretrained(str(tmp_path))
    assert explain_adapter(read_adapter(tmp_path)) == explain_model(model)


@every
def test_the_owners_are_those_of_the_table(method: str, start: str | None) -> None:
    found = owners_by_factor(explain_model(adapted(method, start=start)))
    copies = {name: found.pop(name) for name in FROZEN if name in found}
    assert all(owners == {"frozen"} for owners in copies.values())
    assert bool(copies) == (start is not None or method == "cola")
    name = "alora" if method == "alora-by-task" else method
    wanted = {k: {v} for k, v in METHODS[name].owners.items() if k in found}
    if method == "dual":
        # The pair of all tasks comes first in the bank and is nobody's own.
        wanted = {bank: {"shared", "private"} for bank in "AB"}
    assert found == wanted


def test_the_pair_of_all_tasks_and_those_of_each_are_told_apart() -> None:
    lines = explain_model(adapted("dual"))[:4]
    assert [(line.factor, line.owner, line.shape) for line in lines] == [
        ("A", "shared", (1, 2, 16)),
        ("A", "private", (len(TASKS), 2, 16)),
        ("B", "shared", (1, 16, 2)),
        ("B", "private", (len(TASKS), 16, 2)),
    ]


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("lora", {"A": (1, 2, 16), "B": (1, 16, 2)}),
        (
            "cola",
            {"A": (2, 2, 16), "B": (3, 16, 2), "A0": (1, 2, 16), "B0": (1, 16, 2)},
        ),
        ("alora", {"A": (3, 2, 16), "B": (1, 16, 2), "router": (3, 16)}),
        ("hydralora", {"A": (1, 2, 16), "B": (3, 16, 2), "router": (3, 16)}),
        ("moelora", {"A": (3, 2, 16), "B": (3, 16, 2), "router": (3, 16)}),
        ("colora", {"A": (1, 2, 16), "B": (1, 16, 2), "core": (3, 2, 2)}),
        (
            "mtl",
            {"A": (1, 2, 16), "B": (3, 16, 2), "core": (3, 2, 2), "weight": (3, 3)},
        ),
    ],
)
def test_shapes_are_those_of_the_formula(method: str, wanted: dict[str, Any]) -> None:
    lines = explain_model(adapted(method))
    first = [line for line in lines if line.layer == lines[0].layer]
    assert lines[0].layer == "model.layers.0.self_attn.q_proj"
    assert {line.factor: line.shape for line in first} == wanted


@pytest.mark.parametrize("case", coupling_cases(starts=["kaiming"]), ids=str)
def test_every_coupling_and_core_is_counted_on_one_layer(case: Any) -> None:
    layer = make_layer(case, dtype=torch.float32)
    lines = explain_model(nn.ModuleDict({"only": layer}))
    assert {line.layer for line in lines} == {"only"}
    assert all(
        line.shape[-1] in (D_IN, layer.specs["default"].r)
        for line in lines
        if line.factor in ("A", "B")
    )
    assert {D_IN, D_OUT} <= {side for line in lines for side in line.shape}
    trained = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    assert total(lines, "shared", "private") == trained


@pytest.mark.parametrize("method", methods())
def test_the_meta_device_explains_without_memory(method: str) -> None:
    with torch.device("meta"):
        shape = get_peft_model(
            tiny_model("llama"), config_of(method, "llama", start="kaiming")
        )
    assert next(shape.parameters()).is_meta
    assert explain_model(shape) == explain_model(adapted(method, start="kaiming"))


def test_half_precision_takes_half_the_bytes() -> None:
    model = adapted("colora").bfloat16()
    assert all(line.bytes == 2 * line.parameters for line in explain_model(model))


def test_a_plain_lora_is_shared_as_a_whole(tmp_path: Path) -> None:
    base = tiny_model("llama")
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(
        str(tmp_path / "peft")
    )
    adapted("cola").save_pretrained(str(tmp_path / "ours"))
    export_lora(read_adapter(tmp_path / "ours"), tmp_path / "exported")
    for folder in ("peft", "exported"):
        lines = explain_adapter(read_adapter(tmp_path / folder))
        assert owners_by_factor(lines) == {"A": {"shared"}, "B": {"shared"}}


def test_a_model_without_the_adapter_has_nothing_to_explain() -> None:
    assert explain_model(tiny_model("llama")) == []
    assert explain_model(adapted("colora"), "other") == []
    layers = [m for m in adapted("lora").modules() if isinstance(m, CollaborativeLayer)]
    assert len(layers) == 4
