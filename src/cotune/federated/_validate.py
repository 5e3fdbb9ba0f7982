"""What a reply must be before the server looks at it; says why not, never raises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ._fault import Fault, show
from ._npy import open_array


@dataclass(frozen=True)
class ReplyCheck:
    """What every reply must be: keys, shapes, dtype, finite values, weight, norm.

    Nothing that a client can send makes a method raise. Tensors are read, not copied.

    Args:
        max_weight: Largest weight n_k of one client, above 0. A client that claims more
            examples than that would take over the mean.
        max_norm: Largest length (L2, over all tensors together) of a reply, or of its
            distance from ``before`` where that is given. None: no bound.
        dtype: The one dtype that tensors may have.

    Example:
        >>> check = ReplyCheck(max_weight=1000)
        >>> shapes = {"q/B": (2, 1)}
        >>> check({"q/B": torch.ones(2, 1)}, 20, shapes) is None
        True
        >>> print(check({"q/B": torch.ones(2, 1)}, 1e12, shapes))
        weight: must be a number in (0, 1000], got 1e+12.
    """

    max_weight: float = 1e6
    max_norm: float | None = None
    dtype: torch.dtype = torch.float32

    def __call__(
        self,
        tensors: object,
        weight: object,
        shapes: Mapping[str, tuple[int, ...]],
        before: Mapping[str, Tensor] | None = None,
    ) -> Fault | None:
        """Look at one reply.

        Args:
            tensors: What the client sent, by name; anything at all.
            weight: n_k as it came; anything at all.
            shapes: Name -> shape of every tensor that must be there. Names are the
                caller's, e.g. ``layer/role``.
            before: Name -> tensor from which ``max_norm`` is measured; None: zero.

        Returns:
            None if the reply may be used, else the first fault found.
        """
        fault = self.check_weight(weight) or _check_keys(tensors, shapes)
        if fault:
            return fault
        assert isinstance(tensors, Mapping)
        squares = 0.0
        for name, shape in shapes.items():
            found = self._measure(name, tensors[name], shape, (before or {}).get(name))
            if isinstance(found, Fault):
                return found
            squares += found
        return self._check_norm(math.sqrt(squares))

    def read(
        self,
        raw: object,
        weight: object,
        shapes: Mapping[str, tuple[int, ...]],
        before: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor] | Fault:
        """Read the bytes of one reply (``numpy.save`` format) and look at it.

        The bytes are checked against ``shapes`` before anything is reserved for them.

        Args:
            raw: Name -> bytes as they came; anything at all.
            weight: As in a call.
            shapes: As in a call.
            before: As in a call.

        Returns:
            Name -> tensor, or the first fault found. The tensors are views of the
            bytes: do not write to them.
        """
        fault = self.check_weight(weight) or _check_keys(raw, shapes)
        if fault:
            return fault
        assert isinstance(raw, Mapping)
        tensors: dict[str, Tensor] = {}
        for name, shape in shapes.items():
            found = open_array(name, raw[name], shape)
            if isinstance(found, Fault):
                return found
            tensors[name] = found
        return self(tensors, weight, shapes, before) or tensors

    def check_weight(self, weight: object) -> Fault | None:
        """Look at a weight alone.

        Args:
            weight: Anything at all; True and False are no numbers here.

        Returns:
            None if it is a number in (0, max_weight].
        """
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            # A comparison with NaN is False, and integers of any size compare.
            if 0 < weight <= self.max_weight:
                return None
        limit = f"{self.max_weight:.6g}"
        return Fault("weight", f"must be a number in (0, {limit}], got {show(weight)}.")

    def _measure(
        self, name: str, value: object, shape: tuple[int, ...], before: Tensor | None
    ) -> float | Fault:
        """Return the squared length of one tensor, or its fault."""
        where = show(name)
        if not isinstance(value, Tensor) or value.layout != torch.strided:
            kind = type(value).__name__[:40]
            return Fault("type", f"{where} must be a dense tensor, got {kind}.")
        if value.dtype != self.dtype:
            return Fault("dtype", f"{where} must be {self.dtype}, got {value.dtype}.")
        if tuple(value.shape) != shape:
            got = show(tuple(value.shape))
            return Fault("shape", f"{where} must have shape {shape}, got {got}.")
        length = _length(value)
        if not math.isfinite(length):
            return Fault("not-finite", f"{where} must be finite, got NaN or infinity.")
        if before is not None and self.max_norm is not None:
            length = _length(value - before)
        return length**2

    def _check_norm(self, length: float) -> Fault | None:
        # `not <=`: an overflow to infinity or NaN must not pass.
        if self.max_norm is None or length <= self.max_norm:
            return None
        limit = f"{self.max_norm:.6g}"
        return Fault("norm", f"length must be at most {limit}, got {length:.6g}.")


def _check_keys(found: object, shapes: Mapping[str, tuple[int, ...]]) -> Fault | None:
    if not isinstance(found, Mapping):
        kind = type(found).__name__[:40]
        return Fault("type", f"a reply must be named arrays, got {kind}.")
    missing = [name for name in shapes if name not in found]
    if missing:
        more = f" and {len(missing) - 1} more" * (len(missing) > 1)
        return Fault("keys", f"must hold {show(missing[0])}{more}, got none.")
    if len(found) > len(shapes):
        odd = next(name for name in found if name not in shapes)
        count = len(found) - len(shapes)
        return Fault("keys", f"must hold nothing else, got {count}: {show(odd)}.")
    return None


def _length(value: Tensor) -> float:
    """Return the length; it is finite if and only if all entries are."""
    length = float(torch.linalg.vector_norm(value.detach()))
    if math.isfinite(length):
        return length
    # Squares of large float32 overflow; in float64 they cannot. Ten times slower.
    return float(torch.linalg.vector_norm(value.detach(), dtype=torch.float64))
