"""The world of three clients, made once."""

from pathlib import Path

import pytest

from federated.small_federation import write_federation


@pytest.fixture(scope="session")
def clients_world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("federation")
    write_federation(folder)
    return folder
