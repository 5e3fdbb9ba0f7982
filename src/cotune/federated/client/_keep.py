"""What a client keeps from one round to the next: private factors, and folds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..._errors import ConfigError
from .._plan import Plan
from .._store import PrivateStore
from ._fold import Folds, pack_folds, unpack_folds

_ACCOUNT = ":account"
"""Name of the account of local privacy: JSON, a byte each. It is there in any case, so
a round from which nothing else is kept leaves a file too."""


class StateLost(ConfigError):
    """The private factors that an order builds on are not on this client."""


@dataclass(frozen=True)
class Kept:
    """What a client had after a round.

    Args:
        private: As ``read_private`` names it.
        folds: What was added to its frozen weights so far.
        account: Privacy that local training spent, as the accountant writes it.
    """

    private: Mapping[str, Tensor] = field(default_factory=dict)
    folds: Folds = field(default_factory=dict)
    account: list[dict[str, Any]] = field(default_factory=list)


def keeps_anything(plan: Plan) -> bool:
    """Return whether clients have anything to keep."""
    method = plan.method
    personal = bool(method.private) or plan.adapter.coupling == "router"
    personal = personal or plan.base.kind == "classifier"
    personal = personal or bool(plan.adapter.modules_to_save)
    counted = plan.spec.privacy.local is not None or not method.replaces
    return counted or (personal and plan.spec.private_state == "keep")


def load_kept(plan: Plan, store: PrivateStore, base: int) -> Kept:
    """Load what was kept in the round that an order builds on.

    Args:
        plan: Says whether anything was.
        store: The client's.
        base: The round; 0 for a client that begins.

    Raises:
        StateLost: It is not there, or cannot be read.
    """
    account = _load_account(plan, store)
    if base == 0 or not keeps_anything(plan):
        return Kept(account=account)
    tensors = _read(store, base)
    del tensors[_ACCOUNT]
    folds, private = unpack_folds(tensors)
    private = private if plan.spec.private_state == "keep" else {}
    return Kept(private, folds, account)


def _load_account(plan: Plan, store: PrivateStore) -> list[dict[str, Any]]:
    """Return all that was spent: of the newest version, whatever an order builds on.

    A reply that the server dropped was seen by it all the same, so its cost stays.
    """
    if plan.spec.privacy.local is None or not store.rounds():
        return []
    tensors = _read(store, max(store.rounds()))
    return json.loads(bytes(tensors[_ACCOUNT].tolist()))


def _read(store: PrivateStore, round: int) -> dict[str, Tensor]:
    try:
        return store.load(round)
    except ConfigError as error:
        raise StateLost(str(error)) from error


def keep(plan: Plan, store: PrivateStore, round: int, base: int, kept: Kept) -> None:
    """Keep what a client has after a round.

    Args:
        plan: Says whether anything is to be kept.
        store: The client's.
        round: The round.
        base: The round that training started from; its version stays too.
        kept: What to keep.
    """
    if keeps_anything(plan):
        account = torch.tensor([*json.dumps(kept.account).encode()], dtype=torch.uint8)
        tensors = {**kept.private, **pack_folds(kept.folds), _ACCOUNT: account}
        store.save(tensors, round=round, base=base or None)
