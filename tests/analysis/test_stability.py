import itertools

import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import EvaluationCache, stability

NAMES = [f"block {n}" for n in range(4)]


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def product(on):
    return float(len(on) * (1 + ("block 0" in on)))


def by_enumeration(value, q):
    total = 0.0
    for flags in itertools.product([False, True], repeat=len(NAMES)):
        on = frozenset(name for name, flag in zip(NAMES, flags, strict=True) if flag)
        total += value(on) * q ** len(on) * (1 - q) ** (len(NAMES) - len(on))
    return total


def test_the_exact_curve_is_the_expectation_over_all_sets():
    found = stability(product, NAMES, draws=None)
    for q in (0, 0.25, 0.5, 0.75, 0.9, 1):
        assert found.at(q) == pytest.approx(by_enumeration(product, q), abs=1e-12)
    assert found.evaluations == 16
    assert all(point.draws == 0 for point in found.points)


def test_a_drawn_curve_lies_within_its_errors_of_the_exact_one():
    names = [f"block {n}" for n in range(14)]
    found = stability(
        lambda on: len(on) / 14, names, q=(0, 0.3, 1), draws=400, generator=dice()
    )
    low, middle, high = found.points
    assert (low.score, high.score) == (0, 1)
    assert (low.standard_error, high.standard_error) == (0, 0)
    assert abs(middle.score - 0.3) < 4 * middle.standard_error
    # The standard deviation of a share of 14 is sqrt(.3 .7 / 14).
    assert middle.standard_error == pytest.approx((0.21 / 14 / 400) ** 0.5, rel=0.15)


def test_all_q_share_their_numbers_so_that_a_monotone_value_gives_a_monotone_curve():
    found = stability(
        lambda on: float(len(on)),
        [str(n) for n in range(9)],
        q=[n / 20 for n in range(21)],
        draws=5,
        generator=dice(),
    )
    scores = [point.score for point in found.points]
    assert scores == sorted(scores)


def test_few_groups_are_computed_and_not_drawn():
    assert stability(product, NAMES, draws=16).points[1].draws == 0
    with pytest.raises(ConfigError, match="generator"):
        stability(product, NAMES, draws=15)


def test_an_interrupted_curve_goes_on_with_the_same_sets(tmp_path):
    path, calls = tmp_path / "s.jsonl", []

    def value(on):
        if len(calls) == 4:
            calls.append(None)
            raise KeyboardInterrupt
        calls.append(on)
        return product(on)

    def run():
        cache = EvaluationCache(path)
        return stability(value, NAMES, draws=6, generator=dice(), cache=cache)

    with pytest.raises(KeyboardInterrupt):
        run()
    found = run()
    assert found == stability(product, NAMES, draws=6, generator=dice())
    assert len(calls) == found.evaluations + 1


def test_progress_ends_at_its_total():
    ticks = []
    stability(
        product, NAMES, draws=8, generator=dice(), progress=lambda *at: ticks.append(at)
    )
    assert ticks[-1][0] == ticks[-1][1] == len(ticks)


@pytest.mark.parametrize("q", [[], [-0.1], [1.1]])
def test_probabilities_outside_0_to_1_are_refused(q):
    with pytest.raises(ConfigError, match="q must lie in"):
        stability(product, NAMES, q=q, draws=None)


def test_a_probability_that_was_not_asked_for_is_refused():
    with pytest.raises(ConfigError, match=r"must be one of 0\.5"):
        stability(product, NAMES, q=[0.5], draws=None).at(0.4)
