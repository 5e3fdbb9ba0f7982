"""What every coupling provides, and the algebra that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..._errors import ConfigError

BankSize = int | Literal["tasks"]
BankSizes = tuple[int, int]


class Forward(NamedTuple):
    """What a coupling may look at in one forward pass.

    A tuple, because it is made for every layer and step.

    Args:
        M: Number of A's.
        N: Number of B's.
        weight: What the coupling trains, or None.
        tasks: Row of the task of every sample, shape (batch,); None without tasks.
        training: Whether random couplings draw; else they use their expectation.
    """

    M: int
    N: int
    weight: Tensor | None = None
    tasks: Int[Tensor, " batch"] | None = None
    training: bool = False


@dataclass(frozen=True)
class Plan:
    """How one forward pass feeds A's into B's, as data.

    A bank of M factors becomes K blocks, either by weights (K, M) on the factors or by
    an index (batch, K) that picks factors per sample; None leaves the bank as it is.
    Static couplings are mixed here, in the small space of the weights, so that no
    product over tokens is done twice.

    Args:
        down: For the A bank: weights (K, M), index (batch, K), or None.
        up: For the B bank: weights (K, N), index (batch, K), or None.
        down0: For the frozen copies of A; None means the same as ``down``.
        up0: For the frozen copies of B; None means the same as ``up``.
        gate: Per-sample weights (batch, blocks), ``"router"`` for per-token weights
            from the router, or None.
    """

    down: Tensor | None = None
    up: Tensor | None = None
    down0: Tensor | None = None
    up0: Tensor | None = None
    gate: Tensor | Literal["router"] | None = None


class Coupling(ABC):
    """Which A feeds which B, and how strongly: the matrix C of shape (M, N).

    A coupling has no state of its own. What it trains lives on the layer and is handed
    in as ``weight``.
    """

    can_merge: bool = True
    """Whether C is the same for every token, so that a task's update is one LoRA."""
    needs_tasks: bool = False
    """Whether C depends on the task of the sample."""
    shared_factors: int = 0
    """How many factors of a per-task bank come first and belong to all tasks."""
    default_sizes: tuple[BankSize, BankSize] | None = None
    """(num_A, num_B) where the user names the coupling only; None: the method's."""
    trains_weight: bool = False
    """Whether it trains a weight of its own."""
    weight_per_task: bool = False
    """Whether the first axis of that weight is the task."""

    def bank_sizes(self, num_A: BankSize, num_B: BankSize, tasks: int) -> BankSizes:
        """Return (M, N), the sizes of the banks.

        Args:
            num_A: What the config asks for: a number, or ``"tasks"`` for one per task.
            num_B: As ``num_A``.
            tasks: Number of tasks.
        """
        own = self.shared_factors + tasks
        M, N = (own if size == "tasks" else size for size in (num_A, num_B))
        return M, N

    def check(self, num_A: BankSize, num_B: BankSize) -> None:  # noqa: B027
        """Check that the coupling can connect banks of these sizes.

        Raises:
            ConfigError: It cannot; says which sizes it needs.
        """

    def experts(self, M: int, N: int) -> int:
        """Return how many outputs the router has; 0 if there is none."""
        return 0

    def first_weight(self, M: int, N: int, tasks: int) -> Tensor | None:
        """Return the trained weight at the start, or None if there is none."""
        return None

    @abstractmethod
    def matrix(
        self, weight: Tensor | None, M: int, N: int, row: int | None
    ) -> Float[Tensor, "M N"]:
        """Return C as used in evaluation.

        Args:
            weight: What the coupling trains, or None.
            M: Number of A's.
            N: Number of B's.
            row: Row of the task; None where the coupling does not need one.

        Raises:
            ConfigError: C depends on the token.
        """

    def start_matrix(
        self, weight: Tensor | None, M: int, N: int, row: int | None
    ) -> Float[Tensor, "M N"]:
        """Return the C of the frozen start copies; that of the factors by default."""
        return self.matrix(weight, M, N, row)

    @abstractmethod
    def plan(self, now: Forward) -> Plan:
        """Return this forward's plan.

        Args:
            now: The banks, the tasks in the batch, and whether the model is trained.
        """


class StaticCoupling(Coupling):
    """A coupling whose C is known before the tokens are: mixed in weight space."""

    draws: bool = False
    """Whether C is drawn anew in every training forward."""

    def draw(self, M: int, N: int) -> Float[Tensor, "M N"]:
        """Return the C of one training forward; that of evaluation by default."""
        return self.matrix(None, M, N, None)

    def plan(self, now: Forward) -> Plan:
        """See :meth:`Coupling.plan`."""
        if now.training and self.draws:
            return mix_larger(self.draw(now.M, now.N))
        key = type(self), now.M, now.N
        if key not in _FIXED_PLANS:
            with torch.device("cpu"):  # Also while a model is made on the meta device.
                matrix = self.matrix(None, now.M, now.N, None)
                _FIXED_PLANS[key] = Plan(*split_matrix(matrix))
        return _FIXED_PLANS[key]


