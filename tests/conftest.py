"""What holds for every test: offline, one thread, shapes and types checked."""

from __future__ import annotations

import os
import sys

# Before torch and transformers are imported: both read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Checks every annotation of the package at run time, here and nowhere else. A forward
# of a tiny model takes four times as long with it; COTUNE_CHECK_TYPES=0 leaves it out.
if os.environ.get("COTUNE_CHECK_TYPES", "1") != "0":
    install_import_hook("cotune", "helpers.check_types")

settings.register_profile(
    "cotune",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("cotune")


@pytest.fixture(autouse=True)
def _same_randomness_for_every_test(request: pytest.FixtureRequest) -> None:
    """Begin every test at one seed, whichever tests ran before it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(1234)
