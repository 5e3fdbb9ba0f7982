"""DP-SGD on one client: each row's gradient is clipped, their sum gets noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..._errors import ConfigError
from ._accountant import Accountant
from ._noise import draw_noise, tell_that_noise_can_be_taken_away
from ._spec import LocalSpec

if TYPE_CHECKING:
    from opacus.optimizers import DPOptimizer


class PrivateSteps:
    """Optimizer steps that hide single rows, through Opacus's optimizer.

    Rows go through the model one at a time, so gradients per row are right for every
    method, base and precision, and memory is that of one row. Opacus's own hooks do not
    see our factors: they sit in banks that no forward pass calls, and get no gradient
    per row. Cost: a batch of n rows is n passes of one row.

    Each step takes every row by its own coin, with probability rows_per_step / rows, as
    the account demands; so the number of rows differs from step to step, and may be 0.

    Args:
        optimizer: Over the trained parameters; steps through it are the only ones that
            the account covers.
        spec: Clipping length, noise, delta, source.
        rows: How many rows the client has.
        rows_per_step: How many rows a step has on average, from 1 to ``rows``.
        generator: Draws rows and noise where the spec says ``source: seed``.
        accountant: That of earlier rounds; None starts at zero.

    Raises:
        ConfigError: Opacus is missing, ``rows_per_step`` is out of range, there is no
            generator, or the optimizer holds nothing that is trained.

    Source: arXiv:1607.00133, algorithm 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        spec: LocalSpec,
        *,
        rows: int,
        rows_per_step: int,
        generator: torch.Generator | None = None,
        accountant: Accountant | None = None,
    ) -> None:
        if not 1 <= rows_per_step <= rows:
            raise ConfigError(
                "privacy.local: a step must have from 1 to all rows on average, got "
                f"{rows_per_step} of {rows}. Set the batch size to that."
            )
        if spec.source == "seed" and generator is None:
            raise ConfigError(
                "privacy.local: source seed must have a generator, got None."
            )
        if spec.source == "seed":
            tell_that_noise_can_be_taken_away()
        self._draw = generator if spec.source == "seed" else None
        self._spec = spec
        self._rows = rows
        self._rate = rows_per_step / rows
        self._optimizer = _wrap(optimizer, spec, rows_per_step, self._draw)
        self.accountant = accountant or Accountant()

    @property
    def epsilon(self) -> float:
        """Return the privacy spent so far, at the spec's delta."""
        return self.accountant.epsilon(self._spec.delta)

    def draw_rows(self) -> list[int]:
        """Draw the rows of one step, each by its own coin.

        Returns:
            Row numbers, ascending; possibly none.
        """
        if self._draw is None:
            # Normal draws are all that the system's source gives; their signs and sizes
            # make uniform ones.
            coins = torch.special.ndtr(draw_noise((self._rows,), 1.0, None))
        else:
            coins = torch.rand(self._rows, generator=self._draw, dtype=torch.float64)
        return torch.nonzero(coins < self._rate).flatten().tolist()

    def step(self, rows: Sequence[Any], loss: Callable[[Any], Tensor]) -> float:
        """Make one step from the rows that :meth:`draw_rows` chose.

        Args:
            rows: One entry per row, whatever ``loss`` takes; none is a step of noise.
            loss: From one entry to the loss of that row alone, a number with a graph.

        Returns:
            Mean loss of the rows, NaN without rows. It is private: do not send it.
        """
        total = 0.0
        self._forget()
        # Opacus sums what is clipped, and steps once after the last row.
        for row in rows:
            self._optimizer.zero_grad()
            value = loss(row)
            value.backward()
            self._keep_gradients(1)
            self._optimizer.signal_skip_step(True)
            self._optimizer.step()
            total += float(value.detach())
        self._optimizer.zero_grad()
        self._keep_gradients(0)
        self._optimizer.signal_skip_step(False)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.accountant.step(
            noise_multiplier=self._spec.noise, rate=self._rate, sampling="poisson"
        )
        return total / len(rows) if rows else float("nan")

    def _keep_gradients(self, rows: int) -> None:
        """Put the gradient where Opacus looks for it: (rows, *shape), 0 or 1 rows."""
        parameters: list[Any] = self._optimizer.params
        gradients = [p.grad for p in parameters]
        # A norm that is not finite cannot be clipped: such a row counts as zero.
        finite = all(bool(g.isfinite().all()) for g in gradients if g is not None)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None or not finite:
                gradient = torch.zeros_like(parameter)
            parameter.grad_sample = gradient.detach().clone()[None][:rows]

    def _forget(self) -> None:
        # What a step that raised left behind, too.
        parameters: list[Any] = self._optimizer.params
        for parameter in parameters:
            parameter.summed_grad = None
        self._optimizer.zero_grad()


def split_rows(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut a batch into batches of one row.

    Args:
        batch: Name -> tensor or list with the rows on the first axis, all equally many.

    Yields:
        The same names, with one row each. Tensors are views.
    """
    for row in range(len(next(iter(batch.values())))):
        yield {name: value[row : row + 1] for name, value in batch.items()}


def _wrap(
    optimizer: Optimizer, spec: LocalSpec, rows: int, draw: torch.Generator | None
) -> DPOptimizer:
    if not any(p.requires_grad for g in optimizer.param_groups for p in g["params"]):
        raise ConfigError(
            "privacy.local: optimizer must hold parameters that are trained, got none."
        )
    try:
        from opacus.optimizers import DPOptimizer
    except ImportError as error:
        raise ConfigError(
            "privacy.local: the package opacus must be installed, got none. Run: "
            "pip install 'cotune[privacy]'."
        ) from error

    class NoisyOptimizer(DPOptimizer):
        # Opacus draws from torch's generator alone; ours may be the system's source.
        def add_noise(self) -> None:
            parameters: list[Any] = self.params
            for parameter in parameters:
                total = parameter.summed_grad
                noise = draw_noise(total.shape, spec.noise * spec.clip, draw)
                parameter.grad = total + noise.to(total)

    return NoisyOptimizer(
        optimizer,
        noise_multiplier=spec.noise,
        max_grad_norm=spec.clip,
        expected_batch_size=rows,
    )
