import numpy as np
import pytest

from cotune.analysis._grouping import build_tree, choose_groups, cut_tree, silhouette


def blocks(*sizes, within=0.8, between=0.1):
    label = np.repeat(np.arange(len(sizes)), sizes)
    matrix = np.where(label[:, None] == label, within, between)
    np.fill_diagonal(matrix, 1.0)
    return matrix


@pytest.mark.parametrize("sizes", [(3, 3), (2, 3, 4), (2, 2, 2, 2)])
def test_clear_groups_are_found_whatever_their_number(sizes):
    matrix = blocks(*sizes)
    labels, clear = choose_groups(matrix, build_tree(matrix))
    assert labels == np.repeat(np.arange(len(sizes)), sizes).tolist()
    # By hand: a = .2, b = .9 for every task.
    assert clear == pytest.approx((0.9 - 0.2) / 0.9)


def test_tasks_that_are_all_alike_are_one_group():
    noise = np.random.default_rng(0).normal(size=(6, 6)) * 1e-3
    matrix = blocks(6) + noise + noise.T
    np.fill_diagonal(matrix, 1.0)
    assert choose_groups(matrix, build_tree(matrix)) == ([0] * 6, 0.0)


def test_two_tasks_are_one_group():
    matrix = blocks(1, 1)
    assert choose_groups(matrix, build_tree(matrix)) == ([0, 0], 0.0)


@pytest.mark.parametrize("groups", range(1, 7))
def test_a_tree_is_cut_into_as_many_groups_as_asked_for(groups):
    # All distances are equal: SciPy's own cut would give one group or six.
    labels = cut_tree(build_tree(np.eye(6)), groups)
    assert sorted(set(labels)) == list(range(groups))
    assert labels[0] == 0


def test_the_silhouette_is_that_of_scikit_learn():
    from sklearn.metrics import silhouette_score

    points = np.random.default_rng(0).normal(size=(8, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    labels = [0, 0, 1, 1, 1, 2, 2, 3]
    expected = silhouette_score(distance, labels, metric="precomputed")
    assert silhouette(distance, labels) == pytest.approx(expected)
    assert silhouette(distance, [0] * 8) == 0
