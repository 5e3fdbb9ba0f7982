"""Starts: what the factors are before the first step. One line here per start."""

from collections.abc import Callable

from ..._registry import Registry
from ._base import StartFactors, StartShape

_HERE = "cotune.adapters._start"

STARTS: Registry[Callable[..., StartFactors]] = Registry(
    "start",
    {
        "kaiming": f"{_HERE}._kaiming:kaiming",
        "gaussian": f"{_HERE}._gaussian:gaussian",
        # CoLoRA: as kaiming; its cores begin as identities (see _core), and so
        # B = 0 together with S = 0, a saddle that nothing leaves, cannot be asked for.
        "colora": f"{_HERE}._kaiming:kaiming",
        "pissa": f"{_HERE}._pissa:pissa",
        "pissa-split": f"{_HERE}._pissa:pissa_split",
    },
)

__all__ = ["STARTS", "StartFactors", "StartShape"]
