import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune.federated.aggregation import Packet, Reply
from cotune.federated.aggregation._mean import Mean, block_mean, weighted_mean

WEIGHTS = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40)


def draw(count: int, seed: int, dtype=torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(3, 5, generator=generator, dtype=torch.float64).to(dtype)
        for _ in range(count)
    ]


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=st.integers(0, 1000))
def test_the_mean_is_that_of_numpy_in_float64(weights, seed):
    tensors = draw(len(weights), seed)
    want = np.average([x.double().numpy() for x in tensors], axis=0, weights=weights)
    mean = Mean(Packet({"q": {"B": tensors[0]}}))
    for start in range(0, len(tensors), 8):
        block = range(start, min(start + 8, len(tensors)))
        mean.fold(
            [Reply(str(k), Packet({"q": {"B": tensors[k]}}), weights[k]) for k in block]
        )
    got = mean.result().layers["q"]["B"].numpy()
    size = max(float(x.abs().max()) for x in tensors)
    assert np.abs(got - want).max() <= 1e-6 * size


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_equal_tensors_are_their_own_mean_bit_for_bit(dtype, count):
    x = draw(1, 3, dtype)[0]
    mean = weighted_mean([x] * count, [0.1 * (k + 1) for k in range(count)])
    assert torch.equal(mean.to(dtype), x)
    assert mean.data_ptr() != x.data_ptr()


def test_a_weight_of_zero_leaves_a_tensor_out():
    x, y, z = draw(3, 1)
    assert torch.equal(weighted_mean([x, y, z], [0.0, 2.0, 0.0]), y)


def test_the_error_does_not_grow_with_the_number_of_clients():
    # 4,000 replies; a plain float32 running mean is 30 times further off.
    tensors = [x + 1.0 for x in draw(4000, 5)]
    mean = Mean(Packet({"q": {"B": tensors[0]}}))
    for start in range(0, 4000, 8):
        block = tensors[start : start + 8]
        mean.fold([Reply("", Packet({"q": {"B": x}}), 1.0) for x in block])
    want = torch.stack(tensors).double().mean(0)
    got = mean.result().layers["q"]["B"].double()
    assert float((got - want).abs().max()) <= 1e-7


def test_tensors_are_not_modified():
    tensors = draw(3, 1)
    before = [x.clone() for x in tensors]
    weighted_mean(tensors, [1.0, 2.0, 3.0])
    assert all(torch.equal(x, y) for x, y in zip(tensors, before, strict=True))


def test_a_mean_over_several_blocks_keeps_each_weight_with_its_tensor():
    tensors, weights = draw(20, 7), [float(k + 1) for k in range(20)]
    want = np.average([x.double().numpy() for x in tensors], axis=0, weights=weights)
    assert np.abs(block_mean(tensors, weights).numpy() - want).max() <= 1e-6
