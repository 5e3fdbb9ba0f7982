"""Gaussian A, zero B."""

import torch
from torch import Tensor

from ._base import StartFactors, StartShape, zero_B


def gaussian(
    shape: StartShape,
    weight: Tensor | None,
    generator: torch.Generator | None = None,
) -> StartFactors:
    """Draw every A_i from N(0, 1/r^2) and set every B_j to zero.

    Args:
        shape: Sizes of the layer.
        weight: Not looked at.
        generator: Source of randomness; None takes torch's global one.

    Returns:
        Factors on the CPU in fp32, each A_i drawn separately.

    Source: LoRA (arXiv:2106.09685), the Gaussian option of PEFT.
    """
    A = torch.empty(shape.M, shape.r, shape.d_in)
    A.normal_(0.0, 1.0 / shape.r, generator=generator)
    return StartFactors(A=A, B=zero_B(shape))
