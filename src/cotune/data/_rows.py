"""Rows of every kind of task in one form, each checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from .._errors import ConfigError
from .._spec import Spec
from ._faults import RowFault
from ._readers import RawRow
from ._template import fill_template
from ._values import as_text, get_field, say_unknown, shorten

if TYPE_CHECKING:
    from ._task import TaskSpec

ROLES = ("system", "user", "assistant", "tool")


class FieldSpec(Spec):
    """Which field of a row holds what."""

    prompt: str = Field(default="prompt", description="Field with the text given.")
    options: str | tuple[str, ...] = Field(
        default="options",
        description="For kind choice: the field with the list of answers to choose "
        "from (in CSV a JSON list), or a list of fields with one answer each.",
    )
    answer: str = Field(default="answer", description="Field with the right answer.")
    answer_is: Literal["text", "index"] = Field(
        default="text",
        description="How the answer is written: as text, or as an index into the "
        "options, counted from 0.",
    )
    messages: str = Field(
        default="messages",
        description="For kind chat: field with the list of {role, content} (in CSV a "
        "JSON list); the last one is the assistant's answer.",
    )


def check_rows(
    rows: Iterable[RawRow | RowFault], task: TaskSpec, labels: Sequence[str] | None
) -> Iterator[dict[str, Any] | RowFault]:
    """Bring rows into one form, and say what is wrong with those that do not fit.

    Args:
        rows: Rows as the files hold them.
        task: Kind, fields and templates.
        labels: The answers to choose from, the same for every row, if they are known.

    Yields:
        Per row ``{prompt, options, answer, where}``, or for chats
        ``{messages, answer, where}``; or a :class:`RowFault`. ``options`` is None for
        kind text, and for kind label while ``labels`` is None.
    """
    read = _KINDS[task.kind]
    for row in rows:
        if isinstance(row, RowFault):
            yield row
            continue
        try:
            yield {**read(row.values, task, labels), "where": row.where}
        except ConfigError as error:
            yield RowFault(row.where, str(error))


def _read_choice(
    row: Mapping[str, Any], task: TaskSpec, labels: Sequence[str] | None
) -> dict[str, Any]:
    options = list(labels) if labels else _read_options(row, task.fields.options)
    answer = _read_answer(row, task, options)
    return {"prompt": _read_prompt(row, task), "options": options, "answer": answer}


def _read_label(
    row: Mapping[str, Any], task: TaskSpec, labels: Sequence[str] | None
) -> dict[str, Any]:
    options = list(labels) if labels else None
    answer = _read_answer(row, task, options)
    return {"prompt": _read_prompt(row, task), "options": options, "answer": answer}


def _read_text(
    row: Mapping[str, Any], task: TaskSpec, labels: Sequence[str] | None
) -> dict[str, Any]:
    del labels  # nothing to choose from
    answer = _read_answer(row, task, None)
    return {"prompt": _read_prompt(row, task), "options": None, "answer": answer}


def _read_chat(
    row: Mapping[str, Any], task: TaskSpec, labels: Sequence[str] | None
) -> dict[str, Any]:
    del labels  # nothing to choose from
    name = task.fields.messages
    found = _read_list(get_field(row, name), f"field {name!r}")
    messages = [_read_message(item, number) for number, item in enumerate(found, 1)]
    roles = [message["role"] for message in messages]
    if len(roles) < 2 or roles[-1] != "assistant" or "user" not in roles:
        raise ConfigError(
            f"field {name!r} must hold a user's message and end with the assistant's, "
            f"got roles {', '.join(roles) or 'none'}."
        )
    return {"messages": messages, "answer": messages[-1]["content"]}


_KINDS: dict[
    str,
    Callable[[Mapping[str, Any], TaskSpec, Sequence[str] | None], dict[str, Any]],
] = {
    "choice": _read_choice,
    "label": _read_label,
    "text": _read_text,
    "chat": _read_chat,
}


def _read_prompt(row: Mapping[str, Any], task: TaskSpec) -> str:
    if task.template.prompt is not None:
        return fill_template(task.template.prompt, row)
    name = task.fields.prompt
    return as_text(get_field(row, name), f"field {name!r}")


def _read_answer(
    row: Mapping[str, Any], task: TaskSpec, options: Sequence[str] | None
) -> str:
    name = task.fields.answer
    if task.template.answer is not None:
        answer = fill_template(task.template.answer, row)
    elif task.fields.answer_is == "index" and options is not None:
        return _pick_option(get_field(row, name), name, options)
    else:
        answer = as_text(get_field(row, name), f"field {name!r}")
    if options is not None and answer not in options:
        hint = " Is it an index? Then set fields.answer_is." * answer.isdecimal()
        raise ConfigError(
            f"the answer must be one of the options. "
            f"{say_unknown('answer', answer, options)}{hint}"
        )
    return answer


def _pick_option(value: Any, name: str, options: Sequence[str]) -> str:
    text = str(value).strip()
    index = int(text) if text.isdecimal() else -1
    if isinstance(value, bool) or not 0 <= index < len(options):
        raise ConfigError(
            f"field {name!r} must be an index from 0 to {len(options) - 1} "
            f"(fields.answer_is: index), got {shorten(value)}."
        )
    return options[index]


def _read_options(row: Mapping[str, Any], names: str | Sequence[str]) -> list[str]:
    if isinstance(names, str):
        what = f"field {names!r}"
        found = _read_list(get_field(row, names), what)
    else:
        what = f"fields {', '.join(names)}"
        found = [get_field(row, name) for name in names]
    options = [as_text(item, f"{what}, option {i}") for i, item in enumerate(found, 1)]
    check_options(options, what)
    return options


def check_options(options: Sequence[str], where: str) -> None:
    """Refuse fewer than two options, and options that are the same.

    Args:
        options: The answers to choose from.
        where: What to call them in an error.

    Raises:
        ConfigError: Fewer than two, or two that differ in nothing but outer blanks.
    """
    if len(options) < 2:
        raise ConfigError(
            f"{where} must hold at least two options, got {shorten(list(options))}."
        )
    seen: dict[str, None] = {}
    for option in options:
        if option.strip() in seen:
            raise ConfigError(
                f"{where} must hold different options, got {shorten(option)} twice."
            )
        seen[option.strip()] = None


def _read_list(value: Any, what: str) -> list[Any]:
    if isinstance(value, str):
        # A CSV cell cannot hold a list in any other way.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            pass
    if not isinstance(value, list):
        raise ConfigError(
            f"{what} must be a list (in CSV a JSON list), got {shorten(value)}."
        )
    return value


def _read_message(item: Any, number: int) -> dict[str, str]:
    what = f"message {number}"
    if not isinstance(item, dict):
        raise ConfigError(f"{what} must be {{role, content}}, got {shorten(item)}.")
    role = get_field(item, "role")
    if role not in ROLES:
        raise ConfigError(f"{what}: {say_unknown('role', str(role), ROLES)}")
    return {
        "role": role,
        "content": as_text(get_field(item, "content"), f"the content of {what}"),
    }
