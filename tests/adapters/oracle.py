"""The formula of the collaborative layer as an explicit loop, written a second time.

    y = base(x) + s * sum_ij  C_ij(x, t) * B_j * S_t * A_i * x

In fp64, one sample, one token and one pair at a time. Nothing here calls the couplings,
cores, products or the algebra of the package: it reads the parameters of a layer by
name, and knows from methods.md what they mean. Differentiable, so that autograd of the
loop is the oracle of the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cotune.adapters import CollaborativeLayer


@dataclass
class Bank:
    """All tensors of one adapter in fp64. B is (N, d_out, r), as in the formula."""

    A: Tensor
    B: Tensor
    scale: float
    coupling: str
    core_kind: str
    core: Tensor | None = None
    router: Tensor | None = None
    weight: Tensor | None = None
    A0: Tensor | None = None
    B0: Tensor | None = None


def read_bank(
    layer: CollaborativeLayer, name: str = "default", live: bool = False
) -> Bank:
    """Copy an adapter's tensors out of a layer.

    Args:
        layer: Where from.
        name: Which adapter.
        live: Keep them attached to the parameters, for gradients.
    """

    def read(factor: str) -> Tensor | None:
        bank = getattr(layer, f"cotune_{factor}")
        if name not in bank:
            return None
        value = bank[name] if live else bank[name].detach()
        value = value.double()
        return value.transpose(-1, -2) if factor in ("B", "B0") else value

    config = layer.specs[name].config
    r, alpha = layer.specs[name].r, config.lora_alpha
    A, B = read("A"), read("B")
    assert A is not None and B is not None
    return Bank(
        A=A,
        B=B,
        scale=alpha / r**0.5 if config.use_rslora else alpha / r,
        coupling=str(config.coupling),
        core_kind=str(config.core),
        core=read("core"),
        router=read("router"),
        weight=read("weight"),
        A0=read("A0"),
        B0=read("B0"),
    )


def loop_update(
    bank: Bank,
    x: Tensor,
    tasks: list[int] | None = None,
    drawn: Tensor | None = None,
    dropped: Tensor | None = None,
) -> Tensor:
    """Compute s * sum_ij C_ij B_j S_t A_i x, minus the same of the frozen copies.

    Args:
        bank: All tensors.
        x: Shape (batch, tokens, d_in), in fp64.
        tasks: Row of every sample's task.
        drawn: C of a random coupling in training, (M, N); None for its expectation.
        dropped: x after dropout, for the A's; None for x itself.
    """
    inputs = x if dropped is None else dropped
    samples = []
    for b in range(x.shape[0]):
        task = None if tasks is None else tasks[b]
        tokens = []
        for n in range(x.shape[1]):
            C = coupling_at(bank, x[b, n], task, drawn)
            C0 = torch.ones_like(C) if bank.coupling == "learned" else C
            tokens.append(_pairs(bank, C, C0, inputs[b, n], task))
        samples.append(torch.stack(tokens))
    return torch.stack(samples)


def _pairs(bank: Bank, C: Tensor, C0: Tensor, x: Tensor, task: int | None) -> Tensor:
    total = torch.zeros(bank.B.shape[1], dtype=torch.float64)
    for i in range(len(bank.A)):
        for j in range(len(bank.B)):
            hidden = bank.A[i] @ x
            if bank.core is not None:
                assert task is not None
                hidden = core_matrix(bank, task) @ hidden
            total = total + bank.scale * C[i, j] * (bank.B[j] @ hidden)
            if bank.A0 is not None and bank.B0 is not None:
                # Copies that are all equal are stored once.
                A0 = bank.A0[i if len(bank.A0) > 1 else 0]
                B0 = bank.B0[j if len(bank.B0) > 1 else 0]
                total = total - bank.scale * C0[i, j] * (B0 @ (A0 @ x))
    return total


def core_matrix(bank: Bank, task: int) -> Tensor:
    """Return S_t, shape (r, r)."""
    assert bank.core is not None
    r = bank.A.shape[1]
    if bank.core_kind == "full":
        return bank.core[task]
    if bank.core_kind == "diag":
        return torch.diag(bank.core[task])
    assert bank.core_kind == "scalar", bank.core_kind
    return bank.core[task] * torch.eye(r, dtype=torch.float64)


def coupling_at(
    bank: Bank, x: Tensor, task: int | None, drawn: Tensor | None = None
) -> Tensor:
    """Return C for one token, shape (M, N)."""
    M, N = len(bank.A), len(bank.B)
    if drawn is not None:
        return drawn.double()
    return COUPLING_RULES[bank.coupling](bank, x, task, M, N)


Rule = Callable[[Bank, Tensor, "int | None", int, int], Tensor]


def _full(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    return torch.ones(M, N, dtype=torch.float64)


def _random(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    return torch.full((M, N), 1 / N, dtype=torch.float64)


def _random_reversed(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    return torch.full((M, N), 1 / M, dtype=torch.float64)


def _heuristic_paper(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    C = torch.zeros(M, N, dtype=torch.float64)
    for i in range(M - 1):
        C[i, i] = 1
    C[M - 1, M - 1 :] = 1
    return C


def _heuristic_code(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    C = torch.zeros(M, N, dtype=torch.float64)
    q = N // M
    for i in range(M):
        C[i, i * q : (i + 1) * q] = 1
    for k in range(N - M * q):
        C[k, M * q + k] = 1
    return C


def _learned(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    assert bank.weight is not None and bank.weight.shape == (M, N)
    return bank.weight


def _router(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    assert bank.router is not None
    shares = torch.softmax(bank.router @ x, dim=0)
    if M == N:
        return torch.diag(shares)
    return shares.view(M, N)


def _by_task(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    assert task is not None
    C = torch.zeros(M, N, dtype=torch.float64)
    C[task if M > 1 else 0, task if N > 1 else 0] = 1
    return C


def _shared_and_own(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    assert task is not None
    C = torch.zeros(M, N, dtype=torch.float64)
    C[0, 0] = 1
    C[1 + task, 1 + task] = 1
    return C


def _task_weights(bank: Bank, x: Tensor, task: int | None, M: int, N: int) -> Tensor:
    assert bank.weight is not None and task is not None
    return torch.softmax(bank.weight[task] / 0.5, dim=0).view(M, N)


COUPLING_RULES: dict[str, Rule] = {
    "full": _full,
    "random": _random,
    "random-reversed": _random_reversed,
    "heuristic-paper": _heuristic_paper,
    "heuristic-code": _heuristic_code,
    "learned": _learned,
    "router": _router,
    "by-task": _by_task,
    "shared-and-own": _shared_and_own,
    "task-weights": _task_weights,
}
"""C of every coupling; the contract tests fail on a coupling that has no rule here."""


def draw_matrix(coupling: str, M: int, N: int) -> Tensor | None:
    """Draw the C of one training forward from torch's global generator.

    Called right after the seed that the layer's forward is then given again.
    """
    C = torch.zeros(M, N)
    if coupling == "random":
        for i, j in enumerate(torch.randint(N, (M,)).tolist()):
            C[i, j] = 1
        return C
    if coupling == "random-reversed":
        for j, i in enumerate(torch.randint(M, (N,)).tolist()):
            C[i, j] = 1
        return C
    return None
