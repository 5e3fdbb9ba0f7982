"""Every experiment at a size that takes well under a second, run once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from cotune.theory import LAB, Finding

SMALL_TOY = {"problems": 1, "seeds": 2, "steps": 30, "pretrain_steps": 10}

QUICK: dict[str, dict[str, Any]] = {
    "linear-recovery": {"seeds": 2, "too_few": ((2, 12),)},
    "linear-start": {"seeds": 2, "cells": ((8, 12),)},
    "linear-scalar": {"seeds": 2, "users": (1, 16)},
    "linear-similarity": {"seeds": 1, "users": 8, "taus": (0.0, 0.05)},
    "linear-one-direction": {"seeds": 2, "users": (3, 24)},
    "linear-unshared": {"seeds": 2, "sizes": (1e-2,)},
    "linear-noise": {"seeds": 1, "users": (16, 64)},
    "linear-gradient": {
        "seeds": 2,
        "taus": (0.2,),
        "cells": ((8, 12),),
        "steps": 100,
        "learning_rate": 3e-2,
    },
    "linear-rate": {
        "seeds": 2,
        "users": (16, 32),
        "samples": (12, 24),
        "taus": (0.2, 2.0),
        "rounds": 30,
    },
    "coto-bound": {"seeds": 2, "layers": (2, 4)},
    "coto-toy": SMALL_TOY,
    "coto-short-budget": SMALL_TOY,
    "coto-stability": SMALL_TOY | {"rows": 100},
    "federated-sides": {"seeds": 1, "rounds": 2},
    "federated-persistence": {"seeds": 1, "rounds": 6},
}


@cache
def _run(name: str) -> Finding:
    finding = LAB[name](**QUICK[name])
    assert isinstance(finding, Finding)
    return finding


@pytest.fixture(scope="session")
def quick_sizes() -> dict[str, dict[str, Any]]:
    return QUICK


@pytest.fixture(scope="session")
def run_quickly() -> Callable[[str], Finding]:
    return _run
