"""Looking at the routers: how they share the work, and a loss that evens it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .._errors import ConfigError
from ._layer import CollaborativeLayer
from ._tasks import TaskState, find_state


@dataclass(frozen=True)
class RouterUsage:
    """How one layer's router shared the tokens of each task.

    Args:
        tasks: Names, one per row; ``("all",)`` if the call named no tasks.
        shares: Mean share of every expert, shape (tasks, experts); rows sum to 1.
        entropy: Mean entropy of the router per token, in nats, shape (tasks,).
    """

    tasks: tuple[str, ...]
    shares: Float[Tensor, "tasks experts"]
    entropy: Float[Tensor, " tasks"]


@dataclass(frozen=True)
class _Seen:
    shares: Tensor
    names: tuple[str, ...]


class RouterStats:
    """What the routers did in the last forward pass; see :func:`watch_routers`.

    Padding is left out where the call had an ``attention_mask`` of the shape of the
    layer's input.
    """

    def __init__(self, model: nn.Module, state: TaskState) -> None:
        self._state = state
        self._names = {
            id(module): name
            for name, module in model.named_modules()
            if isinstance(module, CollaborativeLayer)
        }
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._labels: list[str] | None = None
        self._mask: Tensor | None = None

    def begin(self) -> None:
        """Forget the last forward pass."""
        self._seen = {}

    def see(self, layer: nn.Module, adapter_name: str, shares: Tensor) -> None:
        """Keep the shares of one layer, (batch, tokens, experts)."""
        assert isinstance(layer, CollaborativeLayer)
        spec = layer.specs[adapter_name]
        self._labels = self._state.labels(spec.tasks)
        self._mask = self._state.attention_mask
        self._seen[self.name_of(layer), adapter_name] = _Seen(shares, spec.tasks)

    def name_of(self, layer: nn.Module) -> str:
        """Return the name of a layer in the model."""
        return self._names[id(layer)]

    def mean_shares(self, shares: Tensor) -> Float[Tensor, " experts"]:
        """Return the mean over all tokens that are no padding."""
        flat, weights = self._flat(shares)
        return weights @ flat

    def balance_loss(self) -> Float[Tensor, ""]:
        """Return E * sum_e f_e P_e, averaged over the routers; 1 when balanced.

        f_e is the part of the tokens whose largest share is expert e, P_e the mean
        share of e; the gradient flows through P_e.

        Returns:
            Scalar; 0 if no router was seen.

        Raises:
            ConfigError: The routers were run without gradients in training, as
                reentrant activation checkpointing does.

        Source: Switch Transformer (arXiv:2101.03961), eq. 4.
        """
        if not self._seen:
            return torch.zeros(())
        losses = [self._layer_loss(seen.shares) for seen in self._seen.values()]
        return torch.stack(losses).mean()

    def usage(self) -> dict[str, RouterUsage]:
        """Return, per layer, how the router shared the tokens of each task.

        Returns:
            Layer name -> usage; with several routed adapters at work the name of the
            layer is followed by that of the adapter in brackets.
        """
        several = len({adapter for _, adapter in self._seen}) > 1
        return {
            f"{layer} ({adapter})" if several else layer: self._layer_usage(seen)
            for (layer, adapter), seen in self._seen.items()
        }

    def _layer_loss(self, shares: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not shares.requires_grad:
            raise ConfigError(
                "router_balance: the routers must be run with gradients, got none. "
                "Use gradient_checkpointing_kwargs={'use_reentrant': False}."
            )
        flat, weights = self._flat(shares)
        experts = flat.shape[-1]
        chosen = nn.functional.one_hot(flat.argmax(-1), experts).to(flat)
        return experts * ((weights @ chosen) * (weights @ flat)).sum()

    def _flat(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return (tokens, experts) and the tokens' weights, which sum to 1."""
        flat = shares.flatten(0, -2)
        mask = self._mask
        if mask is None or mask.numel() != len(flat) or not mask.any():
            return flat, flat.new_full((len(flat),), 1.0 / len(flat))
        weights = mask.flatten().to(flat)
        return flat, weights / weights.sum()

    def _layer_usage(self, seen: _Seen) -> RouterUsage:
        flat, weights = self._flat(seen.shares.detach())
        labels = self._labels or ["all"]
        if len(flat) % len(labels):
            labels = ["all"]
        per_sample = len(flat) // len(labels)
        tasks = tuple(sorted(set(labels)))
        owner = torch.tensor([tasks.index(label) for label in labels])
        owner = owner.repeat_interleave(per_sample).to(flat.device)
        member = nn.functional.one_hot(owner, len(tasks)).to(flat) * weights[:, None]
        member = (member / member.sum(0).clamp_min(1e-12)).t()
        entropy = -(flat * flat.clamp_min(1e-30).log()).sum(-1)
        return RouterUsage(tasks, (member @ flat).cpu(), (member @ entropy).cpu())


@contextmanager
def watch_routers(model: nn.Module) -> Iterator[RouterStats]:
    """Look at all routers of a model while the block runs.

    Args:
        model: Any model with a cotune adapter inside.

    Yields:
        Statistics of the last forward pass; without routers they are empty.

    Raises:
        ConfigError: The model has no cotune adapter.

    Example:
        ``with watch_routers(model) as stats: loss = model(**batch).loss;
        loss = loss + 0.01 * stats.balance_loss()``
    """
    state = find_state(model)
    stats = RouterStats(model, state)
    before, state.watch = state.watch, stats
    try:
        yield stats
    finally:
        state.watch = before


def average_shares(
    model: nn.Module, run: Callable[[], object]
) -> dict[str, Float[Tensor, " experts"]]:
    """Average every router's shares over some calls, as a stand-in for exporting.

    Args:
        model: A model with a routed adapter.
        run: Calls the model, e.g. on all rows of a task. Called once, without
            gradients.

    Returns:
        Layer name (as in the base model) -> mean share of every expert; each call of
        the model counts alike, padding does not count.

    Raises:
        ConfigError: The model was not called, or not exactly one adapter with a
            router was at work.
    """
    sums = _ShareSums(model)
    state = find_state(model)
    before, state.watch = state.watch, sums
    try:
        with torch.no_grad():
            run()
    finally:
        state.watch = before
    if not sums.totals:
        raise ConfigError(
            "average_shares: needs a routed adapter whose model is called, got no "
            "router at work. Exporting needs no averages without a router."
        )
    return {name: total / sums.calls for name, total in sums.totals.items()}


class _ShareSums:
    """Adds up mean shares, per layer, over all forward passes."""

    def __init__(self, model: nn.Module) -> None:
        self._stats = RouterStats(model, find_state(model))
        self.totals: dict[str, Tensor] = {}
        self.calls = 0
        self._adapter: str | None = None

    def begin(self) -> None:
        self._stats.begin()
        self.calls += 1

    def see(self, layer: nn.Module, adapter_name: str, shares: Tensor) -> None:
        if self._adapter not in (None, adapter_name):
            raise ConfigError(
                f"average_shares: must see one routed adapter, got '{self._adapter}' "
                f"and '{adapter_name}'. Activate one of them with set_adapter."
            )
        self._adapter = adapter_name
        self._stats.see(layer, adapter_name, shares)
        name = self._stats.name_of(layer).removeprefix("base_model.model.")
        mean = self._stats.mean_shares(shares)
        self.totals[name] = self.totals.get(name, torch.zeros_like(mean)) + mean
