"""Couplings: which A feeds which B. One line here per coupling."""

from ..._registry import Registry
from ._base import (
    BankSize,
    Coupling,
    Forward,
    Plan,
    StaticCoupling,
    mix_bank,
    split_matrix,
)

_HERE = "cotune.adapters._coupling"

COUPLINGS: Registry[type[Coupling]] = Registry(
    "coupling",
    {
        "full": f"{_HERE}._full:Full",
        "random": f"{_HERE}._random:Random",
        "random-reversed": f"{_HERE}._random:RandomReversed",
        "heuristic-paper": f"{_HERE}._heuristic:HeuristicPaper",
        "heuristic-code": f"{_HERE}._heuristic:HeuristicCode",
        "learned": f"{_HERE}._learned:Learned",
        "router": f"{_HERE}._router:Router",
        "by-task": f"{_HERE}._by_task:ByTask",
        "shared-and-own": f"{_HERE}._shared_and_own:SharedAndOwn",
        "task-weights": f"{_HERE}._task_weights:TaskWeights",
    },
)

__all__ = [
    "COUPLINGS",
    "BankSize",
    "Coupling",
    "Forward",
    "Plan",
    "StaticCoupling",
    "mix_bank",
    "split_matrix",
]
