"""The top singular directions of a large matrix, fast."""

import torch
from jaxtyping import Float
from torch import Tensor


def top_singular(
    matrix: Float[Tensor, "rows columns"],
    rank: int,
    *,
    exact: bool = False,
    iterations: int = 4,
    oversample: int = 8,
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, "rows r"], Float[Tensor, " r"], Float[Tensor, "r columns"]]:
    """Return the leading singular triples.

    Args:
        matrix: Any floating-point matrix; not changed.
        rank: How many triples, at most the smaller side.
        exact: Take the full SVD. Slow: the whole matrix is decomposed.
        iterations: Subspace iterations of the fast form, at least 0. Each costs two
            products with the matrix; more of them help flat spectra.
        oversample: Extra directions of the fast form, cut off at the end.
        generator: Randomness of the fast form, on the CPU; None takes the global one.

    Returns:
        (U, S, Vh) of shapes (rows, rank), (rank,), (rank, columns).

    Source: Halko, Martinsson, Tropp (arXiv:0909.4061), algorithms 4.4 and 5.1; the
    same as ``torch.svd_lowrank``, which takes no generator.
    """
    width = min(rank + oversample, *matrix.shape)
    if exact or width == min(matrix.shape):
        U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
        return U[:, :rank], S[:rank], Vh[:rank]
    probe = torch.randn(matrix.shape[1], width, generator=generator)
    basis = _orthonormal(matrix @ probe.to(matrix))
    for _ in range(iterations):
        basis = _orthonormal(matrix @ _orthonormal(matrix.t() @ basis))
    U, S, Vh = torch.linalg.svd(basis.t() @ matrix, full_matrices=False)
    return (basis @ U)[:, :rank], S[:rank], Vh[:rank]


def _orthonormal(matrix: Tensor) -> Tensor:
    return torch.linalg.qr(matrix).Q
