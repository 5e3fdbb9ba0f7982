"""Cores: the personal part between A and B. One line here per core.

``none`` is not in the table: it is the absence of a core.
"""

from ..._registry import Registry
from ._base import Core

_HERE = "cotune.adapters._core"

CORES: Registry[type[Core]] = Registry(
    "core",
    {
        "full": f"{_HERE}._full:FullCore",
        "diag": f"{_HERE}._diag:DiagCore",
        "scalar": f"{_HERE}._scalar:ScalarCore",
    },
)

__all__ = ["CORES", "Core"]
