import pytest

from cotune._errors import ConfigError
from cotune.operators.prune._every_other import every_other


def blocks(result):
    return sorted({int(name.split(".")[2]) for name in result.adapter.layers})


@pytest.mark.parametrize(("first", "expected"), [(0, [0, 2, 4]), (1, [1, 3])])
def test_every_second_block_stays(adapter, first, expected):
    assert blocks(every_other(adapter(1, blocks=5), first=first)) == expected


def test_all_layers_of_a_block_go_together(adapter):
    result = every_other(adapter(1, blocks=2))
    assert result.removed == (
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.self_attn.v_proj",
    )


def test_blocks_are_counted_as_they_are_in_the_adapter(adapter):
    source = adapter(1, blocks=6)
    odd = every_other(source, first=1).adapter
    assert blocks(every_other(odd)) == [1, 5]


def test_layers_outside_the_blocks_stay(adapter):
    source = adapter(1, blocks=2)
    layers = {**source.layers, "lm_head": next(iter(source.layers.values()))}
    result = every_other(source.with_layers(layers), first=1)
    assert "lm_head" in result.adapter.layers
    assert len(result.adapter.layers) == 3


def test_nothing_left_and_a_wrong_start_are_refused(adapter):
    with pytest.raises(
        ConfigError, match="at least one layer must stay, got none of 2"
    ):
        every_other(adapter(1, blocks=1), first=1)
    with pytest.raises(ConfigError, match="first must be 0 or 1, got 2"):
        every_other(adapter(1), first=2)
