import json
from pathlib import Path

import pytest
from benchmarks.evidence.arms import LORA, SEPARATE
from benchmarks.evidence.bench import Bench, read_profile, separate_arm
from benchmarks.evidence.cells import train
from benchmarks.evidence.command import build_table
from benchmarks.evidence.record import describe, multi_task_change, write_record
from benchmarks.evidence.scorer import Scorer

from cotune import ConfigError, read_adapter
from cotune.recipes import Arm

WIDE = Arm("wide", ("adapter.r=4",))

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(small_bench):
    alone = separate_arm(small_bench.recipe("world"), 2)
    return small_bench.run("world", [LORA, WIDE, alone])


def test_every_arm_is_tuned_on_the_first_seed_and_tested_on_all(
    runs, small_bench
) -> None:
    for arm in runs.arms.values():
        assert list(arm.tried) == [0.01, 0.1]
        assert arm.rate == max(arm.tried, key=lambda rate: (arm.tried[rate], -rate))
        assert [r.training.seed for r in arm.recipes] == [0, 1]
        assert {r.training.learning_rate for r in arm.recipes} == {arm.rate}
        assert [r.data.validation_share for r in arm.recipes] == [0.25, 0]
        assert len(arm.means) == 2
    assert (
        runs.arms["wide"].cells[0].parameters
        == 2 * runs.arms["LoRA"].cells[0].parameters
    )
    assert (
        runs.arms[SEPARATE].cells[0].parameters
        == 2 * runs.arms["LoRA"].cells[0].parameters
    )


def test_two_seeds_can_choose_the_rate_together(runs, small_bench) -> None:
    both = Bench(
        small_bench.profile,
        small_bench.cache,
        options={"tuning_seeds": 2},
        report=lambda text: None,
    )
    arm = both.run("world", [LORA]).arms["LoRA"]
    scores = [train(recipe).validation for recipe in arm.recipes]
    assert all(recipe.data.validation_share == 0.25 for recipe in arm.recipes)
    known = [score for score in scores if score is not None]
    assert len(known) == 2
    assert arm.tried[arm.rate] == pytest.approx(sum(known) / 2)
    # The first seed alone saw what it sees in a line that tunes on one.
    assert scores[0] == runs.arms["LoRA"].tried[arm.rate]


@pytest.mark.parametrize("count", [0, 3, 1.5, "two"])
def test_a_number_of_tuning_seeds_that_there_is_not_is_refused(
    count: object, small_bench
) -> None:
    with pytest.raises(ConfigError, match="from 1 to 2"):
        Bench(small_bench.profile, small_bench.cache, options={"tuning_seeds": count})


def test_a_line_can_set_its_own_rates_and_its_record_names_them(
    small_bench, tmp_path
) -> None:
    lower = [0.001, 0.01, 0.1]
    bench = Bench(
        small_bench.profile,
        small_bench.cache,
        options={"rates": lower},
        report=lambda text: None,
    )
    found = bench.run("world", [LORA])
    assert list(found.arms["LoRA"].tried) == lower
    parts = [found.part("none", "LoRA", "LoRA")]
    path = write_record(tmp_path / "L99", bench, parts, seconds=1.0, extra={})
    assert json.loads(path.read_text())["learning_rates"] == lower


@pytest.mark.parametrize("rates", [[], [0.0], [-0.1], ["1e-4"]])
def test_rates_that_no_arm_can_choose_are_refused(rates: object, small_bench) -> None:
    with pytest.raises(ConfigError, match="rates: must be one or more"):
        Bench(small_bench.profile, small_bench.cache, options={"rates": rates})


def test_a_second_call_trains_nothing(runs, small_bench, monkeypatch) -> None:
    from benchmarks.evidence import cells

    monkeypatch.delattr(cells, "run_recipe")
    monkeypatch.delattr(cells, "open_trained")
    again = small_bench.run("world", [LORA, WIDE])
    assert again.arms["LoRA"].rows == runs.arms["LoRA"].rows


def test_a_record_holds_arms_parts_and_verdict(
    runs, small_bench, tmp_path, small_world
) -> None:
    parts = [runs.part("wide - LoRA", "wide", "LoRA")]
    path = write_record(
        tmp_path / "L99", small_bench, parts, seconds=1.0, extra={"x": float("nan")}
    )
    found = json.loads(path.read_text())
    assert found["line"] == "L99" and found["profile"] == "small"
    assert found["verdict"] and found["parts"][0]["what"] == "wide - LoRA"
    assert found["extra"] == {"x": None}
    assert str(small_world) not in path.read_text()
    arms = found["settings"][0]["arms"]
    assert [arm["name"] for arm in arms] == ["LoRA", "wide", SEPARATE]
    assert arms[2]["dm"] == pytest.approx(0)
    assert build_table("L99", parts).row_count == 1


def test_dm_is_the_mean_relative_loss_against_training_alone(runs) -> None:
    ours, alone = runs.arms["LoRA"], runs.arms[SEPARATE]
    seed = [
        (alone.scores[0][t] - ours.scores[0][t]) / alone.scores[0][t]
        for t in ("left", "right")
        if alone.scores[0][t]
    ]
    expected = 100 * sum(seed) / len(seed)
    assert multi_task_change(ours, alone)[0] == pytest.approx(expected)
    assert describe(runs)["base"]["tasks"].keys() == {"left", "right"}


def test_a_scorer_scores_as_the_run_was_scored(runs, small_bench) -> None:
    arm = runs.arms["LoRA"]
    scorer = Scorer(small_bench.recipe("world"), None)
    adapter = read_adapter(Path(arm.recipes[1].output_dir) / "adapter")
    assert scorer.rows(adapter) == arm.rows[1]
    assert scorer.rows(None) == runs.base
    assert scorer.rows(adapter) == arm.rows[1]
    with scorer.switching(adapter) as model:
        everything = list(adapter.layers)
        assert model.accuracy(everything) == pytest.approx(arm.means[1])
        base = sum(sum(rows) / len(rows) for rows in runs.base.values()) / 2
        assert model.accuracy([]) == pytest.approx(base)


def test_an_ensemble_of_one_is_that_one_and_of_two_lies_with_their_logits(
    runs, small_bench
) -> None:
    scorer = Scorer(small_bench.recipe("world"), None)
    one, other = (
        read_adapter(Path(recipe.output_dir) / "adapter")
        for recipe in runs.arms["LoRA"].recipes
    )
    assert scorer.ensemble([one]) == pytest.approx(scorer.mean(one))
    # The mean of equal logits is those logits, whoever else is asked first.
    assert scorer.ensemble([other, other]) == pytest.approx(scorer.mean(other))
    pair = scorer._answers(one), scorer._answers(other)
    expected = [
        float(((a.logits + b.logits).argmax(1) == a.right).double().mean())
        for a, b in zip(*pair, strict=True)
    ]
    assert scorer.ensemble([one, other]) == pytest.approx(sum(expected) / 2)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ConfigError, match="quick"):
        read_profile("huge")
