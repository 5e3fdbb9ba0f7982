"""What is read off a base layer: sizes, its matrix, and the layout of an update."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from cotune._errors import ConfigError
from cotune.adapters._base_layer import (
    check_mergeable,
    features_of,
    like_weight_of,
    matrix_of,
)


def quantised() -> nn.Linear:
    layer = nn.Linear(3, 2)
    whole = torch.ones(2, 3, dtype=torch.int8)
    layer.weight = nn.Parameter(whole, requires_grad=False)
    return layer


def test_the_matrix_is_d_out_by_d_in_whatever_the_layout() -> None:
    linear, conv = nn.Linear(3, 2), Conv1D(2, 3)
    for layer in (linear, conv):
        assert features_of(layer) == (3, 2)
        matrix = matrix_of(layer)
        assert matrix is not None and matrix.shape == (2, 3)
        x = torch.randn(4, 3)
        assert torch.allclose(layer(x) - layer.bias, x @ matrix.T, atol=1e-6)
    assert matrix_of(quantised()) is None
    assert matrix_of(nn.Identity()) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_an_update_takes_the_layout_and_dtype_of_the_weight(dtype: torch.dtype) -> None:
    delta = torch.randn(2, 3)
    for layer in (nn.Linear(3, 2).to(dtype), Conv1D(2, 3).to(dtype)):
        found = like_weight_of(layer, delta)
        assert found.shape == layer.weight.shape and found.dtype == dtype
    assert torch.equal(like_weight_of(quantised(), delta), delta)


def test_only_plain_weights_can_be_merged_into() -> None:
    check_mergeable(nn.Linear(3, 2))
    check_mergeable(Conv1D(2, 3))
    for layer in (quantised(), nn.Bilinear(3, 3, 2)):
        with pytest.raises(ConfigError, match="merge: needs a floating-point Linear"):
            check_mergeable(layer)
