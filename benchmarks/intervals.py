"""How sure a mean of few numbers is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a mean, by Student's t.

    Not by a bootstrap: intervals drawn from five numbers hold in 84 of 100 cases.

    Args:
        values: At least two numbers, one per seed or per task.
    """
    found = np.asarray(values, float)
    half = student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return float(found.mean() - half), float(found.mean() + half)
