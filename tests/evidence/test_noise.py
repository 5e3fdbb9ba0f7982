"""L3: what wrong labels cost, as a paired difference of differences."""

import pytest
from benchmarks.evidence.arms import COLA, LORA, PISSA
from benchmarks.evidence.cells import digest
from benchmarks.evidence.L3.run import compare_losses, measure
from benchmarks.evidence.runs import ArmRuns, Runs

ROWS = 40


def runs(recipe, **shares: float) -> Runs:
    """Return arms with a share of right answers each, the same for two seeds."""
    names = {"lora": LORA, "pissa": PISSA, "cola": COLA}

    def arm(name: str, share: float) -> ArmRuns:
        right = round(share * ROWS)
        rows = {"task": [1.0] * right + [0.0] * (ROWS - right)}
        return ArmRuns(names[name], 0.1, {0.1: share}, (), (), (rows, rows))

    arms = {names[name].name: arm(name, share) for name, share in shares.items()}
    return Runs("world", recipe, arms, {"task": [0.0] * ROWS}, 0.3)


def test_the_loss_is_right_minus_wrong_and_less_is_better(small_bench) -> None:
    recipe = small_bench.recipe("world")
    clean = runs(recipe, cola=0.9, lora=1.0)
    noisy = runs(recipe, cola=0.8, lora=0.6)
    part = compare_losses("here", clean, noisy, LORA.name)
    assert (part.value, part.reference) == pytest.approx((0.1, 0.4))
    assert part.difference == pytest.approx(-0.3)
    assert part.outcome == "holds"
    back = compare_losses("here", noisy, clean, LORA.name)
    assert back.outcome == "reversed"


def test_arms_that_only_guess_decide_nothing(small_bench) -> None:
    recipe = small_bench.recipe("world")
    clean, noisy = runs(recipe, cola=0.9, lora=1.0), runs(recipe, cola=0.3, lora=0.2)
    assert compare_losses("here", clean, noisy, LORA.name).outcome == "at chance"


@pytest.mark.slow
def test_the_line_trains_every_arm_with_and_without_wrong_labels(
    small_bench, monkeypatch
) -> None:
    monkeypatch.setattr(small_bench, "options", {"setting": "world", "shares": [0.4]})
    found = measure(small_bench)
    assert [part.counts for part in found.parts] == [True, True, False, False]
    clean, noisy = small_bench.seen
    assert clean.recipe.data.label_noise == 0 and noisy.recipe.data.label_noise == 0.4
    assert set(clean.arms) == set(noisy.arms) == {LORA.name, PISSA.name, COLA.name}
    assert clean.base == noisy.base


def test_runs_without_wrong_labels_keep_their_names(small_bench) -> None:
    recipe = small_bench.recipe("world")
    assert digest(small_bench.recipe("world", "data.label_noise=0")) == digest(recipe)
    assert digest(small_bench.recipe("world", "data.label_noise=0.1")) != digest(recipe)
