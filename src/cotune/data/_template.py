"""Texts made from the fields of a row, and chats made by the tokenizer's template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from .._errors import ConfigError
from .._spec import Spec
from ._values import as_text, get_field

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A doubled brace, a field, or a brace that closes or opens nothing. str.format is not
# used: it follows attributes ({x.__class__}), and a recipe may come from a stranger.
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class TemplateSpec(Spec):
    """How texts are made from the fields of a row."""

    prompt: str | None = Field(
        default=None,
        description="Text of the prompt: '{field}' stands for a field of the row, "
        "'{{' and '}}' for braces. None: the prompt is a field (`fields.prompt`).",
    )
    answer: str | None = Field(
        default=None,
        description="Text of the answer, written as `prompt`. None: the answer is a "
        "field (`fields.answer`).",
    )

    @field_validator("prompt", "answer")
    @classmethod
    def _check(cls, template: str | None) -> str | None:
        if template is not None and not template_fields(template):
            raise ValueError(
                f"a template must name a field of the row, got {template!r}. "
                "Write {field} where the text of a field belongs."
            )
        return template


def template_fields(template: str) -> list[str]:
    """List the fields that a template names.

    Args:
        template: Text with ``{field}``, ``{{`` and ``}}``.

    Returns:
        The names, in order, repeated as they repeat.

    Raises:
        ConfigError: A single brace that belongs to no field.

    Example:
        >>> template_fields("{{ {question} }} is {answer}")
        ['question', 'answer']
    """
    names = []
    for match in _TOKEN.finditer(template):
        if match[0] in "{}":
            raise ConfigError(
                f"template: every brace must belong to a {{field}}, got {match[0]!r} "
                f"at character {match.start() + 1} of {template!r}. "
                f"Write {match[0] * 2!r} for the brace itself."
            )
        if match[1] is not None:
            names.append(match[1])
    return names


def fill_template(template: str, row: Mapping[str, Any]) -> str:
    """Put the fields of a row into a template. No code is ever run.

    Args:
        template: Text with ``{field}``, ``{{`` and ``}}``.
        row: Field name -> value. Values become text as :func:`as_text` says.

    Returns:
        The text. What a field holds is put in as it is, braces included.

    Raises:
        ConfigError: A field is missing or has no text; a brace belongs to no field.

    Example:
        >>> fill_template("{a} {{or}} {b}?", {"a": "Tea", "b": 2})
        'Tea {or} 2?'
    """
    template_fields(template)
    texts, done = [], 0
    for match in _TOKEN.finditer(template):
        texts.append(template[done : match.start()])
        if match[1] is None:
            texts.append(match[0][0])
        else:
            texts.append(as_text(get_field(row, match[1]), f"field {match[1]!r}"))
        done = match.end()
    return "".join([*texts, template[done:]])


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]
) -> tuple[str, str]:
    """Write a chat with the tokenizer's own template, cut before the last answer.

    Args:
        tokenizer: A tokenizer with a chat template.
        messages: ``{"role": ..., "content": ...}`` in order; the last is the
            assistant's answer.

    Returns:
        The prompt (up to and with the header of the answer) and the answer (with the
        template's end of turn). They join to the whole chat; special tokens that the
        template writes are already in the text.

    Raises:
        ConfigError: The tokenizer has no chat template; the template refuses the
            messages; or it rewrites earlier turns, so that no prompt can be cut off.
    """
    from jinja2.exceptions import TemplateError

    if not tokenizer.chat_template:
        raise ConfigError(
            "chat: the tokenizer must have a chat template, got none. Use the "
            "tokenizer of an instruct model, or give prompts instead of chats."
        )
    chat = [dict(message) for message in messages]
    try:
        whole = _render(tokenizer, chat, open_turn=False)
        prompt = _render(tokenizer, chat[:-1], open_turn=True)
    except TemplateError as error:
        raise ConfigError(
            f"chat: the tokenizer's template must take the messages, got: {error}"
        ) from error
    if not whole.startswith(prompt):
        raise ConfigError(
            "chat: the tokenizer's template must write a chat as the prompt and then "
            "the answer, got one that rewrites the prompt once the answer is there. "
            "Use another chat template."
        )
    return prompt, whole[len(prompt) :]


def _render(
    tokenizer: PreTrainedTokenizerBase, chat: list[dict[str, str]], *, open_turn: bool
) -> str:
    text = tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=open_turn
    )
    assert isinstance(text, str)
    return text
