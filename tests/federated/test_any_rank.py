"""A layer whose B is made of M, B0, B1 and B2: the formula, gradients, the round."""

import torch

from cotune import CoTuneConfig
from cotune.federated._any_rank import ROLES, any_rank_roles, make_any_rank
from cotune.federated._ownership import (
    ADAPTER,
    freeze_roles,
    layers_of,
    read_packet,
    write_layers,
)
from cotune.federated.aggregation import Packet
from helpers import TARGETS, logits, tiny_batch, tiny_model


def any_rank_model(rank=2, width=3, fill=True):
    from peft import get_peft_model

    config = CoTuneConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS["llama"])
    model = get_peft_model(tiny_model("llama"), config)
    make_any_rank(layers_of(model), ADAPTER, width)
    if fill:
        dice = torch.Generator().manual_seed(7)
        layers = {
            layer: {
                role: torch.randn(x.shape, generator=dice) * 0.3
                for role, x in roles.items()
            }
            for layer, roles in read_packet(model).layers.items()
        }
        write_layers(model, layers)
    return model


def test_a_fresh_one_changes_nothing_and_its_parts_have_the_stated_shapes():
    model = any_rank_model(fill=False)
    batch = tiny_batch("llama")
    with model.disable_adapter():
        plain = logits(model, batch)
    assert torch.equal(logits(model, batch), plain)
    layer = next(iter(layers_of(model).values()))
    shapes = {role: tuple(x.shape) for role, x in any_rank_roles(layer).items()}
    assert shapes == {"M": (3, 2), "B0": (16, 3), "B1": (2, 3), "B2": (16, 2)}
    assert tuple(shapes) == ROLES


def test_the_layer_computes_the_formula():
    model = any_rank_model()
    packet = read_packet(model)
    for name, layer in layers_of(model).items():
        x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
        own = packet.layers[name]
        B = (own["B0"] + own["B2"] @ own["B1"]) @ own["M"]
        expected = layer.base_layer(x) + 2.0 * x @ own["A"].T @ B.T
        with torch.no_grad():
            assert torch.allclose(layer(x), expected, atol=1e-5)
        delta = layer.low_rank(ADAPTER).delta()
        assert torch.allclose(delta, packet.scale * B @ own["A"], atol=1e-5)
        # At most min(r_k, d_m), here min(2, 3).
        assert int(torch.linalg.matrix_rank(delta, rtol=1e-5)) <= 2


def test_gradients_reach_all_trained_parts_and_not_the_accumulator():
    model = any_rank_model()
    batch = tiny_batch("llama")
    model(**batch).loss.backward()
    for layer in layers_of(model).values():
        bank = layer.cotune_B
        for part in (bank.M, bank.B1, bank.B2, layer.cotune_A[ADAPTER]):
            assert part.grad is not None and part.grad.abs().sum() > 0
        assert not bank.B0.requires_grad


def test_a_newcomer_trains_its_own_parts_alone():
    model = any_rank_model()
    freeze_roles(model, ("B0", "B1", "B2"))
    trained = {
        n.rpartition("cotune_")[2]
        for n, p in model.named_parameters()
        if p.requires_grad
    }
    assert trained == {"A.default", "B.M"}


def test_switching_adapters_off_and_on_leaves_the_parts_trainable():
    model = any_rank_model()
    with model.disable_adapter():
        pass
    bank = next(iter(layers_of(model).values())).cotune_B
    assert bank.M.requires_grad and bank.B1.requires_grad and bank.B2.requires_grad


def test_what_is_sent_is_the_product():
    from cotune.federated.aggregation import AGGREGATION

    packet = read_packet(any_rank_model())
    sent = AGGREGATION["fed-alora-any"](width=3).upload(packet)
    assert isinstance(sent, Packet)
    for layer, roles in sent.layers.items():
        own = packet.layers[layer]
        assert tuple(roles) == ("dB",)
        assert torch.equal(roles["dB"], own["B2"] @ own["B1"])
