"""Which layers are switched together: groups made from parsed layer keys.

A key is the name of a layer as in the base model. Blocks are ordered by the numbers in
their keys, not by the order in which adapters are found, so that ``layers.10`` comes
after ``layers.9`` and a sharded or sorted listing gives the same groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._blocks import block_of, order_blocks
from .._errors import ConfigError
from ._tables import GROUPINGS

THIRDS = ("lower third", "middle third", "upper third")


@dataclass(frozen=True)
class Group:
    """Layers that are on or off together.

    Args:
        name: Unique name, e.g. ``model.layers.3``.
        layers: Keys of its layers.
        depth: Where it lies, 0 at the input and 1 at the output.
    """

    name: str
    layers: tuple[str, ...]
    depth: float = 0.5


@dataclass(frozen=True)
class Block:
    """One block of the model with the keys of its adapted layers.

    Args:
        name: What the keys have in common.
        layers: The keys, in the order given.
        depth: Its place among the adapted blocks, 0 for the first, 1 for the last.
    """

    name: str
    layers: tuple[str, ...]
    depth: float


def layer_key(name: str) -> str:
    """Return a layer's name in the base model.

    Args:
        name: Name in a model that PEFT, DDP or torch.compile may have wrapped.

    Example:
        >>> layer_key("base_model.model.model.layers.3.mlp.up_proj")
        'model.layers.3.mlp.up_proj'
    """
    name = name.removeprefix("_orig_mod.").removeprefix("module.")
    name = name.removeprefix("_orig_mod.").removeprefix("base_model.model.")
    wrappers = ("base_layer", "_orig_mod")
    return ".".join(part for part in name.split(".") if part not in wrappers)


def group_layers(keys: Iterable[str], by: str = "block") -> tuple[Group, ...]:
    """Form the groups of a model.

    Args:
        keys: Keys of the adapted layers, in the order of the model.
        by: Name in ``GROUPINGS``.

    Returns:
        Groups from the input to the output.

    Raises:
        ConfigError: Unknown grouping, or fewer than two groups: a single one could
            never be off.
    """
    keys = list(dict.fromkeys(keys))
    groups = tuple(
        Group(
            name,
            tuple(key for block in blocks for key in block.layers),
            sum(block.depth for block in blocks) / len(blocks),
        )
        for name, blocks in GROUPINGS[by](_blocks(keys)).items()
    )
    if len(groups) < 2:
        raise ConfigError(
            f"groups: a schedule needs at least two groups, got {len(groups)} by "
            f"{by!r} from {len(keys)} adapted layers. Adapt more layers, or use "
            "groups='module'."
        )
    return groups


def by_block(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Make one group per transformer block. Source: CoTo (arXiv:2506.05713).

    Args:
        blocks: Blocks from the input to the output.
    """
    return {block.name: [block] for block in blocks}


def by_module(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Make one group per adapted layer; its depth is that of its block.

    Args:
        blocks: Blocks from the input to the output.
    """
    return {
        key: [Block(key, (key,), block.depth)]
        for block in blocks
        for key in block.layers
    }


def by_third(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Make one group per third of the depth of the adapted blocks.

    Args:
        blocks: Blocks from the input to the output.
    """
    thirds: dict[str, list[Block]] = {}
    for place, block in enumerate(blocks):
        thirds.setdefault(THIRDS[place * 3 // len(blocks)], []).append(block)
    return thirds


def _blocks(keys: Sequence[str]) -> list[Block]:
    members: dict[str, list[str]] = {}
    for key in keys:
        members.setdefault(block_of(key), []).append(key)
    names = order_blocks(members)
    last = max(len(names) - 1, 1)
    return [
        Block(name, tuple(members[name]), index / last)
        for index, name in enumerate(names)
    ]
