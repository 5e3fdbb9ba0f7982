"""From what a recipe says about the base model to the loaded base."""

from __future__ import annotations

from collections.abc import Sequence

from ..data import EncodeSpec, Task
from .bases import BASES, Base, BaseSpec


def load_base(
    spec: BaseSpec,
    tasks: Sequence[Task],
    *,
    encode: EncodeSpec | None = None,
    names: Sequence[str] | None = None,
) -> Base:
    """Load a base model and its tokenizer.

    Args:
        spec: Which model, and how.
        tasks: Tasks of the run; a classifier takes its labels from them.
        encode: How rows become tokens; None: the defaults.
        names: Task names of the adapter's bank, in its order; None: those of ``tasks``.

    Returns:
        The base, without an adapter, in evaluation mode.

    Raises:
        ConfigError: The model cannot be found or loaded, or does not fit the tasks.

    Example:
        ``base = load_base(BaseSpec(name="all-MiniLM-L6-v2", kind="embedding"), tasks)``
    """
    names = [task.name for task in tasks] if names is None else names
    encode = EncodeSpec() if encode is None else encode
    return BASES[spec.kind].load(spec, tasks, encode=encode, names=tuple(names))
