def test_nothing_travels_and_nothing_changes(toy):
    method = toy.build("local")
    owns = toy.clients(method)
    state = toy.run(method, owns)
    for own in owns.values():
        assert method.upload(own).nbytes == 0
        got = method.download(state, toy.seat(own))
        assert got.nbytes == 0
        todo = method.receive(got, toy.seat(own))
        assert (
            toy.far(toy.after(method, own, todo, "q"), toy.delta(method, own, "q")) == 0
        )