# A plain dict, filled when a layer is made: torch.compile would look through a cache of
# functools and trace how a plan is made.
_FIXED_PLANS: dict[tuple[type[StaticCoupling], int, int], Plan] = {}


def mix_larger(matrix: Float[Tensor, "M N"]) -> Plan:
    """Return the plan that mixes the larger bank with C, so min(M, N) blocks are left.

    Looks at no value of C, so a compiler can trace it for a C that changes.
    """
    M, N = matrix.shape
    return Plan(up=matrix) if M <= N else Plan(down=matrix.t())


def split_matrix(
    matrix: Float[Tensor, "M N"],
) -> tuple[Float[Tensor, "K M"] | None, Float[Tensor, "K N"] | None]:
    """Write C as a sum of K pairs, with K as small as its pattern shows.

    sum_ij C_ij B_j A_i = sum_k (sum_j up_kj B_j)(sum_i down_ki A_i)

    A's or B's that C does not use are left out. K is 1 when all used rows are equal
    (``full``), and min(M, N) otherwise.

    Args:
        matrix: C, shape (M, N).

    Returns:
        (down, up) of shapes (K, M) and (K, N), with ``down.T @ up == C``; None stands
        for the identity.

    Example:
        >>> split_matrix(torch.ones(2, 3))
        (tensor([[1., 1.]]), tensor([[1., 1., 1.]]))
    """
    M, N = matrix.shape
    rows = matrix.abs().sum(1).nonzero().flatten()
    columns = matrix.abs().sum(0).nonzero().flatten()
    first = matrix[rows[0]] if len(rows) else matrix[0]
    if torch.equal(matrix[rows], first.expand(len(rows), N)):
        used = matrix.new_zeros(1, M)
        used[0, rows] = 1.0
        down, up = used, first.unsqueeze(0)
    elif len(rows) <= len(columns):
        down, up = _identity(M, matrix)[rows], matrix[rows]
    else:
        down, up = matrix[:, columns].t(), _identity(N, matrix)[columns]
    return _unless_identity(down), _unless_identity(up)


def _unless_identity(how: Tensor) -> Tensor | None:
    rows, columns = how.shape
    identity = rows == columns and torch.equal(how, _identity(rows, how))
    return None if identity else how


def _identity(size: int, like: Tensor) -> Float[Tensor, "size size"]:
    return torch.eye(size, dtype=like.dtype, device=like.device)


def mix_bank(bank: Float[Tensor, "M r d"], how: Tensor | None) -> Tensor:
    """Turn a bank into the blocks of a plan.

    Args:
        bank: Factors, shape (M, r, d); (1, r, d) stands for M equal ones.
        how: Weights (K, M), index (batch, K), or None; see :class:`Plan`.

    Returns:
        Blocks of shape (K, r, d), or (batch, K, r, d) for an index. For None the bank
        itself, not a copy.
    """
    if how is None:
        return bank
    if not how.is_floating_point():
        return _pick(bank, how)
    how = how.to(device=bank.device, dtype=bank.dtype)
    if bank.shape[0] == 1:
        return how.sum(1).view(-1, 1, 1) * bank
    # One product; einsum says the same and takes several times as long to set up.
    return (how @ bank.flatten(1)).view(len(how), *bank.shape[1:])


def _pick(bank: Tensor, index: Int[Tensor, "batch K"]) -> Tensor:
    if bank.shape[0] == 1:
        return bank.expand(*index.shape, *bank.shape[1:])
    # index_select, because its backward is an index_add and not a slow index_put.
    picked = bank.index_select(0, index.flatten())
    return picked.view(*index.shape, *bank.shape[1:])


def require(
    condition: bool, coupling: str, rule: str, num_A: BankSize, num_B: BankSize
) -> None:
    """Raise the one message for banks that a coupling cannot connect."""
    if not condition:
        raise ConfigError(
            f"coupling '{coupling}': {rule}, got num_A={num_A}, num_B={num_B}. "
            "Change num_A, num_B or the coupling."
        )


def known_row(row: int | None) -> int:
    """Return the row of a task, or say that one is needed.

    Raises:
        ConfigError: No task was given.
    """
    if row is None:
        raise ConfigError(
            "task: this adapter has its own factors per task, so one must be named, "
            "got none. Pass task=..., or set default_task in the config."
        )
    return row
