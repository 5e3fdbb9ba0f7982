"""THE TABLE: what its lines say, and the parameter counts of the papers (C9)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from adapters.layers import TASKS, make_layer, method_cases
from cotune import CoTuneConfig
from cotune.adapters import CORES, COUPLINGS, METHODS, STARTS
from helpers import factors_of

BLOCKS, D_IN, D_OUT, LINEARS = 32, 38_912, 43_008, 7


def llama_8b(blocks: int) -> LlamaConfig:
    """Return the shape of Llama-3.1-8B, or that of some of its blocks."""
    return LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=blocks,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=False,
    )


def count(shape: LlamaConfig, **fields: Any) -> int:
    """Count the trained parameters on the meta device, where nothing takes memory."""
    with torch.device("meta"):
        model = LlamaForCausalLM(shape)
        config = CoTuneConfig(target_modules="all-linear", **fields)
        model = get_peft_model(model, config)
    assert all(parameter.is_meta for parameter in model.parameters())
    return sum(p.numel() for _, p in factors_of(model) if p.requires_grad)


def cola(r: int, M: int, N: int) -> int:
    return BLOCKS * r * (M * D_IN + N * D_OUT)


COUNTS: list[tuple[str, dict[str, Any], int]] = [
    ("LoRA", {"method": "lora"}, 20_971_520),
    ("CoLA 1x1", {"method": "cola", "num_A": 1, "num_B": 1}, 20_971_520),
    ("CoLA 1x3", {"method": "cola", "num_A": 1, "num_B": 3}, 42_991_616),
    ("CoLA 2x3", {"method": "cola", "num_A": 2, "num_B": 3}, 52_953_088),
    ("CoLA 1x14", {"method": "cola", "num_A": 1, "num_B": 14}, 164_102_144),
    ("CoLA 4x10", {"method": "cola", "num_A": 4, "num_B": 10}, 149_946_368),
    ("HydraLoRA 1x3", {"method": "hydralora"}, 46_727_168),
    (
        "ALoRA n=3",
        {"method": "alora"},
        BLOCKS * (3 * 8 * D_IN + 8 * D_OUT + 3 * D_IN),
    ),
    (
        "MoE-LoRA K=3",
        {"method": "moelora"},
        BLOCKS * (3 * 8 * (D_IN + D_OUT) + 3 * D_IN),
    ),
    (
        "CoLoRA, 5 users",
        {"method": "colora", "tasks": list("abcde")},
        20_971_520 + 5 * 14_336,
    ),
    (
        "Dual, 2 tasks",
        {"method": "dual", "tasks": ["a", "b"]},
        3 * 20_971_520,
    ),
    (
        "MTL-LoRA, 2 tasks",
        {"method": "mtl", "tasks": ["a", "b"]},
        42_991_616 + 2 * BLOCKS * LINEARS * (64 + 3),
    ),
]


@pytest.mark.parametrize(
    "blocks", [1, pytest.param(BLOCKS, marks=pytest.mark.slow)], ids="{}-blocks".format
)
@pytest.mark.parametrize(
    ("fields", "wanted"),
    [line[1:] for line in COUNTS],
    ids=[line[0] for line in COUNTS],
)
def test_c9_counts_on_llama_8b_are_those_of_the_papers(
    fields: dict[str, Any], wanted: int, blocks: int
) -> None:
    # All blocks of Llama are alike.
    assert count(llama_8b(blocks), **fields) * BLOCKS == wanted * blocks


def test_c9_the_formula_of_cola_gives_the_printed_numbers() -> None:
    assert [cola(8, 1, 3), cola(8, 2, 3), cola(8, 1, 14), cola(8, 4, 10)] == [
        42_991_616,
        52_953_088,
        164_102_144,
        149_946_368,
    ]


@pytest.mark.parametrize("case", method_cases(), ids=str)
def test_c9_one_layer_has_the_count_of_its_formula(case: Any) -> None:
    layer = make_layer(case, r=2, start="kaiming")
    d_in, d_out, r, T = layer.in_features, layer.out_features, 2, len(TASKS)
    pair = r * (d_in + d_out)
    wanted = {
        "lora": pair,
        "cola": 2 * r * d_in + 3 * r * d_out,
        "alora": 3 * r * d_in + r * d_out + 3 * d_in,
        "hydralora": r * d_in + 3 * r * d_out + 3 * d_in,
        "moelora": 3 * pair + 3 * d_in,
        "colora": pair + T * r * r,
        "dual": (1 + T) * pair,
        "mtl": r * d_in + 3 * r * d_out + T * r * r + T * 3,
    }
    trained = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    assert trained == wanted[case.name]


@pytest.mark.parametrize("name", METHODS)
def test_a_line_names_what_the_other_tables_have(name: str) -> None:
    line = METHODS[name]
    assert line.coupling in COUPLINGS and line.start in STARTS
    assert line.core == "none" or line.core in CORES
    assert line.paper.startswith("arXiv:") and line.title
    COUPLINGS[line.coupling]().check(line.num_A, line.num_B)


@pytest.mark.parametrize("case", method_cases(), ids=str)
def test_the_table_names_an_owner_for_every_trained_factor(case: Any) -> None:
    layer = make_layer(case)
    trained = {
        name.split(".")[0].removeprefix("cotune_")
        for name, parameter in layer.named_parameters()
        if parameter.requires_grad
    }
    owners = METHODS[case.name].owners
    assert set(owners) == trained
    assert set(owners.values()) <= {"shared", "private"}


def test_the_table_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        METHODS["lora"] = METHODS["cola"]  # pyright: ignore
    with pytest.raises(AttributeError):
        METHODS["lora"].core = "full"  # pyright: ignore
