import pytest

from cotune.operators.prune._blocks import block_of, depths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.layers.3.self_attn.q_proj", ("model.layers", 3)),
        ("model.layers.10.mlp.experts.7.up_proj", ("model.layers", 10)),
        ("transformer.h.0.attn.c_attn", ("transformer.h", 0)),
        ("decoder.block.2.layer.0.SelfAttention.q", ("decoder.block", 2)),
        ("lm_head", None),
        ("block3.conv", None),
    ],
)
def test_the_first_number_of_a_name_is_its_block(name, expected):
    assert block_of(name) == expected


def test_positions_count_the_blocks_of_each_stack_that_are_there():
    names = ["encoder.4.q", "encoder.10.q", "encoder.4.v", "decoder.0.q", "lm_head"]
    assert depths(names) == {
        "encoder.4.q": (0, 2),
        "encoder.10.q": (1, 2),
        "encoder.4.v": (0, 2),
        "decoder.0.q": (0, 1),
    }
