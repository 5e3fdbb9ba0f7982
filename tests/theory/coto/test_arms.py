from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cotune.theory.coto._arms import ToySize, Trained, _pairs, measure, train_arms
from cotune.theory.coto._data import Shift, Split
from cotune.theory.coto._network import draw_adapters, draw_network

SIZE = ToySize(
    problems=2,
    seeds=3,
    steps=4,
    learning_rate=5e-3,
    pretrain_steps=4,
    shift=Shift(),
)


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Twelve copies on ten rows, each with factors of its own."""
    network = draw_network([1] * 6 + [2] * 6)
    generator = torch.Generator().manual_seed(0)
    adapters = draw_adapters([0] * 12).map(
        lambda t: torch.randn(t.shape, generator=generator)
    )
    rows = torch.randn(2, 10, 48, generator=generator).repeat_interleave(6, 0)
    labels = torch.randint(10, (2, 10), generator=generator).repeat_interleave(6, 0)
    return Trained(SIZE, network, adapters, Split(rows, labels))


def test_scores_are_sorted_by_problem_arm_and_seed(trained: Trained) -> None:
    scores = trained.by_arm(torch.arange(12.0))
    assert scores.shape == (2, 2, 3)
    assert scores[1, 0].tolist() == [6, 7, 8]


def test_merging_averages_the_factors_of_every_pair_of_seeds(
    trained: Trained,
) -> None:
    network, test, merged = _pairs(trained)
    alone = trained.by_arm(trained.adapters.down_B)
    pairs = trained.by_arm(merged.down_B)
    assert pairs.shape[:3] == (2, 2, 3)
    expected = (alone[1, 1, 0] + alone[1, 1, 2]) / 2
    torch.testing.assert_close(pairs[1, 1, 1], expected)
    assert torch.equal(trained.by_arm(network.up)[1, 1, 1], trained.network.up[6])
    assert torch.equal(trained.by_arm(test.y)[1, 1, 1], trained.test.y[6])


def test_untrained_adapters_score_as_the_base(trained: Trained) -> None:
    fresh = replace(trained, adapters=draw_adapters([0] * 12))
    scores = measure(fresh)
    assert list(scores) == ["base", "single", "merge", "every_other"]
    for score in scores.values():
        torch.testing.assert_close(score, scores["base"])


def test_the_arms_of_a_problem_share_network_and_rows_and_a_run_is_kept() -> None:
    size = replace(SIZE, seeds=1, steps=1, pretrain_steps=1)
    trained = train_arms(size)
    first, rows = trained.by_arm(trained.network.first), trained.by_arm(trained.test.x)
    for tensor in (first, rows):
        assert torch.equal(tensor[1, 0, 0], tensor[1, 1, 0])
        assert not torch.equal(tensor[0, 0, 0], tensor[1, 0, 0])
    assert train_arms(replace(size)) is trained
