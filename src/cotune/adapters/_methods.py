"""THE TABLE of methods: bank sizes, coupling, core, start, and who owns which factor.

A method is a choice of these and nothing else. A new one is a line here; its own
mathematics, if any, is one file in ``_coupling``, ``_core`` or ``_start``.

Names clash in this field. ``alora`` is Asymmetric LoRA, not PEFT's "aLoRA" (Activated
LoRA); ``colora`` is shared factors with a personal core (arXiv:2602.07218), not one of
the other papers called CoLoRA or Co-LoRA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from .._errors import ConfigError, unknown_name
from ._coupling._base import BankSize

Owner = Literal["shared", "private"]


@dataclass(frozen=True)
class Method:
    """One line of the table.

    Args:
        title: The name as its authors write it.
        paper: Where it comes from.
        num_A: Size of the A bank; ``"tasks"`` for one per task.
        num_B: Size of the B bank.
        coupling: Name in ``COUPLINGS``.
        core: Name in ``CORES``, or ``"none"``.
        start: Name in ``STARTS``.
        owners: Who holds each factor when tasks are parties that do not share data:
            ``"shared"`` (averaged) or ``"private"`` (never leaves its owner). The
            factors that a coupling puts first for all tasks are shared in any case.
    """

    title: str
    paper: str
    num_A: BankSize = 1
    num_B: BankSize = 1
    coupling: str = "full"
    core: str = "none"
    start: str = "kaiming"
    owners: MappingProxyType[str, Owner] = field(
        default_factory=lambda: _owners(A="shared", B="shared")
    )


def _owners(**owners: Owner) -> MappingProxyType[str, Owner]:
    return MappingProxyType(owners)


_ALORA = _owners(A="private", B="shared", router="private")
_COLORA = _owners(A="shared", B="shared", core="private")
_DUAL = _owners(A="private", B="private")
_MTL = _owners(A="shared", B="shared", core="private", weight="private")
_ROUTED = _owners(A="shared", B="shared", router="shared")

METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        "lora": Method("LoRA", "arXiv:2106.09685"),
        "cola": Method("CoLA", "arXiv:2505.15471", 2, 3, "full", start="pissa"),
        "alora": Method("ALoRA", "arXiv:2509.25414", 3, 1, "router", owners=_ALORA),
        "hydralora": Method(
            "HydraLoRA", "arXiv:2404.19245", 1, 3, "router", owners=_ROUTED
        ),
        "moelora": Method(
            "MoE-LoRA", "arXiv:2310.18339", 3, 3, "router", owners=_ROUTED
        ),
        "colora": Method(
            "CoLoRA", "arXiv:2602.07218", core="full", start="colora", owners=_COLORA
        ),
        "dual": Method(
            "Dual (FedDPA)",
            "arXiv:2403.19211",
            "tasks",
            "tasks",
            "shared-and-own",
            owners=_DUAL,
        ),
        "mtl": Method(
            "MTL-LoRA",
            "arXiv:2410.09437",
            1,
            3,
            "task-weights",
            "full",
            owners=_MTL,
        ),
    }
)


def find_method(name: str) -> Method:
    """Return a line of the table.

    Raises:
        ConfigError: Unknown name; the message shows the nearest ones.
    """
    if name not in METHODS:
        raise ConfigError(unknown_name("method", name, METHODS))
    return METHODS[name]
