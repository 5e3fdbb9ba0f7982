"""The packets of all rounds, where a client needs every one of them: FLoRA, FedEx."""

from __future__ import annotations

from pathlib import Path

from .._tensor_file import read_tensors, write_tensors
from .._wire import flatten, unflatten
from ..aggregation import Aggregator, Packet


class History:
    """What the server's state was after each round, as far as clients may need it.

    For most methods that is the newest state alone. Where each payload adds to the
    client's frozen part (``replaces`` is False), all are kept, on disk.

    Args:
        folder: Of the run.
        method: The aggregator.
    """

    def __init__(self, folder: Path, method: Aggregator) -> None:
        self._folder = folder / "history"
        self._whole = not method.replaces
        self._newest: tuple[int, Packet] | None = None

    def add(self, round: int, state: Packet) -> None:
        """Add the state after a round; 0 is the start."""
        self._newest = (round, state)
        if self._whole:
            self._folder.mkdir(parents=True, exist_ok=True)
            notes = {"scale": repr(state.scale)}
            write_tensors(self._path(round), flatten(state), notes)

    def since(self, base: int) -> dict[int, Packet]:
        """Return what a client needs that last trained in round ``base``.

        Args:
            base: 0 if it never did.

        Returns:
            Round -> state, oldest first; the newest is always there.
        """
        assert self._newest is not None
        newest, state = self._newest
        if not self._whole:
            return {newest: state}
        found = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            round = int(path.stem)
            if base <= round <= newest:
                tensors, notes = read_tensors(path)
                layers = unflatten(tensors, list(state.layers))
                found[round] = Packet(layers, float(notes["scale"]))
        return found

    def _path(self, round: int) -> Path:
        return self._folder / f"{round:06d}.safetensors"
