"""Where in the depth of the model a layer lies, read off its name."""

from __future__ import annotations

from collections.abc import Iterable


def block_of(name: str) -> tuple[str, int] | None:
    """Return the stack and the block number of a layer.

    Args:
        name: E.g. ``model.layers.3.mlp.experts.1.up_proj``.

    Returns:
        What stands before the first number, and that number: ``("model.layers", 3)``.
        None for a layer outside the blocks, such as ``lm_head``.

    Example:
        >>> block_of("decoder.block.2.layer.0.SelfAttention.q")
        ('decoder.block', 2)
    """
    parts = name.split(".")
    for place, part in enumerate(parts):
        if part.isdecimal():
            return ".".join(parts[:place]), int(part)
    return None


def depths(names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Count the blocks of each stack that an adapter has, from the bottom.

    Args:
        names: Layer names.

    Returns:
        Layer name -> (position of its block, number of blocks), per stack: an encoder
        and a decoder are counted separately, and blocks without an adapter not at all.
        Layers outside the blocks are left out.
    """
    found = {name: block_of(name) for name in names}
    stacks: dict[str, set[int]] = {}
    for place in found.values():
        if place is not None:
            stacks.setdefault(place[0], set()).add(place[1])
    order = {stack: sorted(numbers) for stack, numbers in stacks.items()}
    return {
        name: (order[place[0]].index(place[1]), len(order[place[0]]))
        for name, place in found.items()
        if place is not None
    }
