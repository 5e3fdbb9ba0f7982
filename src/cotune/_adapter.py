"""The one value that everything shares: an adapter as named tensors, without a model.

Only ``adapters/`` speaks ``nn.Module``. Merging, pruning, analysis, export, federation
and reports read and return :class:`Adapter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ._errors import ConfigError, unknown_name


@dataclass(frozen=True)
class LowRank:
    """A plain low-rank update of one layer, delta = B @ A.

    The scale alpha / r is already inside ``B``, so two updates can be compared, added
    and averaged without looking at their configs.

    Args:
        A: Down-projection, shape (r, d_in).
        B: Up-projection times the scale, shape (d_out, r).
    """

    A: Float[Tensor, "r d_in"]
    B: Float[Tensor, "d_out r"]

    def __post_init__(self) -> None:
        if self.A.ndim != 2 or self.B.ndim != 2 or self.A.shape[0] != self.B.shape[1]:
            raise ConfigError(
                "LowRank: A must be (r, d_in) and B (d_out, r) with the same r, got "
                f"{tuple(self.A.shape)} and {tuple(self.B.shape)}."
            )

    @property
    def rank(self) -> int:
        """Return r, the number of rows of A."""
        return self.A.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Return (d_out, d_in), the shape of the update."""
        return self.B.shape[0], self.A.shape[1]

    def delta(self) -> Float[Tensor, "d_out d_in"]:
        """Multiply the update out, in units of the base weight. Costs d_out x d_in."""
        return self.B @ self.A


@dataclass(frozen=True)
class Factors:
    """All tensors of one adapted layer, in the shapes of the formula.

    delta_t = scale * (sum_ij C_ij(t) B_j S_t A_i - sum_ij C0_ij(t) B0_j A0_i)

    Args:
        A: Bank of down-projections, shape (M, r, d_in).
        B: Bank of up-projections, shape (N, d_out, r).
        scale: alpha / r, or alpha / sqrt(r) with rslora.
        core: Per task, shape (T, r, r), (T, r) or (T,) for full, diag, scalar; or None.
        router: Router rows, shape (experts, d_in); or None.
        weight: What the coupling itself trains, e.g. (M, N) for ``learned`` and (T, N)
            for ``task-weights``; or None.
        A0: Frozen copies that a start subtracts, (M, r, d_in), or (1, r, d_in) if all
            are equal; or None.
        B0: As ``A0``, (N, d_out, r) or (1, d_out, r); or None.
    """

    A: Float[Tensor, "M r d_in"]
    B: Float[Tensor, "N d_out r"]
    scale: float
    core: Tensor | None = None
    router: Float[Tensor, "experts d_in"] | None = None
    weight: Tensor | None = None
    A0: Float[Tensor, "M0 r d_in"] | None = None
    B0: Float[Tensor, "N0 d_out r"] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are there, by field name, in that order."""
        names = ("A", "B", "core", "router", "weight", "A0", "B0")
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def rank(self) -> int:
        """Return r, the width of one factor."""
        return self.A.shape[1]


@dataclass(frozen=True)
class Adapter:
    """A trained adapter: its layers, its config and its tasks.

    Args:
        layers: Layer name as in the base model, e.g. ``layers.0.self_attn.q_proj``, to
            its factors. The order is that of the model.
        config: The content of ``adapter_config.json``.
        tasks: Task names, in the order of the per-task tensors; empty for plain LoRA.
        extra: Other tensors of the adapter file (``modules_to_save``, biases), by the
            key they have in the file.
    """

    layers: Mapping[str, Factors]
    config: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def coupling(self) -> str:
        """Return the name of the coupling; ``full`` for plain LoRA."""
        return str(self.config.get("coupling") or "full")

    def task_index(self, task: str | None) -> int | None:
        """Turn a task name into its row in the per-task tensors.

        Args:
            task: A name in ``tasks``; None takes the default task of the config.

        Returns:
            The row, or None if the adapter has no tasks or no default.

        Raises:
            ConfigError: The adapter does not know the task; shows the nearest names.
        """
        task = self.config.get("default_task") if task is None else task
        if task is None:
            return None
        if task not in self.tasks:
            raise ConfigError(unknown_name("task", task, self.tasks))
        return self.tasks.index(task)

    def update(
        self,
        layer: str,
        task: str | None = None,
        *,
        shares: Mapping[str, Float[Tensor, " experts"]] | None = None,
    ) -> LowRank:
        """Resolve banks, coupling, core and start of one layer into a plain update.

        Args:
            layer: Name of the layer.
            task: Whose update; None takes the default task. Methods without per-task
                parts ignore it.
            shares: Layer -> average router weights, to stand in for a router.

        Returns:
            The update, of rank r, or of a multiple of it where the coupling or the
            start needs that. Exact without shares; nothing is multiplied out.

        Raises:
            ConfigError: The coupling depends on the token (a router) and there are no
                shares for the layer, or a task is needed and none is given.
        """
        from .adapters._resolve import resolve

        if shares is not None and layer not in shares:
            raise ConfigError(f"shares: must name every layer, got none for {layer}.")
        core = str(self.config.get("core") or "none")
        mean = None if shares is None else shares[layer]
        row = self.task_index(task)
        return resolve(self.layers[layer], self.coupling, core, row, mean)

    def updates(self, task: str | None = None) -> dict[str, LowRank]:
        """Resolve all layers; see :meth:`update`.

        Returns:
            Layer name -> update, in the order of ``layers``.
        """
        return {layer: self.update(layer, task) for layer in self.layers}

    def with_layers(self, layers: Mapping[str, Factors]) -> Adapter:
        """Return the same adapter with other layers."""
        return replace(self, layers=dict(layers))

    def parameters(self) -> int:
        """Count the trained numbers: all factors without the frozen start copies."""
        frozen = {"A0", "B0"}
        return sum(
            tensor.numel()
            for factors in self.layers.values()
            for name, tensor in factors.tensors().items()
            if name not in frozen
        )


def plain_factors(update: LowRank) -> Factors:
    """Wrap a plain update as the factors of a LoRA layer with scale 1.

    Args:
        update: A of shape (r, d_in), B of shape (d_out, r). Not copied.

    Returns:
        Factors with M = N = 1.
    """
    return Factors(A=update.A.unsqueeze(0), B=update.B.unsqueeze(0), scale=1.0)


def as_dtype(update: LowRank, dtype: torch.dtype) -> LowRank:
    """Return the update with both factors in another dtype."""
    return LowRank(update.A.to(dtype), update.B.to(dtype))
