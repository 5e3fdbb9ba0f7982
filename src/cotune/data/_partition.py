"""One task split over clients: evenly, by label, by size. One table line per way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field

from .._errors import ConfigError
from .._registry import Registry
from ._spec import ChoiceSpec

Parts = list[list[int]]
"""Row numbers of every client."""

PARTITIONS: Registry[Callable[..., Parts]] = Registry(
    "partition",
    {
        "iid": "cotune.data._partition:split_evenly",
        "dirichlet": "cotune.data._partition:split_by_label",
        "quantity": "cotune.data._partition:split_by_size",
    },
)


class PartitionSpec(ChoiceSpec):
    """How the training rows of one task are split over clients."""

    table = PARTITIONS

    name: str = Field(
        default="iid",
        description="iid: shuffled, parts of equal size. dirichlet: each client has "
        "its own mix of labels. quantity: shuffled, parts of unequal size.",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        description="For dirichlet and quantity: concentration of the Dirichlet "
        "distribution. Small is uneven, large even. Default 0.5.",
    )
    min_rows: int = Field(
        default=1, ge=1, description="Fewest rows of a client, at least 1."
    )

    def split(
        self, labels: Sequence[Any], clients: int, generator: torch.Generator
    ) -> Partition:
        """Split rows as this section says; see :func:`partition`."""
        return partition(
            labels,
            clients,
            name=self.name,
            min_rows=self.min_rows,
            generator=generator,
            **self.options,
        )


@dataclass(frozen=True)
class Partition:
    """Which rows each client has, and what is in them.

    Args:
        rows: Per client its row numbers, ascending. Disjoint; together all rows.
        labels: Per client, label -> number of its rows, in one order for all clients.
    """

    rows: tuple[tuple[int, ...], ...]
    labels: tuple[dict[str, int], ...]

    @property
    def sizes(self) -> list[int]:
        """Return the number of rows of every client."""
        return [len(rows) for rows in self.rows]

    @property
    def label_skew(self) -> float:
        """Return how far the clients' labels are from those of all rows together.

        Returns:
            Mean over the clients, weighted by rows, of the total variation distance
            between label shares; 0: the same mix everywhere, towards 1: disjoint.
        """
        total = sum(self.sizes)
        means = {x: sum(c[x] for c in self.labels) / total for x in self.labels[0]}
        gaps = (
            abs(count - means[label] * sum(counts.values()))
            for counts in self.labels
            for label, count in counts.items()
        )
        return sum(gaps) / (2 * total)

    @property
    def size_skew(self) -> float:
        """Return the largest client's rows over those of an equal share, at least 1."""
        return max(self.sizes) * len(self.sizes) / sum(self.sizes)

    def to_json(self) -> dict[str, Any]:
        """Return the statistics for a report: sizes, labels, skews; no row numbers."""
        return {
            "sizes": self.sizes,
            "labels": [dict(counts) for counts in self.labels],
            "label_skew": self.label_skew,
            "size_skew": self.size_skew,
        }


def partition(
    labels: Sequence[Any],
    clients: int,
    *,
    name: str = "iid",
    min_rows: int = 1,
    generator: torch.Generator,
    **options: float,
) -> Partition:
    """Split the rows of one task over clients.

    Args:
        labels: The label of every row, in the order of the rows (``rows["answer"]``).
            Compared as text.
        clients: How many clients, at least 1.
        name: A way of ``PARTITIONS``.
        min_rows: Fewest rows of a client. Where the draw gives less, rows move there
            from the largest clients, one by one.
        generator: Source of chance.
        **options: Keyword arguments of the way, such as ``alpha``.

    Returns:
        Disjoint parts that hold every row once, each with at least ``min_rows``.

    Raises:
        ConfigError: An unknown way, a number out of range, or too few rows.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> split = partition(["a", "a", "b", "b"], 2, generator=draw)
        >>> split.sizes, sorted(split.rows[0] + split.rows[1])
        ([2, 2], [0, 1, 2, 3])
    """
    if clients < 1 or min_rows < 1 or len(labels) < clients * min_rows:
        raise ConfigError(
            f"partition: there must be clients, and min_rows >= 1 rows for each, got "
            f"{len(labels)} rows for {clients} clients x min_rows {min_rows}. "
            "Take fewer clients, or more rows."
        )
    texts = [str(label) for label in labels]
    parts = PARTITIONS[name](texts, clients, generator=generator, **options)
    _top_up(parts, min_rows, _numpy(generator))
    known = sorted(set(texts))
    counts = [Counter(texts[row] for row in part) for part in parts]
    return Partition(
        rows=tuple(tuple(sorted(part)) for part in parts),
        labels=tuple({label: count[label] for label in known} for count in counts),
    )


