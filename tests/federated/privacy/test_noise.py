import os

import numpy as np
import pytest
import torch
from scipy import stats

from cotune.federated.privacy import draw_noise


def test_the_seed_decides_and_torchs_own_generator_does_not():
    one, two = (
        draw_noise((3, 4), 2.0, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(one, two)
    assert one.dtype == torch.float64


def test_the_secure_source_is_never_the_same():
    torch.manual_seed(0)
    one = draw_noise((50,), 1.0, None)
    torch.manual_seed(0)
    assert not torch.equal(one, draw_noise((50,), 1.0, None))


@pytest.mark.parametrize("secure", [False, True])
def test_the_noise_is_normal_with_its_deviation(secure, monkeypatch):
    # The bytes of the system replaced by repeatable ones, so that this cannot flicker.
    source = np.random.default_rng(7)
    monkeypatch.setattr(os, "urandom", source.bytes)
    generator = None if secure else torch.Generator().manual_seed(7)
    draw = draw_noise((200, 501), 3.0, generator).flatten().numpy() / 3
    assert stats.kstest(draw, "norm").pvalue > 1e-4  # a wrong law gives 0
    assert abs(draw.mean()) < 0.01
    assert draw.std() == pytest.approx(1, abs=0.01)


def test_draws_of_the_secure_source_are_independent(monkeypatch):
    source = np.random.default_rng(8)
    monkeypatch.setattr(os, "urandom", source.bytes)
    draw = draw_noise((100_000,), 1.0, None).numpy()
    for lag in (1, 2, 50_000):
        assert abs(np.corrcoef(draw[:-lag], draw[lag:])[0, 1]) < 0.015


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (3, 5)])
@pytest.mark.parametrize("secure", [False, True])
def test_any_shape_can_be_drawn(shape, secure):
    draw = draw_noise(shape, 1.0, None if secure else torch.Generator())
    assert draw.shape == shape
    assert bool(draw.isfinite().all())


def test_without_deviation_there_is_no_noise():
    assert torch.equal(draw_noise((4,), 0.0, None), torch.zeros(4).double())
