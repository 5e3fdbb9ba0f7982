"""Checks M5, C3, C4 and C5: what methods.md claims about LoRA and CoLA."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from adapters.layers import Case, coupling_cases, make_layer
from adapters.models import adapted, config_of
from cotune.adapters import CollaborativeLayer
from helpers import FAMILIES, TARGETS, tiny_batch, tiny_model


def error(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())


def layers_of(model: nn.Module) -> list[CollaborativeLayer]:
    return [m for m in model.modules() if isinstance(m, CollaborativeLayer)]


# -- M5: one A and one B are LoRA ------------------------------------------------------

ONE_PAIR: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora"},
    "cola": {"method": "cola", "num_A": 1, "num_B": 1, "start": "kaiming"},
    "random": {"coupling": "random", "num_A": 1, "num_B": 1},
    "random-reversed": {"coupling": "random-reversed", "num_A": 1, "num_B": 1},
    "heuristic-paper": {"coupling": "heuristic-paper", "num_A": 1, "num_B": 1},
    "heuristic-code": {"coupling": "heuristic-code", "num_A": 1, "num_B": 1},
    "rslora": {"method": "lora", "use_rslora": True},
}


def lora_twin(model: PeftModel, family: str, rslora: bool) -> PeftModel:
    """Make PEFT's LoRA with the factors of a model of ours."""
    config = LoraConfig(
        r=2,
        lora_alpha=3,
        use_rslora=rslora,
        target_modules=list(TARGETS[family]),
        fan_in_fan_out=family == "gpt2",
    )
    twin = get_peft_model(tiny_model(family), config)
    with torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, CollaborativeLayer):
                other: Any = twin.get_submodule(name)
                other.lora_A["default"].weight.copy_(layer.cotune_A["default"][0])
                other.lora_B["default"].weight.copy_(layer.cotune_B["default"][0].T)
    return twin.train()


def train(model: nn.Module, family: str, steps: int) -> list[float]:
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses = []
    for step in range(steps):
        loss = model(**tiny_batch(family, seed=step % 3)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pair", "family"),
    [
        pytest.param(
            pair,
            family,
            id=f"{pair}-{family}",
            marks=[] if pair == "lora" or family == "opt" else pytest.mark.slow,
        )
        for pair in ONE_PAIR
        for family in FAMILIES
    ],
)
def test_m5_one_pair_is_lora_in_output_and_20_training_steps(
    pair: str, family: str
) -> None:
    fields = {"filled": pair == "rslora", "task_type": None, **ONE_PAIR[pair]}
    model = adapted(fields.pop("method", "cola"), family, **_started(fields)).train()
    twin = lora_twin(model, family, rslora=pair == "rslora")
    batch = tiny_batch(family)
    assert error(model(**batch).logits, twin(**batch).logits) <= 1e-5
    mine, theirs = train(model, family, 20), train(twin, family, 20)
    assert mine[18] < mine[0]  # The same batch again.
    assert max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) <= 1e-5 * mine[0]
    assert error(model(**batch).logits, twin(**batch).logits) <= 1e-5


def _started(fields: dict[str, Any]) -> dict[str, Any]:
    return fields if "start" in fields else {**fields, "start": "kaiming"}


@pytest.mark.parametrize("family", FAMILIES)
def test_m5_the_factors_of_a_new_lora_are_drawn_as_peft_draws_them(family: str) -> None:
    model = adapted("lora", family, filled=False, task_type=None)
    config = LoraConfig(
        r=2, target_modules=list(TARGETS[family]), fan_in_fan_out=family == "gpt2"
    )
    twin = get_peft_model(tiny_model(family), config)
    for name, layer in model.named_modules():
        if isinstance(layer, CollaborativeLayer):
            A = layer.cotune_A["default"]
            other: Any = twin.get_submodule(name).lora_A["default"].weight
            assert A.abs().max() <= layer.in_features**-0.5
            assert other.abs().max() <= layer.in_features**-0.5
            assert not layer.cotune_B["default"].any()


# -- C3 and C4: what M and N do to `cola` full -----------------------------------------


def fp64(method: str, **fields: Any) -> PeftModel:
    model = {"dtype": torch.float64}
    return adapted(method, "llama", filled=False, model=model, **fields).train()


