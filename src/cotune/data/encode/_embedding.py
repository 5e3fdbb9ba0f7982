"""The form for encoders: prompt and options as texts of their own, to be matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._errors import ConfigError
from .._values import shorten
from ._causal import get_options
from ._encode import Context


def encode_embedding(row: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Encode the prompt and each option as a text of its own.

    The model embeds each (mean over tokens, normalised); the logit of an option is 20
    times the cosine with the prompt.

    Args:
        row: A row with options.
        context: Tokenizer and length.

    Returns:
        ``input_ids`` (length,) of the prompt; ``option_ids``, one list per option;
        ``labels``, the index of the right option.

    Raises:
        ConfigError: The row has no options, or an option does not fit.

    Source: as CLIP scores classes, arXiv:2103.00020, section 3.1.2; differs: one text
    encoder for both sides, and the scale is fixed.
    """
    options = get_options(row)
    return {
        "input_ids": context.tokens.text(row["prompt"], context.max_length),
        "option_ids": [_encode_option(option, context) for option in options],
        "labels": options.index(row["answer"]),
    }


def _encode_option(option: str, context: Context) -> list[int]:
    before, after = context.tokens.ends
    ids = [*before, *context.tokens.option(option), *after]
    if len(ids) > context.max_length:
        raise ConfigError(
            f"every option must fit into max_length {context.max_length}, got "
            f"{len(ids)} tokens for {shorten(option)}. Raise it, or shorten the option."
        )
    return ids
