"""What every operator of the table ``MERGE`` keeps to."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.operators.merge import MERGE, options_of
from cotune.operators.merge._options import wants

METHODS = list(MERGE)


def run(name, updates, weights, *, whole=False, **options):
    """Call an operator; ``whole`` keeps all entries where it would drop some."""
    operator = MERGE[name]
    if wants(operator, "generator"):
        options["generator"] = torch.Generator().manual_seed(7)
    if whole and "density" in options_of(operator):
        options["density"] = 1.0
    return operator(updates, weights, **options)


def dense(result):
    return result.delta() if isinstance(result, LowRank) else result


def copies(updates):
    return [LowRank(update.A.clone(), update.B.clone()) for update in updates]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16]
)
def test_the_result_has_the_shape_dtype_and_device_of_the_updates(draw, name, dtype):
    updates = [draw(0, dtype=dtype), draw(1, rank=3, dtype=dtype)]
    result = run(name, updates, [0.5, 0.5])
    for tensor in [result.A, result.B] if isinstance(result, LowRank) else [result]:
        assert tensor.dtype == dtype
        assert tensor.device == updates[0].A.device
        assert torch.isfinite(tensor).all()
    assert dense(result).shape == updates[0].shape


@pytest.mark.parametrize("name", METHODS)
def test_mixed_dtypes_give_the_wider_one(draw, name):
    updates = [draw(0, dtype=torch.bfloat16), draw(1, dtype=torch.float32)]
    assert dense(run(name, updates, [0.5, 0.5])).dtype == torch.float32


@pytest.mark.parametrize("name", METHODS)
def test_the_inputs_stay_untouched(draw, name):
    updates = [draw(0), draw(1), draw(2)]
    before, weights = copies(updates), [0.2, 0.3, 0.5]
    run(name, updates, weights)
    assert weights == [0.2, 0.3, 0.5]
    for old, new in zip(before, updates, strict=True):
        assert torch.equal(old.A, new.A)
        assert torch.equal(old.B, new.B)


@pytest.mark.parametrize("name", METHODS)
def test_equal_calls_give_bit_equal_results(draw, name):
    updates = [draw(0), draw(1), draw(2)]
    first = run(name, updates, [0.2, 0.3, 0.5])
    assert torch.equal(dense(first), dense(run(name, updates, [0.2, 0.3, 0.5])))


@pytest.mark.parametrize("name", METHODS)
def test_the_global_random_state_is_not_used(draw, name):
    state = torch.get_rng_state()
    run(name, [draw(0), draw(1)], [0.5, 0.5])
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_single_adapter_with_weight_one_stays_itself(draw, name, rank):
    update = draw(3, rank=rank)
    result = dense(run(name, [update], [1.0], whole=True))
    assert torch.allclose(result, update.delta(), atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_equal_adapters_merge_to_themselves(draw, name):
    update = draw(4, rank=3)
    result = dense(run(name, [update] * 4, [0.25] * 4, whole=True))
    assert torch.allclose(result, update.delta(), atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_zero_updates_merge_to_zero(name):
    zero = LowRank(torch.zeros(2, 5), torch.zeros(6, 2))
    assert not dense(run(name, [zero, zero], [0.5, 0.5])).any()


@pytest.mark.parametrize("name", METHODS)
def test_a_zero_update_beside_another_gives_a_finite_result(draw, name):
    zero = LowRank(torch.zeros(2, 5), torch.zeros(6, 2))
    start = LowRank(draw(1).A.float(), torch.zeros(6, 2))
    for other in (zero, start):
        updates = [draw(0, dtype=torch.float32), other]
        assert torch.isfinite(dense(run(name, updates, [0.5, 0.5]))).all()
        assert torch.isfinite(dense(run(name, updates[::-1], [0.5, 0.5]))).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 9)])
def test_matrices_of_fewer_than_ten_entries_work(draw, name, shape):
    updates = [draw(seed, *shape, rank=1) for seed in (0, 1, 2)]
    result = dense(run(name, updates, [0.3, 0.3, 0.4]))
    assert result.shape == shape
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("count", "weights", "message"),
    [
        (0, [], "at least one update"),
        (2, [1.0], "weights must be 2 finite numbers"),
        (2, [1.0, float("nan")], "weights must be 2 finite numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(draw, name, count, weights, message):
    updates = [draw(seed) for seed in range(count)]
    with pytest.raises(ConfigError, match=f"^{name}: {message}"):
        run(name, updates, weights)


@pytest.mark.parametrize("name", METHODS)
def test_updates_of_other_shapes_are_refused(draw, name):
    with pytest.raises(ConfigError, match=f"^{name}: all updates must have one shape"):
        run(name, [draw(0), draw(1, d_in=4)], [0.5, 0.5])


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None, max_examples=15)
@given(
    d_out=st.integers(1, 7),
    d_in=st.integers(1, 7),
    ranks=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
def test_every_shape_and_mixture_of_ranks_works(name, d_out, d_in, ranks, seed):
    source = torch.Generator().manual_seed(seed)
    updates = [
        LowRank(
            torch.randn(rank, d_in, generator=source),
            torch.randn(d_out, rank, generator=source),
        )
        for rank in ranks
    ]
    result = dense(run(name, updates, [1 / len(ranks)] * len(ranks)))
    assert result.shape == (d_out, d_in)
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("name", METHODS)
def test_every_option_has_a_default_and_an_annotation(name):
    for option in options_of(MERGE[name]).values():
        assert option.default is not option.empty
        assert option.annotation is not option.empty
