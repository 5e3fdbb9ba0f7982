from __future__ import annotations

import torch

from cotune.theory.coto._data import (
    Shift,
    Teacher,
    _draw_teachers,
    draw_batches,
    draw_data,
)


def _teachers(shift: Shift) -> tuple[Teacher, Teacher]:
    return _draw_teachers(shift, torch.Generator().manual_seed(1))


def test_the_target_mixes_the_first_layer_and_keeps_the_second() -> None:
    source, target = _teachers(Shift(keep=0.8, fresh=0.6))
    other = _teachers(Shift(keep=0.0, fresh=1.0))[1]
    mixed = 0.8 * source.first + 0.6 * other.first
    torch.testing.assert_close(target.first, mixed)
    assert torch.equal(target.second, source.second)


def test_the_hard_target_mixes_both_layers() -> None:
    source, target = _teachers(Shift(keep=0.5, fresh=0.87, both_layers=True))
    other = _teachers(Shift(keep=0.0, fresh=1.0, both_layers=True))[1]
    mixed = 0.5 * source.second + 0.87 * other.second
    torch.testing.assert_close(target.second, mixed)


def test_a_problem_depends_on_its_number_alone() -> None:
    sizes = {"source_rows": 8, "rows": 4}
    few, many = draw_data(1, Shift(), **sizes), draw_data(2, Shift(), **sizes)
    for one, two in zip(few, many, strict=True):
        assert torch.equal(one.x[0], two.x[0])
        assert torch.equal(one.y[0], two.y[0])
        assert not torch.equal(two.x[0], two.x[1])


def test_rows_are_taken_from_the_own_problem() -> None:
    source = draw_data(2, Shift(), source_rows=8, rows=4)[0]
    x, y = source.take(torch.tensor([1, 0]), torch.tensor([[2, 3], [5, 0]]))
    assert torch.equal(x[0, 1], source.x[1, 3])
    assert int(y[1, 0]) == int(source.y[0, 5])


def test_a_pass_shows_every_row_once() -> None:
    batches = draw_batches(12, 4, 6, [1, 2, 1])
    assert batches.shape == (3, 6, 4)
    for half in batches[0].split(3):
        assert sorted(half.flatten().tolist()) == list(range(12))
    assert torch.equal(batches[0], batches[2])
    assert not torch.equal(batches[0], batches[1])
