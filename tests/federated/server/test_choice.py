"""Who is asked: by seed and round, or by chance that nobody can repeat."""

from collections import Counter

from cotune.federated.privacy import ClientLevelSpec
from cotune.federated.server._choice import choose_clients

NAMES = [f"c{number}" for number in range(6)]


def private(**changes) -> ClientLevelSpec:
    return ClientLevelSpec(**{"clip": 1.0, "noise": 1.0, **changes})


def draws(privacy=None, count=60):
    return [
        tuple(choose_clients(NAMES, 2, seed=0, round=n, privacy=privacy).names)
        for n in range(count)
    ]


def test_seed_and_round_decide_and_the_order_of_names_does_not():
    first = choose_clients(NAMES, 3, seed=5, round=2)
    assert choose_clients(reversed(NAMES), 3, seed=5, round=2) == first
    assert first.names == sorted(first.names) and len(set(first.names)) == 3
    assert first.among == 6
    assert draws() == draws() and len(set(draws())) > 5


def test_all_are_asked_where_fewer_are_there():
    found = choose_clients(["b", "a"], 3, seed=0, round=1)
    assert found.names == ["a", "b"] and found.among == 2


def test_a_choice_that_must_stay_secret_does_not_come_from_the_recipe():
    # The seed stands in the recipe, which all parties have.
    secret = private(sampling="secret", source="system")
    assert draws(secret) != draws(secret)
    counts = Counter(name for names in draws(secret, 3000) for name in names)
    # 1000 each on average; a deviation of 26.
    assert all(abs(counts[name] - 1000) < 160 for name in NAMES)


def test_experiments_can_repeat_even_a_secret_choice():
    for told in (private(sampling="secret"), private(source="system"), None):
        assert draws(told) == draws()
