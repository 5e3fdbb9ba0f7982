"""Against PEFT's ``add_weighted_adapter``, and where the two part."""

import copy
import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn

from cotune._adapter import Adapter, Factors, LowRank
from cotune._adapter_file import read_adapter, write_adapter
from cotune.operators.convert import export_lora
from cotune.operators.merge import merge_adapters
from cotune.operators.prune import prune_adapter

WEIGHTS = [0.7, -0.4, 1.5]
RANKS = {"one": 2, "two": 2, "three": 2}


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        # 120 and 96 entries: half of them is a whole number, as PEFT rounds down.
        self.q = nn.Linear(12, 10)
        self.v = nn.Linear(12, 8)

    def forward(self, x):
        return torch.cat([self.q(x), self.v(x)], dim=-1)


def lora_model(ranks, alphas=(4, 8, 2)):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = None
    for (name, rank), alpha in zip(ranks.items(), alphas, strict=True):
        config = LoraConfig(
            r=rank, lora_alpha=alpha, target_modules=["q", "v"], init_lora_weights=False
        )
        if model is None:
            model = get_peft_model(Tiny(), config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    return model


def as_adapter(model, name):
    """Read one adapter off the live model."""
    layers = {}
    for layer in ("q", "v"):
        module = getattr(model.base_model.model, layer)
        layers[layer] = Factors(
            A=module.lora_A[name].weight.detach().clone().unsqueeze(0),
            B=module.lora_B[name].weight.detach().clone().unsqueeze(0),
            scale=module.scaling[name],
        )
    return Adapter(layers=layers, config={"peft_type": "LORA"})


def peft_merge(model, weights, kind, **options):
    model.add_weighted_adapter(
        list(RANKS), list(weights), "merged", combination_type=kind, **options
    )
    return {
        layer: getattr(model.base_model.model, layer).get_delta_weight("merged")
        for layer in ("q", "v")
    }


def check_equal(result, expected, atol=1e-6):
    for layer, delta in expected.items():
        assert torch.allclose(
            result.adapter.update(layer).delta(), delta.detach(), atol=atol
        )


@pytest.fixture
def model():
    return lora_model(RANKS)


@pytest.fixture
def adapters(model):
    return [as_adapter(model, name) for name in RANKS]


def test_mix_is_peft_svd(model, adapters):
    expected = peft_merge(model, WEIGHTS, "svd", svd_rank=3)
    check_equal(
        merge_adapters(adapters, method="mix", weights=WEIGHTS, rank=3), expected
    )


def test_mix_of_full_rank_is_peft_cat(model, adapters):
    expected = peft_merge(model, WEIGHTS, "cat")
    result = merge_adapters(adapters, method="mix", weights=WEIGHTS, rank=6)
    assert result.worst == 0
    check_equal(result, expected)


@pytest.mark.parametrize("sign", ["total"])
def test_ties_with_equal_weights_is_peft_ties_svd(model, adapters, sign):
    expected = peft_merge(
        model, [1.0] * 3, "ties_svd", density=0.5, svd_rank=4, majority_sign_method=sign
    )
    check_equal(merge_adapters(adapters, method="ties", density=0.5, rank=4), expected)


def replayed(monkeypatch, density, seed):
    """Make PEFT draw the masks that dare draws: layer by layer, adapter by adapter."""
    source = torch.Generator().manual_seed(seed)

    def bernoulli(chances):
        draw = torch.rand(chances.shape, generator=source)
        return (draw < density).to(chances)

    monkeypatch.setattr(torch, "bernoulli", bernoulli)


def test_dare_is_peft_dare_linear_svd_on_equal_masks(model, adapters, monkeypatch):
    replayed(monkeypatch, 0.6, seed=5)
    expected = peft_merge(model, WEIGHTS, "dare_linear_svd", density=0.6, svd_rank=3)
    result = merge_adapters(
        adapters,
        method="dare",
        weights=WEIGHTS,
        density=0.6,
        rank=3,
        generator=torch.Generator().manual_seed(5),
    )
    check_equal(result, expected, atol=1e-5)


def test_dare_then_ties_is_peft_dare_ties_svd_on_equal_masks(
    model, adapters, monkeypatch
):
    replayed(monkeypatch, 0.6, seed=6)
    expected = peft_merge(model, [1.0] * 3, "dare_ties_svd", density=0.6, svd_rank=3)
    result = merge_adapters(
        adapters,
        method="dare",
        then="ties",
        density=0.6,
        rank=3,
        generator=torch.Generator().manual_seed(6),
    )
    check_equal(result, expected, atol=1e-5)


def test_pruned_updates_mixed_are_peft_magnitude_prune_svd(model, adapters):
    expected = peft_merge(
        model, WEIGHTS, "magnitude_prune_svd", density=0.5, svd_rank=3
    )
    pruned = [
        prune_adapter(each, method="magnitude", on="update", sparsity=0.5, rank=12)
        for each in adapters
    ]
    result = merge_adapters(
        [each.adapter for each in pruned], method="mix", weights=WEIGHTS, rank=3
    )
    check_equal(result, expected, atol=1e-5)


def test_fuse_is_peft_linear_with_squared_weights_for_equal_alphas():
    model = lora_model(RANKS, alphas=(4, 4, 4))
    adapters = [as_adapter(model, name) for name in RANKS]
    expected = peft_merge(model, [1 / 9] * 3, "linear")
    check_equal(merge_adapters(adapters, method="fuse"), expected)


def test_where_peft_differs(model, adapters):
    # 1. linear: the root of the weight and of the scale goes on each factor, so a
    #    "mean" of three equal adapters comes out three times too large.
    same = lora_model({"one": 2}, alphas=(4,))
    state = as_adapter(same, "one")
    for name in ("two", "three"):
        same.add_adapter(name, same.peft_config["one"])
        for layer in ("q", "v"):
            module = getattr(same.base_model.model, layer)
            module.lora_A[name].weight.data = state.layers[layer].A[0].clone()
            module.lora_B[name].weight.data = state.layers[layer].B[0].clone()
    expected = peft_merge(same, [1 / 3] * 3, "linear")
    ours = merge_adapters([state] * 3, method="fuse")
    for layer, delta in expected.items():
        assert torch.allclose(delta, 3 * state.update(layer).delta(), atol=1e-6)
        assert torch.allclose(
            ours.adapter.update(layer).delta(), state.update(layer).delta(), atol=1e-6
        )

    # 2. A name that exists: PEFT returns and keeps the old adapter, without a word.
    before = as_adapter(model, "one").update("q").delta()
    model.add_weighted_adapter(["two", "three"], [1.0, 1.0], "one", "cat")
    assert torch.equal(as_adapter(model, "one").update("q").delta(), before)

    # 3. ties: PEFT votes without the weights and divides by the count of adapters that
    #    agree, so the size of the weights scales the result; ours takes ratios.
    half = peft_merge(model, [0.5] * 3, "ties_svd", density=0.5, svd_rank=4)
    ours = merge_adapters(
        adapters, method="ties", weights=[0.5] * 3, density=0.5, rank=4
    )
    for layer, delta in half.items():
        assert torch.allclose(ours.adapter.update(layer).delta(), 2 * delta, atol=1e-6)

    # 4. Different ranks: PEFT's linear refuses them, fuse pads with zeros.
    mixed = lora_model({"one": 2, "two": 3, "three": 2})
    with pytest.raises(ValueError, match="same r value"):
        peft_merge(mixed, [1.0] * 3, "linear")
    padded = merge_adapters(
        [as_adapter(mixed, name) for name in RANKS], method="fuse", weights=[1.0] * 3
    )
    assert padded.adapter.config["r"] == 3


def test_a_vote_that_cancels_goes_to_plus_in_peft_and_to_zero_here():
    from peft.utils.merge_utils import ties as peft_ties

    from cotune.operators.merge._ties import ties

    plus = torch.tensor([[1.0, -2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns that a density of 1 does nothing
        theirs = peft_ties([plus, -plus], torch.ones(2), density=1.0)
    assert torch.equal(theirs, torch.tensor([[1.0, 2.0]]))
    one = torch.ones(1, 1)
    updates = [LowRank(plus, one), LowRank(-plus, one)]
    assert not ties(updates, [1.0, 1.0], density=1.0).any()


@pytest.mark.parametrize("change", ["merge", "keep", "magnitude"])
def test_the_result_loads_in_plain_peft_with_the_same_output(
    adapters, tmp_path, change
):
    from peft import PeftModel

    if change == "merge":
        # Ranks differ by layer, so that the patterns are used.
        adapters = [
            *adapters[:2],
            adapters[2].with_layers(
                {"q": adapters[2].layers["q"], "v": adapters[1].layers["v"]}
            ),
        ]
        result = merge_adapters(adapters, method="mix", max_error=1e-6).adapter
        assert result.config["rank_pattern"] == {"v": 4}
    else:
        config = {
            "peft_type": "LORA",
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q", "v"],
        }
        source = Adapter(layers=adapters[0].layers, config=config)
        options = {"modules": "q"} if change == "keep" else {"sparsity": 0.5}
        result = prune_adapter(source, method=change, **options).adapter
    write_adapter(result, tmp_path)
    torch.manual_seed(0)
    base = Tiny()
    x = torch.randn(5, 12)
    expected = base(x)
    for layer, rows in (("q", slice(0, 10)), ("v", slice(10, 18))):
        if layer in result.layers:
            expected[:, rows] += x @ result.update(layer).delta().T
    loaded = PeftModel.from_pretrained(base, tmp_path)
    assert torch.allclose(loaded(x), expected, atol=1e-5)
    again = read_adapter(tmp_path)
    for layer in result.layers:
        assert torch.allclose(
            again.update(layer).delta(), result.update(layer).delta(), atol=1e-6
        )


@pytest.mark.parametrize(
    "beside", [{"bias": "lora_only"}, {"trainable_token_indices": {"words": [1, 3]}}]
)
@pytest.mark.parametrize("change", ["merge", "prune", "export"])
def test_what_lies_beside_the_layers_is_still_there_in_plain_peft(
    tmp_path, change, beside
):
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(0)
    base = torch.nn.Sequential(
        OrderedDict(words=torch.nn.Embedding(5, 6), q=torch.nn.Linear(6, 4))
    )
    before = copy.deepcopy(base)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q"], **beside))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    tokens = torch.arange(5)
    expected = model.eval()(tokens).detach()
    model.save_pretrained(tmp_path / "trained")
    trained = read_adapter(tmp_path / "trained")
    if change == "export":
        export_lora(trained, tmp_path / "made")
    else:
        made = (
            merge_adapters([trained], method="mix").adapter
            if change == "merge"
            else prune_adapter(trained, method="keep", modules="q").adapter
        )
        write_adapter(made, tmp_path / "made")
    loaded = PeftModel.from_pretrained(before, tmp_path / "made")
    assert torch.allclose(loaded(tokens), expected, atol=1e-5)
