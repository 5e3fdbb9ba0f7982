"""What one adapter is on one layer, and where its parameters live."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from ._config import CoTuneConfig
from ._core import CORES, Core
from ._coupling import Coupling, Forward, StaticCoupling


@dataclass(frozen=True)
class LayerSpec:
    """What one adapter is on one layer.

    Args:
        config: The config of the adapter.
        r: Rank on this layer, after ``rank_pattern``.
        scale: s on this layer, after ``alpha_pattern``.
        tasks: Names of the tasks, in the order of the per-task tensors.
    """

    config: CoTuneConfig
    r: int
    scale: float
    tasks: tuple[str, ...]

    def look_up(self, M: int, N: int) -> None:
        """Look everything up now, so that torch.compile need not trace how."""
        for name in ("coupling", "core", "needs_tasks"):
            getattr(self, name)
        if isinstance(self.coupling, StaticCoupling):
            self.coupling.plan(Forward(M, N))

    # Looked up once: forward runs for every layer and step.
    @cached_property
    def coupling(self) -> Coupling:
        """Return the coupling that the config names."""
        return self.config.coupling_object

    @cached_property
    def core(self) -> Core | None:
        """Return the core that the config names, or None."""
        name = str(self.config.core)
        return None if name == "none" else CORES[name]()

    @cached_property
    def needs_tasks(self) -> bool:
        """Whether a sample without a task cannot be computed."""
        return self.config.needs_tasks


class Bank(nn.ParameterDict):
    """Parameters by adapter, which stay as trainable as they were.

    PEFT moves and casts a factor by putting a tensor in its place, of which torch makes
    a parameter that is trained, also of frozen copies and of inactive adapters.
    """

    def __setitem__(self, key: str, value: Tensor) -> None:
        if key in self and not isinstance(value, nn.Parameter):
            value = nn.Parameter(value.detach(), self[key].requires_grad)
        super().__setitem__(key, value)
