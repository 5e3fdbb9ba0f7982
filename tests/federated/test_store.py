import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune._errors import ConfigError
from cotune.federated._store import PrivateStore
from federated.killing import kill_while_it_saves


def tensors(value: float):
    return {"q/A": torch.full((2, 3), value), "q/M": torch.tensor([value]).bfloat16()}


def same(found, value):
    return all(torch.equal(found[name], x) for name, x in tensors(value).items())


@pytest.fixture
def store(tmp_path):
    return PrivateStore(tmp_path / "private", "run", "ann")


def test_what_was_saved_comes_back_bit_for_bit_in_another_process(store):
    saved = {"x": torch.randn(5, 3), "y": torch.randn(2).bfloat16()}
    store.save(saved, round=1)
    found = PrivateStore(store.root, "run", "ann").load(1)
    assert list(found) == list(saved)
    for name, x in saved.items():
        assert found[name].dtype == x.dtype
        assert torch.equal(found[name], x)


def test_the_last_two_versions_stay(store):
    for number in range(1, 6):
        store.save(tensors(number), round=number)
    assert store.rounds() == [4, 5]
    assert same(store.load(4), 4)


def test_the_version_that_training_started_from_stays_while_replies_are_lost(store):
    store.save(tensors(1), round=1)
    for lost in (2, 3, 4):
        store.save(tensors(lost), round=lost, base=1)
    assert store.rounds() == [1, 4]
    assert same(store.load(1), 1)


def test_a_server_that_went_back_makes_later_versions_void(store):
    for number in (1, 2, 3):
        store.save(tensors(number), round=number, base=number - 1 or None)
    store.save(tensors(20), round=3, base=2)
    assert same(store.load(3), 20)
    store.save(tensors(30), round=4, base=2)
    store.save(tensors(5), round=3, base=2)
    assert store.rounds() == [2, 3]


def test_an_absent_version_says_which_are_there_and_where_nothing_is(store):
    with pytest.raises(ConfigError, match=r"round 4.*versions: none"):
        store.load(4)
    store.save(tensors(2), round=2)
    with pytest.raises(ConfigError, match=r"round 4.*versions: 2") as caught:
        store.load(4)
    assert str(store.root) not in str(caught.value)


def test_a_file_that_was_moved_is_refused(store):
    other = PrivateStore(store.root, "run", "bob")
    for each in (store, other):
        each.save(tensors(1), round=1)
    (file,) = other.folder.iterdir()
    (store.folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match="moved"):
        store.load(1)


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_damaged_version_is_refused(store, content):
    store.save(tensors(1), round=1)
    (file,) = store.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-3] if content is None else content)
    with pytest.raises(ConfigError, match="whole safetensors file"):
        store.load(1)


def test_experiments_and_clients_do_not_see_each_other(store):
    store.save(tensors(1), round=1)
    assert PrivateStore(store.root, "other", "ann").rounds() == []
    assert PrivateStore(store.root, "run", "bob").rounds() == []


def test_folders_let_only_their_owner_in_even_if_they_were_there(store):
    store.folder.mkdir(parents=True, mode=0o777)
    store.save(tensors(1), round=1)
    for folder in (store.folder, store.folder.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in store.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_root_lets_only_its_owner_in(tmp_path):
    store = PrivateStore(tmp_path / "a" / "b", "run", "ann")
    store.save(tensors(1), round=1)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


HOSTILE = ["..", ".", "/", "../../etc/passwd", "a/b", "a\\b", "con", "a\0b", "x" * 9000]


@pytest.mark.parametrize("name", [*HOSTILE, "ann ", "Ann", "\u202e", "\udcff"])
def test_any_id_stays_inside_the_folder(tmp_path, name):
    store = PrivateStore(tmp_path, name, name)
    store.save(tensors(1), round=1)
    assert store.folder.resolve().parent.parent == tmp_path.resolve()
    assert same(store.load(1), 1)


@pytest.mark.slow
@given(one=st.text(min_size=1, max_size=50), two=st.text(min_size=1, max_size=50))
def test_different_ids_have_different_folders(one, two):
    first, second = (PrivateStore("root", "run", name).folder for name in (one, two))
    assert (first == second) == (one == two)
    assert first.parent.parent == Path("root")


@pytest.mark.parametrize(
    "bad",
    [
        {"tensors": {}, "round": 1},
        {"tensors": {"x": torch.ones(1)}, "round": -1},
        {"tensors": {"x": torch.ones(1)}, "round": 2, "base": 2},
    ],
)
def test_what_cannot_be_a_version_is_refused(store, bad):
    with pytest.raises(ConfigError, match=r"PrivateStore\.save"):
        store.save(bad.pop("tensors"), **bad)
    assert store.rounds() == []


@pytest.mark.parametrize("ids", [("", "ann"), ("run", "")])
def test_an_empty_id_is_refused(tmp_path, ids):
    with pytest.raises(ConfigError, match="must not be empty"):
        PrivateStore(tmp_path, *ids)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.013, 0.031, 0.07])
def test_a_process_that_is_killed_while_it_saves_leaves_whole_versions(store, delay):
    store.save(tensors(1), round=1)
    code = f"""
import torch
from cotune.federated._store import PrivateStore
store = PrivateStore({str(store.root)!r}, "run", "ann")
big = {{"x": torch.ones(4_000_000)}}
print("saving", flush=True)
while True:
    big["x"] += 1
    store.save(big, round=2, base=1)
"""
    kill_while_it_saves(code, delay)
    assert same(store.load(1), 1)
    for number in store.rounds():
        found = store.load(number)
        assert number == 1 or bool((found["x"] == found["x"][0]).all())
    store.save(tensors(3), round=3, base=1)
    assert store.rounds() == [1, 3]
