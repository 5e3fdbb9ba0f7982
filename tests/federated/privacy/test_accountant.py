import itertools
import math
import warnings

import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated.privacy import Accountant, renyi

SETTINGS = [(1.0, 0.01, 100), (4.0, 1.0, 10), (0.7, 0.1, 20), (2.0, 0.3, 50)]


def spent(noise, rate, count, sampling="poisson", delta=1e-5):
    accountant = Accountant()
    accountant.step(noise_multiplier=noise, rate=rate, sampling=sampling, count=count)
    return accountant.epsilon(delta)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.01), (0.7, 0.1), (2.0, 1.0)])
@pytest.mark.parametrize("order", [2, 3, 17, 64, 256])
def test_the_divergence_agrees_with_opacus(noise, rate, order):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants.analysis.rdp import compute_rdp
    theirs = compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=[float(order)])
    assert renyi(order, noise, rate) == pytest.approx(float(theirs[0]), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "rate", "count"), SETTINGS)
def test_epsilon_is_above_that_of_opacus_by_little(noise, rate, count):
    # It has fractional orders too, so it finds a lower minimum; ours stays valid.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import RDPAccountant
    theirs = RDPAccountant()
    theirs.history = [(noise, rate, count)]
    expected = theirs.get_epsilon(1e-5)
    assert expected * (1 - 1e-9) <= spent(noise, rate, count) <= expected * 1.12


def test_one_gaussian_round_by_hand():
    # alpha / (2 z^2) at z = 1, converted at each order.
    wanted = min(
        a / 2 - (math.log(1e-5) + math.log(a)) / (a - 1) + math.log((a - 1) / a)
        for a in range(2, 65)
    )
    assert spent(1.0, 1.0, 1) == pytest.approx(wanted, rel=1e-12)


def test_fixed_sampling_by_hand_at_order_two():
    # log(1 + q^2 min(4 (e^x - 1), 2 e^x)) with x = e(2) = 4 / z^2.
    for noise in (1.0, 10.0):
        x = 4 / noise**2
        least = min(4 * math.expm1(x), 2 * math.exp(x))
        wanted = math.log1p(0.01**2 * least)
        assert renyi(2, noise, 0.01, "fixed") == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["poisson", "fixed"])
def test_more_rounds_more_clients_and_less_noise_cost_more(sampling):
    for a, b in itertools.pairwise([1, 10, 100]):
        assert spent(2.0, 0.1, a, sampling) < spent(2.0, 0.1, b, sampling)
    for a, b in itertools.pairwise([0.001, 0.01, 0.1, 0.5]):
        assert spent(2.0, a, 10, sampling) < spent(2.0, b, 10, sampling)
    for a, b in itertools.pairwise([8.0, 4.0, 1.0]):
        assert spent(a, 0.1, 10, sampling) < spent(b, 0.1, 10, sampling)


def test_a_set_of_fixed_size_costs_more_than_coins():
    assert spent(2.0, 0.1, 10, "fixed") > spent(2.0, 0.1, 10, "poisson")


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("sampling", ["poisson", "fixed"])
def test_a_secret_choice_never_costs_more_than_asking_everybody(noise, rate, sampling):
    for order in (2, 8, 64, 512):
        known = renyi(order, noise, 1.0)
        assert renyi(order, noise, rate, sampling) <= known * (1 + 1e-12)
    assert spent(noise, rate, 20, sampling) <= spent(noise, 1.0, 20) * (1 + 1e-12)


def divergence_of_fixed_sets(order, noise, clients, asked):
    """Integrate the divergence of two mixtures: client 0 sends 1 or 0, others +-1."""
    others = [(-1.0) ** k for k in range(1, clients)]
    sets = list(itertools.combinations(range(clients), asked))
    x = torch.linspace(-60, 60, 240_001, dtype=torch.float64)

    def density(first):
        sums = torch.tensor([sum([first, *others][k] for k in s) for s in sets])
        parts = torch.distributions.Normal(sums.double()[:, None], noise).log_prob(x)
        return torch.logsumexp(parts, 0) - math.log(len(sets))

    p, q = density(1.0), density(0.0)
    return max(
        float(torch.logsumexp(order * a + (1 - order) * b, 0) + (x[1] - x[0]).log())
        / (order - 1)
        for a, b in ((p, q), (q, p))
    )


@pytest.mark.parametrize(("clients", "asked"), [(4, 1), (4, 3), (6, 2), (6, 5)])
@pytest.mark.parametrize("noise", [1.0, 3.0])
@pytest.mark.parametrize("order", [2, 3, 8])
def test_the_bound_of_fixed_sets_lies_above_the_divergence_by_integration(
    clients, asked, noise, order
):
    true = divergence_of_fixed_sets(order, noise, clients, asked)
    assert true <= renyi(order, noise, asked / clients, "fixed") * (1 + 1e-9)


def test_no_noise_is_no_privacy_and_no_round_costs_nothing():
    assert spent(0.0, 0.5, 1) == math.inf
    assert Accountant().epsilon(1e-5) == 0
    assert spent(1.0, 1.0, 0) == 0


def test_tiny_rates_and_strong_noise_stay_finite():
    for sampling in ("poisson", "fixed"):
        assert 0 <= spent(100.0, 1e-6, 1, sampling) < 0.1
        assert spent(0.05, 0.999, 1, sampling) < math.inf


def test_an_accountant_comes_back_from_its_state():
    accountant = Accountant()
    for noise, rate in ((1.0, 0.1), (2.0, 1.0), (1.0, 0.1)):
        accountant.step(noise_multiplier=noise, rate=rate, sampling="fixed")
    again = Accountant.from_json(accountant.to_json())
    assert again.rounds == 3
    assert again.epsilon(1e-6) == accountant.epsilon(1e-6)
    assert len(again.to_json()) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"noise_multiplier": -1.0, "rate": 1.0},
        {"noise_multiplier": math.nan, "rate": 1.0},
        {"noise_multiplier": 1.0, "rate": 0.0},
        {"noise_multiplier": 1.0, "rate": 1.1},
        {"noise_multiplier": 1.0, "rate": 0.1, "count": -1},
    ],
)
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError, match=r"Accountant\.step"):
        Accountant().step(**bad)


@pytest.mark.parametrize("delta", [0.0, 1.0, math.nan])
def test_a_delta_out_of_range_is_refused(delta):
    with pytest.raises(ConfigError, match="delta must be in"):
        spent(1.0, 1.0, 1, delta=delta)
