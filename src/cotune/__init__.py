"""cotune: collaborative low-rank adaptation for large models.

Importing this package makes PEFT know the adapter type ``COTUNE``: at once if PEFT is
imported already, else as soon as it is. Everything else is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._after_import import after_import
from ._lazy import lazy

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._adapter import Adapter
    from ._adapter_file import read_adapter, write_adapter
    from ._errors import ConfigError
    from ._load import load_adapter
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
        add_task,
        mixed_training,
        use_tasks,
        watch_routers,
    )
    from .operators.convert import export_lora
    from .operators.merge import merge_adapters
    from .schedules import CoTo, CoToCallback

_PUBLIC = {
    "ALoRAConfig": "adapters",
    "Adapter": "_adapter",
    "CoLAConfig": "adapters",
    "CoLoRAConfig": "adapters",
    "CoTo": "schedules",
    "CoToCallback": "schedules",
    "CoTuneConfig": "adapters",
    "ConfigError": "_errors",
    "DualConfig": "adapters",
    "HydraLoRAConfig": "adapters",
    "METHODS": "adapters",
    "MTLLoRAConfig": "adapters",
    "MoELoRAConfig": "adapters",
    "add_task": "adapters",
    "export_lora": "operators.convert",
    "load_adapter": "_load",
    "merge_adapters": "operators.merge",
    "mixed_training": "adapters",
    "read_adapter": "_adapter_file",
    "use_tasks": "adapters",
    "watch_routers": "adapters",
    "write_adapter": "_adapter_file",
}

__all__ = [
    "METHODS",
    "ALoRAConfig",
    "Adapter",
    "CoLAConfig",
    "CoLoRAConfig",
    "CoTo",
    "CoToCallback",
    "CoTuneConfig",
    "ConfigError",
    "DualConfig",
    "HydraLoRAConfig",
    "MTLLoRAConfig",
    "MoELoRAConfig",
    "add_task",
    "export_lora",
    "load_adapter",
    "merge_adapters",
    "mixed_training",
    "read_adapter",
    "use_tasks",
    "watch_routers",
    "write_adapter",
]


__getattr__, __dir__ = lazy(__name__, _PUBLIC)


def _register() -> None:
    from .adapters._register import register

    register()


after_import("peft", _register)
