"""Starts from the principal part of the base weight. The base is never changed."""

import torch
from torch import Tensor

from ..._errors import ConfigError
from ._base import StartFactors, StartShape
from ._svd import top_singular


def pissa(
    shape: StartShape,
    weight: Tensor | None,
    generator: torch.Generator | None = None,
) -> StartFactors:
    """Start all A_i alike and all B_j alike, from the top r singular directions.

    A_i = sqrt(S_r / s) Vh_r / M and B_j = U_r sqrt(S_r / s) / N, so that the full sum
    is the best rank-r part of the weight.

    Args:
        shape: Sizes of the layer, and how to take the SVD.
        weight: Base weight, shape (d_out, d_in).
        generator: For the fast SVD; None takes torch's global one.

    Returns:
        Factors in fp32 and the frozen copies, one of each since they are equal.

    Raises:
        ConfigError: There is no floating-point weight, or r exceeds its smaller side.

    Source: PiSSA (arXiv:2404.02948) as used by CoLA (arXiv:2505.15471). Differs: the
    base weight stays whole; the copies are subtracted in the forward pass instead.
    """
    down, up = _principal(shape, weight, 1, generator)
    A, B = down / shape.M, up / shape.N
    return StartFactors(
        A=A.repeat(shape.M, 1, 1),
        B=B.repeat(shape.N, 1, 1),
        A0=A,
        B0=B,
    )


def pissa_split(
    shape: StartShape,
    weight: Tensor | None,
    generator: torch.Generator | None = None,
) -> StartFactors:
    """Start A_i from the i-th and B_j from the j-th block of r singular directions.

    The factors differ, so they can learn different things, where ``pissa`` keeps all
    A_i equal for ever under the ``full`` coupling.

    Args:
        shape: Sizes of the layer, and how to take the SVD.
        weight: Base weight, shape (d_out, d_in).
        generator: For the fast SVD; None takes torch's global one.

    Returns:
        Factors in fp32 and frozen copies of all of them.

    Raises:
        ConfigError: There is no floating-point weight, or r * max(M, N) exceeds its
            smaller side.

    Source: ours.
    """
    down, up = _principal(shape, weight, max(shape.M, shape.N), generator)
    A, B = down[: shape.M], up[: shape.N]
    return StartFactors(A=A.clone(), B=B.clone(), A0=A.clone(), B0=B.clone())


def _principal(
    shape: StartShape,
    weight: Tensor | None,
    blocks: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Return sqrt(S / s) Vh and (U sqrt(S / s)).T in blocks of r directions each."""
    if weight is None or not weight.is_floating_point():
        kind = "none" if weight is None else str(weight.dtype)
        raise ConfigError(
            "start 'pissa': needs a floating-point base weight to decompose, got "
            f"{kind}. Use start='kaiming' on quantised layers."
        )
    rank = blocks * shape.r
    if rank > min(shape.d_in, shape.d_out):
        raise ConfigError(
            f"start 'pissa': needs {rank} singular directions (r={shape.r} times "
            f"{blocks} blocks), got a layer of {shape.d_out} x {shape.d_in}. Lower r, "
            "num_A or num_B."
        )
    U, S, Vh = top_singular(
        weight.detach().float(),
        rank,
        exact=shape.exact_svd,
        iterations=shape.svd_iterations,
        generator=generator,
    )
    root = (S / shape.scale).sqrt()
    # Singular vectors come in Fortran order: stored so, every product would be slower.
    down = (root[:, None] * Vh).contiguous()
    up = (root[:, None] * U.t()).contiguous()
    return (
        down.view(blocks, shape.r, shape.d_in),
        up.view(blocks, shape.r, shape.d_out),
    )
