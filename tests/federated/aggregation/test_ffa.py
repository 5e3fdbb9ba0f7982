def test_only_B_is_averaged_and_sent(toy):
    method = toy.build("ffa")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        mean = sum(
            p * own.layers[layer]["B"].double()
            for p, own in zip(weights, owns.values(), strict=True)
        )
        assert list(state.layers[layer]) == ["B"]
        assert toy.far(state.layers[layer]["B"], mean) <= 1e-6


def test_the_update_is_the_mean_update_because_a_is_common(toy):
    method = toy.build("ffa")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        mean = sum(
            p * 2.0 * own.layers[layer]["B"] @ own.layers[layer]["A"]
            for p, own in zip(weights, owns.values(), strict=True)
        )
        frozen = owns["c0"].layers[layer]["A"]
        assert toy.far(2.0 * state.layers[layer]["B"] @ frozen, mean) <= 1e-6


def test_a_is_frozen(toy):
    assert toy.build("ffa").frozen == ("A",)
