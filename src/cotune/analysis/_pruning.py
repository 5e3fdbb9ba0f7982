"""Pruning curves: how good an adapter is when part of it is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from .._adapter import Adapter
from .._errors import ConfigError
from ..operators.prune import prune_adapter
from ._cache import EvaluationCache, Progress, memory_cache
from ._result import Result, Row
from ._trial import Trial, check_trials

SPARSITIES = tuple(step / 10 for step in range(1, 10))
WHOLE = "whole"
"""Stands for the adapter as it is, where an operator is named."""


@dataclass(frozen=True)
class PruningPoint:
    """One pruned adapter.

    Args:
        operator: Name in ``PRUNE``, with the options that make a curve of its own.
        setting: The options, as text; empty if there are none.
        kept: Share of the trained numbers that is left and not zero, in [0, 1].
        score: How good it is; higher is better.
    """

    operator: str
    setting: str
    kept: float
    score: float


@dataclass(frozen=True)
class Pruning(Result):
    """Scores of pruned adapters.

    Args:
        whole: Score of the adapter as it is.
        points: In the order of the trials.
        base: Score of the base model, which is what pruning everything leaves; None
            if it was not asked for.
    """

    whole: float
    points: tuple[PruningPoint, ...]
    base: float | None = None
    name: ClassVar[str] = "pruning"

    def curves(self) -> dict[str, list[PruningPoint]]:
        """Return operator -> its points, from the whole adapter downwards."""
        found: dict[str, list[PruningPoint]] = {}
        for point in self.points:
            found.setdefault(point.operator, []).append(point)
        for points in found.values():
            points.sort(key=lambda point: -point.kept)
        return found

    def summary(self) -> dict[str, Any]:
        """Return what is left of the gain over the base, per operator and setting."""
        return {
            "whole": self.whole,
            "base": self.base,
            "scores": {
                f"{point.operator} {point.setting}".strip(): point.score
                for point in self.points
            },
        }

    def rows(self) -> list[Row]:
        """Return one row per pruned adapter, the whole one first."""
        whole = PruningPoint(WHOLE, "", 1.0, self.whole)
        return [asdict(point) for point in (whole, *self.points)]

    def draw(self, axes: Any) -> None:
        """Draw one curve per operator over the share kept."""
        for operator, points in self.curves().items():
            x = [point.kept for point in points]
            y = [point.score for point in points]
            axes.plot(x, y, marker="o", label=operator)
        axes.axhline(self.whole, color="grey", linestyle="--", label="whole")
        if self.base is not None:
            axes.axhline(self.base, color="grey", linestyle=":", label="base model")
        axes.set_xlabel("share of the numbers kept")
        axes.set_ylabel("score")
        axes.set_title("pruned adapters")
        axes.legend(fontsize="small")


@dataclass(frozen=True)
class PruneTrial(Trial):
    """One way to prune.

    Args:
        operator: Name in ``PRUNE``.
        options: Its options.
        along: Option that changes along a curve; the others name the curve.
    """

    along: str = field(default="sparsity", kw_only=True)

    @property
    def curve(self) -> str:
        """Return the name of the curve that this trial is a point of."""
        rest = {k: v for k, v in self.options.items() if k != self.along}
        return Trial(self.operator, rest).title


def default_trials(adapter: Adapter) -> list[PruneTrial]:
    """List the patterns of CoTo's experiments that the adapter allows.

    Args:
        adapter: Any adapter.

    Returns:
        ``every_other`` from both starts; ``low``, ``middle``, ``high`` where there are
        three blocks; ``keep`` for every kind of layer, if there are several; and
        ``magnitude`` at sparsities 0.1 to 0.9, unless a start is subtracted.
    """
    from ..operators.prune._blocks import depths

    counts = {count for _, count in depths(adapter.layers).values()}
    trials: list[PruneTrial] = []
    if min(counts, default=0) >= 2:
        trials += [
            PruneTrial("every_other", {"first": n}, along="first") for n in (0, 1)
        ]
    if min(counts, default=0) >= 3:
        trials += [PruneTrial(name) for name in ("low", "middle", "high")]
    kinds = list(dict.fromkeys(name.split(".")[-1] for name in adapter.layers))
    if len(kinds) > 1:
        trials += [PruneTrial("keep", {"modules": kind}) for kind in kinds]
    if all(factors.A0 is None for factors in adapter.layers.values()):
        trials += [PruneTrial("magnitude", {"sparsity": s}) for s in SPARSITIES]
    return trials


def pruning(
    adapter: Adapter,
    score: Callable[[Adapter], float],
    *,
    trials: Sequence[PruneTrial] | None = None,
    base: Callable[[], float] | None = None,
    cache: EvaluationCache | None = None,
    progress: Progress | None = None,
) -> Pruning:
    """Prune an adapter in several ways, and score what is left, without training.

    Args:
        adapter: The adapter. Not changed.
        score: Scores an adapter; higher is better.
        trials: What to try; None takes :func:`default_trials`.
        base: Scores the base model, to show beside.
        cache: Finished evaluations.
        progress: Told after every evaluation.

    Returns:
        Scores over the share that is kept.

    Raises:
        ConfigError: No trial, an unknown operator or option, or one that does not fit
            the adapter; all are tried out before anything is scored.

    Source: arXiv:2506.05713 (CoTo), structured and unstructured pruning.
    """
    chosen = default_trials(adapter) if trials is None else list(trials)
    check_trials("pruning", chosen)
    # Pruning is cheap, scoring is not: mistakes come first.
    kept = [_count_kept(adapter, trial) for trial in chosen]
    number, total = memory_cache(cache).get_or_compute, len(chosen) + 1 + bool(base)
    tell = progress or _say_nothing
    whole = number(WHOLE, lambda: score(adapter))
    tell(1, total)
    points: list[PruningPoint] = []
    for place, (trial, share) in enumerate(zip(chosen, kept, strict=True)):
        value = number(trial.title, lambda trial=trial: score(_prune(adapter, trial)))
        points.append(PruningPoint(trial.curve, trial.setting, share, value))
        tell(place + 2, total)
    ground = None if base is None else number("base model", base)
    tell(total, total)
    return Pruning(whole, tuple(points), ground)


def count_numbers(adapter: Adapter) -> int:
    """Count the trained numbers of an adapter that are not zero.

    Args:
        adapter: Any adapter.
    """
    frozen = ("A0", "B0")
    return sum(
        int(tensor.count_nonzero())
        for factors in adapter.layers.values()
        for name, tensor in factors.tensors().items()
        if name not in frozen
    )


def _prune(adapter: Adapter, trial: PruneTrial) -> Adapter:
    return prune_adapter(adapter, method=trial.operator, **trial.options).adapter


def _count_kept(adapter: Adapter, trial: PruneTrial) -> float:
    try:
        left = count_numbers(_prune(adapter, trial))
    except ConfigError as error:
        raise ConfigError(f"pruning: {trial.title}: {error}") from error
    return left / max(adapter.parameters(), 1)


def _say_nothing(done: int, total: int) -> None:
    del done, total
