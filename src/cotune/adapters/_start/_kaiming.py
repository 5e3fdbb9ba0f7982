"""Random A, zero B."""

import math

import torch
from torch import Tensor

from ._base import StartFactors, StartShape, zero_B


def kaiming(
    shape: StartShape,
    weight: Tensor | None,
    generator: torch.Generator | None = None,
) -> StartFactors:
    """Draw every A_i from Kaiming-uniform(sqrt 5) and set every B_j to zero.

    Args:
        shape: Sizes of the layer.
        weight: Not looked at.
        generator: Source of randomness; None takes torch's global one, as PEFT does.

    Returns:
        Factors on the CPU in fp32, each A_i drawn separately.

    Source: LoRA (arXiv:2106.09685) as in PEFT. The bound is 1 / sqrt(d_in).
    """
    bound = 1 / math.sqrt(shape.d_in)
    A = torch.empty(shape.M, shape.r, shape.d_in)
    A.uniform_(-bound, bound, generator=generator)
    return StartFactors(A=A, B=zero_B(shape))
