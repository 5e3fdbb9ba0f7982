"""A new task for a trained bank, trained alone while the rest stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from .._errors import ConfigError, unknown_name
from ._config import CoTuneConfig
from ._kept_rows import KeptRows
from ._layer import CollaborativeLayer


def add_task(
    model: nn.Module,
    task: str,
    *,
    adapter_name: str = "default",
    copy_from: str | None = None,
    freeze_rest: bool = True,
) -> None:
    """Add a task to a bank, by default with all that was trained before frozen.

    The new core (CoLoRA, MTL-LoRA), factor (ALoRA by task) or mixture (MTL-LoRA)
    begins as the mean of the tasks there are; the new pair of ``dual`` begins as the
    start says, without an effect. Make a new optimizer afterwards: the tensors are new.

    Args:
        model: A model with a cotune adapter. Changed in place.
        task: Name of the new task, not empty.
        adapter_name: Which bank.
        copy_from: Begin as this task instead.
        freeze_rest: Train the new task alone. Its rows get gradients; no optimizer,
            with or without weight decay, can change what the other tasks compute.

    Raises:
        ConfigError: No such adapter, no parts per task, no name or a known one, an
            unknown ``copy_from``, or a start that has no more directions to give.

    Source: CoLoRA (arXiv:2602.07218): a new user fits S alone, r^2 numbers per layer.
    """
    layers = list(_layers(model, adapter_name))
    config = layers[0].specs[adapter_name].config
    _check(config, task, copy_from)
    source = None if copy_from is None else (config.tasks or []).index(copy_from)
    rows = [_first_rows(layer, adapter_name, source) for layer in layers]
    config.tasks = [*(config.tasks or []), task]
    for layer, new in zip(layers, rows, strict=True):
        _grow(layer, adapter_name, new)
        if freeze_rest:
            _freeze_but_last(layer, adapter_name)


def train_all_tasks(model: nn.Module, adapter_name: str = "default") -> None:
    """Undo the freezing of :func:`add_task`: every factor is trained again.

    Args:
        model: A model with a cotune adapter. Changed in place.
        adapter_name: Which bank.

    Raises:
        ConfigError: No such adapter.
    """
    for layer in _layers(model, adapter_name):
        _settle(layer, adapter_name)
        layer.frozen_factors.pop(adapter_name, None)
        layer.set_adapter(layer.active_adapters)


def _layers(model: nn.Module, adapter_name: str) -> Iterator[CollaborativeLayer]:
    known: set[str] = set()
    found = False
    for module in model.modules():
        if isinstance(module, CollaborativeLayer):
            known |= module.specs.keys()
            if adapter_name in module.specs:
                found = True
                yield module
    if not found:
        raise ConfigError(unknown_name("adapter", adapter_name, sorted(known)))


def _check(config: CoTuneConfig, task: str, copy_from: str | None) -> None:
    tasks = config.tasks or []
    if not (config.needs_tasks or "tasks" in (config.num_A, config.num_B)):
        raise ConfigError(
            f"add_task: the adapter must have parts per task, got method "
            f"'{config.method}', which has none. Use it for the new task as it is."
        )
    if not isinstance(task, str) or not task:
        raise ConfigError(
            f"add_task: task must be a name that is not empty, got {task!r}."
        )
    if task in tasks:
        raise ConfigError(f"add_task: {task!r} is there already, among {tasks}.")
    if copy_from is not None and copy_from not in tasks:
        raise ConfigError(f"copy_from: {unknown_name('task', copy_from, tasks)}")


def per_task_rows(config: CoTuneConfig) -> dict[str, int]:
    """Return which factors have rows per task: name -> number of shared rows first."""
    coupling = config.coupling_object
    rows = {"core": 0} if config.core != "none" else {}
    if coupling.weight_per_task:
        rows["weight"] = 0
    for bank, size in (("A", config.num_A), ("B", config.num_B)):
        if size == "tasks":
            rows[bank] = rows[f"{bank}0"] = coupling.shared_factors
    return rows


def _first_rows(
    layer: CollaborativeLayer, adapter_name: str, source: int | None
) -> dict[str, Tensor]:
    """Return what the new task begins with, by factor. Changes nothing."""
    config = layer.specs[adapter_name].config
    # Asked of every growing bank: a start that refuses would refuse to load it, too.
    start = _last_pair(layer, adapter_name) if "tasks" in config.sizes else {}
    rows = {}
    for factor, shared in per_task_rows(config).items():
        value = layer.factor(factor, adapter_name)
        if value is None or (factor in ("A0", "B0") and len(value) == 1):
            continue
        own = value.detach()[shared:]
        if source is not None:
            rows[factor] = own[source]
        else:
            rows[factor] = start[factor].to(own) if shared else own.mean(0)
    return rows


def _last_pair(layer: CollaborativeLayer, adapter_name: str) -> dict[str, Tensor]:
    """Return the last factors that the start makes for banks with one more task."""
    spec = layer.specs[adapter_name]
    M, N = spec.coupling.bank_sizes(*spec.config.sizes, len(spec.tasks) + 1)
    start = layer.first_factors(spec, M, N)
    last = {"A": start.A[-1], "B": start.B[-1]}
    for factor, copies in (("A", start.A0), ("B", start.B0)):
        stored = layer.factor(f"{factor}0", adapter_name)
        if copies is not None and stored is not None:
            # What is added is what is subtracted, to the bit: an SVD is not repeatable.
            last[factor] = stored[0] if len(stored) == 1 else copies[-1]
            last[f"{factor}0"] = last[factor]
    return last


def _grow(
    layer: CollaborativeLayer, adapter_name: str, rows: dict[str, Tensor]
) -> None:
    _settle(layer, adapter_name)
    for factor, row in rows.items():
        bank = getattr(layer, f"cotune_{factor}")
        old = bank[adapter_name]
        grown = torch.cat([old.detach(), row.unsqueeze(0)])
        bank[adapter_name] = nn.Parameter(grown, requires_grad=old.requires_grad)
    spec = layer.specs[adapter_name]
    tasks = tuple(spec.config.tasks or ())
    layer.specs[adapter_name] = replace(spec, tasks=tasks)


def _freeze_but_last(layer: CollaborativeLayer, adapter_name: str) -> None:
    rows = per_task_rows(layer.specs[adapter_name].config)
    kept: KeptRows = {}
    frozen: list[str] = []
    for name in layer.adapter_layer_names:
        bank = getattr(layer, name)
        if adapter_name not in bank:
            continue
        if name.removeprefix("cotune_") not in rows:
            frozen.append(name)
            continue
        value = bank[adapter_name].detach()
        live = torch.zeros(len(value), *[1] * (value.ndim - 1), dtype=torch.bool)
        live[-1] = True
        kept[name] = (live, value.clone())
    layer.kept_rows[adapter_name] = kept
    layer.frozen_factors[adapter_name] = tuple(frozen)
    layer.set_adapter(layer.active_adapters)


def _settle(layer: CollaborativeLayer, adapter_name: str) -> None:
    """Write kept rows into the parameters, so that they need no keeping."""
    for name in layer.kept_rows.get(adapter_name, {}):
        whole = layer.factor(name.removeprefix("cotune_"), adapter_name)
        assert whole is not None
        getattr(layer, name)[adapter_name].data.copy_(whole.detach())
    layer.kept_rows.pop(adapter_name, None)
