"""Training together without data leaving its owner.

``aggregation`` holds what a server does with what the clients send: pure functions.
Around it: whose each tensor is (``_ownership``), what travels (``_wire``), the client
(``_client``, ``_member``), the server (``_server``), and ways to run both.

Everything is imported on first use: Flower takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._client import build_client_app
    from ._events import Watch
    from ._house import House
    from ._plan import Client, Plan
    from ._run import Engine, run_plan
    from ._server import build_server_app, run_server
    from ._spec import FederatedSpec

_PUBLIC = {
    "Client": "_plan",
    "Engine": "_run",
    "FederatedSpec": "_spec",
    "House": "_house",
    "Plan": "_plan",
    "Watch": "_events",
    "build_client_app": "_client",
    "build_server_app": "_server",
    "run_plan": "_run",
    "run_server": "_server",
}

__all__ = [
    "Client",
    "Engine",
    "FederatedSpec",
    "House",
    "Plan",
    "Watch",
    "build_client_app",
    "build_server_app",
    "run_plan",
    "run_server",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
