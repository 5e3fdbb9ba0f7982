"""Which privacy tools go with an aggregation method, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..._errors import ConfigError
from ..aggregation import Aggregator

ToolName = Literal["client-level", "local", "secure-aggregation"]

_UNSOUND = (
    "Flower's SecAgg+ is not secure: it draws its masks from a generator with a 32 bit "
    "seed, which can be tried out, and it works through Flower's old interface only"
)
_INSTEAD = (
    "Use privacy.client_level or privacy.local, and a server that you trust with "
    "single updates"
)


@dataclass(frozen=True)
class Tool:
    """Whether one privacy tool can be used.

    Args:
        name: ``client-level``, ``local`` or ``secure-aggregation``.
        applies: Whether it can be used with the method.
        reason: What it gives, or why it cannot be used. One sentence without a stop.
    """

    name: ToolName
    applies: bool
    reason: str


def list_tools(method: Aggregator) -> tuple[Tool, ...]:
    """List every privacy tool, with what it gives or why it does not apply.

    Args:
        method: An aggregation method.

    Returns:
        The tools, in a fixed order.
    """
    against = _why_no_noise(method)
    return (
        Tool(
            "client-level",
            against is None,
            against or "hides whether one client took part, from all but the server",
        ),
        Tool(
            "local",
            True,
            "DP-SGD on the client hides single rows, also from the server; needs the "
            "extra `privacy`",
        ),
        Tool("secure-aggregation", False, _UNSOUND),
    )


def require_client_level(method: Aggregator) -> None:
    """Refuse client-level privacy for a method that is no plain mean.

    Args:
        method: An aggregation method.

    Raises:
        ConfigError: Says why, and which methods go with it.
    """
    against = _why_no_noise(method)
    if against:
        raise ConfigError(
            f"privacy.client_level: must have a method whose server step is a mean of "
            f"equal shapes, got {type(method).__name__}: {against}. Use fedit, ffa, "
            "fedsa, fed-alora, fed-alora-any (product form), colora or feddpa; or "
            "privacy.local, which goes with every method."
        )


def refuse_secure_aggregation() -> None:
    """Refuse secure aggregation: there is no sound one to build on.

    Raises:
        ConfigError: Always; says why and what to do.
    """
    raise ConfigError(
        f"privacy.secure_aggregation: must be false, got true. {_UNSOUND}. {_INSTEAD}."
    )


def _why_no_noise(method: Aggregator) -> str | None:
    if not method.sent:
        return "nothing leaves the client, so there is nothing to hide"
    if not method.linear:
        return (
            "its server step is not linear in what clients send, so a short update "
            "does not mean a small change, and no noise is enough"
        )
    if not method.equal_uploads:
        return (
            "clients send different shapes, and zeros stand in for what a client does "
            "not send, so the result tells who took part"
        )
    return None
