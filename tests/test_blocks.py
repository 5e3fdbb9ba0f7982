"""Blocks are read off names, and ordered by their numbers."""

from __future__ import annotations

import pytest

from cotune._blocks import block_of, order_blocks


@pytest.mark.parametrize(
    ("key", "block"),
    [
        ("model.layers.11.self_attn.q_proj", "model.layers.11"),
        ("transformer.h.3.attn.c_attn", "transformer.h.3"),
        ("model.decoder.layers.0.fc1", "model.decoder.layers.0"),
        ("bert.encoder.layer.5.attention.self.query", "bert.encoder.layer.5"),
        ("encoder.block.0.layer.1.DenseReluDense.wi", "encoder.block.0"),
        ("encoder.layers.2.blocks.1.attn.q", "encoder.layers.2.blocks.1"),
        ("model.layers.3.mlp.experts.5.w1", "model.layers.3"),
        (
            "down_blocks.0.attentions.1.transformer_blocks.2.attn1.to_q",
            "down_blocks.0.attentions.1.transformer_blocks.2",
        ),
        ("0", "0"),
        ("stack.4.linear", "stack.4"),
        ("lm_head", "lm_head"),
        ("model.player.2d", "model.player.2d"),
    ],
)
def test_the_block_of_a_key_is_its_transformer_block(key, block):
    assert block_of(key) == block


def test_blocks_are_ordered_by_number_within_their_stack_and_come_once():
    names = ["shared", "encoder.10", "encoder.9", "encoder.10", "decoder.0", "head"]
    ordered = ["shared", "encoder.9", "encoder.10", "decoder.0", "head"]
    assert order_blocks(names) == ordered
