"""Which tensor is whose: views, round trips, frozen roles; what is not shared stays."""

import pytest
import torch

from cotune import CoTuneConfig
from cotune._errors import ConfigError
from cotune.federated._ownership import (
    ADAPTER,
    freeze_roles,
    layers_of,
    read_packet,
    read_private,
    roles_of,
    write_layers,
    write_private,
)
from cotune.federated.aggregation import AGGREGATION
from helpers import TARGETS, fill_factors, tiny_model


def model_of(method="lora", **fields):
    from peft import get_peft_model

    config = CoTuneConfig(
        method=method, r=2, target_modules=TARGETS["llama"], tasks=["one"], **fields
    )
    model = get_peft_model(tiny_model("llama"), config)
    fill_factors(model)
    return model


ROLES = {
    "lora": {"A": (2, 16), "B": (16, 2)},
    "colora": {"A": (2, 16), "B": (16, 2), "core": (2, 2)},
    "dual": {"A": (2, 16), "B": (16, 2), "A_own": (2, 16), "B_own": (16, 2)},
    "alora": {"A": (3, 2, 16), "B": (16, 2), "router": (3, 16)},
}


@pytest.mark.parametrize("method", ROLES)
def test_roles_have_the_shapes_of_a_packet(method):
    layer = next(iter(layers_of(model_of(method)).values()))
    found = {role: tuple(x.shape) for role, x in roles_of(layer).items()}
    assert found.keys() == ROLES[method].keys()
    d_out = layer.out_features
    for role, shape in ROLES[method].items():
        expected = tuple(d_out if role[0] == "B" and n == 16 else n for n in shape)
        assert found[role] == expected


@pytest.mark.parametrize("method", ROLES)
def test_what_was_read_can_be_written_into_another_model(method):
    one, two = model_of(method), model_of(method)
    packet = read_packet(one)
    with torch.no_grad():
        for layer in layers_of(two).values():
            for x in roles_of(layer).values():
                x.zero_()
    write_layers(two, packet.layers)
    again = read_packet(two)
    for layer, roles in packet.layers.items():
        assert all(torch.equal(x, again.layers[layer][r]) for r, x in roles.items())


def test_what_was_read_is_a_copy():
    model = model_of()
    packet = read_packet(model)
    layer = next(iter(packet.layers))
    packet.layers[layer]["A"].zero_()
    assert layers_of(model)[layer].cotune_A[ADAPTER].abs().sum() > 0


@pytest.mark.parametrize(
    ("aggregation", "method", "private"),
    [
        ("fedit", "lora", set()),
        ("local", "lora", {"A", "B"}),
        ("ffa", "lora", set()),
        ("fed-alora", "lora", {"A"}),
        ("fed-alora", "alora", {"A", "router"}),
        ("colora", "colora", {"core"}),
        ("feddpa", "dual", {"A_own", "B_own"}),
    ],
)
def test_all_that_is_not_shared_is_private_and_comes_back(aggregation, method, private):
    model, other = model_of(method), model_of(method)
    kept = read_private(model, AGGREGATION[aggregation]())
    assert {name.rpartition("/")[2] for name in kept} == private
    with torch.no_grad():
        for layer in layers_of(other).values():
            for x in roles_of(layer).values():
                x.fill_(9.0)
    write_private(other, kept)
    again = read_private(other, AGGREGATION[aggregation]())
    assert all(torch.equal(x, again[name]) for name, x in kept.items())


def test_a_module_that_is_trained_beside_the_factors_is_private():
    model = model_of(modules_to_save=["lm_head"])
    kept = read_private(model, AGGREGATION["fedit"]())
    assert [name for name in kept if name.startswith(":")]
    assert all("lm_head" in name for name in kept)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ({"nowhere": {"A": torch.zeros(2, 16)}}, "nowhere/A"),
        ({"model.layers.0.self_attn.q_proj": {"A": torch.zeros(3, 16)}}, "(3, 16)"),
        ({"model.layers.0.self_attn.q_proj": {"core": torch.zeros(2, 2)}}, "core"),
    ],
)
def test_factors_that_do_not_fit_are_refused(layers, reason):
    with pytest.raises(ConfigError) as caught:
        write_layers(model_of(), layers)
    assert reason in str(caught.value)


def trained(model):
    return {
        n.rpartition("cotune_")[2]
        for n, p in model.named_parameters()
        if p.requires_grad
    }


def test_frozen_roles_stay_frozen_when_adapters_are_switched():
    model = model_of()
    freeze_roles(model, ("A",))
    assert trained(model) == {"B.default"}
    with model.disable_adapter():
        pass
    assert trained(model) == {"B.default"}


def test_the_shared_pair_of_a_dual_adapter_stays_while_its_own_is_trained():
    model = model_of("dual")
    before = read_packet(model)
    freeze_roles(model, ("A", "B"))
    parameters = [p for p in model.parameters() if p.requires_grad]
    step = torch.optim.SGD(parameters, lr=0.1)
    ids = torch.tensor([[3, 4, 5]])
    model(input_ids=ids, labels=ids, tasks=torch.tensor([0])).loss.backward()
    step.step()
    for layer in layers_of(model).values():
        assert layer.kept_rows[ADAPTER].keys() == {"cotune_A", "cotune_B"}
        A = layer.factor("A", ADAPTER)
        name = next(n for n, x in layers_of(model).items() if x is layer)
        assert torch.equal(A[0], before.layers[name]["A"])


@pytest.mark.parametrize(
    ("method", "aggregation"), [("alora", "fed-alora"), ("colora", "colora")]
)
def test_the_table_of_methods_and_the_aggregator_name_the_same_owners(
    method, aggregation
):
    from cotune.adapters import METHODS

    owners = METHODS[method].owners
    shared = {role for role, owner in owners.items() if owner == "shared"}
    assert shared == set(AGGREGATION[aggregation].shared)
    private = set(AGGREGATION[aggregation].private)
    assert private <= {role for role, owner in owners.items() if owner == "private"}
