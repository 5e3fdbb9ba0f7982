import inspect
from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.prune._magnitude import magnitude


def share_of_zeros(tensors):
    tensors = list(tensors)
    zeros = sum(int((t == 0).sum()) for t in tensors)
    return zeros / sum(t.numel() for t in tensors)


def banks(adapter):
    for factors in adapter.layers.values():
        yield factors.A
        yield factors.B


@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_each_factor_loses_its_share(adapter, sparsity):
    result = magnitude(adapter(1, d_out=10, d_in=20, rank=5), sparsity=sparsity)
    for tensor in banks(result.adapter):
        assert share_of_zeros([tensor]) == pytest.approx(sparsity)


@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_all_factors_together_lose_their_share_under_one_threshold(adapter, sparsity):
    source = adapter(1, d_out=10, d_in=20, rank=5)
    large = next(iter(source.layers))
    layers = {**source.layers}
    layers[large] = replace(layers[large], A=100 * layers[large].A)
    source = source.with_layers(layers)
    result = magnitude(source, sparsity=sparsity, scope="global").adapter
    assert share_of_zeros(banks(result)) == pytest.approx(sparsity)
    kept = [t[t != 0].abs() for t in banks(result)]
    gone = [
        old[new == 0].abs()
        for old, new in zip(banks(source), banks(result), strict=True)
    ]
    assert torch.cat(kept).min() > torch.cat(gone).max()
    # The large bank is a sixth of all entries: it loses few while others are left.
    if sparsity < 0.8:
        assert share_of_zeros([result.layers[large].A]) < 0.05


@pytest.mark.parametrize("scope", ["tensor", "global"])
@pytest.mark.parametrize("on", ["factors", "update"])
def test_the_ends_of_the_range_change_nothing_and_leave_nothing(adapter, scope, on):
    source = adapter(1)
    whole = magnitude(source, sparsity=0.0, scope=scope, on=on).adapter
    empty = magnitude(source, sparsity=1.0, scope=scope, on=on).adapter
    for name, update in source.updates().items():
        assert torch.allclose(whole.update(name).delta(), update.delta(), atol=1e-12)
        assert not empty.update(name).delta().any()


@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_the_update_is_pruned_and_recompressed_with_its_error(adapter, scope):
    source = adapter(1, d_out=10, d_in=20, rank=3)
    full = magnitude(source, sparsity=0.7, on="update", scope=scope, rank=10)
    assert max(full.errors.values()) < 1e-12
    sparse = [update.delta() for update in full.adapter.updates().values()]
    zeros = sum(int((delta.abs() < 1e-10).sum()) for delta in sparse)
    assert zeros / sum(delta.numel() for delta in sparse) == pytest.approx(0.7)
    kept = torch.cat([delta[delta.abs() > 1e-10].abs() for delta in sparse])
    truth = torch.cat([u.delta().flatten().abs() for u in source.updates().values()])
    if scope == "global":
        expected = truth.sort(descending=True).values[: len(kept)]
        assert torch.allclose(kept.sort(descending=True).values, expected)
    small = magnitude(source, sparsity=0.7, on="update", scope=scope)
    for name, dense in zip(source.layers, sparse, strict=True):
        update = small.adapter.update(name)
        assert update.rank == 3
        gap = float((update.delta() - dense).norm() / dense.norm())
        assert small.errors[name] == pytest.approx(gap, abs=1e-12)
        assert 0.1 < gap < 1


def test_an_error_target_sets_the_rank_of_the_pruned_update(adapter):
    source = adapter(1, d_out=10, d_in=20, rank=3)
    result = magnitude(source, sparsity=0.8, on="update", max_error=0.1)
    assert all(error <= 0.1 for error in result.errors.values())
    assert result.adapter.config["r"] > 3


def test_factors_are_pruned_as_they_are_stored_without_the_scale(adapter):
    source = adapter(1)
    scaled = source.with_layers(
        {name: replace(f, scale=1000.0) for name, f in source.layers.items()}
    )
    plain = magnitude(source, scope="global").adapter
    other = magnitude(scaled, scope="global").adapter
    for name, factors in other.layers.items():
        assert factors.scale == 1000.0
        assert torch.equal(factors.A, plain.layers[name].A)


def test_a_subtracted_start_is_refused_on_factors_and_resolved_on_updates(adapter):
    source = adapter(1)
    name = next(iter(source.layers))
    factors = source.layers[name]
    layers = {**source.layers, name: replace(factors, A0=factors.A, B0=factors.B)}
    started = source.with_layers(layers)
    with pytest.raises(ConfigError, match=r"subtracted start in .*on='update'"):
        magnitude(started)
    result = magnitude(started, on="update", rank=2).adapter
    assert float(result.update(name).delta().abs().max()) < 1e-12


def test_the_task_of_the_update_is_taken(adapter, draw):
    source = adapter(1, blocks=1)
    cores = torch.tensor([1.0, 5.0]).double()
    bank = replace(
        source,
        layers={n: replace(f, core=cores) for n, f in source.layers.items()},
        config={"peft_type": "COTUNE", "core": "scalar"},
        tasks=("mild", "strong"),
    )
    mild = magnitude(bank, on="update", task="mild", rank=5).adapter
    strong = magnitude(bank, on="update", task="strong", rank=5).adapter
    assert mild.tasks == ()
    assert mild.config["peft_type"] == "LORA"
    for name in source.layers:
        expected = 5 * mild.update(name).delta()
        assert torch.allclose(strong.update(name).delta(), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 1.1}, r"sparsity must be in \[0, 1\]"),
        ({"rank": 2}, "act only with on='update'"),
        ({"task": "mild"}, "act only with on='update'"),
        ({"max_error": 0.1}, "act only with on='update'"),
    ],
)
def test_options_outside_their_range_or_without_use_are_refused(
    adapter, options, message
):
    with pytest.raises(ConfigError, match=message):
        magnitude(adapter(1), **options)


@pytest.mark.parametrize("options", [{"on": "weights"}, {"scope": "layer"}])
def test_a_word_that_is_not_a_choice_is_refused_without_type_checks_too(
    adapter, options
):
    unchecked = inspect.unwrap(magnitude)
    with pytest.raises(ConfigError, match="on must be 'factors' or 'update' and scope"):
        unchecked(adapter(1), **options)
