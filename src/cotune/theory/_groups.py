"""Run all experiments of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ._finding import Finding, FindingGroup

_ONE_PROBLEM = {"problems": 1, "seeds": 3, "steps": 2_000, "pretrain_steps": 1_500}

QUICK: Mapping[str, Mapping[str, Any]] = {
    "linear-gradient": {"taus": (0.2,), "cells": ((16, 12),), "seeds": 4},
    "linear-rate": {"seeds": 4},
    "coto-toy": _ONE_PROBLEM,
    "coto-stability": {**_ONE_PROBLEM, "rows": 1_000},
    "coto-short-budget": {**_ONE_PROBLEM, "steps": 500, "pretrain_steps": 500},
}
"""Smaller sizes at which the claims still show; the others are quick as they are."""


def linear(
    *,
    seeds: int | None = None,
    quick: bool = False,
    tell: Callable[[Finding], None] | None = None,
) -> FindingGroup:
    """Run the laboratory of CoLoRA on heterogeneous linear regression.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        quick: Smaller sizes, about a minute.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group("linear", seeds=seeds, tell=tell, sizes=QUICK if quick else None)


def coto(
    *,
    seeds: int | None = None,
    quick: bool = False,
    tell: Callable[[Finding], None] | None = None,
) -> FindingGroup:
    """Run the checks of CoTo's theory and its toy, at full size: some minutes.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        quick: Smaller sizes, about a minute.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group("coto", seeds=seeds, tell=tell, sizes=QUICK if quick else None)


def federated(
    *,
    seeds: int | None = None,
    quick: bool = False,
    tell: Callable[[Finding], None] | None = None,
) -> FindingGroup:
    """Run the linear toys of federated training.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        quick: Smaller sizes, about a minute.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group(
        "federated", seeds=seeds, tell=tell, sizes=QUICK if quick else None
    )


def run_group(
    group: str,
    *,
    seeds: int | None = None,
    tell: Callable[[Finding], None] | None = None,
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
) -> FindingGroup:
    """Run every experiment whose name in ``LAB`` begins with the name of the group.

    Args:
        group: ``linear``, ``coto`` or ``federated``.
        seeds: Number of seeds for every experiment; None takes each one's own.
        tell: Called with every finding as soon as it is there.
        sizes: Further arguments, by the name of the experiment; ``seeds`` wins.

    Returns:
        All findings, in the order of ``LAB``.
    """
    from . import LAB

    common = {} if seeds is None else {"seeds": seeds}
    findings: list[Finding] = []
    for name in LAB:
        if not name.startswith(f"{group}-"):
            continue
        arguments = dict((sizes or {}).get(name, {})) | common
        findings.append(cast(Finding, LAB[name](**arguments)))
        if tell is not None:
            tell(findings[-1])
    return FindingGroup(name=group, findings=tuple(findings))
