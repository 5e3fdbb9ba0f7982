import torch
from torch.nn.functional import pad

from cotune.federated.aggregation._pair import PairMean, cut_pair, rescale


def pair(rank: int, seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "A": torch.randn(rank, 6, generator=draw),
        "B": torch.randn(5, rank, generator=draw),
    }


def test_a_cut_pair_is_contiguous_and_owns_its_memory():
    wide = {"A": torch.randn(4, 6), "B": torch.randn(4, 5).T}
    cut = cut_pair(wide, 3, 1.0)
    assert all(x.is_contiguous() for x in cut.values())
    assert cut["A"].data_ptr() != wide["A"].data_ptr()
    assert torch.equal(cut["A"], wide["A"][:3])
    assert torch.equal(cut["B"], wide["B"][:, :3])


def test_the_mean_is_that_of_padded_pairs_over_several_blocks():
    ranks, ratios, weights = (2, 3, 2, 1), (1.0, 0.5, 2.0, 1.0), (1.0, 2.0, 3.0, 4.0)
    pairs = [pair(rank, seed) for seed, rank in enumerate(ranks)]
    mean = PairMean()
    mean.add(pairs[:3], ratios[:3], weights[:3])
    mean.add(pairs[3:], ratios[3:], weights[3:])
    got = mean.value(pair(3, 9))
    A = B = 0.0
    for x, q, w in zip(pairs, ratios, weights, strict=True):
        more = 3 - x["A"].shape[0]
        A = A + w / 10 * pad(x["A"].double(), (0, 0, 0, more))
        B = B + w / 10 * q * pad(x["B"].double(), (0, more))
    assert float((got["A"] - A).abs().max()) <= 1e-6
    assert float((got["B"] - B).abs().max()) <= 1e-6


def test_a_pair_of_weight_zero_does_not_widen_the_mean():
    state = pair(4, 9)
    mean = PairMean()
    mean.add([pair(2, 1), pair(4, 2)], [1.0, 1.0], [1.0, 0.0])
    got = mean.value(state)
    assert torch.equal(got["A"][:2], pair(2, 1)["A"])
    assert torch.equal(got["A"][2:], state["A"][2:])


def test_a_ratio_of_one_returns_the_tensor_and_another_multiplies():
    x = torch.tensor([0.1, 3.0])
    assert rescale(x, 1.0) is x
    assert torch.equal(rescale(x, 0.5), x.double() / 2)
