"""The one layer behind every method.

Layout of the parameters of one adapter (one bank), by name:

* ``cotune_A``: (M, r, d_in)
* ``cotune_B``: (N, r, d_out), transposed, because all thin products want it so
* ``cotune_core``: (T, r, r), (T, r) or (T,)
* ``cotune_router``: (experts, d_in)
* ``cotune_weight``: what the coupling trains
* ``cotune_A0``, ``cotune_B0``: frozen copies of the start
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn

from .._adapter import Factors, LowRank
from .._errors import ConfigError
from ._base_layer import (
    check_mergeable,
    features_of,
    like_weight_of,
    matrix_of,
)
from ._config import CoTuneConfig
from ._core import CORES
from ._coupling import Forward, Plan, mix_bank
from ._kept_rows import KeptRows, load_kept_rows, save_kept_rows
from ._notice import tell_that_factors_stay_alike
from ._product import Term, collaborate, update
from ._resolve import resolve
from ._spec import Bank, LayerSpec
from ._start import STARTS, StartFactors, StartShape
from ._tasks import TaskState, rows_of


class CollaborativeLayer(nn.Module, BaseTunerLayer):
    """A base layer plus banks of low-rank factors: base(x) + s B C S A x.

    Args:
        base_layer: A layer with in and out features; never modified but by ``merge``.
        adapter_name: Name of the first adapter.
        config: Its config.
        r: Its rank on this layer.
        alpha: Its alpha on this layer.
        state: Which tasks are in the batch; one object for all layers of a model.

    Raises:
        ConfigError: The layer has no in and out features, or the config does not fit.
    """

    cotune_A: Bank
    cotune_B: Bank
    cotune_core: Bank
    cotune_router: Bank
    cotune_weight: Bank
    cotune_A0: Bank
    cotune_B0: Bank
    _whole_weight: tuple[nn.Parameter] | None

    adapter_layer_names = (
        "cotune_A",
        "cotune_B",
        "cotune_core",
        "cotune_router",
        "cotune_weight",
    )
    other_param_names = (
        "cotune_A0",
        "cotune_B0",
        "specs",
        "frozen_factors",
        "kept_rows",
    )

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: CoTuneConfig,
        r: int,
        alpha: float,
        state: TaskState,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = features_of(self.get_base_layer())
        for name in (*self.adapter_layer_names, "cotune_A0", "cotune_B0"):
            setattr(self, name, Bank())
        self.specs: dict[str, LayerSpec] = {}
        self.frozen_factors: dict[str, tuple[str, ...]] = {}
        self.kept_rows: dict[str, KeptRows] = {}
        self.state = state
        self.switched_off = False
        self.merged_adapters = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.merged_tasks: dict[str, str] = {}
        # In a tuple, or it would become a parameter of this module.
        self._whole_weight = None
        self.register_state_dict_post_hook(save_kept_rows)
        self.register_load_state_dict_pre_hook(load_kept_rows)
        self.update_layer(adapter_name, config, r, alpha)

    # -- building ----------------------------------------------------------------

    def update_layer(
        self, adapter_name: str, config: CoTuneConfig, r: int, alpha: float
    ) -> None:
        """Add an adapter: make its factors, as the config's start says.

        Args:
            adapter_name: Name; must not be there yet.
            config: Config of the bank.
            r: Rank on this layer.
            alpha: Alpha on this layer.
        """
        tasks = tuple(config.tasks or ())
        spec = LayerSpec(config, r, config.scale(r, alpha), tasks)
        M, N = spec.coupling.bank_sizes(*config.sizes, len(tasks))
        spec.look_up(M, N)
        self.specs[adapter_name] = spec
        start = self.first_factors(spec, M, N)
        if not config.init_weights:
            start.B.add_(torch.empty_like(start.B).uniform_(-1, 1), alpha=spec.r**-0.5)
        elif start.alike and config.coupling == "full" and not config.inference_mode:
            tell_that_factors_stay_alike(M, N)
        self.cotune_A[adapter_name] = nn.Parameter(start.A)
        self.cotune_B[adapter_name] = nn.Parameter(start.B)
        if start.A0 is not None and start.B0 is not None:
            self.cotune_A0[adapter_name] = nn.Parameter(start.A0, requires_grad=False)
            self.cotune_B0[adapter_name] = nn.Parameter(start.B0, requires_grad=False)
        self._add_small_factors(adapter_name, spec, M, N)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def first_factors(self, spec: LayerSpec, M: int, N: int) -> StartFactors:
        """Return what banks of M A's and N B's begin with, as the start says.

        Raises:
            ConfigError: The base weight has not what the start needs.
        """
        config = spec.config
        shape = StartShape(
            M=M,
            N=N,
            r=spec.r,
            d_in=self.in_features,
            d_out=self.out_features,
            scale=spec.scale,
            exact_svd=config.start_svd == "exact",
            svd_iterations=config.start_svd_iterations,
        )
        return STARTS[str(config.start)](shape, matrix_of(self.get_base_layer()))

    def _add_small_factors(
        self, adapter_name: str, spec: LayerSpec, M: int, N: int
    ) -> None:
        config, coupling = spec.config, spec.config.coupling_object
        if config.core != "none":
            first = CORES[str(config.core)]().first(len(spec.tasks), spec.r)
            self.cotune_core[adapter_name] = nn.Parameter(first)
        if experts := coupling.experts(M, N):
            router = torch.empty(experts, self.in_features)
            nn.init.kaiming_uniform_(router, a=5**0.5)
            self.cotune_router[adapter_name] = nn.Parameter(router)
        weight = coupling.first_weight(M, N, len(spec.tasks))
        if weight is not None:
            self.cotune_weight[adapter_name] = nn.Parameter(weight)

    def set_adapter(
        self, adapter_names: str | list[str], inference_mode: bool = False
    ) -> None:
        """Make adapters active and trainable, but for factors that were frozen."""
        super().set_adapter(adapter_names, inference_mode=inference_mode)
        self._freeze_again()

    def set_requires_grad(
        self, adapter_names: str | Sequence[str], requires_grad: bool = True
    ) -> None:
        """Make adapters trainable or not, but for factors that were frozen."""
        super().set_requires_grad(adapter_names, requires_grad)
        self._freeze_again()

    def _freeze_again(self) -> None:
        for adapter, factors in self.frozen_factors.items():
            for factor in factors:
                getattr(self, factor)[adapter].requires_grad_(False)

    # -- computing ---------------------------------------------------------------

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return base(x) plus the updates of the active adapters.

        Args:
            x: Shape (batch, ..., d_in), or (batch * tokens, d_in).
            *args: Passed to the base layer.
            **kwargs: Passed to the base layer.
        """
        if self.disable_adapters and self.merged:
            self.unmerge()
        names = [name for name in self.active_adapters if name in self.specs]
        if self.merged:
            self._check_merged_tasks(x.device)
        asleep = self.disable_adapters or self.merged
        asleep = asleep or (self.switched_off and self.training)
        if asleep or x.numel() == 0:
            return self.base_layer(x, *args, **kwargs)
        mixed = self.state.names_of_samples()
        if mixed is not None:
            return self._mixed_adapters(mixed, x, *args, **kwargs)
        if not names:
            return self.base_layer(x, *args, **kwargs)
        terms = [self._term(name, x) for name in names]
        fast = self.specs[names[0]].config.fast
        return collaborate(x, self.base_layer, terms, *args, fast=fast, **kwargs)

    def _term(self, name: str, x: Tensor, rows: Tensor | None = None) -> Term:
        spec = self.specs[name]
        tasks = self._tasks(spec, x, rows)
        A, B = self._banks(name)
        weight = self.factor("weight", name)
        core = self.factor("core", name)
        now = Forward(len(A), len(B), weight, tasks, self.training)
        plan = spec.coupling.plan(now)
        down, up = self._blocks(name, plan, A, B)
        gathered = down.ndim == 4 or up.ndim == 4
        gathered = gathered and torch.is_grad_enabled()
        gathered = gathered and not torch.compiler.is_compiling()
        return Term(
            down=down,
            up=up,
            scale=spec.scale,
            rank=spec.r,
            batch=1 if tasks is None else len(tasks),
            router=self.factor("router", name) if plan.gate == "router" else None,
            gate=plan.gate if isinstance(plan.gate, Tensor) else None,
            core=spec.core,
            core_rows=_rows(core, tasks),
            dropout=spec.config.lora_dropout if self.training else 0.0,
            on_router=self.state.router_watch(self, name),
            remake=self._remaker(name, plan, (A, B)) if gathered else None,
        )

    def _remaker(
        self, name: str, plan: Plan, banks: tuple[Tensor, Tensor]
    ) -> Callable[[], tuple[Tensor, Tensor]]:
        """Return what gathers the factors again, later: a copy per sample is large."""
        versions = [bank._version for bank in banks]

        @torch.no_grad()
        def remake() -> tuple[Tensor, Tensor]:
            if [bank._version for bank in banks] != versions:
                raise RuntimeError(
                    f"backward: the factors of adapter '{name}' must be those of the "
                    "forward pass, got them changed in place since. Step the "
                    "optimizer after backward."
                )
            return self._blocks(name, plan, *banks)

        return remake

    def _banks(self, name: str) -> tuple[Tensor, Tensor]:
        A, B = self.factor("A", name), self.factor("B", name)
        assert A is not None and B is not None
        return A, B

    def _blocks(
        self, name: str, plan: Plan, A: Tensor, B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mix the banks as planned; copies of the start ride along as rows r..2r."""
        down, up = mix_bank(A, plan.down), mix_bank(B, plan.up)
        if name not in self.cotune_A0:
            return down, up
        down0 = plan.down if plan.down0 is None else plan.down0
        up0 = plan.up if plan.up0 is None else plan.up0
        A0 = mix_bank(self.cotune_A0[name], down0)
        B0 = mix_bank(self.cotune_B0[name], up0)
        A0, B0 = A0.expand_as(down), B0.expand_as(up)
        return torch.cat([down, A0], dim=-2), torch.cat([up, -B0], dim=-2)

    def _tasks(self, spec: LayerSpec, x: Tensor, rows: Tensor | None) -> Tensor | None:
        if not spec.needs_tasks:
            return None
        default = spec.config.default_task
        tasks = self.state.rows(spec.tasks, default, x.device)
        # Flat inputs hold the tokens of all samples; else the first axis is the batch.
        samples = len(x) if x.ndim > 2 else x.numel() // x.shape[-1]
        if samples % len(tasks):
            raise ConfigError(
                f"tasks: must name one task per sample, got {len(tasks)} tasks for an "
                f"input of shape {tuple(x.shape)}."
            )
        if rows is None or len(tasks) == 1:
            return tasks
        return tasks.repeat_interleave(len(x) // len(tasks)).index_select(0, rows)

    def _mixed_adapters(
        self, names: list[str], x: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        if len(x) % len(names):
            raise ConfigError(
                "adapter_names: must have one name per sample, got "
                f"{len(names)} names for {len(x)} samples."
            )
        # Beams, repeated samples and flattened tokens of one sample lie side by side.
        names = [name for name in names for _ in range(len(x) // len(names))]
        y = self.base_layer(x, *args, **kwargs)
        for name in dict.fromkeys(names):
            if name in self.specs:
                picks = [row for row, other in enumerate(names) if other == name]
                rows = torch.tensor(picks, device=x.device)
                term = self._term(name, x, rows)
                added = update(x.index_select(0, rows), term)
                y = y.index_add(0, rows, added.to(y.dtype))
        return y

    # -- reading -----------------------------------------------------------------

    def factor(self, name: str, adapter_name: str) -> Tensor | None:
        """Return a factor as it counts: rows of frozen tasks as they were kept.

        Args:
            name: ``A``, ``B``, ``core``, ``router``, ``weight``, ``A0`` or ``B0``.
            adapter_name: Whose.
        """
        bank = getattr(self, f"cotune_{name}")
        if adapter_name not in bank:
            return None
        if not self.kept_rows:
            return bank[adapter_name]
        kept = self.kept_rows.get(adapter_name, {}).get(f"cotune_{name}")
        if kept is None:
            return bank[adapter_name]
        live, rows = kept
        value = bank[adapter_name]
        return torch.where(live.to(value.device), value, rows.to(value))

    def factors(self, adapter_name: str) -> Factors:
        """Return an adapter's tensors in the shapes of the formula, detached views."""
        read: dict[str, Tensor] = {}
        for name in ("A", "B", "core", "router", "weight", "A0", "B0"):
            value = self.factor(name, adapter_name)
            if value is not None:
                value = value.detach()
                read[name] = value.mT if name in ("B", "B0") else value
        return Factors(scale=self.specs[adapter_name].scale, **read)

    def low_rank(self, adapter_name: str, task: str | None = None) -> LowRank:
        """Return one task's update as a plain pair, in fp32 or better.

        Args:
            adapter_name: Whose.
            task: Name; None takes the task in use, or the default task.

        Raises:
            ConfigError: A router decides per token, or no task is known.
        """
        spec = self.specs[adapter_name]
        row = None
        if spec.config.needs_tasks:
            default = spec.config.default_task
            task = task or self.state.single_task(default)
            row = None if task is None else int(rows_of(task, spec.tasks))
        factors = self.factors(adapter_name)
        wide = {
            name: value.to(torch.promote_types(value.dtype, torch.float32))
            for name, value in factors.tensors().items()
        }
        factors = Factors(scale=factors.scale, **wide)
        return resolve(factors, str(spec.config.coupling), str(spec.config.core), row)

    def get_delta_weight(self, adapter: str) -> Tensor:
        """Return the update in the layout, dtype and device of the base weight.

        Of a quantised weight, whose integers cannot hold it, in fp32 (d_out, d_in).
        """
        base: Any = self.get_base_layer()
        if adapter not in self.specs:  # It adapts other layers.
            size = (self.out_features, self.in_features)
            delta = torch.zeros(size, device=base.weight.device)
        else:
            delta = self.low_rank(adapter).delta()
        return like_weight_of(base, delta)

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Whether the adapter is one plain update: no router, tasks only by default."""
        spec = self.specs.get(adapter_name)
        if spec is None:
            return True
        known = not spec.config.needs_tasks or spec.config.default_task is not None
        return spec.config.coupling_object.can_merge and known

    # -- merging -----------------------------------------------------------------

    def merge(
        self, safe_merge: bool = False, adapter_names: list[str] | None = None
    ) -> None:
        """Add updates to the base weight; the weight itself is kept for ``unmerge``.

        Args:
            safe_merge: Refuse a result that is not finite.
            adapter_names: Which; None takes the active ones.

        Raises:
            ConfigError: A router decides per token, a task is needed, the base layer
                is not a plain linear, or the result is not finite.
        """
        names = check_adapters_to_merge(self, adapter_names)
        names = [name for name in names if name in self.specs]
        if not names:
            return
        base: Any = self.get_base_layer()
        check_mergeable(base)
        merged = base.weight.data
        for name in names:
            merged = merged + self.get_delta_weight(name)
        if safe_merge and not torch.isfinite(merged).all():
            raise ConfigError(
                f"merge: the merged weight must be finite, got NaN or infinity from "
                f"{', '.join(names)}. The adapter seems to be broken."
            )
        if self._whole_weight is None:
            self._whole_weight = (base.weight,)
        # A new parameter, not new data: an embedding tied to it keeps the old weight.
        base.weight = nn.Parameter(merged, requires_grad=base.weight.requires_grad)
        self.merged_adapters.extend(names)
        self.merged_tasks.update(self._tasks_in_use(names))

    def _tasks_in_use(self, names: list[str]) -> dict[str, str]:
        configs = {name: self.specs[name].config for name in names}
        return {
            name: str(self.state.single_task(config.default_task))
            for name, config in configs.items()
            if config.needs_tasks
        }

    def _check_merged_tasks(self, device: torch.device) -> None:
        for name, task in self.merged_tasks.items():
            tasks = self.specs[name].tasks
            if (self.state.rows(tasks, task, device) != tasks.index(task)).any():
                raise ConfigError(
                    f"tasks: must be the merged one, got others while the adapter is "
                    f"merged for task '{task}'. Call unmerge_adapter() first."
                )

    def unmerge(self) -> None:
        """Put the base weight back, bit for bit."""
        if self._whole_weight is None:
            return
        base: Any = self.get_base_layer()
        (whole,) = self._whole_weight
        whole.data = whole.data.to(base.weight)  # It may have been moved since.
        base.weight = whole
        self._whole_weight = None
        self.merged_adapters.clear()
        self.merged_tasks.clear()

    def __repr__(self) -> str:
        return "cotune." + super().__repr__()


def _rows(core: Tensor | None, tasks: Tensor | None) -> Tensor | None:
    """Return the core of every sample's task."""
    if core is None or tasks is None:
        return None
    return core.index_select(0, tasks)
