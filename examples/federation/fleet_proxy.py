"""A proxy that lets nodes through to the server, and nobody to its controls.

The SuperLink serves three things on one port: ``/v1/fleet/`` for nodes, which must
have a key; ``/v1/control/`` for whoever starts runs, without a password; and
``/v1/runtime/`` for its own processes. Who reaches the second can run code on every
node. So the SuperLink listens on 127.0.0.1, and only ``/v1/fleet/`` is passed on from
outside.

Any proxy can do this (``docs/deployment.md`` has nginx); this one needs what Flower
brings along, and is what the tests use.
"""

from __future__ import annotations

import argparse
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

# These belong to one connection, not to what it carries.
OWN = {"connection", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}


def build(server: str, authority: Path) -> Starlette:
    """Make the proxy; all but ``/v1/fleet/`` is not found.

    Args:
        server: Address of the SuperLink, ``host:port``.
        authority: Whose certificates the SuperLink has.
    """
    trust = ssl.create_default_context(cafile=str(authority))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(
            base_url=f"https://{server}", verify=trust, timeout=None
        ) as client:
            app.state.client = client
            yield

    async def forward(request: Request) -> StreamingResponse:
        client: httpx.AsyncClient = request.app.state.client
        # The name is the route's, not the caller's path: no way around by dots.
        passed = client.build_request(
            "POST",
            f"/v1/fleet/{request.path_params['name']}",
            headers=[(k, v) for k, v in request.headers.items() if k not in OWN],
            content=request.stream(),
        )
        answer = await client.send(passed, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            headers={k: v for k, v in answer.headers.items() if k not in OWN},
            background=BackgroundTask(answer.aclose),
        )

    # A name without slashes: nothing below, above or beside it.
    route = Route("/v1/fleet/{name}", forward, methods=["POST"])
    return Starlette(routes=[route], lifespan=lifespan)


def main() -> None:
    """Serve until interrupted."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--server", required=True, help="SuperLink, host:port")
    parse.add_argument("--authority", type=Path, required=True, help="its ca.crt")
    parse.add_argument("--certificate", type=Path, required=True, help="the proxy's")
    parse.add_argument("--key", type=Path, required=True, help="the proxy's")
    parse.add_argument("--host", default="0.0.0.0")
    parse.add_argument("--port", type=int, default=443)
    args = parse.parse_args()
    uvicorn.run(
        build(args.server, args.authority),
        host=args.host,
        port=args.port,
        ssl_certfile=str(args.certificate),
        ssl_keyfile=str(args.key),
        log_level="warning",
    )


if __name__ == "__main__":
    main()
