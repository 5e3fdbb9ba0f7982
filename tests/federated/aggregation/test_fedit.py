import torch

from cotune.federated.aggregation import Packet


def test_both_factors_are_the_weighted_means(toy):
    method = toy.build("fedit")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        for role in ("A", "B"):
            mean = sum(
                p * own.layers[layer][role].double()
                for p, own in zip(weights, owns.values(), strict=True)
            )
            assert toy.far(state.layers[layer][role], mean) <= 1e-6


def test_the_product_misses_the_mean_update_by_the_cross_terms(toy):
    # s (B A - sum p B_k A_k) = -s p_1 p_2 (B_1 - B_2)(A_1 - A_2) for two clients.
    method = toy.build("fedit")
    owns = toy.clients(method, ranks=(4, 4))
    state = toy.run(method, owns, weights=(1.0, 3.0))
    first, second = (own.layers["q"] for own in owns.values())
    got = state.layers["q"]
    mean = 2 * (0.25 * first["B"] @ first["A"] + 0.75 * second["B"] @ second["A"])
    cross = -2 * 3 / 16 * (first["B"] - second["B"]) @ (first["A"] - second["A"])
    assert toy.far(2 * got["B"] @ got["A"] - mean, cross) <= 1e-5


def test_two_clients_by_hand(toy):
    def packet(a: float, b: float) -> Packet:
        A, B = torch.tensor([[a, 0.0]]), torch.tensor([[b], [1.0]])
        return Packet({"q": {"A": A, "B": B}}, 2.0)

    method = toy.build("fedit")
    opened = method.open(packet(0, 0), ["x", "y"])
    opened.add("y", packet(4.0, 8.0), 3)
    opened.add("x", packet(0.0, 4.0), 1)
    got = opened.finish().layers["q"]
    assert got["A"].tolist() == [[3.0, 0.0]]
    assert got["B"].tolist() == [[7.0], [1.0]]
