"""Heterogeneous linear regression: what is drawn, what is fitted, how wrong it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..._errors import ConfigError, unknown_name
from .._algebra import frobenius, orthonormal_columns

CORES = ("gauss", "simil", "one-direction")


@dataclass(frozen=True)
class Model:
    """Shared factors and personal cores, for a batch of problems.

    Args:
        B: Up-projection, shape (seeds, d_out, r).
        S: One core per user, shape (seeds, users, r, r).
        A: Down-projection, shape (seeds, r, d_in).
    """

    B: Float[Tensor, "seeds d_out r"]
    S: Float[Tensor, "seeds users r r"]
    A: Float[Tensor, "seeds r d_in"]

    def update(self) -> Float[Tensor, "seeds users d_out d_in"]:
        """Multiply out B S_i A for every user."""
        return self.B[:, None] @ self.S @ self.A[:, None]


@dataclass(frozen=True)
class Problem:
    """Data of k users in a batch of independent problems, float64.

    Args:
        X: Inputs, shape (seeds, users, d_in, n), standard normal.
        Y: Responses, shape (seeds, users, d_out, n).
        model: The shared truth B*, S*_i, A*.
        truth: What each user's responses follow, shape (seeds, users, d_out, d_in):
            B* S*_i A*, plus the unshared part if there is one.
    """

    X: Float[Tensor, "seeds users d_in n"]
    Y: Float[Tensor, "seeds users d_out n"]
    model: Model
    truth: Float[Tensor, "seeds users d_out d_in"]

    @property
    def rank(self) -> int:
        """Return r, the rank of the shared truth."""
        return self.model.A.shape[1]


def draw_orthonormal(
    rows: int, columns: int, generator: torch.Generator
) -> Float[Tensor, "rows columns"]:
    """Draw a matrix with orthonormal columns, uniformly.

    Args:
        rows: At least ``columns``.
        columns: Number of columns.
        generator: Source of the draw.

    Returns:
        The matrix, float64.
    """
    return orthonormal_columns(draw_normal(generator, rows, columns))


def draw_problems(
    *,
    users: int,
    samples: int,
    seeds: int = 10,
    d_out: int = 24,
    d_in: int = 24,
    rank: int = 3,
    cores: str = "gauss",
    tau: float = 1.0,
    noise: float = 0.0,
    unshared: float = 0.0,
) -> Problem:
    """Draw Y_i = B* S*_i A* X_i + noise for k users, once per seed.

    Args:
        users: k, the number of users.
        samples: n, the number of columns of X_i.
        seeds: Number of problems; problem s depends on s alone.
        d_out: Size of a response.
        d_in: Size of an input.
        rank: r, the width of the shared factors.
        cores: ``gauss`` draws iid N(0, 1); ``simil`` takes I + tau G_i / sqrt(r);
            ``one-direction`` takes e_c e_c^T with c = i mod r.
        tau: Unlikeness of the users under ``simil``, at least 0.
        noise: Standard deviation of the noise on every entry of Y.
        unshared: Size of a rank-1 part that only the user has, as a fraction of the
            Frobenius norm of B* S*_i A*.

    Returns:
        The batch of problems.

    Raises:
        ConfigError: ``cores`` is unknown, or ``rank`` is more than d_out or d_in.

    Source: arXiv:2602.07218 (heterogeneous linear regression).
    """
    if cores not in CORES:
        raise ConfigError(unknown_name("cores", cores, CORES))
    if not 0 < rank <= min(d_out, d_in):
        raise ConfigError(
            f"draw_problems: rank must be in [1, {min(d_out, d_in)}], got {rank!r}."
        )
    drawn = [
        _draw_one(
            torch.Generator().manual_seed(seed),
            (users, samples, d_out, d_in, rank),
            (cores, tau),
            unshared,
        )
        for seed in range(seeds)
    ]
    X, E, B, S, A, extra = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    model = Model(B=B, S=S, A=A)
    truth = model.update() + extra
    return Problem(X=X, Y=truth @ X + noise * E, model=model, truth=truth)


def _draw_one(
    generator: torch.Generator,
    sizes: tuple[int, int, int, int, int],
    core: tuple[str, float],
    unshared: float,
) -> tuple[Tensor, ...]:
    users, samples, d_out, d_in, rank = sizes
    B = draw_orthonormal(d_out, rank, generator)
    A = draw_orthonormal(d_in, rank, generator).T
    S = _draw_cores(generator, users, rank, *core)
    X = draw_normal(generator, users, d_in, samples)
    E = draw_normal(generator, users, d_out, samples)
    left = draw_normal(generator, users, d_out, 1)
    extra = left @ draw_normal(generator, users, 1, d_in)
    size = unshared * frobenius(B @ S @ A)
    return X, E, B, S, A, size / frobenius(extra) * extra


def _draw_cores(
    generator: torch.Generator, users: int, rank: int, kind: str, tau: float
) -> Float[Tensor, "users r r"]:
    gauss = draw_normal(generator, users, rank, rank)
    eye = torch.eye(rank, dtype=torch.float64)
    if kind == "gauss":
        return gauss
    if kind == "simil":
        return eye + tau * gauss / rank**0.5
    return torch.diag_embed(eye[torch.arange(users) % rank])


def draw_normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw a float64 tensor of standard normal numbers."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)
