"""Small random adapters for the analysis tests."""

import pytest
import torch

from cotune._adapter import Adapter, Factors


@pytest.fixture
def adapter():
    """Return a function that draws a plain adapter of a few layers in fp64."""

    def adapter(seed, layers=2, d_in=7, d_out=6, rank=2, config=None, extra=None):
        dice = torch.Generator().manual_seed(seed)

        def draw(*shape):
            return torch.randn(*shape, generator=dice, dtype=torch.float64)

        return Adapter(
            layers={
                f"model.layers.{n}.q_proj": Factors(
                    A=draw(1, rank, d_in), B=draw(1, d_out, rank), scale=0.5
                )
                for n in range(layers)
            },
            config=config or {"peft_type": "LORA"},
            extra=extra or {},
        )

    return adapter
