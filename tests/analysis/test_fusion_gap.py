import pytest
import torch

from cotune._adapter import Factors
from cotune._errors import ConfigError
from cotune.analysis import fusion_gap
from cotune.analysis._fusion_gap import distance


@pytest.mark.parametrize("w", [0.5, 0.3])
def test_the_gap_is_that_of_the_closed_form(adapter, w):
    one, other = adapter(0), adapter(1)
    found = fusion_gap([one, other], weights=[w, 1 - w])
    for gap in found.layers:
        first, second = one.update(gap.layer), other.update(gap.layer)
        exact = w * (1 - w) * (first.B - second.B) @ (first.A - second.A)
        assert gap.before == pytest.approx(float(exact.norm()), rel=1e-10)
        mix = w * first.delta() + (1 - w) * second.delta()
        assert gap.mix == pytest.approx(float(mix.norm()), rel=1e-10)
        assert gap.after < gap.before


def test_one_update_in_two_bases_has_a_gap_that_align_closes(adapter):
    one = adapter(0)
    gauge = torch.tensor([[1.0, 2.0], [-1.0, 1.0]], dtype=torch.float64)
    turned = {
        name: Factors(A=torch.linalg.inv(gauge) @ f.A, B=f.B @ gauge, scale=f.scale)
        for name, f in one.layers.items()
    }
    found = fusion_gap([one, one.with_layers(turned)]).summary()
    assert found["before"] > 0.1
    assert found["after"] < 1e-6


def test_equal_adapters_have_no_gap(adapter):
    assert fusion_gap([adapter(0), adapter(0)]).summary()["before"] < 1e-12


def test_zero_updates_have_no_gap(adapter):
    one = adapter(0)
    zero = {n: Factors(f.A, 0 * f.B, f.scale) for n, f in one.layers.items()}
    summary = fusion_gap([one.with_layers(zero)] * 2).summary()
    assert summary == {"before": 0.0, "after": 0.0}


def test_the_distance_is_that_of_the_products(adapter):
    layer = "model.layers.0.q_proj"
    one, other = adapter(0).update(layer), adapter(1, rank=4).update(layer)
    exact = float((one.delta() - other.delta()).norm())
    assert distance(one, other) == pytest.approx(exact, rel=1e-12)


def test_one_adapter_or_other_layers_are_refused(adapter):
    with pytest.raises(ConfigError, match="at least two"):
        fusion_gap([adapter(0)])
    with pytest.raises(ConfigError, match="adapter 1 lacks it"):
        fusion_gap([adapter(0, layers=3), adapter(1)])
