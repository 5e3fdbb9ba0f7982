"""Which factor to share: closed forms, planted spaces, and the toy of F9."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import Adapter, LowRank, plain_factors
from cotune._errors import ConfigError
from cotune.analysis import Sharing, sharing, sharing_from_gradients
from cotune.analysis._sharing import choose
from cotune.theory._descent import descend
from cotune.theory.federated._clients import SHARED, Clients, draw_clients
from cotune.theory.federated._sides import _multiply, _start, train_federated


def adapters(updates, layer="q") -> dict[str, Adapter]:
    return {
        f"task {place}": Adapter(layers={layer: plain_factors(update)})
        for place, update in enumerate(updates)
    }


def frame(size, rank, seed):
    dice = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, rank, generator=dice, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0]


def planted(space, tasks=3, rank=2, size=40) -> list[LowRank]:
    """Return updates with equal singular values that share a space, or none."""
    found = []
    for task in range(tasks):
        A, B = frame(size, rank, 2 * task).T, frame(size, rank, 2 * task + 1)
        A = frame(size, rank, 100).T if space in ("row", "both") else A
        B = frame(size, rank, 101) if space in ("column", "both") else B
        found.append(LowRank(A, B))
    return found


@pytest.mark.parametrize(
    ("space", "choice"),
    [("column", "B"), ("row", "A"), ("both", "either"), ("none", "neither")],
)
def test_the_planted_space_is_found(space, choice):
    found = sharing(adapters(planted(space)))
    assert found.choice == choice
    assert found.agreeing == 1
    assert found.source == "updates"


def test_two_orthogonal_row_spaces_cost_a_shared_A_half_of_the_squares():
    basis = frame(7, 4, 0).T
    B = frame(6, 2, 1)
    found = sharing(adapters([LowRank(basis[:2], B), LowRank(basis[2:], B)]))
    # Four directions of one size, two of them kept; B is the same.
    assert found.missed_A == pytest.approx(0.5**0.5)
    assert found.missed_B == pytest.approx(0, abs=1e-12)
    assert found.rank == 2


def test_a_wider_shared_factor_misses_less_and_at_last_nothing():
    updates = adapters(planted("none"))
    missed = [sharing(updates, rank=rank).missed_A for rank in (1, 2, 4, 6)]
    # Six nearly orthogonal directions: exact only at the end.
    assert missed[0] > missed[1] > missed[2] > missed[3]
    assert missed[3] == pytest.approx(0, abs=1e-7)
    assert sharing(updates, rank=6).choice == "either"


def test_what_is_missed_is_the_tail_of_the_updates_side_by_side():
    updates = planted("none", size=9)
    deltas = [update.delta() / update.delta().norm() for update in updates]
    found = sharing(adapters(updates))
    for joined, missed in (
        (torch.cat(deltas, dim=1), found.missed_B),
        (torch.cat(deltas), found.missed_A),
    ):
        tail = torch.linalg.svdvals(joined)[2:].square().sum() / 3
        assert missed == pytest.approx(float(tail.sqrt()))


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_size_of_a_task_and_gauge_change_nothing(seed, scale):
    updates = planted("column", size=9)
    dice = torch.Generator().manual_seed(seed)
    turn = torch.eye(2) + 0.3 * torch.randn(2, 2, generator=dice, dtype=torch.float64)
    first = LowRank(torch.linalg.solve(turn, updates[0].A), updates[0].B @ turn * scale)
    one, other = sharing(adapters(updates)), sharing(adapters([first, *updates[1:]]))
    assert other.missed_A == pytest.approx(one.missed_A, abs=1e-6)
    assert other.missed_B == pytest.approx(one.missed_B, abs=1e-6)


def test_transposing_all_updates_swaps_the_sides():
    updates = planted("column", size=12)
    turned = [LowRank(update.B.T, update.A.T) for update in updates]
    one, other = sharing(adapters(updates)), sharing(adapters(turned))
    assert (one.missed_A, one.missed_B) == pytest.approx(
        (other.missed_B, other.missed_A), abs=1e-12
    )
    assert (one.choice, other.choice) == ("B", "A")


def test_a_large_layer_counts_for_more_than_a_small_one():
    large, small = planted("column"), planted("row")
    tasks = {
        f"task {n}": Adapter(
            layers={
                "large": plain_factors(one),
                "small": plain_factors(LowRank(other.A, other.B * 0.1)),
            }
        )
        for n, (one, other) in enumerate(zip(large, small, strict=True))
    }
    found = sharing(tasks)
    assert found.choice == "B" and found.agreeing == 0.5
    assert [layer.layer for layer in found.layers] == ["large", "small"]
    assert found.layers[1].missed_A < found.layers[1].missed_B


def test_unrelated_spaces_miss_what_is_said_of_unrelated_spaces():
    found = sharing(adapters(planted("none", tasks=6, rank=3, size=30)))
    assert found.missed_A == pytest.approx(found.random_A, abs=0.03)
    assert found.missed_B == pytest.approx(found.random_B, abs=0.03)


def test_the_same_generator_gives_the_same_numbers_and_inputs_stay():
    updates = adapters(planted("row"))
    before = {task: one.layers["q"].A.clone() for task, one in updates.items()}
    draws = [
        sharing(updates, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    ]
    assert draws[0] == draws[1]
    for task, one in updates.items():
        assert torch.equal(one.layers["q"].A, before[task])


def test_the_advice_names_the_choice_and_its_numbers():
    found = sharing(adapters(planted("column")))
    assert found.advice().startswith("Share B, keep A private: at rank 2 a shared A")
    assert found.summary()["advice"] == found.advice()


@pytest.mark.parametrize(
    ("numbers", "choice"),
    [
        ((0.2, 0.4, 0.8, 0.8), "A"),
        ((0.4, 0.2, 0.8, 0.8), "B"),
        ((0.4, 0.42, 0.8, 0.8), "either"),
        ((0.78, 0.79, 0.8, 0.8), "neither"),
        ((0.0, 0.0, 0.0, 0.0), "either"),
    ],
)
def test_the_rule_is_the_one_that_is_written_down(numbers, choice):
    assert choose(*numbers) == choice


def test_what_cannot_be_compared_is_refused():
    one, other, _ = adapters(planted("none")).values()
    with pytest.raises(ConfigError, match="two tasks are needed"):
        sharing({"one": one})
    with pytest.raises(ConfigError, match="must have the same layers"):
        sharing({"one": one, "other": Adapter(layers={"k": other.layers["q"]})})
    with pytest.raises(ConfigError, match="rank must be at least 1, got 0"):
        sharing({"one": one, "other": other}, rank=0)
    nothing = LowRank(one.update("q").A, 0 * one.update("q").B)
    with pytest.raises(ConfigError, match="got zero for task 1"):
        sharing(adapters([other.update("q"), nothing]))
    A, B = ({t: {n: torch.ones(3, 3)} for t in "ab"} for n in "qk")
    with pytest.raises(ConfigError, match="the same tasks and layers"):
        sharing_from_gradients(A, B)


def from_gradients(clients: Clients, seed: int) -> Sharing:
    """Compare gradients at zero, through one random factor of rank 8 per side."""
    G = clients.Y[seed] @ clients.X[seed].mT
    A, B = frame(32, 8, 1000 + seed).T, frame(32, 8, 2000 + seed)
    names = range(len(G))
    return sharing_from_gradients(
        {f"client {k}": {"W": B.T @ G[k]} for k in names},
        {f"client {k}": {"W": G[k] @ A.T} for k in names},
    )


def from_updates(clients: Clients, steps: int, *, common: bool) -> list[Sharing]:
    """Train every client alone; compare what they ended with."""

    def loss(_, factors):
        return clients.loss(_multiply(factors, 2.0))

    factors = _start(clients, 8, common=common)
    A, B = descend(factors, loss, steps=steps, learning_rate=5e-3)
    return [
        sharing(adapters([LowRank(a, 2.0 * b) for a, b in zip(*seed, strict=True)]))
        for seed in zip(A, B, strict=True)
    ]


@pytest.mark.parametrize("space", SHARED)
def test_in_the_toy_of_F9_gradients_find_what_the_clients_share(space):
    clients = draw_clients(space, seeds=10)
    found = {from_gradients(clients, seed).choice for seed in range(10)}
    assert found == {"B" if space == "column" else "A"}


@pytest.mark.slow
@pytest.mark.parametrize("space", SHARED)
def test_in_the_toy_of_F9_the_choice_is_the_better_arm_at_every_seed(space):
    clients = draw_clients(space, seeds=3)
    errors = {
        shared: train_federated(
            clients,
            shared,
            rounds=10,
            local_steps=40,
            learning_rate=5e-3,
            rank=8,
            scale=2.0,
        )[1].mean(dim=1)
        for shared in "AB"
    }
    better = ["A" if a < b else "B" for a, b in zip(*errors.values(), strict=True)]
    assert [from_gradients(clients, seed).choice for seed in range(3)] == better
    trained = from_updates(clients, 400, common=False)
    assert [found.choice for found in trained] == better


def test_short_runs_from_one_start_favour_A_whatever_the_clients_share():
    # Why gradients are taken: B = 0 at first, so an update has the row space of A's
    # start.
    clients = draw_clients("column", seeds=3)
    assert {one.choice for one in from_updates(clients, 5, common=True)} == {"A"}
    assert {from_gradients(clients, seed).choice for seed in range(3)} == {"B"}
