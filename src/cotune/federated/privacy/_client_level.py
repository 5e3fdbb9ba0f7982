"""Client-level differential privacy: clip each update, add noise to the mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..._errors import ConfigError
from ..aggregation import Aggregator, Packet
from ._accountant import Accountant
from ._clip import Clipped, clip_update
from ._noise import draw_noise, tell_that_noise_can_be_taken_away
from ._spec import ClientLevelSpec
from ._tools import require_client_level


@dataclass(frozen=True)
class Released:
    """What one round gives away.

    Args:
        state: The server's new state, with noise.
        noise_std: Standard deviation of the noise on every number of it.
        epsilon: Privacy spent by all rounds so far, at the recipe's delta.
    """

    state: Packet
    noise_std: float
    epsilon: float


class ClientLevelPrivacy:
    """Limits replies, releases means with noise, and keeps the account.

    Works for any subset of factors: what a method keeps private never comes here. One
    round, around :meth:`Aggregator.open`::

        step = method.open(state, clients)
        step.add(client, privacy.limit(sent, state).packet, privacy.weight)
        released = privacy.release(step.finish(), state, step.replied, generator)

    Args:
        spec: Clipping length, noise, delta.
        method: What the server does.
        clients: How many clients there are.
        per_round: How many are asked in a round, at most ``clients``.
        accountant: That of the checkpoint; None starts at zero.

    Attributes:
        weight: The weight of every reply. All clients count the same: with weights n_k
            the noise would have to fit the heaviest client, and n_k is private too.
        noise_std: Standard deviation of the noise on every number of the mean, in the
            units of the factors: noise x clip / per_round.

    Raises:
        ConfigError: The method is no mean of equal shapes, or the numbers of clients
            make no sense.

    Source: arXiv:1710.06963, algorithm 1, with the fixed denominator (its estimator
    f~_f): a mean over those who happened to reply would depend on their number.
    """

    weight = 1.0

    def __init__(
        self,
        spec: ClientLevelSpec,
        method: Aggregator,
        *,
        clients: int,
        per_round: int,
        accountant: Accountant | None = None,
    ) -> None:
        require_client_level(method)
        if not 1 <= per_round <= clients:
            raise ConfigError(
                "privacy.client_level: a round must ask from 1 to all clients, got "
                f"{per_round} of {clients}."
            )
        if spec.source == "seed":
            tell_that_noise_can_be_taken_away()
        self.spec = spec
        self.clients = clients
        self.per_round = per_round
        self.noise_std = spec.noise * spec.clip / per_round
        self.accountant = accountant or Accountant()

    def limit(self, sent: Packet, state: Packet) -> Clipped:
        """Shorten one reply to the clipping length; see :func:`clip_update`.

        Args:
            sent: A reply that passed the checks.
            state: The state it was trained from.
        """
        return clip_update(sent, state, self.spec.clip)

    def release(
        self,
        mean: Packet,
        state: Packet,
        replied: int,
        generator: torch.Generator | None = None,
        *,
        among: int | None = None,
    ) -> Released:
        """Add the noise, and count the round.

        Args:
            mean: What the round's ``finish`` returned, from limited replies that all
                had the same weight.
            state: The state before the round.
            replied: How many replies are in the mean, from 1 to ``per_round``.
            generator: Needed where the recipe says ``source: seed``.
            among: From how many clients those of the round were drawn; None: from all.
                If few are connected, each is asked more often, and sampling hides less.

        Returns:
            ``state + (mean - state) x replied / per_round + noise``. A client that did
            not reply counts as an update of zero.

        Raises:
            ConfigError: No generator, or too many replies.
        """
        if self.spec.source == "seed" and generator is None:
            raise ConfigError("release: source seed must have a generator, got None.")
        if not 1 <= replied <= self.per_round:
            raise ConfigError(
                f"release: replied must be from 1 to {self.per_round}, got {replied}."
            )
        drawn = generator if self.spec.source == "seed" else None
        share = replied / self.per_round
        layers = {
            layer: {
                role: self._blur(x, state.layers[layer][role], share, drawn)
                for role, x in roles.items()
            }
            for layer, roles in mean.layers.items()
        }
        self.accountant.step(
            noise_multiplier=self.spec.noise, rate=self.rate(among), sampling="fixed"
        )
        epsilon = self.accountant.epsilon(self.spec.delta)
        return Released(Packet(layers, mean.scale), self.noise_std, epsilon)

    def rate(self, among: int | None = None) -> float:
        """Return the rate that the account counts for a round.

        Args:
            among: As in :meth:`release`.

        Returns:
            The chance of a connected client to be asked; 1 where it may be known who
            was, for then sampling hides nothing.
        """
        if self.spec.sampling == "known":
            return 1.0
        return min(1.0, self.per_round / (self.clients if among is None else among))

    def _blur(
        self, mean: Tensor, before: Tensor, share: float, draw: torch.Generator | None
    ) -> Tensor:
        noise = draw_noise(mean.shape, self.noise_std, draw).to(mean.device)
        start = before.double()
        return (start + share * (mean.double() - start) + noise).to(mean.dtype)
