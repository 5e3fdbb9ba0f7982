"""The privacy section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..._spec import Spec
from ..aggregation import Aggregator
from ._tools import refuse_secure_aggregation, require_client_level


class NoiseSpec(Spec):
    """Gaussian noise on a sum of clipped parts, and how its cost is told."""

    noise: float = Field(
        gt=0,
        description="Noise multiplier z: standard deviation of the noise on the sum of "
        "what is clipped, divided by clip. 1 is usual with hundreds of parts.",
    )
    delta: float = Field(
        default=1e-5,
        gt=0,
        lt=1,
        description="At which delta epsilon is reported; well below 1 / (how many "
        "there are of what is hidden: clients, or rows of a client).",
    )
    source: Literal["seed", "system"] = Field(
        default="seed",
        description="seed: noise that can be repeated, and taken away by whoever knows "
        "the seed; for experiments. system: the operating system's cryptographic "
        "source; for real use.",
    )


class ClientLevelSpec(NoiseSpec):
    """Differential privacy of whole clients: clipped updates, noise on the server."""

    clip: float = Field(
        gt=0,
        description="Largest length (L2) of one client's update, over all shared "
        "factors together. Near the median length of an update is a good start.",
    )
    sampling: Literal["known", "secret"] = Field(
        default="known",
        description="Whether those who see the shared factors may know which clients "
        "were asked. secret: epsilon is smaller where few clients of many connected "
        "ones are asked; with source: system they are drawn in secret, too.",
    )


class LocalSpec(NoiseSpec):
    """Differential privacy of rows: DP-SGD on each client, through Opacus.

    ``source`` decides the choice of rows, too.
    """

    clip: float = Field(
        default=1.0, gt=0, description="Largest length (L2) of one row's gradient."
    )


class PrivacySpec(Spec):
    """Which privacy tools a federated run uses; none by default."""

    client_level: ClientLevelSpec | None = Field(
        default=None, description="Hide whether one client took part."
    )
    local: LocalSpec | None = Field(
        default=None, description="Hide single rows of a client, also from the server."
    )
    secure_aggregation: bool = Field(
        default=False,
        description="Hide single updates from the server. Refused: there is no sound "
        "implementation to build on.",
    )

    def check(self, method: Aggregator) -> None:
        """Refuse tools that do not go with an aggregation method.

        Args:
            method: What the server does.

        Raises:
            ConfigError: Names the tool, the reason and what to do.
        """
        if self.secure_aggregation:
            refuse_secure_aggregation()
        if self.client_level is not None:
            require_client_level(method)
