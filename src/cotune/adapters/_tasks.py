"""Telling the layers which task each sample belongs to.

All layers of one model share one :class:`TaskState`. Hooks on the base model take the
keyword ``tasks`` out of its call and put it here; :func:`use_tasks` does the same for
calls that refuse unknown keywords, such as ``generate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Int
from torch import Tensor, nn

from .._errors import ConfigError, unknown_name

Tasks = str | Sequence[str] | Sequence[int] | Tensor
"""One name for all samples, or one name or row per sample."""


class RouterWatch(Protocol):
    """Who looks at the routers; see :func:`watch_routers`."""

    def begin(self) -> None:
        """Be told that a forward pass begins."""

    def see(self, layer: nn.Module, adapter_name: str, shares: Tensor) -> None:
        """Be told the shares of one layer, (batch, tokens, experts)."""


@dataclass(frozen=True)
class _Call:
    """What one call of the base model was told, for its recomputation in backward."""

    tasks: Tasks | None
    adapter_names: list[str] | None


class TaskState:
    """Whose samples are in the batch that is being computed.

    Args:
        current: Tasks of the call in progress, or None.
        adapter_names: Bank of every sample of the call in progress, or None.
    """

    def __init__(self) -> None:
        self.current: Tasks | None = None
        self._pinned: Tasks | None = None
        self._replay: _Call | None = None
        self._rows: dict[tuple[str, ...], tuple[Tasks, Tensor]] = {}
        self.adapter_names: list[str] | None = None
        self.mixed_training = False
        self.watch: RouterWatch | None = None
        self.attention_mask: Tensor | None = None

    def rows(
        self, names: tuple[str, ...], default: str | None, device: torch.device
    ) -> Int[Tensor, " batch"]:
        """Return the row of every sample's task in a bank.

        Args:
            names: The bank's tasks, in the order of its per-task tensors.
            default: Task to take where the call names none.
            device: Where to put the rows.

        Returns:
            int64 tensor; of length 1 if one task was given for all samples.

        Raises:
            ConfigError: No tasks and no default; or a task that the bank lacks.
        """
        tasks = self._known(default)
        if tasks is None:
            raise ConfigError(
                "tasks: this adapter has parts of its own per task, so every sample "
                f"must name one of {', '.join(names)}, got none. Pass tasks=[...] to "
                "the model, use `with use_tasks(model, [...])`, or set default_task."
            )
        known, rows = self._rows.get(names, (None, None))
        if rows is None or known is not tasks:
            rows = rows_of(tasks, names)
        self._rows[names] = tasks, rows.to(device)
        return self._rows[names][1]

    def names_of_samples(self) -> list[str] | None:
        """Return the bank of every sample, or None if the active ones are meant."""
        call = self._replayed()
        return self.adapter_names if call is None else call.adapter_names

    def single_task(self, default: str | None) -> str | None:
        """Return the one task of all samples, or None if none is given.

        Raises:
            ConfigError: Several tasks are set, where only one makes sense.
        """
        tasks = self._known(default)
        if tasks is None or isinstance(tasks, str):
            return tasks
        raise ConfigError(
            f"tasks: merging needs one task, got {tasks!r}. "
            "Use `with use_tasks(model, 'name')`."
        )

    def router_watch(
        self, layer: nn.Module, adapter_name: str
    ) -> Callable[[Tensor], None] | None:
        """Return who wants to see a router's shares in this forward, or None."""
        if self.watch is None:
            return None
        return partial(self._see, layer, adapter_name)

    def _see(self, layer: nn.Module, adapter_name: str, shares: Tensor) -> None:
        # A loss on the shares reaches this layer before it reaches the call's output.
        self._bring_back_at(shares)
        if self.watch is not None:
            self.watch.see(layer, adapter_name, shares)

    def labels(self, names: tuple[str, ...]) -> list[str] | None:
        """Return the task names of the call in progress, or None if it has none."""
        tasks = self._known(None)
        if tasks is None:
            return None
        if isinstance(tasks, Tensor):
            tasks = tasks.tolist()
        tasks = [tasks] if isinstance(tasks, str) else tasks
        return [names[t] if isinstance(t, int) and names else str(t) for t in tasks]

    def _known(self, default: str | None) -> Tasks | None:
        call = self._replayed()
        pinned = self._pinned if call is None else call.tasks
        for tasks in (self.current, pinned, default):
            if tasks is not None:
                return tasks
        return None

    def _replayed(self) -> _Call | None:
        return self._replay if self.current is None and _in_backward() else None

    # The hooks are bound methods, so that a deep copy of a model has hooks of its own.
    def enter(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        """Take ``tasks`` out of the base model's call (forward pre-hook)."""
        kwargs = dict(kwargs)
        tasks = kwargs.pop("tasks", None)
        _check_length(tasks, args, kwargs)
        self.current = tasks
        self._rows = {}
        if self.watch is not None:
            self.watch.begin()
        self.attention_mask = kwargs.get("attention_mask")
        return args, kwargs

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """Forget the call, also after an exception (forward hook).

        Activation checkpointing calls layers again during backward. Reaching this
        call's output in backward therefore brings back what it was told.
        """
        if torch.is_grad_enabled():
            for tensor in _tensors(output):
                self._bring_back_at(tensor)
        self.current = None
        self.attention_mask = None

    def _bring_back_at(self, tensor: Tensor) -> None:
        tasks = self.current if self.current is not None else self._pinned
        call = _Call(tasks, self.adapter_names)
        # Traced code is recomputed by the compiler, which knows the tasks by itself.
        if tensor.requires_grad and not torch.compiler.is_compiling():
            tensor.register_hook(lambda grad: self._bring_back(call))

    def _bring_back(self, call: _Call) -> None:
        self._replay = call
        engine = torch.autograd.Variable._execution_engine
        engine.queue_callback(self._forget_replay)

    def _forget_replay(self) -> None:
        self._replay = None

    @contextmanager
    def pin(self, tasks: Tasks) -> Iterator[None]:
        """Set the tasks of every call inside the block that names none."""
        before, self._pinned, self._rows = self._pinned, tasks, {}
        try:
            yield
        finally:
            self._pinned, self._rows = before, {}


def _in_backward() -> bool:
    if torch.compiler.is_compiling():
        return True  # Cannot be traced; what is replayed is forgotten after backward.
    return torch._C._current_graph_task_id() != -1  # As torch's checkpointing asks.


def _check_length(
    tasks: Tasks | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Refuse a list that is not as long as the batch; beams come through use_tasks."""
    if tasks is None or isinstance(tasks, str):
        return
    inputs = [kwargs.get("input_ids"), kwargs.get("inputs_embeds")]
    for value in (*inputs, *args, *kwargs.values()):
        if isinstance(value, Tensor) and value.ndim > 1:
            if getattr(tasks, "ndim", 1) == 1 and len(tasks) != len(value):
                raise ConfigError(
                    "tasks: must name one task per sample, got "
                    f"{len(tasks)} tasks for {len(value)} samples."
                )
            return


def rows_of(tasks: Tasks, names: tuple[str, ...]) -> Int[Tensor, " batch"]:
    """Turn tasks into rows of a bank.

    Args:
        tasks: One name, or one name or row per sample.
        names: The bank's tasks.

    Returns:
        int64 tensor of shape (batch,), or (1,) for one name.

    Raises:
        ConfigError: An unknown name, or a row outside 0..len(names) - 1.
    """
    if isinstance(tasks, str):
        tasks = [tasks]
    if not isinstance(tasks, Tensor):
        rows = [_row(task, names) for task in tasks]
        _check_rows(rows, names)
        return torch.tensor(rows, dtype=torch.int64)
    if tasks.ndim != 1 or tasks.dtype.is_floating_point or tasks.dtype == torch.bool:
        raise ConfigError(
            "tasks: must be an integer tensor of shape (batch,), got "
            f"{tasks.dtype} of shape {tuple(tasks.shape)}."
        )
    # To look at the values of a tensor would split a compiled graph.
    if not torch.compiler.is_compiling():
        _check_rows(tasks.tolist(), names)
    return tasks.to(torch.int64)


def _check_rows(rows: list[int], names: tuple[str, ...]) -> None:
    if rows and not 0 <= min(rows) <= max(rows) < len(names):
        raise ConfigError(
            f"tasks: rows must lie in 0..{len(names) - 1} ({', '.join(names)}), got "
            f"{min(rows)}..{max(rows)}."
        )


def _row(task: str | int, names: tuple[str, ...]) -> int:
    if isinstance(task, str):
        if task not in names:
            raise ConfigError(unknown_name("task", task, names))
        return names.index(task)
    return int(task)


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from _tensors(value)


def attach_state(model: nn.Module) -> TaskState:
    """Return the task state of a base model, hooking it up on the first call."""
    state = model.__dict__.get("_cotune_tasks")
    if state is None:
        state = TaskState()
        model.__dict__["_cotune_tasks"] = state
        model.__dict__["_cotune_hooks"] = [
            model.register_forward_pre_hook(state.enter, with_kwargs=True),
            model.register_forward_hook(state.leave, always_call=True),
        ]
    return state


def detach_state(model: nn.Module) -> None:
    """Remove what :func:`attach_state` put on a base model."""
    for hook in model.__dict__.pop("_cotune_hooks", ()):
        hook.remove()
    model.__dict__.pop("_cotune_tasks", None)


def find_state(model: nn.Module) -> TaskState:
    """Return the task state of a model, wrapped in PEFT, DDP or FSDP or not.

    Raises:
        ConfigError: The model has no cotune adapter.
    """
    for module in model.modules():
        state = module.__dict__.get("_cotune_tasks")
        if state is not None:
            return state
    raise ConfigError(
        f"model: needs a cotune adapter, got a plain {type(model).__name__}. "
        "Call peft.get_peft_model with a cotune config first."
    )


@contextmanager
def mixed_training(model: nn.Module) -> Iterator[None]:
    """Allow ``adapter_names=[...]`` in training: one independent bank per sample.

    PEFT refuses it. Make the adapters active with ``set_adapter([...])`` first, or
    their factors are frozen.

    Args:
        model: Any model with a cotune adapter inside.

    Raises:
        ConfigError: The model has no cotune adapter.
    """
    state = find_state(model)
    before, state.mixed_training = state.mixed_training, True
    try:
        yield
    finally:
        state.mixed_training = before


@contextmanager
def use_tasks(model: nn.Module, tasks: Tasks) -> Iterator[None]:
    """Say whose samples the calls inside the block are.

    For ``generate``, pipelines and merging, which take no ``tasks`` argument. Beams
    and repeated samples are told apart by their order, as transformers lays them out.

    Args:
        model: Any model with a cotune adapter inside.
        tasks: One name for all samples, or one name or row per sample.

    Raises:
        ConfigError: The model has no cotune adapter.

    Example:
        ``with use_tasks(model, ["sst2", "cola"]): model.generate(**batch)``
    """
    with find_state(model).pin(tasks):
        yield