def test_c3_all_factors_of_cola_full_stay_equal_for_ever() -> None:
    model = fp64("cola", num_A=3, num_B=4, start="pissa")
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-3
    )
    first = layers_of(model)[0].cotune_A["default"].detach().clone()
    for step in range(50):
        model(**tiny_batch("llama", seed=step % 4)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for layer in layers_of(model):
        A = layer.cotune_A["default"].detach()
        B = layer.cotune_B["default"].detach()
        assert max(float((own - A[0]).norm()) for own in A) <= 1e-12
        assert max(float((own - B[0]).norm()) for own in B) <= 1e-12
    last = layers_of(model)[0].cotune_A["default"].detach()
    assert float((last - first).norm() / first.norm()) > 1e-2


@pytest.mark.parametrize("coupling", ["full", "learned"])
def test_c3_unequal_starts_keep_their_differences_under_full_only(
    coupling: str,
) -> None:
    model = fp64("cola", coupling=coupling, num_A=2, num_B=2, start="pissa-split", r=1)
    before = [layer.cotune_A["default"].detach().clone() for layer in layers_of(model)]
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=1e-2, momentum=0.9
    )
    for step in range(20):
        model(**tiny_batch("llama", seed=step % 4)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    drifts = []
    for layer, old in zip(layers_of(model), before, strict=True):
        new = layer.cotune_A["default"]
        drifts.append(float(((new[0] - new[1]) - (old[0] - old[1])).detach().norm()))
    assert (max(drifts) <= 1e-12) == (coupling == "full")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "momentum"])
@pytest.mark.parametrize(
    "sizes",
    [
        (2, 3),
        pytest.param((1, 3), marks=pytest.mark.slow),
        pytest.param((4, 2), marks=pytest.mark.slow),
    ],
)
def test_c4_cola_full_is_pissa_with_learning_rates_times_m_and_n(
    sizes: tuple[int, int], optimizer: str
) -> None:
    M, N = sizes
    cola = fp64("cola", num_A=M, num_B=N, start="pissa")
    pissa = fp64("cola", num_A=1, num_B=1, start="pissa")
    with torch.no_grad():
        for many, one in zip(layers_of(cola), layers_of(pissa), strict=True):
            # The start divides by M and N in fp32: begin at the sums, to the last bit.
            for factor, count in (("A", M), ("B", N)):
                own = many.get_parameter(f"cotune_{factor}.default")
                copy = many.get_parameter(f"cotune_{factor}0.default")
                one.get_parameter(f"cotune_{factor}.default")[0] = own.sum(0)
                one.get_parameter(f"cotune_{factor}0.default")[0] = count * copy[0]
    rate = 1e-3
    fits = [
        (cola, [(1.0, "cotune_A"), (1.0, "cotune_B")]),
        (pissa, [(float(M), "cotune_A"), (float(N), "cotune_B")]),
    ]
    for model, rates in fits:
        groups = [
            {
                "params": [
                    p
                    for n, p in model.named_parameters()
                    if f"{factor}." in n and p.requires_grad
                ],
                "lr": rate * times,
            }
            for times, factor in rates
        ]
        # Weight decay is scaled by the rate as well, so it must be 0 here.
        stepper: torch.optim.Optimizer
        if optimizer == "adamw":
            stepper = torch.optim.AdamW(groups, weight_decay=0.0)
        else:
            stepper = torch.optim.SGD(groups, momentum=0.9)
        for step in range(60):
            model(**tiny_batch("llama", seed=step % 4)).loss.backward()
            stepper.step()
            stepper.zero_grad()
    for many, one in zip(layers_of(cola), layers_of(pissa), strict=True):
        mine = many.low_rank("default").delta()
        theirs = one.low_rank("default").delta()
        assert float(theirs.norm()) > 1e-3
        assert float((mine - theirs).abs().max()) <= 1e-12


# -- C5: rank --------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (4, 5)])
def test_c5_the_update_of_cola_full_never_exceeds_rank_r(
    sizes: tuple[int, int],
) -> None:
    for start, rank in (("kaiming", 2), ("pissa", 4)):
        fields = {"method": "cola", "num_A": sizes[0], "num_B": sizes[1], "r": 2}
        layer = make_layer(Case("", {**fields, "start": start}))
        delta = layer.get_delta_weight("default")
        # The frozen copies of a start are a second update of rank r.
        assert int(torch.linalg.matrix_rank(delta)) == rank


@pytest.mark.parametrize("case", coupling_cases(["none"], ["kaiming"]), ids=str)
def test_c5_the_rank_is_at_most_r_times_that_of_the_coupling(case: Case) -> None:
    layer = make_layer(case)
    spec = layer.specs["default"]
    if not spec.coupling.can_merge:
        assert spec.coupling.experts(3, 3) == 3
        return
    factors = layer.factors("default")
    C = spec.coupling.matrix(factors.weight, len(factors.A), len(factors.B), 1)
    with layer.state.pin("bio"):
        delta = layer.get_delta_weight("default")
    assert torch.linalg.matrix_rank(delta) <= spec.r * torch.linalg.matrix_rank(C)


def test_config_of_is_what_these_claims_are_about() -> None:
    config = config_of("cola", "llama")
    assert (config.r, config.lora_alpha, config.lora_dropout) == (2, 3, 0.0)
