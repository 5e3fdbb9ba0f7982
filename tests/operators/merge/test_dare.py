import inspect

import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.merge._dare import dare
from cotune.operators.merge._mix import mix
from cotune.operators.merge._ties import ties


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.2, 0.7])
def test_the_mean_over_many_draws_is_the_mix(draw, density):
    updates, weights = [draw(0, 3, 4), draw(1, 3, 4)], [0.4, 0.6]
    source, draws = seeded(0), 4000
    total = sum(
        dare(updates, weights, density=density, generator=source) for _ in range(draws)
    )
    # Var of one entry: (1 - p) / p * sum w^2 delta^2; five standard errors.
    spread = sum(
        (w * u.delta()).square() for w, u in zip(weights, updates, strict=True)
    )
    bound = 5 * (spread * (1 - density) / density / draws).sqrt()
    assert ((total / draws - mix(updates, weights).delta()).abs() <= bound).all()


def test_each_entry_is_dropped_or_divided_by_the_density(draw):
    update = draw(2, 40, 50)
    thinned = dare([update], [1.0], density=0.3, generator=seeded(1))
    ratio = thinned / update.delta()
    kept = ratio != 0
    assert torch.allclose(ratio[kept], torch.full_like(ratio[kept], 1 / 0.3))
    # 2000 entries, standard error 0.0102; five of them.
    assert float(kept.double().mean()) == pytest.approx(0.3, abs=0.052)


def test_equal_seeds_give_equal_draws_and_others_do_not(draw):
    updates, weights = [draw(0), draw(1)], [0.5, 0.5]
    first = dare(updates, weights, generator=seeded(3))
    assert torch.equal(first, dare(updates, weights, generator=seeded(3)))
    assert not torch.equal(first, dare(updates, weights, generator=seeded(4)))


def test_every_adapter_has_its_own_mask(draw):
    update = draw(0, 20, 20)
    twice = dare([update, update], [0.5, 0.5], density=0.5, generator=seeded(5))
    levels = (twice / update.delta()).mul(2).round().unique()
    assert levels.tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("then", ["mix", "ties"])
def test_a_density_of_one_drops_nothing(draw, then):
    updates, weights = [draw(0), draw(1)], [0.3, 0.7]
    merged = dare(updates, weights, density=1.0, then=then, generator=seeded(6))
    expected = (
        mix(updates, weights).delta()
        if then == "mix"
        else ties(updates, weights, density=1.0)
    )
    assert torch.allclose(merged, expected, atol=1e-12)


def test_ties_after_dare_trims_what_was_left(draw):
    updates, weights = [draw(0, 10, 10)], [1.0]
    options = {"density": 0.5, "then": "ties"}
    whole = dare(updates, weights, generator=seeded(7), **options)
    trimmed = dare(updates, weights, generator=seeded(7), trim=0.1, **options)
    assert int(trimmed.count_nonzero()) == 10
    kept = trimmed != 0
    assert torch.equal(trimmed[kept], whole[kept])
    assert float(trimmed[kept].abs().min()) >= float(whole[~kept].abs().max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0.0}, r"dare: density must be in \(0, 1\]"),
        ({"density": 1.5}, "density"),
        ({"trim": -1.0}, "trim"),
    ],
)
def test_options_outside_their_range_are_refused(draw, options, message):
    with pytest.raises(ConfigError, match=message):
        dare([draw(0)], [1.0], generator=seeded(0), **options)


def test_a_word_that_is_not_a_choice_is_refused_without_type_checks_too(draw):
    unchecked = inspect.unwrap(dare)
    with pytest.raises(ConfigError, match="then must be 'mix' or 'ties', got 'fuse'"):
        unchecked([draw(0)], [1.0], then="fuse", generator=seeded(0))
