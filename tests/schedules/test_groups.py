"""Groups are made from parsed keys, not from positions."""

from __future__ import annotations

import random

import pytest

from cotune._errors import ConfigError
from cotune.schedules import GROUPINGS, group_layers
from cotune.schedules._groups import layer_key

LLAMA = [
    f"model.layers.{block}.{part}"
    for block in range(12)
    for part in ("self_attn.q_proj", "mlp.up_proj")
]


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.q_proj",
        "base_model.model.model.layers.0.q_proj",
        "module.base_model.model.model.layers.0.q_proj",
        "_orig_mod.base_model.model.model.layers.0.q_proj",
        "base_model.model.model.layers.0.q_proj.base_layer",
    ],
)
def test_a_key_is_the_name_in_the_base_model_whatever_wraps_it(name):
    assert layer_key(name) == "model.layers.0.q_proj"


def test_blocks_are_ordered_by_number_and_not_by_position_or_spelling():
    shuffled = random.Random(0).sample(LLAMA, len(LLAMA))
    groups = group_layers(shuffled, "block")
    assert [g.name for g in groups] == [f"model.layers.{i}" for i in range(12)]
    assert [g.depth for g in groups] == [i / 11 for i in range(12)]
    assert all(
        sorted(g.layers) == sorted(LLAMA[2 * i : 2 * i + 2])
        for i, g in enumerate(groups)
    )


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_grouping_puts_each_layer_into_exactly_one_group(by):
    groups = group_layers(LLAMA, by)
    members = [key for group in groups for key in group.layers]
    assert sorted(members) == sorted(LLAMA)
    assert len({group.name for group in groups}) == len(groups)
    depths = [group.depth for group in groups]
    assert depths == sorted(depths) and 0 <= depths[0] < depths[-1] <= 1


def test_a_block_is_one_group_and_a_module_is_one_group():
    assert len(group_layers(LLAMA, "block")) == 12
    modules = group_layers(LLAMA, "module")
    assert [group.layers for group in modules] == [(key,) for key in LLAMA]
    assert modules[0].depth == modules[1].depth == 0


def test_thirds_are_of_depth_among_the_adapted_blocks():
    thirds = group_layers([f"h.{block}.q" for block in (9, 1, 4, 10, 2)], "third")
    assert [(group.name, group.layers) for group in thirds] == [
        ("lower third", ("h.1.q", "h.2.q")),
        ("middle third", ("h.4.q", "h.9.q")),
        ("upper third", ("h.10.q",)),
    ]


def test_stacks_keep_their_order_and_layers_outside_blocks_are_groups_of_their_own():
    keys = ["shared", "encoder.block.1.q", "encoder.block.0.q", "decoder.block.0.q"]
    groups = group_layers([*keys, "lm_head"], "block")
    assert [group.name for group in groups] == [
        "shared",
        "encoder.block.0",
        "encoder.block.1",
        "decoder.block.0",
        "lm_head",
    ]


def test_a_single_group_is_refused_because_it_could_never_be_off():
    with pytest.raises(ConfigError, match="at least two groups, got 1 by 'block'"):
        group_layers(["model.layers.0.q", "model.layers.0.v"], "block")


def test_an_unknown_grouping_shows_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean block"):
        group_layers(LLAMA, "blok")
