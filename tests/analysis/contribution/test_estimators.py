"""All estimators of the table, against each other and against known games."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.analysis import ESTIMATORS, EvaluationCache, contribution
from cotune.analysis.contribution._game import Game
from cotune.analysis.contribution._quadrature import expected_gains, unit_nodes


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def names(count):
    return [f"layer {n}" for n in range(count)]


def random_game(count, seed=0):
    """Return a game whose 2^n values are random numbers."""
    values = np.random.default_rng(seed).normal(size=2**count)
    place = {name: n for n, name in enumerate(names(count))}
    return lambda on: float(values[sum(1 << place[name] for name in on)])


def smooth_game(count):
    """Return a game like a trained model: gains that saturate, none of them small."""
    weight = {name: 1 + 0.3 * n for n, name in enumerate(names(count))}
    return lambda on: 1 - math.exp(-sum(weight[name] for name in on) / 4)


def shapley_by_orders(value, players):
    """Average what each player adds, over all orders in which they can come."""
    phi = dict.fromkeys(players, 0.0)
    orders = list(itertools.permutations(players))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            phi[player] += (value(before | {player}) - value(before)) / len(orders)
    return list(phi.values())


OPTIONS = {
    "exact": {},
    "quadrature": {"draws": 600},
    "antithetic": {"draws": 600},
}


@pytest.mark.parametrize("method", ESTIMATORS)
def test_an_estimator_finds_the_contributions_within_its_errors(method):
    players, value = names(6), smooth_game(6)
    truth = contribution(value, players, method="exact")
    found = contribution(
        value, players, method=method, generator=dice(), **OPTIONS[method]
    )
    for phi, error, true in zip(
        found.phi, found.standard_error, truth.phi, strict=True
    ):
        assert abs(phi - true) <= 4 * error + 1e-12
        assert error < 0.1 * true


@pytest.mark.parametrize("method", ESTIMATORS)
def test_an_estimator_gives_the_same_numbers_again(method):
    def run():
        return contribution(
            random_game(5), names(5), method=method, generator=dice(), **OPTIONS[method]
        )

    assert run() == run()


@pytest.mark.parametrize("method", ESTIMATORS)
def test_players_alone_get_what_they_add(method):
    gains = {"a": 2.0, "b": -1.0, "c": 0.5}
    found = contribution(
        lambda on: sum(gains[name] for name in on),
        list(gains),
        method=method,
        generator=dice(),
        **OPTIONS[method],
    )
    assert found.phi == pytest.approx((2.0, -1.0, 0.5), abs=1e-12)
    assert found.gain == 1.5
    assert found.shares == pytest.approx((4 / 3, -2 / 3, 1 / 3))
    assert found.variation == pytest.approx(np.std([2, -1, 0.5]) / 0.5)


def test_the_exact_form_is_the_mean_over_all_orders():
    value, players = random_game(5, seed=3), names(5)
    found = contribution(value, players, method="exact")
    assert found.phi == pytest.approx(shapley_by_orders(value, players), abs=1e-12)
    assert found.evaluations == 2**5


@given(count=st.integers(1, 7), seed=st.integers(0, 99))
def test_exact_contributions_add_up_to_the_gain(count, seed):
    found = contribution(random_game(count, seed), names(count), method="exact")
    assert abs(sum(found.phi) - found.gain) < 1e-10


@given(count=st.integers(1, 7), seed=st.integers(0, 99))
def test_quadrature_with_n_nodes_equals_the_formula(count, seed):
    value, players = random_game(count, seed), names(count)
    exact = contribution(value, players, method="exact")
    nodes = contribution(value, players, method="quadrature", nodes=count)
    fewest = contribution(value, players, method="quadrature")
    assert max(abs(np.subtract(nodes.phi, exact.phi))) < 1e-10
    assert max(abs(np.subtract(fewest.phi, exact.phi))) < 1e-10


def test_twelve_players_are_exact_too():
    value, players = random_game(12), names(12)
    exact = contribution(value, players, method="exact")
    nodes = contribution(value, players, method="quadrature", nodes=12)
    assert abs(sum(exact.phi) - exact.gain) < 1e-10
    assert max(abs(np.subtract(nodes.phi, exact.phi))) < 1e-10


def test_one_node_too_few_is_not_exact():
    value, players = random_game(6), names(6)
    exact = contribution(value, players, method="exact")
    few = contribution(value, players, method="quadrature", nodes=2)
    assert max(abs(np.subtract(few.phi, exact.phi))) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_5000_antithetic_draws_are_within_5_percent(seed):
    value, players = smooth_game(8), names(8)
    exact = contribution(value, players, method="exact")
    found = contribution(
        value, players, method="antithetic", draws=5000, generator=dice(seed)
    )
    assert max(abs(np.divide(found.phi, exact.phi) - 1)) < 0.05


def test_pairs_of_players_leave_no_sampling_error_in_opposite_sets():
    pull = np.random.default_rng(0).normal(size=(6, 6))

    def value(on):
        places = [int(name[-1]) for name in on]
        return float(pull[np.ix_(places, places)].sum())

    exact = contribution(value, names(6), method="exact")
    found = contribution(
        value, names(6), method="antithetic", draws=4, generator=dice()
    )
    assert found.phi == pytest.approx(exact.phi, abs=1e-12)
    assert max(found.standard_error) < 1e-12


def test_standard_errors_are_those_of_many_repetitions():
    runs = [
        contribution(
            smooth_game(5),
            names(5),
            method="antithetic",
            draws=60,
            generator=dice(seed),
        )
        for seed in range(200)
    ]
    spread = np.std([run.phi for run in runs], axis=0)
    stated = np.mean([run.standard_error for run in runs], axis=0)
    assert np.allclose(stated, spread, rtol=0.2)


def test_a_set_is_evaluated_once_and_cached_by_name(tmp_path):
    seen = []

    def value(on):
        seen.append(on)
        return random_game(4)(on)

    path = tmp_path / "sets.jsonl"
    options = {"method": "antithetic", "draws": 40}
    first = contribution(
        value, names(4), generator=dice(), cache=EvaluationCache(path), **options
    )
    assert len(seen) == len(set(seen)) == first.evaluations <= 16
    again = contribution(
        value, names(4), generator=dice(), cache=EvaluationCache(path), **options
    )
    assert again == first
    assert len(seen) == first.evaluations


def test_sampling_costs_n_plus_1_evaluations_per_draw():
    seen = []
    count, draws = 20, 8
    contribution(
        lambda on: float(seen.append(on) or len(on)),
        names(count),
        method="antithetic",
        draws=draws,
        generator=dice(),
    )
    # And the two sets that the gain is read from.
    assert len(seen) <= draws * (count + 1) + 2


def test_few_players_are_computed_and_many_are_drawn():
    few = contribution(smooth_game(5), names(5))
    many = contribution(smooth_game(13), names(13), draws=4, generator=dice())
    assert (few.method, many.method) == ("exact", "antithetic")


def test_the_walk_over_all_sets_changes_one_player_at_a_time_and_the_last_most():
    seen = []
    Game(lambda on: float(seen.append(on) or 0), names(5)).table()
    changes = [a ^ b for a, b in itertools.pairwise(seen)]
    assert len(seen) == 32
    assert all(len(change) == 1 for change in changes)
    assert sum(change == {"layer 4"} for change in changes) == 16


def test_expected_gains_at_the_ends_are_those_of_nobody_and_everybody():
    values = Game(random_game(3), names(3)).table()
    nobody, everybody = expected_gains(values, 0.0), expected_gains(values, 1.0)
    assert nobody == pytest.approx([values[1 << i] - values[0] for i in range(3)])
    assert everybody == pytest.approx(
        [values[7] - values[7 ^ 1 << i] for i in range(3)]
    )


def test_nodes_integrate_polynomials_on_the_unit_interval():
    x, w = unit_nodes(3)
    for power in range(6):
        assert np.sum(w * x**power) == pytest.approx(1 / (power + 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "antithetic", "draws": 5}, "even number"),
        ({"method": "antithetic", "draws": 10}, "generator"),
        ({"method": "quadrature", "nodes": 0}, "at least 1 node"),
        ({"method": "quadrature", "draws": 3}, "draws and a generator"),
        ({"method": "exact", "draws": 8}, "draws does not go with method 'exact'"),
        ({"method": "exakt"}, "Did you mean exact"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        contribution(smooth_game(4), names(4), **options)


def test_thirteen_players_are_too_many_for_all_sets():
    with pytest.raises(ConfigError, match="at most 12, got 13"):
        contribution(smooth_game(13), names(13), method="exact")


def test_names_that_repeat_and_values_that_are_not_finite_are_refused():
    with pytest.raises(ConfigError, match="unique names"):
        contribution(lambda on: 0.0, ["a", "a"])
    with pytest.raises(ConfigError, match="must be finite, got nan with"):
        contribution(lambda on: float("nan"), ["a", "b"])
