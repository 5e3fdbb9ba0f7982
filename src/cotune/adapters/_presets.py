"""Named constructors: each sets ``method`` and nothing more."""

from dataclasses import dataclass

from ._config import CoTuneConfig


@dataclass
class CoLAConfig(CoTuneConfig):
    """CoLA (arXiv:2505.15471): M A's and N B's, coupled; see :class:`CoTuneConfig`.

    With the defaults (coupling ``full``, start ``pissa``) all A's stay equal, and all
    B's: PiSSA with learning rates times M and N. See ``start="pissa-split"`` and
    ``coupling="learned"`` for factors that differ.
    """

    method: str = "cola"


@dataclass
class ALoRAConfig(CoTuneConfig):
    """ALoRA (arXiv:2509.25414): many A, one B, a router per token.

    Asymmetric LoRA, not PEFT's Activated LoRA. See :class:`CoTuneConfig`.
    """

    method: str = "alora"


@dataclass
class HydraLoRAConfig(CoTuneConfig):
    """HydraLoRA (arXiv:2404.19245): one A, many B, a router per token."""

    method: str = "hydralora"


@dataclass
class MoELoRAConfig(CoTuneConfig):
    """MoE-LoRA (arXiv:2310.18339): K pairs, a router per token over the pairs."""

    method: str = "moelora"


@dataclass
class CoLoRAConfig(CoTuneConfig):
    """CoLoRA (arXiv:2602.07218): shared A and B, a personal core per task."""

    method: str = "colora"


@dataclass
class DualConfig(CoTuneConfig):
    """Dual adapters (FedDPA, arXiv:2403.19211): a shared pair plus one per task."""

    method: str = "dual"


@dataclass
class MTLLoRAConfig(CoTuneConfig):
    """MTL-LoRA (arXiv:2410.09437): task cores and task weights over shared B's."""

    method: str = "mtl"
