"""The order of training rows: a pure function of (tasks, seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import Sampler

from .._errors import ConfigError
from ._mixture import MixtureSpec, count_rows
from ._seed import make_generator


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse tasks without rows.

    Args:
        sizes: Task name -> number of rows.

    Raises:
        ConfigError: A task has none, or there is no task.
    """
    empty = [name for name, size in sizes.items() if size < 1]
    if empty or not sizes:
        raise ConfigError(
            "sampler: every task must have rows, got none for "
            f"{', '.join(empty) or 'any task'}. Check the data files."
        )


class MixtureSampler(Sampler[int]):
    """Draw the rows of several tasks, laid end to end in one data set.

    Each epoch has a fixed number of rows of each task, in random order. A task's rows
    come without replacement: all are seen once before any is seen again, also across
    epochs. With ``proportional`` shares and the default length, every epoch holds every
    row exactly once.

    Nothing but ``epoch`` is state, so every process of a distributed run draws the same
    order (accelerate then deals it out), and a resumed run draws it again.

    Args:
        sizes: Task name -> number of rows, in the order in which they lie.
        counts: Task name -> rows per epoch, at least 1 each; same names.
        seed: Any integer. A task's own order depends on its name and the seed only.

    Raises:
        ConfigError: A task without rows, or names that differ.
    """

    def __init__(
        self, sizes: Mapping[str, int], counts: Mapping[str, int], *, seed: int = 0
    ) -> None:
        check_sizes(sizes)
        if set(sizes) != set(counts) or min(counts.values()) < 1:
            raise ConfigError(
                f"sampler: counts must give a row or more to each of "
                f"{', '.join(sizes)}, got {dict(counts)}."
            )
        self.sizes = dict(sizes)
        self.counts = {name: counts[name] for name in sizes}
        self.seed = seed
        self.epoch = 0

    @classmethod
    def from_spec(
        cls, sizes: Mapping[str, int], spec: MixtureSpec, *, seed: int = 0
    ) -> MixtureSampler:
        """Make a sampler as a recipe says.

        Args:
            sizes: Task name -> number of rows, in the order in which they lie.
            spec: The mixture.
            seed: As above.

        Returns:
            The sampler, at epoch 0.

        Raises:
            ConfigError: As above, or ``epoch_rows`` is below the number of tasks.
        """
        check_sizes(sizes)
        epoch_rows = spec.epoch_rows or sum(sizes.values())
        return cls(sizes, count_rows(spec.shares(sizes), epoch_rows), seed=seed)

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[int]:
        """Yield the row numbers of the current epoch."""
        return iter(self.draw_epoch(self.epoch).tolist())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Trainer, accelerate and DataLoader wrappers call this.

        Args:
            epoch: Counted from 0.
        """
        self.epoch = epoch

    def draw_epoch(self, epoch: int) -> Int64[Tensor, " rows"]:
        """Draw the order of one epoch.

        Args:
            epoch: Counted from 0.

        Returns:
            Row numbers of the joined data set, shape (len(self),).
        """
        start, parts = 0, []
        for name, size in self.sizes.items():
            parts.append(start + self._draw_task(name, epoch))
            start += size
        rows = torch.cat(parts)
        mixed_by = make_generator(self.seed, "mixture", epoch)
        return rows[torch.randperm(len(rows), generator=mixed_by)]

    def _draw_task(self, name: str, epoch: int) -> Int64[Tensor, " rows"]:
        """Take the task's next rows from its endless row of permutations."""
        size, rows = self.sizes[name], self.counts[name]
        first, last = epoch * rows, (epoch + 1) * rows - 1
        passes = [
            torch.randperm(
                size, generator=make_generator(self.seed, "rows", name, turn)
            )
            for turn in range(first // size, last // size + 1)
        ]
        skipped = first % size
        return torch.cat(passes)[skipped : skipped + rows]
