"""Privacy tools: noise on the server, DP-SGD on the client, and the account of both."""

from __future__ import annotations

from ._accountant import Accountant, renyi
from ._client_level import ClientLevelPrivacy, Released
from ._clip import Clipped, clip_update, update_norm
from ._local import PrivateSteps, split_rows
from ._noise import draw_noise
from ._spec import ClientLevelSpec, LocalSpec, PrivacySpec
from ._tools import (
    Tool,
    list_tools,
    refuse_secure_aggregation,
    require_client_level,
)

__all__ = [
    "Accountant",
    "ClientLevelPrivacy",
    "ClientLevelSpec",
    "Clipped",
    "LocalSpec",
    "PrivacySpec",
    "PrivateSteps",
    "Released",
    "Tool",
    "clip_update",
    "draw_noise",
    "list_tools",
    "refuse_secure_aggregation",
    "renyi",
    "require_client_level",
    "split_rows",
    "update_norm",
]
