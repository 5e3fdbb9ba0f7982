"""Tasks: where their rows lie, what a row must hold, how rows become batches."""

from __future__ import annotations

from ._data import DataSpec, list_tasks, load_data
from ._discover import FolderSpec, discover
from ._faults import RowError, RowFault
from ._load import LeakageWarning, Task, load_tasks
from ._metrics import METRICS, Metric
from ._mixture import MIXTURES, MixtureSpec
from ._partition import PARTITIONS, Partition, PartitionSpec, partition
from ._readers import READERS, RawRow
from ._rows import FieldSpec
from ._sampler import MixtureSampler
from ._seed import make_generator
from ._source import SourceSpec
from ._split import LimitSpec
from ._task import TaskSpec
from ._template import TemplateSpec, fill_template
from .encode import (
    COLLATORS,
    ENCODERS,
    IGNORED,
    Batch,
    Collator,
    Context,
    EncodeSpec,
    Padding,
    Tokens,
    build_collator,
    encode_task,
    get_pad_id,
    get_part,
    join_labels,
)

__all__ = [
    "COLLATORS",
    "ENCODERS",
    "IGNORED",
    "METRICS",
    "MIXTURES",
    "PARTITIONS",
    "READERS",
    "Batch",
    "Collator",
    "Context",
    "DataSpec",
    "EncodeSpec",
    "FieldSpec",
    "FolderSpec",
    "LeakageWarning",
    "LimitSpec",
    "Metric",
    "MixtureSampler",
    "MixtureSpec",
    "Padding",
    "Partition",
    "PartitionSpec",
    "RawRow",
    "RowError",
    "RowFault",
    "SourceSpec",
    "Task",
    "TaskSpec",
    "TemplateSpec",
    "Tokens",
    "build_collator",
    "discover",
    "encode_task",
    "fill_template",
    "get_pad_id",
    "get_part",
    "join_labels",
    "list_tasks",
    "load_data",
    "load_tasks",
    "make_generator",
    "partition",
]
