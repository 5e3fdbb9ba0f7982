"""cotune: collaborative low-rank adaptation for large models.

Importing this package makes PEFT know the adapter type ``COTUNE``: at once if PEFT is
imported already, else as soon as it is. Everything else is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._after_import import after_import

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .adapters import (
        METHODS,
        ALoRAConfig,
        CoLAConfig,
        CoLoRAConfig,
        CoTuneConfig,
        DualConfig,
        HydraLoRAConfig,
        MoELoRAConfig,
        MTLLoRAConfig,
        use_tasks,
    )

_PUBLIC = {
    "METHODS": "adapters",
    "ALoRAConfig": "adapters",
    "CoLAConfig": "adapters",
    "CoLoRAConfig": "adapters",
    "CoTuneConfig": "adapters",
    "DualConfig": "adapters",
    "HydraLoRAConfig": "adapters",
    "MTLLoRAConfig": "adapters",
    "MoELoRAConfig": "adapters",
    "add_task": "adapters",
    "load_adapter": "_load",
    "read_adapter": "_adapter_file",
    "export_lora": "operators.convert",
    "watch_routers": "adapters",
    "mixed_training": "adapters",
    "Adapter": "_adapter",
    "ConfigError": "_errors",
    "use_tasks": "adapters",
}

__all__ = [
    "METHODS",
    "ALoRAConfig",
    "CoLAConfig",
    "CoLoRAConfig",
    "CoTuneConfig",
    "DualConfig",
    "HydraLoRAConfig",
    "MTLLoRAConfig",
    "MoELoRAConfig",
    "add_task",
    "load_adapter",
    "read_adapter",
    "export_lora",
    "watch_routers",
    "mixed_training",
    "Adapter",
    "ConfigError",
    "use_tasks",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


def _register() -> None:
    from .adapters._register import register

    register()


after_import("peft", _register)
