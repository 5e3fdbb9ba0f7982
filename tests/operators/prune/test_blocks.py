from cotune.operators.prune._blocks import depths


def test_positions_are_those_of_the_blocks_of_a_schedule():
    # Swin: blocks in stages. A mixture of experts: numbers below the block.
    swin = [f"layers.{s}.blocks.{b}.qkv" for s, b in ((0, 0), (0, 1), (1, 0))]
    assert depths(swin) == {name: (place, 3) for place, name in enumerate(swin)}
    experts = [f"model.layers.{b}.mlp.experts.{e}.up" for b in (3, 10) for e in (0, 7)]
    assert list(depths(experts).values()) == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_layers_without_a_number_of_their_own_are_outside_the_blocks():
    assert depths(["lm_head", "block3.conv"]) == {}


def test_positions_count_the_blocks_of_each_stack_that_are_there():
    names = ["encoder.4.q", "encoder.10.q", "encoder.4.v", "decoder.0.q", "lm_head"]
    assert depths(names) == {
        "encoder.4.q": (0, 2),
        "encoder.10.q": (1, 2),
        "encoder.4.v": (0, 2),
        "decoder.0.q": (0, 1),
    }
