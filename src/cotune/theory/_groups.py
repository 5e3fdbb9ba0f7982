"""Run all experiments of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ._finding import Finding, FindingGroup


def linear(
    *, seeds: int | None = None, tell: Callable[[Finding], None] | None = None
) -> FindingGroup:
    """Run the laboratory of CoLoRA on heterogeneous linear regression.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group("linear", seeds=seeds, tell=tell)


def coto(
    *, seeds: int | None = None, tell: Callable[[Finding], None] | None = None
) -> FindingGroup:
    """Run the checks of CoTo's theory and its toy, at full size: some minutes.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group("coto", seeds=seeds, tell=tell)


def federated(
    *, seeds: int | None = None, tell: Callable[[Finding], None] | None = None
) -> FindingGroup:
    """Run the linear toys of federated training.

    Args:
        seeds: Number of seeds for every experiment; None takes each one's own.
        tell: Called with every finding as soon as it is there.

    Returns:
        All findings of the group.
    """
    return run_group("federated", seeds=seeds, tell=tell)


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
        sizes: Further arguments, by the name of the experiment.

    Returns:
        All findings, in the order of ``LAB``.
    """
    from . import LAB

    common = {} if seeds is None else {"seeds": seeds}
    findings: list[Finding] = []
    for name in LAB:
        if not name.startswith(f"{group}-"):
            continue
        arguments = common | dict((sizes or {}).get(name, {}))
        findings.append(cast(Finding, LAB[name](**arguments)))
        if tell is not None:
            tell(findings[-1])
    return FindingGroup(name=group, findings=tuple(findings))
