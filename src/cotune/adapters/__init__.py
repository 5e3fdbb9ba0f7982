"""What a layer computes: banks, couplings, cores, starts, and the PEFT side.

Importing this package registers the adapter type ``COTUNE`` with PEFT.
"""

# PEFT first and whole: as soon as it is imported, our type is registered, which needs
# modules of this package that must not be half imported then.
import peft  # noqa: F401

from ._add_task import add_task, train_all_tasks
from ._balance import RouterStats, RouterUsage, average_shares, watch_routers
from ._config import CoTuneConfig, has_task_parts
from ._core import CORES
from ._coupling import COUPLINGS
from ._explain import FactorLine, explain_adapter, explain_model
from ._layer import CollaborativeLayer
from ._methods import METHODS, Method, find_method
from ._presets import (
    ALoRAConfig,
    CoLAConfig,
    CoLoRAConfig,
    DualConfig,
    HydraLoRAConfig,
    MoELoRAConfig,
    MTLLoRAConfig,
)
from ._register import register
from ._resolve import resolve
from ._start import STARTS
from ._tasks import mixed_training, use_tasks
from ._tuner import CoTuneModel

register()

__all__ = [
    "CORES",
    "COUPLINGS",
    "METHODS",
    "STARTS",
    "ALoRAConfig",
    "CoLAConfig",
    "CoLoRAConfig",
    "CoTuneConfig",
    "CoTuneModel",
    "CollaborativeLayer",
    "DualConfig",
    "FactorLine",
    "HydraLoRAConfig",
    "MTLLoRAConfig",
    "Method",
    "MoELoRAConfig",
    "RouterStats",
    "RouterUsage",
    "add_task",
    "average_shares",
    "explain_adapter",
    "explain_model",
    "find_method",
    "has_task_parts",
    "mixed_training",
    "register",
    "resolve",
    "train_all_tasks",
    "use_tasks",
    "watch_routers",
]
