"""What every operator of the table ``PRUNE`` keeps to."""

from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.merge import options_of
from cotune.operators.prune import PRUNE, PruneResult, prune_adapter

METHODS = list(PRUNE)
REQUIRED = {"modules": "value", "scores": {"model.layers.0": 1.0, "model.layers": 0.0}}


def needed(name):
    """Give a value to every option that has no default."""
    options = options_of(PRUNE[name], reserved=())
    return {
        option: REQUIRED[option]
        for option, parameter in options.items()
        if parameter.default is parameter.empty
    }


@pytest.fixture(params=[torch.float64, torch.float32, torch.bfloat16])
def large(adapter, request):
    config = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj", "v_proj"]}
    return adapter(1, blocks=6, config=config, dtype=request.param)


@pytest.mark.parametrize("name", METHODS)
def test_the_result_is_a_valid_adapter_with_names_and_order_kept(large, name):
    result = prune_adapter(large, method=name, **needed(name))
    assert isinstance(result, PruneResult)
    names = list(large.layers)
    kept = list(result.adapter.layers)
    assert kept == [each for each in names if each in kept]
    assert result.removed == tuple(each for each in names if each not in kept)
    for layer, update in result.adapter.updates().items():
        before = large.update(layer)
        assert update.shape == before.shape
        assert update.A.dtype == before.A.dtype
        assert update.A.device == before.A.device


@pytest.mark.parametrize("name", METHODS)
def test_something_is_pruned(large, name):
    result = prune_adapter(large, method=name, **needed(name))
    sizes = [
        sum(int(t.count_nonzero()) for f in each.layers.values() for t in (f.A, f.B))
        for each in (large, result.adapter)
    ]
    assert 0 < sizes[1] < sizes[0]


@pytest.mark.parametrize("name", METHODS)
def test_the_input_stays_untouched_and_equal_calls_give_equal_results(large, name):
    before = {
        layer: (factors.A.clone(), factors.B.clone())
        for layer, factors in large.layers.items()
    }
    config = dict(large.config)
    options = needed(name)
    first = prune_adapter(large, method=name, **options)
    second = prune_adapter(large, method=name, **options)
    assert large.config == config
    for layer, (A, B) in before.items():
        assert torch.equal(large.layers[layer].A, A)
        assert torch.equal(large.layers[layer].B, B)
    assert list(first.adapter.layers) == list(second.adapter.layers)
    for layer, factors in first.adapter.layers.items():
        assert torch.equal(factors.A, second.adapter.layers[layer].A)
        assert torch.equal(factors.B, second.adapter.layers[layer].B)


@pytest.mark.parametrize("name", METHODS)
def test_the_config_names_exactly_the_layers_that_stay(large, name):
    result = prune_adapter(large, method=name, **needed(name))
    if result.removed:
        kept = list(result.adapter.layers)
        assert result.adapter.config["target_modules"] == kept
    else:
        assert result.adapter.config == large.config


@pytest.mark.parametrize("name", METHODS)
def test_banks_cores_and_tensors_beside_the_layers_survive(large, name):
    bank = replace(
        large,
        layers={
            layer: replace(
                factors, A=factors.A.repeat(2, 1, 1), weight=torch.ones(2, 1)
            )
            for layer, factors in large.layers.items()
        },
        config={**large.config, "peft_type": "COTUNE", "coupling": "learned"},
        tasks=("one", "two"),
        extra={"head": torch.ones(1)},
    )
    result = prune_adapter(bank, method=name, **needed(name)).adapter
    assert result.tasks == ("one", "two")
    assert result.config["coupling"] == "learned"
    assert torch.equal(result.extra["head"], torch.ones(1))
    for factors in result.layers.values():
        assert factors.A.shape[0] == 2
        assert factors.weight is not None


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_option_is_refused(large, name):
    with pytest.raises(ConfigError, match=f"Unknown option of {name} 'sparseness'"):
        prune_adapter(large, method=name, sparseness=0.5, **needed(name))


def test_an_unknown_method_gets_the_nearest_one(large):
    with pytest.raises(ConfigError, match="Did you mean magnitude"):
        prune_adapter(large, method="magnitudes")


def test_a_missing_option_is_named(large):
    with pytest.raises(ConfigError, match="keep: modules must be given"):
        prune_adapter(large, method="keep")