def split_evenly(
    labels: Sequence[str], clients: int, *, generator: torch.Generator
) -> Parts:
    """Shuffle the rows and deal them out; sizes differ by at most one.

    Args:
        labels: One per row; only their number matters.
        clients: At least 1.
        generator: Source of chance.

    Returns:
        Row numbers per client.
    """
    order = torch.randperm(len(labels), generator=generator).tolist()
    return [order[client::clients] for client in range(clients)]


def split_by_label(
    labels: Sequence[str],
    clients: int,
    *,
    alpha: float = 0.5,
    generator: torch.Generator,
) -> Parts:
    """Deal the rows of each label out by shares drawn from Dirichlet(alpha).

    Args:
        labels: One per row.
        clients: At least 1.
        alpha: Concentration, above 0. 100 is nearly even; at 0.1 a client has few
            labels.
        generator: Source of chance.

    Returns:
        Row numbers per client; a client may have none.

    Raises:
        ConfigError: ``alpha`` is not above 0.

    Source: arXiv:1909.06335 draws each client's label shares; this draws each label's
    client shares (arXiv:2102.02079, "distribution-based label imbalance"), so that all
    rows are used.
    """
    draw = _numpy(generator)
    parts: Parts = [[] for _ in range(clients)]
    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        by_label.setdefault(label, []).append(row)
    for label in sorted(by_label):
        shares = _dirichlet(draw, clients, alpha)
        rows = draw.permutation(by_label[label])
        for part, dealt in zip(parts, _cut(rows, shares), strict=True):
            part.extend(dealt)
    return parts


def split_by_size(
    labels: Sequence[str],
    clients: int,
    *,
    alpha: float = 0.5,
    generator: torch.Generator,
) -> Parts:
    """Shuffle the rows and give client k a share drawn from Dirichlet(alpha).

    Args:
        labels: One per row; only their number matters.
        clients: At least 1.
        alpha: Concentration, above 0. 100 is nearly even; at 0.1 few clients have most.
        generator: Source of chance.

    Returns:
        Row numbers per client; a client may have none.

    Raises:
        ConfigError: ``alpha`` is not above 0.

    Source: arXiv:2102.02079, "quantity skew".
    """
    draw = _numpy(generator)
    return _cut(draw.permutation(len(labels)), _dirichlet(draw, clients, alpha))


def _numpy(generator: torch.Generator) -> np.random.Generator:
    # torch draws no Dirichlet shares from a generator of one's own.
    seed = torch.randint(2**62, (), generator=generator)
    return np.random.default_rng(int(seed))


def _dirichlet(draw: np.random.Generator, clients: int, alpha: float) -> np.ndarray:
    if not 0 < alpha < float("inf"):
        raise ConfigError(f"partition: alpha must be above 0, got {alpha!r}.")
    return draw.dirichlet(np.full(clients, alpha))


def _cut(rows: np.ndarray, shares: np.ndarray) -> Parts:
    ends = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(int)
    return [part.tolist() for part in np.split(rows, ends)]


def _top_up(parts: Parts, min_rows: int, draw: np.random.Generator) -> None:
    """Move rows, drawn at random, from the largest parts to those below the least."""
    for part in parts:
        while len(part) < min_rows:
            largest = max(parts, key=len)
            part.append(largest.pop(int(draw.integers(len(largest)))))
