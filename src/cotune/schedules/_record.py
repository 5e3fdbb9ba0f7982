"""What was on when: the active share per group over time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._errors import ConfigError
from ._groups import Group
from ._schedule import Schedule

MOST_BINS = 200


@dataclass(frozen=True)
class ActivationRecord:
    """Active share of every group, in bins of consecutive optimizer steps.

    Args:
        schedule: Settings of the schedule, with its name.
        total_steps: Optimizer steps of the run, planned.
        first_steps: First step of every bin, from 0.
        steps: Number of steps counted in every bin, >= 1.
        probability: Mean planned p in every bin, in [0, 1].
        share: Group name -> share of the bin's steps in which it was on, in [0, 1].
            Groups from the input to the output.
    """

    schedule: Mapping[str, Any]
    total_steps: int
    first_steps: tuple[int, ...]
    steps: tuple[int, ...]
    probability: tuple[float, ...]
    share: Mapping[str, tuple[float, ...]]

    @property
    def mean_share(self) -> float:
        """Return the active share of all pairs of a step and a group, in [0, 1].

        Raises:
            ConfigError: No step was recorded.
        """
        count = sum(self.steps) * len(self.share)
        if not count:
            raise ConfigError("ActivationRecord: must hold a step, got none.")
        on = sum(
            share * steps
            for shares in self.share.values()
            for share, steps in zip(shares, self.steps, strict=True)
        )
        return on / count

    def to_json(self) -> str:
        """Return all fields as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ActivationRecord:
        """Read what :meth:`to_json` wrote.

        Args:
            text: JSON.

        Raises:
            ConfigError: Not the JSON of a record.
        """
        try:
            fields = json.loads(text)
            share = {name: tuple(row) for name, row in fields.pop("share").items()}
            for name in ("first_steps", "steps", "probability"):
                fields[name] = tuple(fields[name])
            return cls(share=share, **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"ActivationRecord: must be the JSON of a record, got {error!r}."
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to a file, at once or not at all.

        Args:
            path: File; its folder is made.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".tmp")
        draft.write_text(self.to_json() + "\n", encoding="utf-8")
        os.replace(draft, path)


class Recorder:
    """Counts masks into bins; its size does not grow with the run.

    Args:
        schedule: The schedule that is recorded.
        total: Optimizer steps of the run, >= 1.
        groups: The groups of the model.
    """

    def __init__(self, schedule: Schedule, total: int, groups: Sequence[Group]) -> None:
        self._schedule = schedule
        self._total = total
        self._width = -(-total // MOST_BINS)
        bins = -(-total // self._width)
        self._steps = [0] * bins
        self._planned = [0.0] * bins
        self._on = {group.name: [0] * bins for group in groups}

    def add(self, step: int, mask: Mapping[str, bool]) -> None:
        """Count one step.

        Args:
            step: Optimizer step, 0 <= step < total; each at most once.
            mask: Group name -> on.
        """
        place = step // self._width
        self._steps[place] += 1
        self._planned[place] += self._schedule.probability(step, self._total)
        for name, on in mask.items():
            self._on[name][place] += on

    def record(self) -> ActivationRecord:
        """Return what was counted so far; bins without a step are left out."""
        filled = [place for place, steps in enumerate(self._steps) if steps]
        return ActivationRecord(
            schedule=self._schedule.settings(),
            total_steps=self._total,
            first_steps=tuple(place * self._width for place in filled),
            steps=tuple(self._steps[place] for place in filled),
            probability=tuple(
                self._planned[place] / self._steps[place] for place in filled
            ),
            share={
                name: tuple(counts[place] / self._steps[place] for place in filled)
                for name, counts in self._on.items()
            },
        )
