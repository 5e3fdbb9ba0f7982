"""Flower and Ray without a word to the network, and with a home of their own."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..._errors import ConfigError

SILENCE = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What keeps them from calling home, from installing things, and from warning of it."""


def silence(home: Path) -> dict[str, str]:
    """Return the environment of a silent run.

    Args:
        home: Folder for Flower's own files, in place of the user's ``~/.flwr``.
    """
    return {**SILENCE, "FLWR_HOME": str(home)}


def need_flower() -> None:
    """Check that Flower is there, before anything is begun.

    Raises:
        ConfigError: It is not.
    """
    if importlib.util.find_spec("flwr") is None:
        raise ConfigError(
            "federated: the package flwr must be installed, got none. Run: pip install "
            '"cotune[federated]".'
        )


@contextmanager
def silenced(home: Path) -> Iterator[None]:
    """Set the environment of a silent run, and put the old one back.

    Flower reads it when it is imported: import nothing of it before.

    Args:
        home: As in :func:`silence`.
    """
    before = {name: os.environ.get(name) for name in silence(home)}
    os.environ.update(silence(home))
    logger = logging.getLogger("flwr")
    level, handlers = logger.level, [handler.level for handler in logger.handlers]
    try:
        _hush(logger)
        yield
    finally:
        logger.setLevel(level)
        for handler, old in zip(logger.handlers, handlers, strict=False):
            handler.setLevel(old)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _hush(logger: logging.Logger) -> None:
    """Show nothing below a total failure: all else is in our own events."""
    import flwr.app  # noqa: F401, makes the logger that is hushed

    logger.setLevel(logging.CRITICAL)
    for handler in logger.handlers:
        handler.setLevel(logging.CRITICAL)
