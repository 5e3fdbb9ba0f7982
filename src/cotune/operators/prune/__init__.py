"""Prune an adapter: pure functions from an adapter to a smaller one."""

from ._driver import prune_adapter as prune_adapter
from ._result import PruneResult as PruneResult
from ._table import PRUNE as PRUNE
