import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import EvaluationCache, connectivity

LAYER = "model.layers.0.q_proj"


def place(adapter):
    """Return where an adapter lies: mean of its first A."""
    return float(adapter.layers[LAYER].A.mean())


@pytest.fixture
def pair(adapter):
    """Return adapters that lie at 0, 1 and 2."""

    def at(where):
        made = adapter(0)
        factors = made.layers[LAYER]
        moved = torch.full_like(factors.A, float(where))
        return made.with_layers(
            {**made.layers, LAYER: type(factors)(A=moved, B=factors.B, scale=0.5)}
        )

    return {"zero": at(0), "one": at(1), "two": at(2)}


def test_the_barrier_is_the_largest_drop_below_the_straight_line(pair):
    two = {name: pair[name] for name in ("zero", "one")}
    # A valley between 0 and 1: 1 - x at the ends 1 and 0.5, 0.1 in the middle.
    found = connectivity(two, lambda a: {0.0: 1.0, 1.0: 0.5}.get(place(a), 0.1))
    (line,) = found.lines
    assert line.ends == 0.75 and line.half == 0.1
    # Straight line at l = 0.1 is 0.95.
    assert line.barrier == pytest.approx(0.85)
    assert line.loss_barrier is None


def test_a_straight_or_arched_curve_has_no_barrier(pair):
    two = {name: pair[name] for name in ("zero", "one")}
    straight = connectivity(two, place)
    assert straight.lines[0].barrier == pytest.approx(0, abs=1e-12)
    arch = connectivity(two, lambda a: place(a) * (1 - place(a)))
    assert arch.lines[0].barrier == 0
    assert arch.lines[0].half == pytest.approx(0.25)


def test_a_loss_barrier_can_be_0_where_the_accuracy_barrier_is_not(pair):
    two = {name: pair[name] for name in ("zero", "one")}
    found = connectivity(
        two,
        lambda a: 1.0 if place(a) in (0.0, 1.0) else 0.5,
        loss=lambda a: 9.0 if place(a) in (0.0, 1.0) else 1.0,
    )
    assert found.lines[0].loss_barrier == 0
    assert found.lines[0].barrier == 0.5


def test_the_ratios_are_means_over_pairs_in_both_directions(pair):
    found = connectivity(pair, place, grid=[0.5])
    two = connectivity({k: pair[k] for k in ("zero", "one")}, lambda a: place(a) ** 2)
    assert set(found.ratios) == {"1:2", "1:1", "1:1:1"}
    assert found.ratios["1:1:1"] == pytest.approx(1)
    assert two.ratios == {
        "1:2": pytest.approx((4 / 9 + 1 / 9) / 2),
        "1:1": pytest.approx(1 / 4),
    }
    assert len(found.lines) == 3


def test_no_average_is_scored_twice(pair):
    seen = []

    def score(adapter):
        seen.append(place(adapter))
        return 0.0

    ticks = []
    found = connectivity(pair, score, progress=lambda *at: ticks.append(at))
    # 3 ends, 9 inner points on each of 3 lines, 6 for 1:2, 1 for 1:1:1.
    assert len(seen) == 3 + 27 + 6 + 1
    assert ticks == [(n, 37) for n in range(1, 38)]
    assert len(found.points) == 33 + 6 + 3 + 1


def test_an_interrupted_analysis_goes_on_where_it_stopped(pair, tmp_path):
    path, calls = tmp_path / "c.jsonl", []

    def score(adapter):
        if len(calls) == 5:
            calls.append("stopped")
            raise KeyboardInterrupt
        calls.append("done")
        return place(adapter)

    with pytest.raises(KeyboardInterrupt):
        connectivity(pair, score, cache=EvaluationCache(path))
    resumed = connectivity(pair, score, cache=EvaluationCache(path))
    assert calls.count("done") == 37
    assert resumed == connectivity(pair, place)


@pytest.mark.parametrize(("names", "grid"), [(["zero"], [0.5]), (["zero", "one"], [2])])
def test_too_few_adapters_and_points_off_the_line_are_refused(pair, names, grid):
    with pytest.raises(ConfigError, match="two adapters and a grid"):
        connectivity({name: pair[name] for name in names}, place, grid=grid)
