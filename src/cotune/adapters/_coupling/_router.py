"""A softmax router per token."""

from torch import Tensor

from ..._errors import ConfigError
from ._base import BankSize, Coupling, Forward, Plan, require


class Router(Coupling):
    """C comes from softmax(W_g x), drawn from every token.

    The banks say where it acts: over the A's if N = 1 (ALoRA), over the B's if M = 1
    (HydraLoRA), on the diagonal if M = N (MoE-LoRA). W_g has shape (experts, d_in), no
    bias, and sees x before the adapter's dropout.

    Source: ALoRA (arXiv:2509.25414), HydraLoRA (arXiv:2404.19245), MoE-LoRA
    (arXiv:2310.18339). Differs: the sum is taken in the r-wide space, so that B is
    applied once and dropout is drawn once per layer.
    """

    can_merge = False

    def check(self, num_A: BankSize, num_B: BankSize) -> None:
        """Refuse banks that leave open where the router acts."""
        rule = "needs num_A = 1, num_B = 1 or num_A = num_B"
        fits = num_A == 1 or num_B == 1 or num_A == num_B
        require(fits and "tasks" not in (num_A, num_B), "router", rule, num_A, num_B)

    def experts(self, M: int, N: int) -> int:
        """Return max(M, N)."""
        return max(M, N)

    def matrix(self, weight: Tensor | None, M: int, N: int, row: int | None) -> Tensor:
        """Refuse: C depends on the token.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "coupling 'router': the update must be the same for every token to be one "
            "matrix, but the router chooses per token, so it cannot be merged or "
            "exported exactly. Keep the adapter unmerged, export it with calibrated "
            "average router weights (cotune export --calibrate), or train with another "
            "coupling."
        )

    def plan(self, now: Forward) -> Plan:
        """Return a plan whose gate is the router."""
        return Plan(gate="router")
