"""Between checked replies and the new state: clipping and noise, if asked for."""

from __future__ import annotations

from typing import Any

from ...data._seed import make_generator
from .._plan import Plan
from ..aggregation import Packet
from ..privacy import Accountant, ClientLevelPrivacy
from ._replies import Accepted


class Release:
    """Client-level privacy of a run; does nothing where the recipe asks for none.

    Args:
        plan: Says what is asked for.
        account: What earlier rounds spent, from the checkpoint; None: nothing.

    Attributes:
        epsilon: Privacy spent so far; None without client-level privacy.
    """

    def __init__(self, plan: Plan, account: list[dict[str, Any]] | None) -> None:
        self._plan = plan
        self._tool: ClientLevelPrivacy | None = None
        self.epsilon: float | None = None
        asked = plan.spec.privacy.client_level
        if asked is not None:
            count = len(plan.trainers)
            self._tool = ClientLevelPrivacy(
                asked,
                plan.method,
                clients=count,
                per_round=plan.spec.clients_per_round or count,
                accountant=Accountant.from_json([*(account or [])]),
            )

    @property
    def account(self) -> list[dict[str, Any]] | None:
        """Return what was spent, for the checkpoint."""
        return None if self._tool is None else self._tool.accountant.to_json()

    def admit(self, reply: Accepted, state: Packet) -> tuple[Packet, float]:
        """Return a reply as it may be added, and its weight.

        Args:
            reply: That passed the checks.
            state: The state that it was trained from.
        """
        if self._tool is None:
            return reply.packet, reply.weight
        return self._tool.limit(reply.packet, state).packet, self._tool.weight

    def publish(
        self, mean: Packet, state: Packet, replied: int, round: int, *, among: int
    ) -> Packet:
        """Return the new state as it may leave the server.

        Args:
            mean: What the round's ``finish`` returned.
            state: The state before.
            replied: How many replies are in the mean.
            round: The round; noise that can be repeated depends on it.
            among: From how many connected clients those of the round were drawn.
        """
        if self._tool is None:
            return mean
        chance = make_generator(self._plan.spec.seed, "noise", round)
        released = self._tool.release(mean, state, replied, chance, among=among)
        self.epsilon = released.epsilon
        return released.state
