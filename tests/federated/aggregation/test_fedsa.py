def test_only_A_is_averaged_and_sent(toy):
    method = toy.build("fedsa")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        mean = sum(
            p * own.layers[layer]["A"].double()
            for p, own in zip(weights, owns.values(), strict=True)
        )
        assert list(state.layers[layer]) == ["A"]
        assert toy.far(state.layers[layer]["A"], mean) <= 1e-6


def test_each_client_keeps_its_own_column_space(toy):
    method = toy.build("fedsa")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    for own in owns.values():
        todo = method.receive(method.download(state, toy.seat(own)), toy.seat(own))
        got = toy.after(method, own, todo, "q")
        B, A = own.layers["q"]["B"], state.layers["q"]["A"]
        assert toy.far(got, 2.0 * B @ A) <= 1e-6
