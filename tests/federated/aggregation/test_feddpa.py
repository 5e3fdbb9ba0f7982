def test_the_shared_pair_is_averaged_and_the_rest_stays(toy):
    method = toy.build("feddpa")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    weights = toy.shares(toy.WEIGHTS, 4)
    for layer in toy.SITES:
        mean = {
            role: sum(
                p * own.layers[layer][role].double()
                for p, own in zip(weights, owns.values(), strict=True)
            )
            for role in ("A", "B")
        }
        assert list(state.layers[layer]) == ["A", "B"]
        for own in owns.values():
            todo = method.receive(method.download(state, toy.seat(own)), toy.seat(own))
            got = toy.after(method, own, todo, layer)
            x = {role: t.double() for role, t in own.layers[layer].items()}
            assert (
                toy.far(got, 2 * (mean["B"] @ mean["A"] + x["B_own"] @ x["A_own"]))
                <= 1e-6
            )
