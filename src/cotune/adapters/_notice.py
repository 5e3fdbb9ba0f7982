"""What the users of a choice should know that looks stronger than it is."""

from __future__ import annotations

import logging
from functools import cache

_log = logging.getLogger(__name__)


@cache
def tell_that_factors_stay_alike(M: int, N: int) -> None:
    """Log, once per process and sizes, what ``full`` does to factors that start alike.

    Args:
        M: Number of A's.
        N: Number of B's.

    Source: methods.md, checks C3 and C4 of this project, on CoLA (arXiv:2505.15471).
    """
    _log.warning(
        "coupling 'full': the %d A's and the %d B's start alike and get the same "
        "gradients, so they stay alike for ever. This is PiSSA with one A and one B, "
        "with a learning rate x %d on A and x %d on B. Use start='pissa-split' or "
        "coupling='learned' to let them differ, or num_A=1, num_B=1 with a learning "
        "rate per factor.",
        *(M, N, M, N),
    )
