"""The schedule: checks T1 and T5, and what a mask may depend on."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.schedules import DEPTHS, EMPTY_RULES, SHAPES, CoTo, Group, group_layers


def blocks(count: int) -> tuple[Group, ...]:
    return group_layers([f"layers.{place}.q" for place in range(count)])


def active_share(schedule: CoTo, total: int, groups: tuple[Group, ...]) -> float:
    masks = [schedule.mask(step, total, groups) for step in range(total)]
    return sum(sum(mask.values()) for mask in masks) / (total * len(groups))


def test_t1_p_begins_at_p0_rises_linearly_and_is_one_from_three_quarters_on():
    schedule = CoTo(p0=0.1)
    p = [schedule.probability(step, 100) for step in range(100)]
    assert p[0] == 0.1
    assert p[:75] == pytest.approx([0.1 + 0.9 * t / 75 for t in range(75)], abs=1e-15)
    assert p[75:] == [1.0] * 25


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("empty", EMPTY_RULES)
def test_t1_no_mask_is_ever_empty(shape, depth, empty):
    p0 = 0.0 if empty == "force_one" and shape != "constant" else 0.05
    schedule = CoTo(p0=p0, shape=shape, depth=depth, empty=empty)
    groups = blocks(3)
    assert all(any(schedule.mask(t, 60, groups).values()) for t in range(60))


def test_t1_stage_one_ends_at_the_ceiling_of_the_exact_decimal():
    # 0.1 * 30 is 3.0000000000000004 in floating point, and its ceiling is 4.
    schedule = CoTo(fraction=0.1)
    assert schedule.probability(2, 30) < 1
    assert schedule.probability(3, 30) == 1
    assert CoTo(fraction=0.75).probability(7, 10) < 1
    assert CoTo(fraction=0.75).probability(8, 10) == 1


@pytest.mark.parametrize(("p0", "share"), [(0.0, 0.625), (0.1, 0.6625)])
def test_t5_the_mean_active_share_of_a_run_is_that_of_the_formula(p0, share):
    assert active_share(CoTo(p0=p0), 1000, blocks(32)) == pytest.approx(share, abs=0.01)


def test_t5_few_groups_are_on_a_little_more_because_none_is_never_drawn():
    # An empty draw has probability (1 - p)^2 and gets one of two groups switched on.
    groups, total = blocks(2), 3000
    p = [CoTo().probability(step, total) for step in range(total)]
    expected = sum(q + (1 - q) ** 2 / 2 for q in p) / total
    assert expected == pytest.approx(0.625 + 0.75 / 6, abs=1e-3)
    assert active_share(CoTo(), total, groups) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_share_of_a_run_does_not_depend_on_the_depth_rule(depth):
    schedule = CoTo(p0=0.1, depth=depth)
    assert active_share(schedule, 800, blocks(16)) == pytest.approx(0.6625, abs=0.01)


def test_h_drops_high_layers_more_and_l_low_layers():
    groups = blocks(8)

    def shares(depth: str) -> list[float]:
        schedule = CoTo(p0=0.1, depth=depth)
        masks = [schedule.mask(step, 600, groups) for step in range(400)]
        return [sum(mask[g.name] for mask in masks) / 400 for g in groups]

    assert shares("high")[0] > shares("high")[-1] + 0.3
    assert shares("low")[-1] > shares("low")[0] + 0.3


def test_the_blocks_below_the_lowest_active_one_number_h_of_l_plus_one_minus_one():
    # Mean over p in [0, 1] of sum_{k=1..L} (1-p)^k = sum_{k=1..L} 1 / (k + 1). An empty
    # draw counts as L in the sum, but force_one lifts one of the L groups at random.
    count, total = 6, 3000
    groups = blocks(count)
    schedule = CoTo(fraction=1.0)
    below = [
        list(schedule.mask(step, total, groups).values()).index(True)
        for step in range(total)
    ]
    exact = sum(1 / (k + 1) for k in range(1, count + 1))
    forced = (count - (count - 1) / 2) / (count + 1)
    assert sum(below) / total == pytest.approx(exact - forced, abs=0.1)


def test_a_mask_depends_on_seed_step_and_group_and_on_nothing_else():
    groups = blocks(16)
    schedule = CoTo(p0=0.1, seed=3)
    late = schedule.mask(40, 100, groups)
    for step in range(39):
        schedule.mask(step, 100, groups)
    assert CoTo(p0=0.1, seed=3).mask(40, 100, groups) == late
    assert schedule.mask(40, 100, groups[::-1]) == late
    some = schedule.mask(40, 100, groups[4:9])
    assert some == {name: late[name] for name in some}
    assert CoTo(p0=0.1, seed=4).mask(40, 100, groups) != late
    assert schedule.mask(41, 100, groups) != late


def test_masks_stay_the_same_from_release_to_release():
    # A resumed run may have another version of everything but this.
    mask = CoTo(p0=0.1, seed=7).mask(30, 100, blocks(12))
    assert "".join(str(int(on)) for on in mask.values()) == "000011111100"


def test_force_one_chooses_every_group_equally_often():
    groups, draws = blocks(5), 1500
    counts = dict.fromkeys((group.name for group in groups), 0)
    for seed in range(draws):
        mask = CoTo(seed=seed).mask(0, 100, groups)
        assert sum(mask.values()) == 1
        counts[max(mask, key=lambda name: mask[name])] += 1
    expected = draws / len(groups)
    chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_square < 18.5  # the 99.9 % point with four degrees of freedom


def test_draws_of_groups_and_steps_are_independent():
    groups, total = blocks(4), 3000
    schedule = CoTo(p0=0.5, shape="constant", fraction=1.0)
    rows = [list(schedule.mask(step, total, groups).values()) for step in range(total)]
    for a, b in itertools.combinations(range(4), 2):
        both = sum(row[a] and row[b] for row in rows) / total
        assert both == pytest.approx(0.25, abs=0.03)
    again = sum(x[0] and y[0] for x, y in itertools.pairwise(rows)) / total
    assert again == pytest.approx(0.25, abs=0.04)


def test_constant_is_stochastic_depth_and_ends_with_stage_one():
    schedule = CoTo(p0=0.3, shape="constant", fraction=0.5)
    assert {schedule.probability(step, 10) for step in range(5)} == {0.3}
    assert {schedule.probability(step, 10) for step in range(5, 10)} == {1.0}
    assert CoTo(p0=0.3, shape="constant", fraction=1.0).probability(9, 10) == 0.3


@given(
    p0=st.floats(0, 1),
    fraction=st.floats(0, 1),
    total=st.integers(1, 50),
    shape=st.sampled_from([name for name in SHAPES if name != "constant"]),
)
def test_p_is_a_probability_that_never_falls(p0, fraction, total, shape):
    schedule = CoTo(p0=p0, fraction=fraction, shape=shape)
    p = [schedule.probability(step, total) for step in range(total)]
    assert all(0 <= value <= 1 for value in p)
    assert all(a <= b + 1e-15 for a, b in itertools.pairwise(p))


def test_no_stage_one_means_always_on():
    assert CoTo(fraction=0.0).mask(0, 10, blocks(4)) == {
        f"layers.{place}": True for place in range(4)
    }


def test_all_faults_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        CoTo(p0=1.5, fraction=-1, shape="sin", depth="up", groups="all", empty="no")
    for part in ("p0 must", "fraction must", "shape:", "depth:", "groups:", "empty:"):
        assert part in str(caught.value)


def test_p0_zero_is_refused_where_it_would_not_end_or_never_change():
    with pytest.raises(ConfigError, match="would never end"):
        CoTo(empty="resample")
    with pytest.raises(ConfigError, match="p would stay 0"):
        CoTo(shape="constant")


@pytest.mark.parametrize(("step", "total"), [(-1, 10), (0, 0), (3, -1)])
def test_steps_outside_a_run_are_refused(step, total):
    with pytest.raises(ConfigError, match="step >= 0 and total >= 1"):
        CoTo().mask(step, total, blocks(2))


def test_a_model_without_groups_is_refused():
    with pytest.raises(ConfigError, match="at least one group"):
        CoTo().mask(0, 10, ())
