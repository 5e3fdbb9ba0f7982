import pytest
import torch
from torch import nn

from cotune._errors import ConfigError
from cotune.analysis import ActivationCache, contribution

WIDTH = 8


class Block(nn.Module):
    """A residual block with an adapter that can be off; counts its calls."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(WIDTH, WIDTH)
        self.adapter = nn.Linear(WIDTH, WIDTH)
        self.on, self.calls = True, 0

    def forward(self, x, scale=None):
        self.calls += 1
        y = x + torch.tanh(self.base(x))
        return y + self.adapter(x) * (scale if self.on else 0)


@pytest.fixture
def chain():
    """Return blocks, batches, and a function that scores with some blocks on."""
    torch.manual_seed(0)
    blocks = [Block() for _ in range(5)]
    batches = [torch.randn(3, WIDTH) for _ in range(2)]

    def score(on):
        total = 0.0
        for place, block in enumerate(blocks):
            block.on = str(place) in on
        with torch.no_grad():
            for x in batches:
                for block in blocks:
                    x = block(x, scale=0.5)
                total += float(x.square().mean())
        return total

    return blocks, batches, score


PLAYERS = [str(place) for place in range(5)]


def cached(cache, score, on):
    with cache.reuse([player in on for player in PLAYERS]):
        return score(on)


def calls(blocks):
    return [block.calls for block in blocks]


def test_only_blocks_from_the_first_change_on_run_again(chain):
    blocks, _, score = chain
    cache = ActivationCache(blocks)
    cached(cache, score, {"0", "1", "2", "3", "4"})
    assert calls(blocks) == [2] * 5
    cached(cache, score, {"0", "1", "2", "4"})
    assert calls(blocks) == [2, 2, 2, 4, 4]
    cached(cache, score, {"0", "1", "2", "4"})
    assert calls(blocks) == [2, 2, 2, 4, 4]
    assert cache.skipped == 3 * 2 + 5 * 2


def test_contributions_are_the_same_and_cost_less(chain):
    blocks, _, score = chain
    plain = contribution(score, PLAYERS, method="exact")
    ran = sum(calls(blocks))
    cache = ActivationCache(blocks)
    for block in blocks:
        block.calls = 0
    found = contribution(lambda on: cached(cache, score, on), PLAYERS, method="exact")
    assert found.phi == plain.phi
    assert sum(calls(blocks)) < 0.45 * ran


def test_sampled_contributions_reuse_what_lies_below(chain):
    blocks, _, score = chain
    cache = ActivationCache(blocks)

    def run(value):
        return contribution(
            value,
            PLAYERS,
            method="antithetic",
            draws=4,
            generator=torch.Generator().manual_seed(1),
        )

    found = run(lambda on: cached(cache, score, on))
    assert found == run(score)
    assert cache.skipped > 0.25 * (cache.skipped + cache.ran)


def test_other_inputs_are_computed_in_full(chain):
    blocks, batches, score = chain
    cache = ActivationCache(blocks)
    on = {"0", "1"}
    cached(cache, score, on)
    batches[1] = batches[1] + 1
    before = calls(blocks)
    assert cached(cache, score, on) == score(on)
    assert [now - was for now, was in zip(calls(blocks), before, strict=True)] == [
        3
    ] * 5


def test_a_pass_with_a_key_value_cache_runs_in_full():
    class Store:
        pass

    class Writes(nn.Module):
        def forward(self, x, store):
            store.x = x
            return x

    block, stores = Writes(), [Store(), Store()]
    cache = ActivationCache([block])
    for store in stores:
        with cache.reuse([True]):
            block(torch.ones(1), store)
    assert all(hasattr(store, "x") for store in stores)
    assert cache.skipped == 0


def test_what_does_not_fit_is_computed_again(chain):
    blocks, _, score = chain
    size = 3 * WIDTH * 4
    cache = ActivationCache(blocks, limit_bytes=2 * size)
    on = set(PLAYERS)
    assert cached(cache, score, on) == cached(cache, score, on) == score(on)
    assert cache.bytes == 2 * size
    assert cache.skipped == 2
    cache.clear()
    assert cache.bytes == 0
    assert cached(cache, score, on) == score(on)


def test_blocks_are_left_as_they_were_also_after_an_error(chain):
    blocks, _, _ = chain
    cache = ActivationCache(blocks)
    with pytest.raises(KeyboardInterrupt), cache.reuse([True] * 5):
        raise KeyboardInterrupt
    assert not any("forward" in vars(block) for block in blocks)


def test_one_state_per_block_is_needed(chain):
    with (
        pytest.raises(ConfigError, match="one state per block"),
        ActivationCache(chain[0]).reuse([True]),
    ):
        pass
    with pytest.raises(ConfigError, match="blocks must be given"):
        ActivationCache([])


@pytest.mark.parametrize("order", [[0, 1, 1, 2], [0, 2, 1]])
def test_blocks_that_run_twice_or_in_another_order_are_never_skipped(order):
    torch.manual_seed(0)
    blocks = [Block() for _ in range(3)]
    x = torch.randn(2, WIDTH)

    def score(on):
        y = x
        for place, block in enumerate(blocks):
            block.on = place in on
        with torch.no_grad():
            for place in order:
                y = blocks[place](y, scale=0.5)
        return float(y.sum())

    cache = ActivationCache(blocks)
    for on in ({0, 1, 2}, {0, 1}, {0, 1}, {0}):
        with cache.reuse([place in on for place in range(3)]):
            found = score(on)
        assert found == score(on)
    assert cache.skipped == 0
