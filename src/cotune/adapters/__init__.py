"""What a layer computes: banks, couplings, cores, starts, and the PEFT side.

Importing this package registers the adapter type ``COTUNE`` with PEFT.
"""

from ._config import CoTuneConfig
from ._core import CORES
from ._coupling import COUPLINGS
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
    "HydraLoRAConfig",
    "MTLLoRAConfig",
    "Method",
    "MoELoRAConfig",
    "find_method",
    "mixed_training",
    "register",
    "resolve",
    "use_tasks",
]
