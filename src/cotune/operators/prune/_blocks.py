"""Where in the depth of the model a layer lies, read off its name."""

from __future__ import annotations

from collections.abc import Iterable

from ..._blocks import block_of, order_blocks, stack_of


def depths(names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Count the blocks of each stack that an adapter has, from the bottom.

    Args:
        names: Layer names.

    Returns:
        Layer name -> (position of its block, number of blocks), per stack: an encoder
        and a decoder are counted separately, and blocks without an adapter not at all.
        Layers outside the blocks, such as ``lm_head``, are left out.
    """
    found = {name: block_of(name) for name in names}
    inside = {name: block for name, block in found.items() if _is_numbered(block)}
    stacks: dict[str, list[str]] = {}
    for block in order_blocks(inside.values()):
        stacks.setdefault(stack_of(block), []).append(block)
    return {
        name: (stacks[stack_of(block)].index(block), len(stacks[stack_of(block)]))
        for name, block in inside.items()
    }


def _is_numbered(block: str) -> bool:
    return any(part.isdecimal() for part in block.split("."))
