import json

import pytest
from benchmarks.evidence import federation
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.federation import (
    AGGREGATED,
    SCORES,
    TRAINED,
    Federated,
    Federations,
    run_federations,
)
from benchmarks.evidence.L11.run import ALONE, OURS, THEIRS, compare_with_alone
from benchmarks.evidence.tables import tabulate_aggregations

from cotune import ConfigError

CHANGES = (
    "federated={rounds: 1, local_steps: 1, score_every: 1}",
    "training.max_steps=-1",
)
NAMES = ("fed-alora", "fedit")


@pytest.mark.slow
def test_federations_are_tuned_scored_and_kept(small_bench, monkeypatch) -> None:
    found = run_federations(small_bench, "world", NAMES, *CHANGES)
    assert tuple(found.arms) == NAMES
    for arm in found.arms.values():
        assert set(arm.tried) == {0.01, 0.1} and arm.rate in arm.tried
        assert arm.tried[arm.rate] == max(arm.tried.values())
        assert arm.is_at_edge
        assert len(arm.means(AGGREGATED)) == len(arm.means(TRAINED)) == 2
        assert arm.bytes > 0 and arm.seconds is not None and arm.seconds > 0
    assert 0 < found.traffic(*NAMES) < 1
    assert 0 <= found.base <= 1 and 0 < found.chance <= 1
    monkeypatch.delattr(federation, "federate")
    assert run_federations(small_bench, "world", NAMES, *CHANGES) == found


@pytest.mark.slow
def test_two_seeds_can_choose_the_rate_of_a_federation_together(small_bench) -> None:
    both = Bench(
        small_bench.profile,
        small_bench.cache,
        options={"tuning_seeds": 2},
        report=lambda text: None,
    )
    one, two = (
        run_federations(bench, "world", NAMES[:1], *CHANGES).arms[NAMES[0]]
        for bench in (small_bench, both)
    )
    profile = small_bench.profile
    swapped = Bench(
        type(profile)("small", profile.seeds[::-1], profile.rates, 4),
        small_bench.cache,
        report=lambda text: None,
    )
    other = run_federations(swapped, "world", NAMES[:1], *CHANGES).arms[NAMES[0]]
    for rate, score in two.tried.items():
        assert score == pytest.approx((one.tried[rate] + other.tried[rate]) / 2)


@pytest.mark.slow
def test_a_rate_cannot_be_chosen_without_validation_rows(small_bench) -> None:
    bare = (*CHANGES, "data.validation_share=0")
    with pytest.raises(ConfigError, match="validation rows to choose"):
        run_federations(small_bench, "world", NAMES[:1], *bare)


@pytest.mark.slow
def test_training_alone_sends_nothing_and_scores_the_same_twice(small_bench) -> None:
    arm = run_federations(small_bench, "world", [ALONE], *CHANGES).arms[ALONE]
    assert arm.bytes == 0
    assert arm.means(AGGREGATED) == arm.means(TRAINED)


@pytest.mark.slow
def test_clients_may_have_different_ranks(small_bench) -> None:
    names = ("fed-alora-any", "zeropad")
    ranks = "federated.ranks=[2, 1]"
    found = run_federations(small_bench, "world", names, *CHANGES, ranks)
    assert found.describe()["ranks"] == [2, 1]


@pytest.mark.slow
def test_a_description_is_json_and_says_what_was_run(small_bench, small_world) -> None:
    found = run_federations(small_bench, "world", NAMES, *CHANGES).describe()
    text = json.dumps(found, allow_nan=False)
    assert str(small_world) not in text
    assert found["model"] == "base"
    assert (found["clients"], found["ranks"]) == (2, [2, 2])
    assert (found["rounds"], found["local_steps"]) == (1, 1)
    table = tabulate_aggregations(json.loads(text))
    assert "1 rounds of 1 steps" in table.caption
    assert [row[0] for row in table.rows] == list(NAMES)
    assert all(len(row) == len(table.columns) for row in table.rows)


def federated(name: str, *scores: float) -> Federated:
    """Return runs in which both clients have the same score, one per seed."""
    runs = [
        {
            client: {**dict.fromkeys(SCORES, score), "up": 10, "down": 20}
            for client in "ab"
        }
        for score in scores
    ]
    return Federated(name, 0.1, {0.01: 0.2, 0.1: 0.4, 1.0: 0.3}, runs, 1.0)


def federations(small_bench, *arms: Federated) -> Federations:
    recipe = small_bench.recipe("world")
    return Federations("world", recipe, {arm.name: arm for arm in arms}, 0.4, 0.5)


def test_two_points_less_are_still_at_least_equal(small_bench) -> None:
    ours, theirs = federated("ours", 0.75, 0.76), federated("theirs", 0.76, 0.77)
    found = federations(small_bench, ours, theirs).parts("x", "ours", "theirs")
    assert [part.outcome for part in found] == ["holds", "holds"]
    worse = federated("ours", 0.72, 0.73)
    found = federations(small_bench, worse, theirs).parts("x", "ours", "theirs")
    assert [part.outcome for part in found] == ["reversed", "reversed"]


def test_federations_that_only_guess_decide_nothing(small_bench) -> None:
    low, lower = federated("ours", 0.51, 0.49), federated("theirs", 0.4, 0.4)
    found = federations(small_bench, low, lower).parts("x", "ours", "theirs")
    assert [part.outcome for part in found] == ["at chance", "at chance"]


def test_one_client_that_decides_shows_in_the_interval_over_clients(
    small_bench,
) -> None:
    ours, theirs = federated("ours", 0.6, 0.6), federated("theirs", 0.6, 0.6)
    for run in ours.runs:
        run["b"].update(dict.fromkeys(SCORES, 0.9))
    found = federations(small_bench, ours, theirs)
    fixed = found.parts("x", "ours", "theirs")
    drawn = found.parts_over_clients("x", "ours", "theirs")
    for one, other in zip(fixed, drawn, strict=True):
        assert other.difference == pytest.approx(one.difference) == pytest.approx(0.15)
        assert one.low == pytest.approx(0.15) and other.low < 0
        assert one.counts and not other.counts
        assert other.what == f"{one.what}, over clients"


def test_training_alone_stands_beside_the_claim_without_a_margin(small_bench) -> None:
    ours, theirs = federated(OURS, 0.76, 0.77), federated(THEIRS, 0.74, 0.75)
    alone = federated(ALONE, 0.75, 0.76)
    found = compare_with_alone(federations(small_bench, ours, theirs, alone))
    assert [part.outcome for part in found] == ["holds", "holds", *["reversed"] * 2]
    assert not any(part.counts for part in found)
    assert compare_with_alone(federations(small_bench, ours, theirs)) == []


def test_bytes_worst_client_and_edge_are_read_off_the_runs() -> None:
    arm = federated("ours", 0.5, 0.7)
    assert arm.bytes == 60
    assert arm.worsts(TRAINED) == [0.5, 0.7]
    assert not arm.is_at_edge
    assert arm.as_dict()["worst_client"][TRAINED] == pytest.approx(0.6)
