import torch

from cotune.data import make_generator


def draw(*parts):
    return torch.randint(2**31, (8,), generator=make_generator(*parts)).tolist()


def test_the_same_parts_give_the_same_stream_and_others_another():
    assert draw(0, "rows", "a") == draw(0, "rows", "a")
    streams = [draw(0, "rows", "a"), draw(1, "rows", "a"), draw(0, "rows", "b")]
    assert len(set(map(tuple, streams))) == 3
    assert draw(1) != draw("1")


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = draw(5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert draw(5) == first
