"""Where a client keeps the factors that never leave it, over rounds and restarts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from .._errors import ConfigError
from ._tensor_file import read_tensors, write_tensors

_VERSION = re.compile(r"round-(\d{6,})\.safetensors")


class PrivateStore:
    """One client's private tensors of one experiment, by round, on its own disk.

    Version ``r`` is what the client had after it trained in round r. The server says in
    its message which version it builds on: the last round in which it took this
    client's reply. So a reply that came too late, or a server that went back to its
    checkpoint, leaves no trace. Two versions stay: the newest, and the one that it was
    made from.

    Files are safetensors in a folder that only their owner can enter (mode 0700, where
    the system has modes). Names are made from hashes, so an id can be any text.

    Args:
        folder: Where all experiments are kept; made if it is missing.
        experiment: Id of the run; another one never sees these tensors.
        client: Id of the client.

    Raises:
        ConfigError: An empty id.

    Example:
        >>> import tempfile, torch
        >>> store = PrivateStore(tempfile.mkdtemp(), "run 1", "../../etc")
        >>> store.save({"q/A": torch.ones(1, 2)}, round=1)
        >>> store.rounds(), store.load(1)["q/A"].tolist()
        ([1], [[1.0, 1.0]])
    """

    def __init__(self, folder: str | Path, experiment: str, client: str) -> None:
        for name, value in (("experiment", experiment), ("client", client)):
            if not value:
                raise ConfigError(f"PrivateStore: {name} must not be empty, got ''.")
        self.experiment = experiment
        self.client = client
        self.root = Path(folder).expanduser()
        self.folder = self.root / _file_name(experiment) / _file_name(client)

    def rounds(self) -> list[int]:
        """List the versions that are there, oldest first."""
        if not self.folder.is_dir():
            return []
        names = (_VERSION.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def save(
        self, tensors: Mapping[str, Tensor], *, round: int, base: int | None = None
    ) -> None:
        """Write one version, in one move, and delete those that nothing needs.

        Args:
            tensors: Name -> tensor, of any dtype, at least one.
            round: The round in which they were trained, at least 0.
            base: The version that training started from; it stays. None: the newest
                one before ``round``.

        Raises:
            ConfigError: No tensors, a negative round, or a base that is not before it.
        """
        before = -1 if base is None else base
        if not tensors or round < 0 or before >= round:
            raise ConfigError(
                f"PrivateStore.save: there must be tensors, and 0 <= base < round, got "
                f"{len(tensors)} tensors, round {round} and base {base}."
            )
        for folder in (self.root, self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.folder.parent, self.folder):
            folder.chmod(0o700)  # also one that was there, with another mode
        write_tensors(self._path(round), tensors, self._notes(round))
        older = [number for number in self.rounds() if number < round]
        kept = {round, base if base is not None else max(older, default=round)}
        for number in self.rounds():
            if number not in kept:
                self._path(number).unlink(missing_ok=True)

    def load(self, round: int) -> dict[str, Tensor]:
        """Read the version of one round.

        Args:
            round: As the server's message says.

        Returns:
            Name -> tensor, as saved, bit for bit.

        Raises:
            ConfigError: The version is not there, cannot be read, or belongs to another
                experiment, client or round.
        """
        if round not in self.rounds():
            there = ", ".join(map(str, self.rounds())) or "none"
            raise ConfigError(
                f"PrivateStore.load: the private factors of round {round} must be on "
                f"this client, got versions: {there}. Bring the store's folder back, "
                "or let the client join as a new one, from its start."
            )
        tensors, notes = read_tensors(self._path(round))
        if notes != self._notes(round):
            raise ConfigError(
                "PrivateStore.load: a file must be of its own experiment, client and "
                f"round, got one that was moved (version {round}). Bring it back."
            )
        return tensors

    def _path(self, round: int) -> Path:
        return self.folder / f"round-{round:06d}.safetensors"

    def _notes(self, round: int) -> dict[str, str]:
        return {
            "experiment": ascii(self.experiment),  # safetensors takes UTF-8 only
            "client": ascii(self.client),
            "round": str(round),
        }


def _file_name(name: str) -> str:
    """Make a name that is safe as a file's and different for different ids."""
    readable = re.sub(r"[^a-zA-Z0-9_-]+", "-", name)[:32].strip("-")
    # surrogateescape: an id may hold bytes that are no text.
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return f"{readable}-{digest}" if readable else digest
