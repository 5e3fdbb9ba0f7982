"""What the other tests stand on: checked shapes, and models that a seed repeats."""

from __future__ import annotations

import os

import pytest
import torch
from jaxtyping import TypeCheckError

from cotune._adapter import LowRank
from helpers import FAMILIES, fill_factors, logits, tiny_batch, tiny_model


@pytest.mark.skipif(
    os.environ.get("COTUNE_CHECK_TYPES") == "0", reason="the checks are switched off"
)
def test_shapes_in_annotations_are_checked_at_run_time() -> None:
    with pytest.raises(TypeCheckError, match="r d_in"):
        LowRank(A=torch.zeros(2, 3, 4), B=torch.zeros(5, 2))
    with pytest.raises(TypeCheckError, match="Float"):
        LowRank(A=torch.zeros(2, 3, dtype=torch.int64), B=torch.zeros(5, 2))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_repeats_a_model_and_leaves_the_global_generator(family: str) -> None:
    state = torch.get_rng_state()
    one, two = tiny_model(family, seed=3), tiny_model(family, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    batch = tiny_batch(family, seed=1)
    assert torch.equal(logits(one, batch), logits(two, batch))
    other = tiny_model(family, seed=4)
    assert not torch.allclose(logits(one, batch), logits(other, batch))


@pytest.mark.parametrize("family", FAMILIES)
def test_training_mode_differs_from_evaluation_in_nothing(family: str) -> None:
    model, batch = tiny_model(family), tiny_batch(family)
    assert torch.equal(logits(model.train(), batch), logits(model.eval(), batch))


def test_filled_factors_are_all_different_and_none_is_zero() -> None:
    layer = torch.nn.Module()
    for name in ("cotune_A", "cotune_B"):
        bank = torch.nn.ParameterDict(
            {"default": torch.nn.Parameter(torch.zeros(2, 3))}
        )
        setattr(layer, name, bank)
    fill_factors(layer)
    values = torch.cat([parameter.flatten() for parameter in layer.parameters()])
    assert len(values.unique()) == 12 and not (values == 0).any()
