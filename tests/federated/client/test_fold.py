"""Updates folded into frozen weights: exact sums, bounded size, exact restore."""

import pytest
import torch

from cotune import CoTuneConfig
from cotune._adapter import LowRank
from cotune._errors import ConfigError
from cotune.federated._ownership import layers_of
from cotune.federated.client._fold import add_folds, folded, pack_folds, unpack_folds
from helpers import TARGETS, logits, tiny_batch, tiny_model


def draw(rank, shape=(6, 4), seed=0):
    dice = torch.Generator().manual_seed(seed)
    d_out, d_in = shape
    return LowRank(
        torch.randn(rank, d_in, generator=dice),
        torch.randn(d_out, rank, generator=dice),
    )


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_many_folds_add_up_and_never_outgrow_the_weight(shape):
    folds, total = {}, torch.zeros(shape)
    for seed in range(5):
        new = draw(3, shape, seed)
        before = dict(folds)
        folds_after = add_folds(folds, {"q": new})
        assert folds == before
        folds, total = folds_after, total + new.delta()
        assert folds["q"].rank <= min(shape)
        assert torch.allclose(folds["q"].delta(), total, atol=1e-5)


def test_a_layer_without_a_new_fold_keeps_the_old_one():
    one = draw(2)
    assert add_folds({"q": one}, {"v": draw(1)})["q"] is one


def test_folds_and_private_tensors_are_told_apart_again():
    private = {"layers.0.q/A": torch.ones(2, 2)}
    folds, rest = unpack_folds({**private, **pack_folds({"layers.0.q": draw(2)})})
    assert rest.keys() == private.keys()
    assert torch.equal(folds["layers.0.q"].delta(), draw(2).delta())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_folded_model_computes_with_the_sum_and_gets_its_weights_back(family):
    from peft import get_peft_model

    config = CoTuneConfig(r=1, target_modules=TARGETS[family])
    model, batch = get_peft_model(tiny_model(family), config), tiny_batch(family)
    before = logits(model, batch)
    layers = layers_of(model)
    weights = {n: layer.get_base_layer().weight for n, layer in layers.items()}
    name, layer = next(iter(layers.items()))
    shape = (layer.out_features, layer.in_features)
    x = torch.randn(3, shape[1], generator=torch.Generator().manual_seed(3))
    plain = layer(x)
    with folded(model, {name: draw(2, shape)}):
        expected = plain + x @ draw(2, shape).delta().T
        assert torch.allclose(layer(x), expected, atol=1e-5)
        assert not torch.equal(logits(model, batch), before)
    assert all(
        layer.get_base_layer().weight is weights[n] for n, layer in layers.items()
    )
    assert torch.equal(logits(model, batch), before)


def test_a_base_that_cannot_be_folded_is_refused():
    from peft import get_peft_model

    config = CoTuneConfig(r=1, target_modules=TARGETS["llama"])
    model = get_peft_model(tiny_model("llama"), config)
    name, layer = next(iter(layers_of(model).items()))
    layer.base_layer = torch.nn.Identity()
    layer.base_layer.weight = torch.nn.Parameter(torch.zeros(16, 16))
    with (
        pytest.raises(ConfigError, match="folding needs"),
        folded(model, {name: draw(1, (16, 16))}),
    ):
        pass
