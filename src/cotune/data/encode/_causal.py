"""Forms for causal language models: to train, to score options, to generate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._errors import ConfigError
from ._encode import Context
from ._tokens import IGNORED


def encode_causal(row: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Encode a row to train on: the prompt, then the answer and its end.

    Args:
        row: A row of any kind of task.
        context: Tokenizer and length.

    Returns:
        ``input_ids`` and ``labels``, both (length,). Labels are -100 on the prompt,
        unless ``answer_only`` is off. The model shifts them.

    Raises:
        ConfigError: The answer does not fit, or the chat template refuses the row.
    """
    prompt, answer = context.tokens.prompt_and_answer(row)
    ids, given = context.tokens.join(prompt, answer, context.max_length)
    hidden = given if context.tokens.spec.answer_only else 0
    return {"input_ids": ids, "labels": [IGNORED] * hidden + ids[hidden:]}


def encode_causal_options(row: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Encode a row to score: the prompt with each option in turn.

    An option ends as an answer does in training, where the tokenizer can end a text:
    without its end, "no" would always be likelier than "no idea", which begins with it.
    The number of labels that are not -100 is the number of its tokens, for the mean.

    Args:
        row: A row with options.
        context: Tokenizer and length.

    Returns:
        ``input_ids`` and ``labels``, lists of (length,), one per option; ``answer``,
        the index of the right option.

    Raises:
        ConfigError: The row has no options, or an option has no tokens or does not fit.
    """
    options = get_options(row)
    tokens = context.tokens
    prompt = tokens.prompt(row)
    encoded = [
        tokens.join(prompt, tokens.ended_option(row, option), context.max_length)
        for option in options
    ]
    return {
        "input_ids": [ids for ids, _ in encoded],
        "labels": [[IGNORED] * given + ids[given:] for ids, given in encoded],
        "answer": options.index(row["answer"]),
    }


def encode_causal_prompt(row: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Encode a row to generate from: the prompt alone.

    Args:
        row: A row of any kind of task.
        context: Tokenizer and length; what is generated comes on top of it.

    Returns:
        ``input_ids``, (length,).

    Raises:
        ConfigError: The chat template refuses the row.
    """
    prompt = context.tokens.prompt(row)
    return {"input_ids": context.tokens.join(prompt, [], context.max_length)[0]}


def get_options(row: Mapping[str, Any]) -> list[str]:
    """Get the options of a row.

    Args:
        row: A row of a task.

    Returns:
        The options, in the row's order.

    Raises:
        ConfigError: The row has none.
    """
    options = row.get("options")
    if not options:
        raise ConfigError(
            "the row must have options to choose from, got none. Use kind choice or "
            "label, or generate the answer."
        )
    return options
