from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.merge import MERGE, merge_adapters, merge_into_weights


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def weights_of(adapter):
    dice = torch.Generator().manual_seed(9)
    return {
        name: torch.randn(6, 5, generator=dice, dtype=torch.float64)
        for name in adapter(1).layers
    }


@pytest.mark.parametrize("method", MERGE)
def test_the_sum_is_the_base_and_what_the_operator_defines(adapter, weights_of, method):
    several = [adapter(1), adapter(2)]
    before = {name: weight.clone() for name, weight in weights_of.items()}
    found = dict(
        merge_into_weights(weights_of, several, method=method, generator=seeded())
    )
    # Rank 5 is all that d_in = 5 allows, so that the recompression is exact. lego makes
    # what it is asked for, and is asked for the same rank.
    rank = 2 if method == "lego" else 5
    result = merge_adapters(several, method=method, rank=rank, generator=seeded())
    for name, weight in found.items():
        delta = result.adapter.update(name).delta()
        # float64; the SVD between both ways costs a few digits.
        assert torch.allclose(weight, before[name] + delta, atol=1e-10)
        assert torch.equal(weights_of[name], before[name])


def test_weights_keep_their_dtype_and_are_rounded_once(adapter, weights_of):
    short = {name: weight.bfloat16() for name, weight in weights_of.items()}
    several = [adapter(1), adapter(2)]
    for name, weight in merge_into_weights(short, several, method="mix"):
        exact = sum(each.update(name).delta() for each in several) / 2
        assert torch.equal(weight, (short[name].double() + exact).bfloat16())


def test_a_transposed_weight_gets_a_transposed_update(adapter, weights_of):
    config = {"peft_type": "LORA", "fan_in_fan_out": True}
    turned = {name: weight.T.contiguous() for name, weight in weights_of.items()}
    plain = dict(merge_into_weights(weights_of, [adapter(1)], method="mix"))
    found = merge_into_weights(turned, [adapter(1, config=config)], method="mix")
    for name, weight in found:
        assert torch.equal(weight.T, plain[name])


def test_layers_named_as_transposed_are_so_whatever_the_configs_say(
    adapter, weights_of
):
    first, *rest = weights_of
    plain = dict(merge_into_weights(weights_of, [adapter(1)], method="mix"))
    mixed = {first: weights_of[first].T, **{name: weights_of[name] for name in rest}}
    config = {"peft_type": "LORA", "fan_in_fan_out": True}
    for one in (adapter(1), adapter(1, config=config)):
        found = merge_into_weights(mixed, [one], method="mix", transposed={first})
        for name, weight in found:
            wanted = plain[name].T if name == first else plain[name]
            assert torch.equal(weight, wanted)


def test_a_float64_weight_loses_nothing_to_a_float32_update(adapter, weights_of):
    one = adapter(1)
    short = {
        name: replace(factors, A=factors.A.float(), B=factors.B.float() * 0)
        for name, factors in one.layers.items()
    }
    merged = merge_into_weights(weights_of, [one.with_layers(short)], method="mix")
    for name, weight in merged:
        assert torch.equal(weight, weights_of[name])


def test_layers_come_one_by_one_and_progress_is_told(adapter, weights_of):
    ticks = []
    walk = merge_into_weights(
        weights_of,
        [adapter(1)],
        method="fuse",
        progress=lambda done, total: ticks.append((done, total)),
    )
    next(walk)
    next(walk)
    assert ticks == [(1, 4)]
    assert len(list(walk)) == 2 and ticks[-1] == (4, 4)


@pytest.mark.parametrize("change", ["missing", "other shape"])
def test_weights_of_another_base_are_refused_before_the_first(
    adapter, weights_of, change
):
    name = list(weights_of)[-1]
    last = weights_of.pop(name)
    if change == "other shape":
        weights_of[name] = last.T
    with pytest.raises(ConfigError, match=rf"shape \(6, 5\) for {name}"):
        next(merge_into_weights(weights_of, [adapter(1)], method="mix"))


def test_tensors_beside_the_layers_cannot_go_into_weights(adapter, weights_of):
    one = replace(adapter(1), extra={"classifier.weight": torch.ones(2, 3)})
    with pytest.raises(ConfigError, match=r"low-rank layers, got classifier\.weight"):
        next(merge_into_weights(weights_of, [one], method="mix"))
