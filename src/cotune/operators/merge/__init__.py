"""Merge several adapters into one: pure functions on updates, and a driver."""

from ._align import align_factors as align_factors
from ._driver import MergeResult as MergeResult
from ._driver import merge_adapters as merge_adapters
from ._ensemble import ensemble as ensemble
from ._into_weights import merge_into_weights as merge_into_weights
from ._options import options_of as options_of
from ._options import read_options as read_options
from ._spec import MergeSpec as MergeSpec
from ._table import MERGE as MERGE
