"""Small random updates and adapters for the operator tests."""

import pytest
import torch

from cotune._adapter import Adapter, LowRank, plain_factors


@pytest.fixture
def draw():
    """Return a function that draws an update of standard normal factors."""

    def draw(seed, d_out=6, d_in=5, rank=2, dtype=torch.float64):
        source = torch.Generator().manual_seed(seed)
        A = torch.randn(rank, d_in, generator=source, dtype=torch.float64)
        B = torch.randn(d_out, rank, generator=source, dtype=torch.float64)
        return LowRank(A.to(dtype), B.to(dtype))

    return draw


@pytest.fixture
def adapter(draw):
    """Return a function that draws a plain adapter of two layers in a few blocks."""

    def adapter(seed, blocks=2, rank=2, config=None, **options):
        names = [
            f"model.layers.{block}.self_attn.{kind}"
            for block in range(blocks)
            for kind in ("q_proj", "v_proj")
        ]
        layers = {
            name: plain_factors(draw(100 * seed + place, rank=rank, **options))
            for place, name in enumerate(names)
        }
        return Adapter(layers=layers, config=config or {"peft_type": "LORA"})

    return adapter
