import torch

from cotune._adapter import LowRank
from cotune.analysis._floor import joint_cores, shared_floor


def draw(seed, d_out=9, d_in=8, rank=2):
    dice = torch.Generator().manual_seed(seed)
    A = torch.randn(rank, d_in, generator=dice, dtype=torch.float64)
    return LowRank(A, torch.randn(d_out, rank, generator=dice, dtype=torch.float64))


def test_cores_keep_all_angles_and_lengths():
    updates = [draw(0), draw(1, rank=3), draw(2)]
    cores = joint_cores(updates)
    for i, one in enumerate(updates):
        for j, other in enumerate(updates):
            exact = (one.delta() * other.delta()).sum()
            torch.testing.assert_close((cores[i] * cores[j]).sum(), exact)


def test_updates_with_shared_factors_have_no_floor():
    shared = draw(0)
    cores = [torch.randn(2, 2, dtype=torch.float64) for _ in range(4)]
    updates = [LowRank(core @ shared.A, shared.B) for core in cores]
    floor = shared_floor(joint_cores(updates), rank=2)
    assert floor.least < 1e-20 and floor.reached < 1e-20


def test_an_unshared_part_of_size_eps_leaves_an_error_of_about_eps():
    # E4c of the theory, seen from the solution.
    shared, eps = draw(0, 40, 40, rank=3), 0.01
    updates = []
    for seed in range(1, 9):
        core = torch.randn(3, 3, dtype=torch.float64)
        own = draw(seed, 40, 40, rank=1)
        part = LowRank(core @ shared.A, shared.B)
        size = eps * part.delta().norm() / own.delta().norm()
        both = LowRank(
            torch.cat([part.A, own.A]), torch.cat([part.B, size * own.B], dim=1)
        )
        norm = both.delta().norm()
        updates.append(LowRank(both.A, both.B / norm))
    floor = shared_floor(joint_cores(updates), rank=3)
    assert 0.8 < (floor.least / 8) ** 0.5 / eps < 1.1
    assert 0.8 < (floor.reached / 8) ** 0.5 / eps < 1.3


def test_no_pair_of_subspaces_that_is_searched_for_lies_below_the_floor():
    updates = [draw(seed) for seed in range(4)]
    deltas = [update.delta() for update in updates]
    floor = shared_floor(joint_cores(updates), rank=3)
    assert floor.least <= floor.reached <= 2 * floor.least
    # Alternate: the best A for a B, the best B for an A.
    B = torch.linalg.svd(torch.cat(deltas, dim=1))[0][:, :3]
    for _ in range(50):
        A = torch.linalg.svd(torch.cat([B.T @ d for d in deltas]))[2][:3]
        B = torch.linalg.svd(torch.cat([d @ A.T for d in deltas], dim=1))[0][:, :3]
    found = sum(float((d - B @ (B.T @ d @ A.T) @ A).square().sum()) for d in deltas)
    assert floor.least <= found <= floor.reached


def test_enough_rank_misses_nothing():
    floor = shared_floor(joint_cores([draw(0), draw(1)]), rank=4)
    assert floor.reached < 1e-20
