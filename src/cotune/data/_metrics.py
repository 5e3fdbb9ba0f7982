"""How answers are scored. One line of the table per metric."""

from __future__ import annotations

import importlib.util
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from .._errors import ConfigError
from .._registry import Registry


@dataclass(frozen=True)
class Metric:
    """A score of predictions against references.

    Args:
        name: Its name in the table.
        higher_is_better: Direction; the l of the multi-task change dm%.
        reads: What predictions are: ``text``, or ``loss`` (one number per row, and the
            references are not looked at).
        score: Function of one prediction and one reference.
        needs: Module that must be installed, and the extra that brings it; or None.
    """

    name: str
    higher_is_better: bool
    reads: Literal["text", "loss"]
    score: Callable[[Any, str], float]
    needs: tuple[str, str] | None = None

    def __call__(self, predictions: Sequence[Any], references: Sequence[str]) -> float:
        """Score all rows: the mean over :meth:`score_rows`.

        Args:
            predictions: Texts, or losses in nats per token; one per row.
            references: The right answers, in the same order.

        Returns:
            The mean score; in [0, 1] for all metrics but ``loss``.

        Raises:
            ConfigError: No rows, not as many predictions as references, or no package.
        """
        return fmean(self.score_rows(predictions, references))

    def score_rows(
        self, predictions: Sequence[Any], references: Sequence[str]
    ) -> list[float]:
        """Score each row, e.g. for a paired interval.

        Args:
            predictions: As above.
            references: As above.

        Returns:
            One score per row.

        Raises:
            ConfigError: As above.
        """
        if len(predictions) != len(references) or not references:
            raise ConfigError(
                f"{self.name}: there must be one prediction per reference, and at "
                f"least one, got {len(predictions)} and {len(references)}."
            )
        self.check_installed()
        return [
            self.score(prediction, reference)
            for prediction, reference in zip(predictions, references, strict=True)
        ]

    def check_installed(self) -> None:
        """Refuse a metric whose package is missing, before any training is spent.

        Raises:
            ConfigError: The package is not installed; the message says what to do.
        """
        if self.needs is None:
            return
        module, extra = self.needs
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"metric {self.name}: the package {module} must be installed, got "
                f'none. Run: pip install "cotune[{extra}]".'
            )


METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "accuracy": "cotune.data._metrics:ACCURACY",
        "exact_match": "cotune.data._metrics:EXACT_MATCH",
        "rouge1": "cotune.data._metrics:ROUGE1",
        "rouge2": "cotune.data._metrics:ROUGE2",
        "rougeL": "cotune.data._metrics:ROUGE_L",
        "loss": "cotune.data._metrics:LOSS",
    },
)


def is_same(prediction: str, reference: str) -> float:
    """Compare two answers letter by letter.

    Args:
        prediction: The option that the model picked.
        reference: The right option.

    Returns:
        1.0 or 0.0.
    """
    return float(prediction == reference)


def is_match(prediction: str, reference: str) -> float:
    """Compare two texts, blanks and Unicode spelling aside; case counts.

    Args:
        prediction: What the model wrote.
        reference: The right answer.

    Returns:
        1.0 or 0.0. Both texts are brought to NFC, runs of blanks to one blank, and
        outer blanks are cut.
    """
    return float(_clean(prediction) == _clean(reference))


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def rouge(kind: str) -> Callable[[str, str], float]:
    """Make a ROUGE score.

    Args:
        kind: ``rouge1``, ``rouge2`` or ``rougeL``.

    Returns:
        Function (prediction, reference) -> F1 in [0, 1].

    Source: Lin 2004, as the package rouge-score computes it (no stemming).
    """

    def score(prediction: str, reference: str) -> float:
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer([kind]).score(reference, prediction)[kind].fmeasure

    return score


def take_loss(prediction: float, reference: str) -> float:
    """Take the loss of a row as its score.

    Args:
        prediction: Mean negative log-likelihood of the answer, in nats per token.
        reference: The answer; not needed.

    Returns:
        The loss.

    Raises:
        ConfigError: The loss is NaN: a mean over it would hide which row.
    """
    if math.isnan(prediction):
        raise ConfigError(
            f"loss: every row must have a number, got NaN for the answer "
            f"{reference!r}. Lower the learning rate, or look at the row."
        )
    return float(prediction)


ACCURACY = Metric("accuracy", True, "text", is_same)
EXACT_MATCH = Metric("exact_match", True, "text", is_match)
ROUGE1 = Metric("rouge1", True, "text", rouge("rouge1"), ("rouge_score", "rouge"))
ROUGE2 = Metric("rouge2", True, "text", rouge("rouge2"), ("rouge_score", "rouge"))
ROUGE_L = Metric("rougeL", True, "text", rouge("rougeL"), ("rouge_score", "rouge"))
LOSS = Metric("loss", False, "loss", take_loss)
