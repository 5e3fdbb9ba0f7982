import itertools

import pytest
import torch

from cotune.operators.merge._cluster import cluster


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_well_separated_groups_are_found(seed):
    noise = 0.01 * torch.randn(12, 30, generator=seeded(seed))
    centres = torch.eye(30)[:3].repeat(4, 1)
    labels = cluster(
        centres + noise, torch.ones(12), 3, restarts=5, generator=seeded(seed)
    )
    assert labels.tolist() == [0, 1, 2] * 4


def test_the_result_is_the_best_split_of_four_points_in_two():
    points = torch.tensor([[0.0], [1.0], [5.0], [6.5]])
    labels = cluster(points, torch.ones(4), 2, restarts=10, generator=seeded())
    assert labels.tolist() == [0, 0, 1, 1]


def cost(points, weights, labels):
    """Sum of weighted squared distances from the weighted means."""
    total = 0.0
    for label in set(labels):
        mine = torch.tensor([each == label for each in labels])
        share = weights[mine]
        mean = (share @ points[mine]) / share.sum()
        total += float(share @ (points[mine] - mean).square().sum(dim=1))
    return total


def weighted_points(seed, count=7):
    points = torch.randn(count, 2, generator=seeded(seed)).double()
    # Weights from 0.01 to 100: the mean of the points is not the mean of the weight.
    powers = 4 * torch.rand(count, generator=seeded(seed + 50)).double() - 2
    return points, 10**powers


@pytest.mark.parametrize("seed", range(12))
def test_few_weighted_points_are_split_in_two_in_the_best_way_of_all(seed):
    points, weights = weighted_points(seed)
    labels = cluster(points, weights, 2, restarts=60, generator=seeded(seed))
    splits = itertools.product(range(2), repeat=7)
    best = min(cost(points, weights, split) for split in splits)
    assert cost(points, weights, labels.tolist()) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_every_point_lies_nearest_to_the_weighted_mean_of_its_cluster(seed):
    # With more clusters k-means can end in a local best, but always in such a state.
    points, weights = weighted_points(seed, count=20)
    labels = cluster(points, weights, 4, restarts=3, generator=seeded(seed))
    means = torch.stack(
        [
            weights[labels == label]
            @ points[labels == label]
            / weights[labels == label].sum()
            for label in range(4)
        ]
    )
    assert torch.equal(torch.cdist(points, means).argmin(dim=1), labels)


def test_fewer_distinct_points_than_clusters_give_fewer_clusters():
    points = torch.randn(2, 6, generator=seeded()).repeat(5, 1)
    labels = cluster(points, torch.ones(10), 4, restarts=3, generator=seeded())
    assert labels.tolist() == [0, 1] * 5


def test_no_points_give_no_labels():
    labels = cluster(
        torch.zeros(0, 4), torch.zeros(0), 3, restarts=1, generator=seeded()
    )
    assert labels.tolist() == []


def test_equal_seeds_give_equal_labels():
    points = torch.randn(40, 8, generator=seeded(1))
    runs = [
        cluster(points, torch.ones(40), 5, restarts=2, generator=seeded(9)).tolist()
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert sorted(set(runs[0])) == [0, 1, 2, 3, 4]
