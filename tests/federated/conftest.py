"""The world of three clients, made once."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotune.federated.engines._quiet import SILENCE
from federated.small_federation import write_federation

# Before any test imports Flower, which reads these once.
os.environ.update(SILENCE)


@pytest.fixture(scope="session")
def clients_world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("federation")
    write_federation(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> Iterator[None]:
    """Keep the garbage collections of every training short.

    Each Trainer asks for one at its end; with all libraries of the tests imported, that
    is half the time of a tiny run.
    """
    gc.freeze()
    yield
    gc.unfreeze()
