"""Laboratory: the theory behind the methods, as experiments that anyone can repeat.

``LAB["linear"]()``, ``LAB["coto"]()`` and ``LAB["federated"]()`` run a whole group;
every experiment has its own name, e.g. ``LAB["linear-recovery"](seeds=3)``.
"""

from __future__ import annotations

from collections.abc import Callable

from .._registry import Registry
from ._finding import Check, Finding, FindingGroup, Picture, Result

LAB: Registry[Callable[..., Result]] = Registry(
    "experiment",
    {
        "linear": "cotune.theory._groups:linear",
        "linear-recovery": "cotune.theory.linear._recovery:recovery",
        "linear-start": "cotune.theory.linear._start:compare_starts",
        "linear-scalar": "cotune.theory.linear._scalar:scalar_responses",
        "linear-similarity": "cotune.theory.linear._similarity:similarity",
        "linear-one-direction": "cotune.theory.linear._one_direction:one_direction",
        "linear-unshared": "cotune.theory.linear._unshared:unshared_part",
        "linear-noise": "cotune.theory.linear._noise:noise_floor",
        "linear-gradient": "cotune.theory.linear._gradient:gradient_form",
        "linear-rate": "cotune.theory.linear._rate:local_rate",
        "coto": "cotune.theory._groups:coto",
        "coto-bound": "cotune.theory.coto._bound:mask_bound",
        "coto-toy": "cotune.theory.coto._toy:toy",
        "coto-short-budget": "cotune.theory.coto._short_budget:short_budget",
        "coto-stability": "cotune.theory.coto._stability:stability",
        "federated": "cotune.theory._groups:federated",
        "federated-sides": "cotune.theory.federated._sides:shared_sides",
        "federated-persistence": "cotune.theory.federated._persistence:persistence",
    },
)

__all__ = ["LAB", "Check", "Finding", "FindingGroup", "Picture", "Result"]
