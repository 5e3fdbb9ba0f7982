"""Prune an adapter by the name of a method."""

from __future__ import annotations

from ..._adapter import Adapter
from ..merge._options import check_options
from ._result import PruneResult
from ._table import PRUNE


def prune_adapter(adapter: Adapter, *, method: str, **options: object) -> PruneResult:
    """Prune an adapter; the result is a valid, smaller or sparser adapter.

    Args:
        adapter: Not changed.
        method: A name in ``PRUNE``.
        **options: The keyword-only arguments of the method, e.g. ``sparsity``.

    Returns:
        The pruned adapter, the layers removed, and errors where there are any.

    Raises:
        ConfigError: An unknown method or option, or what the method refuses.
    """
    operator = PRUNE[method]
    check_options(method, operator, options, reserved=())
    return operator(adapter, **options)
