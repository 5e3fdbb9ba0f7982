import pytest
import torch

from cotune._adapter import Adapter, Factors
from cotune._errors import ConfigError
from cotune.analysis import affinity, affinity_from_gradients

LAYERS = ("q", "v")


def family(seed, own, count=3, d=30, r=2):
    """Return adapters that share a direction, each with a part of its own."""
    dice = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=dice, dtype=torch.float64)

    shared = {layer: (draw(1, r, d), draw(1, d, r)) for layer in LAYERS}
    return [
        Adapter(
            layers={
                layer: Factors(
                    A=A + own * draw(1, r, d), B=B + own * draw(1, d, r), scale=1.0
                )
                for layer, (A, B) in shared.items()
            },
            config={"peft_type": "LORA"},
        )
        for _ in range(count)
    ]


@pytest.fixture
def two_families():
    first, second = family(0, 0.3), family(1, 0.3)
    named = {f"a{n}": one for n, one in enumerate(first)}
    # Mixed order, so that groups are not read off the order.
    both: dict[str, Adapter] = {}
    for n, (name, one) in enumerate(named.items()):
        both |= {name: one, f"b{n}": second[n]}
    return both


def test_the_affinity_is_the_cosine_of_the_whole_updates(two_families):
    found = affinity(two_families)
    flat = torch.stack(
        [
            torch.cat([adapter.update(layer).delta().flatten() for layer in LAYERS])
            for adapter in two_families.values()
        ]
    )
    flat = flat / flat.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        torch.tensor(found.matrix, dtype=torch.float64), flat @ flat.T
    )


def test_families_are_found_with_the_numbers_that_say_so(two_families):
    found = affinity(two_families)
    assert [group.tasks for group in found.groups] == [
        ("a0", "a1", "a2"),
        ("b0", "b1", "b2"),
    ]
    for group in found.groups:
        assert group.within > 0.5 > 0.1 > abs(group.outside)
        assert group.floor < found.together.floor
        assert group.floor <= group.reached <= 2**0.5 * group.floor
    assert found.rank == 2
    assert found.silhouette > 0.5


def test_the_advice_names_groups_and_numbers(two_families):
    advice = affinity(two_families).advice()
    assert advice[0].startswith("Train together: a0, a1, a2 (mean affinity 0.")
    assert any(line.startswith("Keep apart: a0, a1, a2 | b0") for line in advice)
    assert advice[-1].startswith("All 6 tasks on one pair of rank 2 miss at least ")


def test_tasks_that_are_not_alike_are_no_group(adapter):
    found = affinity({name: adapter(seed, d_in=90) for seed, name in enumerate("abcd")})
    assert all(
        abs(group.within) < 0.1 for group in found.groups if len(group.tasks) > 1
    )
    assert not any(line.startswith("Train together") for line in found.advice())
    assert found.advice()[0].startswith("No reason to train together: a")


def test_more_groups_can_be_asked_for(two_families):
    found = affinity(two_families, groups=6, rank=1)
    assert len(found.groups) == 6
    assert found.groups[0].within == 1
    assert "Train alone: a0" in found.advice()[0]
    # The part of a rank-2 update that rank 1 must miss.
    assert found.groups[0].floor > 0.1


def test_a_lone_update_has_no_floor_at_its_own_rank(two_families):
    found = affinity(two_families, groups=6)
    assert max(group.floor for group in found.groups) < 1e-6


def test_the_scale_of_an_update_does_not_count(two_families):
    layers = {
        name: Factors(f.A, 100 * f.B, f.scale)
        for name, f in two_families["a0"].layers.items()
    }
    loud = two_families | {"a0": two_families["a0"].with_layers(layers)}
    one, other = affinity(two_families), affinity(loud)
    assert one.groups[0].floor == pytest.approx(other.groups[0].floor)
    assert one.together.floor == pytest.approx(other.together.floor)


def test_gradients_give_groups_without_training():
    dice = torch.Generator().manual_seed(0)
    pull = [torch.randn(20, 4, generator=dice) for _ in range(2)]
    gradients = {
        f"{name}{n}": {"q": pull[side] + 0.3 * torch.randn(20, 4, generator=dice)}
        for n in range(3)
        for side, name in enumerate("ab")
    }
    found = affinity_from_gradients(gradients, rank=1)
    assert {group.tasks for group in found.groups} == {
        ("a0", "a1", "a2"),
        ("b0", "b1", "b2"),
    }
    assert found.source == "gradients"
    cosine = torch.cosine_similarity(
        gradients["a0"]["q"].flatten(), gradients["b0"]["q"].flatten(), dim=0
    )
    place = found.tasks.index
    assert found.matrix[place("a0")][place("b0")] == pytest.approx(float(cosine))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda tasks: {"a0": tasks["a0"]}, {}, "two tasks are needed"),
        (lambda tasks: tasks, {"groups": 7}, "groups in \\[1, 6\\]"),
        (lambda tasks: tasks, {"rank": 0}, "rank must be at least 1"),
        (
            lambda tasks: tasks | {"c": Adapter(layers={"q": tasks["a0"].layers["q"]})},
            {},
            "others in c",
        ),
        (
            lambda tasks: (
                tasks
                | {
                    "zero": tasks["a0"].with_layers(
                        {
                            name: Factors(f.A, 0 * f.B, f.scale)
                            for name, f in tasks["a0"].layers.items()
                        }
                    )
                }
            ),
            {},
            "got zero for zero",
        ),
    ],
)
def test_tasks_that_give_no_advice_are_refused(two_families, change, options, message):
    with pytest.raises(ConfigError, match=message):
        affinity(change(two_families), **options)


def test_progress_is_told_for_both_passes_over_the_layers(adapter):
    ticks = []
    affinity(
        {name: adapter(seed, layers=3) for seed, name in enumerate("ab")},
        progress=lambda done, total: ticks.append((done, total)),
    )
    assert ticks == [(done, 6) for done in range(1, 7)]
