"""The world of three clients, made once."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated.small_federation import write_federation


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
