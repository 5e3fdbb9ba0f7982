"""The Flower app of a client: one message in, one message out, and no text ever."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch

from ..._errors import ConfigError
from .._wire import Code, read_order, write_refusal, write_reply

if TYPE_CHECKING:
    from flwr.app import Context, Message, RecordDict
    from flwr.clientapp import ClientApp

    from ._house import House


def build_client_app(open_house: Callable[[Context], House]) -> ClientApp:
    """Make the Flower app of a client.

    Args:
        open_house: From Flower's context of a node to the client that lives there. A
            simulation sends it to other processes, so it must be picklable.

    Returns:
        The app; it answers ``query`` with its name, and does what ``train`` orders say.
    """
    from flwr.clientapp import ClientApp

    app = ClientApp()
    app.query()(Door(open_house, _introduce))
    app.train()(Door(open_house, _obey))
    return app


@dataclass(frozen=True)
class Door:
    """The only way out: acts on a message, and turns whatever goes wrong into a code.

    This is the one place in cotune that catches every exception. Flower sends the text
    of an exception to the server, and a text may hold rows, paths and names. It goes to
    the client's own log instead.

    Args:
        open_house: As in :func:`build_client_app`.
        act: What to do with a message; returns what is sent.
    """

    open_house: Callable[[Context], House]
    act: Callable[[Message, House], RecordDict]

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer one message."""
        from flwr.app import Message

        try:
            house = self.open_house(context)
        except Exception:  # noqa: BLE001, see above
            # No house, no log: the node's own console has to do.
            traceback.print_exc()
            return Message(write_refusal("stranger"), reply_to=message)
        try:
            content = self.act(message, house)
        except Exception as error:  # noqa: BLE001, see above
            code = _code_of(error)
            write_log(house, f"{code}\n{traceback.format_exc()}")
            content = write_refusal(code)
        return Message(content, reply_to=message)


def _introduce(message: Message, house: House) -> RecordDict:
    """Say who lives here, and by which recipe."""
    from flwr.app import ConfigRecord, RecordDict

    del message
    name, digest = house.client.name, house.plan.digest
    words = ConfigRecord({"code": "ok", "client": name, "recipe": digest})
    return RecordDict({"reply": words})


def _obey(message: Message, house: House) -> RecordDict:
    """Carry out an order, if it is for this client and this recipe."""
    from ._member import carry_out

    order = read_order(message.content)
    if order.digest != house.plan.digest or order.client != house.client.name:
        write_log(house, f"recipe: an order for {order.client}, {order.digest[:12]}")
        return write_refusal("recipe")
    outcome = carry_out(order, house)
    write_log(house, f"ok: round {order.round}, {order.todo}")
    return write_reply(outcome.packet, outcome.examples, outcome.numbers)


def _code_of(error: Exception) -> Code:
    from ._keep import StateLost

    if isinstance(error, StateLost):
        return "no-state"
    if isinstance(error, ConfigError):
        return "config"
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return "out-of-memory" if memory else "failed"


def write_log(house: House, text: str) -> None:
    """Add to the client's own log, which only its owner can read.

    Args:
        house: Whose; the file is ``<folder>/<client>.log``.
        text: What happened.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = house.folder / f"{house.client.name}.log"
    try:
        house.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{now} {text}\n")
    except OSError:
        # A full disk must not end in a message to the server.
        traceback.print_exc()
