"""Texts to token ids: what every form of encoding needs from a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..._errors import ConfigError
from ..._spec import Spec
from .._template import render_chat
from .._values import shorten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label that torch's cross entropy leaves out


class EncodeSpec(Spec):
    """How rows become tokens."""

    max_length: int = Field(
        default=512,
        ge=2,
        description="Most tokens of prompt and answer together (for encoders: of one "
        "text). Longer prompts lose their start; answers are never cut.",
    )
    separator: str = Field(
        default="\n",
        description="Text between prompt and answer, for causal models; part of the "
        "prompt. Not used in chats.",
    )
    answer_only: bool = Field(
        default=True,
        description="Train on the tokens of the answer only; false: also on the "
        "prompt's.",
    )
    chat: bool = Field(
        default=False,
        description="Put single prompts into the tokenizer's chat template, as one "
        "user message. For instruct models. Chats always use it.",
    )


class Tokens:
    """A tokenizer with the rules of a recipe.

    Prompt and answer are tokenised apart, so that training, scoring and generation see
    the same prompt tokens.

    Args:
        tokenizer: Any tokenizer of transformers, fast or slow. It is not changed.
        spec: How rows become tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, spec: EncodeSpec) -> None:
        self.tokenizer = tokenizer
        self.spec = spec
        self._cache: dict[str, list[int]] = {}

    def plain(self, text: str) -> list[int]:
        """Tokenise a text without special tokens.

        Args:
            text: The text.

        Returns:
            Its token ids, uncut; a new list.
        """
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return list(ids["input_ids"])

    def option(self, text: str) -> list[int]:
        """Tokenise an answer to choose from, as :meth:`plain`, but only once.

        Args:
            text: The option.

        Returns:
            Its token ids; a new list.

        Raises:
            ConfigError: It has no tokens.
        """
        # Options repeat from row to row, prompts do not: only options are kept.
        if text not in self._cache:
            self._cache[text] = self.plain(text)
        if not self._cache[text]:
            raise ConfigError(
                f"every option must have a token, got none for {shorten(text)}."
            )
        return list(self._cache[text])

    def ended_option(self, row: Mapping[str, Any], text: str) -> list[int]:
        """Tokenise an answer to choose from, with the end that training gives it.

        Args:
            row: The row with the prompt, of a :class:`~cotune.data.Task`.
            text: One of its options.

        Returns:
            The answer's ids of :meth:`prompt_and_answer`; without an end where the
            tokenizer has no end-of-text token and the row is no chat.

        Raises:
            ConfigError: It has no tokens; a chat that the tokenizer's template cannot
                write.
        """
        option = self.option(text)
        if self._is_chat(row):
            return self.prompt_and_answer({**row, "answer": text})[1]
        return [*option, *self._end]

    @cached_property
    def ends(self) -> tuple[list[int], list[int]]:
        """Return the special tokens before and after a text, e.g. [CLS] and [SEP]."""
        probe = self.plain("a")
        whole = list(self.tokenizer("a", verbose=False)["input_ids"])
        for start in range(len(whole) - len(probe) + 1):
            stop = start + len(probe)
            if whole[start:stop] == probe:
                return whole[:start], whole[stop:]
        raise ConfigError(
            "tokenizer: special tokens must stand before or after the text, got "
            f"{probe} for 'a' without them and {whole} with them. Use another one."
        )

    def text(self, text: str, max_length: int) -> list[int]:
        """Tokenise a text for an encoder, with special tokens, cut from the left.

        Args:
            text: The text.
            max_length: Most tokens, special ones included.

        Returns:
            Token ids, at most ``max_length``.

        Raises:
            ConfigError: There is room for special tokens only.
        """
        before, after = self.ends
        room = max_length - len(before) - len(after)
        if room < 1:
            raise ConfigError(
                f"max_length must leave room for a token beside the {len(before)} + "
                f"{len(after)} special ones, got {max_length}. Raise it."
            )
        return [*before, *self.plain(text)[-room:], *after]

    def prompt_and_answer(self, row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        """Tokenise prompt and answer of a row for a causal model, uncut.

        Args:
            row: A row of a :class:`~cotune.data.Task`.

        Returns:
            The prompt's ids, with the special tokens that begin a text, and the
            answer's, with the end of text or, in a chat, the end of the turn.

        Raises:
            ConfigError: A chat that the tokenizer's template cannot write; a tokenizer
                without an end-of-text token.
        """
        if not self._is_chat(row):
            if not self._end:
                raise ConfigError(
                    "tokenizer: it must have an end-of-text token, so that answers "
                    "end, got none. Set tokenizer.eos_token."
                )
            return self.prompt(row), [*self.plain(row["answer"]), *self._end]
        prompt, answer = render_chat(self.tokenizer, _get_messages(row))
        return self.plain(prompt), self.plain(answer)

    def prompt(self, row: Mapping[str, Any]) -> list[int]:
        """Tokenise the prompt of a row for a causal model, uncut.

        Args:
            row: A row of a :class:`~cotune.data.Task`.

        Returns:
            The same ids as from :meth:`prompt_and_answer`.

        Raises:
            ConfigError: A chat that the tokenizer's template cannot write.
        """
        if self._is_chat(row):
            return self.plain(render_chat(self.tokenizer, _get_messages(row))[0])
        return [*self.ends[0], *self.plain(row["prompt"] + self.spec.separator)]

    def join(
        self, prompt: list[int], answer: list[int], max_length: int
    ) -> tuple[list[int], int]:
        """Put prompt and answer together, the prompt cut from the left if need be.

        Args:
            prompt: Token ids. Its beginning-of-text token, if any, is kept.
            answer: Token ids; never cut.
            max_length: Most tokens of both.

        Returns:
            The ids, and how many of them belong to the prompt (at least 1).

        Raises:
            ConfigError: Not even one token of the prompt has room.
        """
        room = max_length - len(answer)
        if room < 1:
            raise ConfigError(
                f"max_length must leave room for a token of the prompt beside the "
                f"{len(answer)} of the answer, got {max_length}. Raise it, or shorten "
                "the answer."
            )
        if len(prompt) > room:
            first = [i for i in prompt[:1] if i == self.tokenizer.bos_token_id]
            first = first if room > 1 else []
            prompt = [*first, *prompt[len(prompt) - room + len(first) :]]
        return [*prompt, *answer], len(prompt)

    def _is_chat(self, row: Mapping[str, Any]) -> bool:
        return self.spec.chat or "messages" in row

    @cached_property
    def _end(self) -> list[int]:
        end = self.tokenizer.eos_token_id
        return [end] if isinstance(end, int) else []


def get_pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Find the id that fills up short rows.

    Args:
        tokenizer: Any tokenizer.

    Returns:
        The padding token; else the end-of-text token; else 0. Padded places are masked
        and carry no label, so the choice changes nothing.
    """
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return token
    return 0


def _get_messages(row: Mapping[str, Any]) -> list[dict[str, str]]:
    if "messages" in row:
        return row["messages"]
    return [
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["answer"]},
    ]
