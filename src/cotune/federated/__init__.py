"""Training together without data leaving its owner.

Read it in this order: whose is which tensor (``_ownership``), what travels (``_wire``),
what happens in the house of a client (``client``), what the server does with what it
gets (``server``; the mathematics is in ``aggregation``, as pure functions), how both
are run (``engines``), and noise (``privacy``).

Everything is imported on first use: Flower takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._plan import Client, Plan
    from ._spec import FederatedSpec
    from .client._app import build_client_app
    from .client._house import House
    from .engines._run import Engine, run_plan
    from .server._events import Watch
    from .server._rounds import build_server_app, run_server

_PUBLIC = {
    "Client": "_plan",
    "Engine": "engines._run",
    "FederatedSpec": "_spec",
    "House": "client._house",
    "Plan": "_plan",
    "Watch": "server._events",
    "build_client_app": "client._app",
    "build_server_app": "server._rounds",
    "run_plan": "engines._run",
    "run_server": "server._rounds",
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


__getattr__, __dir__ = lazy(__name__, _PUBLIC)
