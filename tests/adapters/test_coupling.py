"""The table of couplings: sizes, matrices, plans, and the algebra below them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adapters.layers import SIZES, TASKS
from adapters.oracle import COUPLING_RULES, Bank
from cotune._errors import ConfigError
from cotune.adapters import COUPLINGS
from cotune.adapters._coupling import (
    BankSize,
    Coupling,
    Forward,
    Plan,
    StaticCoupling,
    mix_bank,
    split_matrix,
)

SIZED = [
    (name, sizes)
    for name in COUPLINGS
    for sizes in SIZES.get(name, [COUPLINGS[name].default_sizes or (2, 3)])
]


def sized(name: str, sizes: tuple[BankSize, BankSize]) -> tuple[Coupling, int, int]:
    rule = COUPLINGS[name]()
    rule.check(*sizes)
    return rule, *rule.bank_sizes(*sizes, tasks=len(TASKS))


def weight_of(rule: Coupling, M: int, N: int) -> Tensor | None:
    first = rule.first_weight(M, N, len(TASKS))
    if first is None:
        return None
    return torch.randn(first.shape, generator=torch.Generator().manual_seed(0))


# -- the contract ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "sizes"), SIZED)
def test_sizes_of_the_banks_follow_the_tasks(
    name: str, sizes: tuple[BankSize, BankSize]
) -> None:
    rule, M, N = sized(name, sizes)
    own = rule.shared_factors + len(TASKS)
    assert (own if sizes[0] == "tasks" else sizes[0]) == M
    assert (own if sizes[1] == "tasks" else sizes[1]) == N


@pytest.mark.parametrize(("name", "sizes"), SIZED)
def test_the_matrix_is_that_of_methods_md_for_every_task(
    name: str, sizes: tuple[BankSize, BankSize]
) -> None:
    rule, M, N = sized(name, sizes)
    weight = weight_of(rule, M, N)
    bank = Bank(
        A=torch.zeros(M, 1, 1),
        B=torch.zeros(N, 1, 1),
        scale=1.0,
        coupling=name,
        core_kind="none",
        weight=None if weight is None else weight.double(),
    )
    if not rule.can_merge:
        with pytest.raises(ConfigError, match="cannot be merged or exported exactly"):
            rule.matrix(weight, M, N, 0)
        return
    for row in range(len(TASKS)):
        wanted = COUPLING_RULES[name](bank, torch.zeros(1), row, M, N)
        got = rule.matrix(weight, M, N, row)
        assert got.shape == (M, N)
        torch.testing.assert_close(got.double(), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "sizes"), SIZED)
def test_what_a_coupling_declares_is_what_it_does(
    name: str, sizes: tuple[BankSize, BankSize]
) -> None:
    rule, M, N = sized(name, sizes)
    weight = weight_of(rule, M, N)
    assert (weight is not None) == rule.trains_weight
    assert (rule.experts(M, N) > 0) == (not rule.can_merge)
    if rule.weight_per_task:
        assert weight is not None and len(weight) == len(TASKS)
    if rule.needs_tasks:
        with pytest.raises(ConfigError, match="so one must be named, got none"):
            rule.matrix(weight, M, N, None)
    elif rule.can_merge:
        rule.matrix(weight, M, N, None)


@pytest.mark.parametrize("name", COUPLINGS)
def test_default_sizes_fit_the_coupling(name: str) -> None:
    sizes = COUPLINGS[name].default_sizes
    if sizes is not None:
        COUPLINGS[name]().check(*sizes)


@pytest.mark.parametrize(("name", "sizes"), SIZED)
def test_first_weights_own_their_memory(
    name: str, sizes: tuple[BankSize, BankSize]
) -> None:
    rule, M, N = sized(name, sizes)
    one, two = (rule.first_weight(M, N, len(TASKS)) for _ in range(2))
    assert one is None or one.data_ptr() != two.data_ptr()  # pyright: ignore


def test_an_unknown_coupling_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'ful'\. Did you mean full\?"):
        COUPLINGS["ful"]


# -- C6 and refusals -------------------------------------------------------------------


def test_c6_degrees_of_the_heuristics_at_4_10() -> None:
    code = COUPLINGS["heuristic-code"]().matrix(None, 4, 10, None)
    paper = COUPLINGS["heuristic-paper"]().matrix(None, 4, 10, None)
    assert code.sum(1).tolist() == [3, 3, 2, 2]
    assert paper.sum(1).tolist() == [1, 1, 1, 7]
    for matrix in (code, paper):
        assert matrix.sum(0).tolist() == [1] * 10


REFUSED: list[tuple[str, BankSize, BankSize, str]] = [
    ("heuristic-paper", 3, 2, "needs num_A <= num_B, got num_A=3, num_B=2"),
    ("heuristic-code", 3, 2, "needs num_A <= num_B"),
    ("heuristic-paper", "tasks", 3, "needs num_A <= num_B"),
    ("router", 2, 3, "needs num_A = 1, num_B = 1 or num_A = num_B"),
    ("router", "tasks", 1, "needs num_A = 1, num_B = 1 or num_A = num_B"),
    ("by-task", 1, 1, "and 'tasks' for one at least"),
    ("by-task", 2, "tasks", "needs 1 or 'tasks' for both banks"),
    ("shared-and-own", 1, "tasks", "needs 'tasks' for both banks"),
    ("task-weights", 2, 3, "needs num_A = 1"),
    ("task-weights", 1, "tasks", "needs num_A = 1"),
]


@pytest.mark.parametrize(("name", "num_A", "num_B", "message"), REFUSED)
def test_banks_that_cannot_be_connected_are_refused(
    name: str, num_A: BankSize, num_B: BankSize, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        COUPLINGS[name]().check(num_A, num_B)


# -- random couplings ------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (5, 2)])
@pytest.mark.parametrize("name", ["random", "random-reversed"])
def test_the_expectation_of_the_draws_is_the_matrix_of_evaluation(
    name: str, sizes: tuple[int, int]
) -> None:
    rule = COUPLINGS[name]()
    assert isinstance(rule, StaticCoupling)
    torch.manual_seed(0)
    drawn = torch.stack([rule.draw(*sizes) for _ in range(4000)])
    axis = 2 if name == "random" else 1
    assert (drawn.sum(axis) == 1).all()
    # Five standard deviations of a mean of 4000 zeros and ones are at most 0.04.
    assert (drawn.mean(0) - rule.matrix(None, *sizes, None)).abs().max() < 0.04


@pytest.mark.parametrize("name", ["random", "random-reversed"])
def test_only_training_draws(name: str) -> None:
    rule = COUPLINGS[name]()
    state = torch.get_rng_state()
    first = rule.plan(Forward(2, 3))
    assert torch.equal(torch.get_rng_state(), state)
    assert rule.plan(Forward(2, 3)) is first
    rule.plan(Forward(2, 3, training=True))
    assert not torch.equal(torch.get_rng_state(), state)


# -- the algebra -----------------------------------------------------------------------


def rebuilt(how: Plan, M: int, N: int) -> Tensor:
    down = torch.eye(M) if how.down is None else how.down
    up = torch.eye(N) if how.up is None else how.up
    return down.T.float() @ up.float()


matrices = st.integers(1, 5).flatmap(
    lambda M: st.integers(1, 5).flatmap(
        lambda N: st.lists(
            st.lists(st.sampled_from([0.0, 1.0, 0.5, -2.0]), min_size=N, max_size=N),
            min_size=M,
            max_size=M,
        )
    )
)


@given(matrices)
def test_split_matrix_gives_the_matrix_back_with_few_blocks(
    rows: list[list[float]],
) -> None:
    C = torch.tensor(rows)
    M, N = C.shape
    how = Plan(*split_matrix(C))
    assert torch.equal(rebuilt(how, M, N), C)
    blocks = M if how.down is None else len(how.down)
    used = min(int((C != 0).any(1).sum()), int((C != 0).any(0).sum()))
    assert blocks <= max(1, used)


def test_full_needs_one_block_and_a_diagonal_none_of_the_weights() -> None:
    down, up = split_matrix(torch.ones(4, 10))
    assert down is not None and up is not None
    assert down.shape == (1, 4) and up.shape == (1, 10)
    assert split_matrix(torch.eye(3)) == (None, None)


@pytest.mark.parametrize("C", [torch.ones(2, 3), torch.eye(3), torch.ones(3, 2).tril()])
def test_split_matrix_stays_on_the_device_of_the_matrix(C: Tensor) -> None:
    wanted = split_matrix(C)
    # As on a GPU: what is made without naming a device lands on another one.
    with torch.device("meta"):
        found = split_matrix(C)
    for mine, other in zip(found, wanted, strict=True):
        assert (mine is None) == (other is None)
        assert mine is None or other is None or torch.equal(mine, other)


@given(
    K=st.integers(1, 3), M=st.integers(1, 4), r=st.integers(1, 3), d=st.integers(1, 4)
)
def test_mix_bank_by_weights_is_the_weighted_sum(
    K: int, M: int, r: int, d: int
) -> None:
    dice = torch.Generator().manual_seed(K * 1000 + M * 100 + r * 10 + d)
    bank = torch.randn(M, r, d, generator=dice, dtype=torch.float64)
    how = torch.randn(K, M, generator=dice, dtype=torch.float64)
    wanted = torch.stack(
        [
            sum((how[k, m] * bank[m] for m in range(M)), torch.zeros(r, d))
            for k in range(K)
        ]
    )
    torch.testing.assert_close(mix_bank(bank, how), wanted)
    one = bank[:1]
    torch.testing.assert_close(mix_bank(one, how), mix_bank(one.expand(M, -1, -1), how))


@given(batch=st.integers(0, 4), K=st.integers(1, 3), M=st.integers(1, 4))
def test_mix_bank_by_index_picks_per_sample(batch: int, K: int, M: int) -> None:
    dice = torch.Generator().manual_seed(batch * 100 + K * 10 + M)
    bank = torch.randn(M, 2, 3, generator=dice)
    index = torch.randint(M, (batch, K), generator=dice)
    picked = mix_bank(bank, index)
    assert picked.shape == (batch, K, 2, 3)
    assert torch.equal(picked, bank[index])
    assert torch.equal(mix_bank(bank[:1], index), bank[:1][torch.zeros_like(index)])


def test_mix_bank_without_weights_is_the_bank_itself() -> None:
    bank = torch.zeros(2, 3, 4)
    assert mix_bank(bank, None) is bank
