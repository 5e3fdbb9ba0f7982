import pytest

from cotune._errors import ConfigError
from cotune.operators.prune._third import high, low, middle


def blocks(result):
    return sorted({int(name.split(".")[2]) for name in result.adapter.layers})


@pytest.mark.parametrize("count", range(3, 14))
def test_the_thirds_split_the_blocks_in_order_and_evenly(adapter, count):
    source = adapter(1, blocks=count)
    thirds = [blocks(keep(source)) for keep in (low, middle, high)]
    assert [block for third in thirds for block in third] == list(range(count))
    sizes = [len(third) for third in thirds]
    assert max(sizes) - min(sizes) <= 1


def test_twelve_blocks_give_four_each(adapter):
    assert blocks(middle(adapter(1, blocks=12))) == [4, 5, 6, 7]


def test_fewer_than_three_blocks_are_refused(adapter):
    with pytest.raises(ConfigError, match=r"low: .* at least 3 numbered blocks, got 2"):
        low(adapter(1, blocks=2))
    source = adapter(1, blocks=1)
    bare = source.with_layers({"lm_head": next(iter(source.layers.values()))})
    with pytest.raises(ConfigError, match="got 0"):
        high(bare)
