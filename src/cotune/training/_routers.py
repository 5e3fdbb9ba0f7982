"""Router statistics in logs, and the loss that keeps routers balanced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from torch import nn

from ..adapters import CoTuneConfig, RouterStats, RouterUsage, watch_routers


def find_balance(model: nn.Module) -> float | None:
    """Find the coefficient of the balance loss.

    Args:
        model: Any model, wrapped or not.

    Returns:
        ``router_balance`` of the active adapter; None if it has no router.
    """
    from peft import PeftModel

    for module in model.modules():
        if isinstance(module, PeftModel):
            config: Any = module.active_peft_config
            routed = isinstance(config, CoTuneConfig) and config.coupling == "router"
            return config.router_balance if routed else None
    return None


@contextmanager
def watch(model: nn.Module, wanted: bool) -> Iterator[RouterStats | None]:
    """Watch the routers of a model, if it has any.

    Args:
        model: Any model, wrapped or not.
        wanted: False: do nothing.

    Yields:
        Their statistics, or None.
    """
    if not wanted:
        yield None
        return
    with watch_routers(model) as stats:
        yield stats


def summarise_usage(usage: Mapping[str, RouterUsage]) -> dict[str, float]:
    """Turn router statistics into a few numbers for the log.

    Args:
        usage: Layer -> statistics.

    Returns:
        ``router/<task>/expert_<e>``: the mean share of expert e among the tokens of a
        task, over the layers; ``router/<task>/entropy`` in nats.
    """
    shares: dict[str, list[float]] = {}
    for one in usage.values():
        for row, task in enumerate(one.tasks):
            for expert, share in enumerate(one.shares[row].tolist()):
                shares.setdefault(f"router/{task}/expert_{expert}", []).append(share)
            entropy = float(one.entropy[row])
            shares.setdefault(f"router/{task}/entropy", []).append(entropy)
    return {name: fmean(values) for name, values in shares.items()}
