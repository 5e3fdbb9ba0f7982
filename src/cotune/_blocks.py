"""Which transformer block a layer belongs to, read off its name, and their order."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The last numbered container is the block: Swin has `layers.2.blocks.1`, and UNets have
# `down_blocks.0.attentions.1.transformer_blocks.0`. `layer.N` counts only where nothing
# else does, because T5 has parts called `layer.N` inside its blocks.
_BLOCK = re.compile(r".*(?:^|\.)(?:\w*blocks?|\w*layers|h)\.\d+(?=\.|$)")
_LAYER = re.compile(r".*?(?:^|\.)\w*layer\.\d+(?=\.|$)")
_NUMBERED = re.compile(r".*?(?:^|\.)\d+(?=\.|$)")


def block_of(key: str) -> str:
    """Return the name of the block that a layer belongs to.

    Args:
        key: Name of the layer in the base model.

    Returns:
        The name up to the number of the block; the name itself if there is none.

    Example:
        >>> block_of("model.layers.3.self_attn.q_proj")
        'model.layers.3'
        >>> block_of("encoder.block.0.layer.1.DenseReluDense.wi")
        'encoder.block.0'
        >>> block_of("lm_head")
        'lm_head'
    """
    for pattern in (_BLOCK, _LAYER, _NUMBERED):
        found = pattern.match(key)
        if found:
            return found.group()
    return key


def stack_of(block: str) -> str:
    """Return what the blocks of one stack have in common: the name without numbers.

    Args:
        block: Name of a block.

    Example:
        >>> stack_of("encoder.layers.2.blocks.1")
        'encoder.layers.#.blocks.#'
    """
    return re.sub(r"\d+", "#", block)


def order_blocks(blocks: Iterable[str]) -> list[str]:
    """Sort blocks from the input to the output.

    Args:
        blocks: Names in the order of the model, each any number of times.

    Returns:
        Each name once. Stacks (embeddings, encoder, decoder, head) keep their order;
        within a stack the numbers decide, so that 10 comes after 9.
    """
    names = list(dict.fromkeys(blocks))
    stacks = list(dict.fromkeys(map(stack_of, names)))

    def place(name: str) -> tuple[int, tuple[int, ...]]:
        numbers = tuple(map(int, re.findall(r"\d+", name)))
        return stacks.index(stack_of(name)), numbers

    return sorted(names, key=place)
