"""The Flower app of the server: rounds, over messages, until all are done.

A round: draw clients, send each its part of the state, take the replies in sorted
order, check and add each, and aggregate. A bad, late or missing reply is dropped, and
weights are shares of the rest; below the quorum the round is skipped. Whatever clients
do, the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._errors import ConfigError
from .._checkpoint import claim_folder
from .._plan import Plan
from .._wire import SCORES, Todo
from ._choice import Choice, choose_clients
from ._collect import exchange
from ._events import Events, Watch
from ._history import History
from ._ledger import Ledger
from ._post import Post
from ._release import Release
from ._replies import Accepted, Judge
from ._results import write_results, write_rounds
from ._roster import Roster
from ._start import draw_start

if TYPE_CHECKING:
    from flwr.app import Context
    from flwr.serverapp import Grid, ServerApp


def build_server_app(
    plan: Plan, folder: Path, *, resume: bool = False, watch: Watch | None = None
) -> ServerApp:
    """Make the Flower app of the server.

    Args:
        plan: What the federation computes.
        folder: Of the run: checkpoint, events, rounds, metrics.
        resume: Go on from the checkpoint in the folder, or start if there is none.
        watch: Is told every event.

    Returns:
        The app.
    """
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        run_server(grid, plan, folder, resume=resume, watch=watch)

    return app


def run_server(
    grid: Grid,
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    watch: Watch | None = None,
) -> None:
    """Be the server of one run, until it is done; see :func:`build_server_app`."""
    Server(grid, plan, folder, resume=resume, watch=watch).run()


class Server:
    """One run of a federation.

    Args:
        grid: Flower's side of the server.
        plan: What the federation computes.
        folder: Of the run.
        resume: Go on from the checkpoint in the folder, if there is one.
        watch: Is told every event.

    Raises:
        ConfigError: The checkpoint is of another recipe, or the folder is in use and
            the run is not resumed.
    """

    def __init__(
        self,
        grid: Grid,
        plan: Plan,
        folder: Path,
        *,
        resume: bool = False,
        watch: Watch | None = None,
    ) -> None:
        claim_folder(folder, resume=resume)
        self._grid = grid
        self._plan = plan
        self._folder = folder
        self._method = plan.method
        self._events = Events(folder, watch)
        self._roster = Roster(grid, plan, self._events)
        start, sites = draw_start(plan)
        self._judge = Judge(plan, sites)
        found = Ledger.load(folder, plan) if resume else None
        self._ledger = found or Ledger(start)
        history = History(folder, self._method)
        history.add(self._ledger.version, self._ledger.state)
        self._release = Release(plan, self._ledger.account)
        self._post = Post(plan, self._ledger, history)
        self._history = history
        self._events.say("resume" if found else "start", round=self._ledger.round)

    def run(self) -> None:
        """Do all rounds, score all clients at the end, and write the results.

        Raises:
            ConfigError: Too few clients came.
        """
        plan, spec = self._plan, self._plan.spec
        trainers = [client.name for client in plan.trainers]
        self._roster.wait_for(
            spec.min_clients or len(trainers), seconds=spec.connect_timeout
        )
        for number in range(self._ledger.round + 1, spec.rounds + 1):
            self._do_round(number)
        last = {}
        if spec.newcomers:
            last |= self._ask_all(spec.newcomers, "fit")
        last |= self._ask_all([*trainers, *spec.evaluate_only], "score")
        write_results(self._folder, plan, self._ledger.rounds, last)
        self._events.say("done", rounds=self._ledger.round)

    # -- one round ---------------------------------------------------------------

    def _do_round(self, number: int) -> None:
        choice = self._draw(number)
        self._events.say("round", round=number, clients=choice.names)
        entry: dict[str, Any] = {"round": number, "clients": {}, "dropped": {}}
        entry["skipped"] = not self._aggregate(number, choice, entry)
        if self._plan.spec.evaluate_only and self._plan.spec.asks(number):
            self._score_others(number, entry)
        self._ledger.rounds.append(entry)
        self._ledger.round = number
        self._ledger.save(self._folder, self._plan)
        write_rounds(self._folder, self._ledger.rounds)

    def _draw(self, number: int) -> Choice:
        """Draw the clients of a round among those connected."""
        spec = self._plan.spec
        wanted = spec.clients_per_round or len(self._plan.trainers)
        connected = self._roster.wait_for(
            spec.quorum or wanted // 2 + 1, spec.connect_timeout
        )
        return choose_clients(
            [c.name for c in self._plan.trainers if c.name in connected],
            wanted,
            seed=spec.seed,
            round=number,
            privacy=spec.privacy.client_level,
        )

    def _aggregate(self, number: int, choice: Choice, entry: dict[str, Any]) -> bool:
        """Ask, add what is good, and step if it is enough.

        Returns:
            Whether the state is a new one.
        """
        ledger, spec, names = self._ledger, self._plan.spec, choice.names
        opened = self._method.open(ledger.state, names)
        score = spec.asks(number)
        for name, found in self._ask(names, number, "train", score=score):
            if isinstance(found, Accepted):
                try:
                    opened.add(name, *self._release.admit(found, ledger.state))
                except ConfigError as error:
                    found = str(error)
            if isinstance(found, Accepted):
                self._note(entry, name, found)
            else:
                opened.skip(name)
                self._drop(entry, name, found)
        if opened.replied < (spec.quorum or len(names) // 2 + 1):
            self._events.say("skipped", round=number, replies=opened.replied)
            return False
        ledger.state = self._release.publish(
            opened.finish(), ledger.state, opened.replied, number, among=choice.among
        )
        ledger.account = self._release.account
        ledger.base |= dict.fromkeys(
            [name for name in names if name not in entry["dropped"]], number
        )
        self._history.add(number, ledger.state)
        spent = self._release.epsilon
        more = {} if spent is None else {"epsilon": spent}
        entry |= more
        self._events.say("aggregated", round=number, replies=opened.replied, **more)
        return True

    def _score_others(self, number: int, entry: dict[str, Any]) -> None:
        """Score the clients that never train, on the state that just came."""
        names = self._plan.spec.evaluate_only
        for name, found in self._ask(names, number, "score", score=True):
            if isinstance(found, Accepted):
                self._note(entry, name, found)
            else:
                self._drop(entry, name, found)

    # -- asking ------------------------------------------------------------------

    def _ask(
        self, names: Sequence[str], number: int, todo: Todo, *, score: bool
    ) -> Iterator[tuple[str, Accepted | str]]:
        """Send orders and yield the replies, looked at; the late ones last."""
        nodes = self._roster.connected()
        asked = {name: nodes[name] for name in names if name in nodes}
        self._post.open(number, todo, score=score)
        self._events.say("asked", round=number, todo=todo, clients=sorted(asked))
        waiting = dict.fromkeys(sorted(names))
        seconds = self._plan.spec.timeout
        for name, message in exchange(
            self._grid, asked, self._post.write, seconds, self._note_loss
        ):
            del waiting[name]
            client = self._plan.find(name)
            sent = self._post.newest(client) if todo == "train" else None
            yield name, self._judge.look(client, message, sent)
        for name in waiting:
            yield name, "late" if name in asked else "not connected"

    def _ask_all(
        self, names: Sequence[str], todo: Todo
    ) -> dict[str, dict[str, float | int]]:
        """Ask clients after the last round; return their numbers."""
        found: dict[str, dict[str, float | int]] = {}
        number = self._ledger.round + 1
        event = "fitted" if todo == "fit" else "scored"
        for name, reply in self._ask(names, number, todo, score=True):
            if isinstance(reply, Accepted):
                found[name] = {**reply.numbers, "examples": int(reply.weight)}
                found[name] |= {"up": 0, "down": self._post.bytes_down(name)}
                self._events.say(event, client=name, **reply.numbers)
            else:
                self._events.say("dropped", round=number, client=name, reason=reply)
        return found

    # -- noting ------------------------------------------------------------------

    def _note_loss(self, name: str, code: int) -> None:
        self._events.say("lost", round=self._ledger.round + 1, client=name, code=code)

    def _note(self, entry: dict[str, Any], name: str, found: Accepted) -> None:
        traffic = {"up": found.packet.nbytes, "down": self._post.bytes_down(name)}
        scores = {key: found.numbers.get(key) for key in SCORES}
        rest = {"examples": found.weight, "seconds": found.numbers.get("seconds")}
        if "epsilon" in found.numbers:
            rest["epsilon"] = found.numbers["epsilon"]
        entry["clients"][name] = {**traffic, **scores, **rest}
        self._events.say("replied", round=entry["round"], client=name, **scores)

    def _drop(self, entry: dict[str, Any], name: str, reason: str) -> None:
        entry["dropped"][name] = reason
        if reason != "not connected":
            entry["clients"][name] = {"up": 0, "down": self._post.bytes_down(name)}
        if reason == "no-state":
            # It joins again as a new client, and gets all that one needs.
            self._ledger.base[name] = 0
        self._events.say("dropped", round=entry["round"], client=name, reason=reason)
