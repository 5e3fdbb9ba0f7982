"""What methods.md wants said once at run time: cola full is PiSSA with other rates."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from adapters.models import adapted
from cotune.adapters._notice import tell_that_factors_stay_alike


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Let the notice be given again, and collect it."""
    tell_that_factors_stay_alike.cache_clear()
    caplog.set_level(logging.WARNING, logger="cotune")
    return caplog


def test_factors_that_stay_alike_are_told_once_with_the_rates(
    told: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        adapted("cola", num_A=2, num_B=3)
    (record,) = told.records
    text = record.getMessage()
    assert "a learning rate x 2 on A and x 3 on B" in text
    for way_out in ("start='pissa-split'", "coupling='learned'", "num_A=1, num_B=1"):
        assert way_out in text


@pytest.mark.parametrize(
    "settings",
    [
        {"num_A": 1, "num_B": 1},
        {"start": "pissa-split", "r": 2},
        {"start": "kaiming"},
        {"coupling": "learned"},
        {"init_weights": False},
        {"inference_mode": True},
    ],
)
def test_factors_that_can_differ_or_are_not_trained_are_nobodys_worry(
    told: pytest.LogCaptureFixture, settings: dict[str, Any]
) -> None:
    adapted("cola", **settings)
    assert not told.records
