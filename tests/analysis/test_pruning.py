import pytest

from cotune._errors import ConfigError
from cotune.analysis import EvaluationCache, PruneTrial, pruning
from cotune.analysis._pruning import count_numbers, default_trials


def count(adapter):
    """Score an adapter by how much of it is there."""
    return float(count_numbers(adapter))


def test_the_share_kept_counts_the_numbers_that_are_not_zero(adapter):
    # 4 layers of 2 * 7 + 6 * 2 = 26 numbers each, drawn, so none is zero.
    made = adapter(0, layers=4)
    trials = [
        PruneTrial("every_other", {"first": 0}, along="first"),
        PruneTrial("magnitude", {"sparsity": 0.5}),
        PruneTrial("magnitude", {"sparsity": 1.0}),
    ]
    found = pruning(made, count, trials=trials)
    assert [point.kept for point in found.points] == [0.5, 0.5, 0.0]
    assert [point.score for point in found.points] == [52, 52, 0]
    assert found.whole == 104


def test_points_that_differ_in_the_option_along_which_they_lie_make_one_curve(adapter):
    trials = [
        PruneTrial("magnitude", {"sparsity": 0.5, "scope": "global"}),
        PruneTrial("magnitude", {"sparsity": 0.2}),
        PruneTrial("magnitude", {"sparsity": 0.8}),
    ]
    curves = pruning(adapter(0), count, trials=trials).curves()
    assert list(curves) == ["magnitude scope=global", "magnitude"]
    kept = [point.kept for point in curves["magnitude"]]
    assert kept == sorted(kept, reverse=True) and len(kept) == 2


def test_the_rows_are_what_the_report_reads(adapter):
    rows = pruning(adapter(0), count, trials=[PruneTrial("every_other")]).rows()
    assert [row["operator"] for row in rows] == ["whole", "every_other"]
    assert all({"operator", "kept", "score"} <= set(row) for row in rows)


def test_all_patterns_that_fit_are_tried_without_being_asked(adapter):
    few = {trial.operator for trial in default_trials(adapter(0, layers=2))}
    many = {trial.operator for trial in default_trials(adapter(0, layers=3))}
    assert few == {"every_other", "magnitude"}
    assert many == {"every_other", "low", "middle", "high", "magnitude"}
    assert len(pruning(adapter(0, layers=3), count).points) == 2 + 3 + 9


def test_the_base_model_is_shown_beside(adapter):
    found = pruning(
        adapter(0), count, trials=[PruneTrial("every_other")], base=lambda: 0.25
    )
    assert found.summary()["base"] == 0.25


def test_mistakes_are_found_before_anything_is_scored(adapter):
    def never(_):
        raise AssertionError("scored")

    wrong = PruneTrial("magnitude", {"sparsty": 0.5})
    with pytest.raises(ConfigError, match=r"pruning: magnitude sparsty=0\.5.*sparsity"):
        pruning(adapter(0), never, trials=[PruneTrial("every_other"), wrong])
    with pytest.raises(ConfigError, match="needed and each once, got none"):
        pruning(adapter(0), never, trials=[])
    twice = [PruneTrial("every_other"), PruneTrial("every_other")]
    with pytest.raises(ConfigError, match="every_other twice"):
        pruning(adapter(0), never, trials=twice)


def test_an_interrupted_curve_goes_on_where_it_stopped(adapter, tmp_path):
    calls = []

    def stop_at_the_third(found):
        calls.append(found)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return count(found)

    path = tmp_path / "numbers.jsonl"
    with pytest.raises(KeyboardInterrupt):
        pruning(adapter(0), stop_at_the_third, cache=EvaluationCache(path))
    ticks = []
    found = pruning(
        adapter(0),
        stop_at_the_third,
        cache=EvaluationCache(path),
        progress=lambda done, total: ticks.append((done, total)),
    )
    # 12 evaluations in all: 2 were kept, 1 was cut off and is made again.
    assert len(calls) == 3 + len(found.points) + 1 - 2
    assert ticks[-1] == (12, 12)
