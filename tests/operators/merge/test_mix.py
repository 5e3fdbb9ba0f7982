import torch

from cotune.operators.convert._recompress import recompress
from cotune.operators.merge._mix import mix


def test_the_result_is_the_weighted_sum_of_the_updates(draw):
    updates = [draw(seed, rank=seed + 1) for seed in range(3)]
    weights = [0.5, -1.0, 2.0]
    expected = sum(w * u.delta() for w, u in zip(weights, updates, strict=True))
    mixed = mix(updates, weights)
    assert mixed.rank == 1 + 2 + 3
    assert torch.allclose(mixed.delta(), expected, atol=1e-12)


def test_an_adapter_minus_itself_is_zero(draw):
    update = draw(0)
    assert torch.allclose(
        mix([update, update], [1.0, -1.0]).delta(),
        torch.zeros(6, 5, dtype=torch.float64),
        atol=1e-12,
    )


def test_recompressing_a_mix_finds_a_shared_column_space(draw):
    one, two = draw(0), draw(1)
    shared = type(one)(A=two.A, B=one.B)
    smaller, error = recompress(mix([one, shared], [0.5, 0.5]), 2)
    assert error < 1e-14
    assert torch.allclose(smaller.delta(), one.B @ (one.A + two.A) / 2, atol=1e-12)
