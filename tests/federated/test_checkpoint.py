import math
from dataclasses import replace

import pytest
import torch

from cotune._errors import ConfigError
from cotune.federated._checkpoint import (
    FILE,
    Checkpoint,
    claim_folder,
    hash_recipe,
    load_checkpoint,
    save_checkpoint,
)
from cotune.federated.aggregation import AGGREGATION, Packet
from federated.killing import kill_while_it_saves

RECIPE = {"method": "alora", "federated": {"clients": 3, "ranks": [8, 4, 2]}}


def example() -> Checkpoint:
    layers = {
        "z.q_proj": {"B": torch.randn(4, 2), "A": torch.randn(2, 3)},
        "a.v_proj": {"B": torch.randn(4, 2).bfloat16(), "A": torch.empty(0, 3)},
    }
    return Checkpoint(
        round=2,
        state=Packet(layers, scale=0.1 + 0.2),
        recipe=RECIPE,
        generators={"noise": torch.Generator().manual_seed(5).get_state()},
        accountant={"steps": [[1.1, 0.01, 2]]},
        history=[{"loss": 0.1}, {"loss": math.inf}],
        clients={"ann": {"last": 2}},
        tensors={"before/q": torch.arange(3)},
    )


def test_a_checkpoint_comes_back_bit_for_bit_and_in_order(tmp_path):
    saved = example()
    save_checkpoint(tmp_path, saved)
    found = load_checkpoint(tmp_path, RECIPE)
    assert found is not None
    assert list(found.state.layers) == list(saved.state.layers)
    for layer, roles in saved.state.layers.items():
        assert list(found.state.layers[layer]) == list(roles)
        for role, x in roles.items():
            assert found.state.layers[layer][role].dtype == x.dtype
            assert torch.equal(found.state.layers[layer][role], x)
    for name in ("round", "recipe", "accountant", "history", "clients"):
        assert getattr(found, name) == getattr(saved, name)
    assert found.state.scale == saved.state.scale
    assert torch.equal(found.tensors["before/q"], saved.tensors["before/q"])


def test_a_generator_goes_on_where_it_was(tmp_path):
    generator = torch.Generator().manual_seed(3)
    torch.randn(5, generator=generator)
    states = {"noise": generator.get_state()}
    save_checkpoint(tmp_path, replace(example(), generators=states))
    wanted = torch.randn(5, generator=generator)
    found = load_checkpoint(tmp_path, RECIPE)
    assert found is not None
    other = torch.Generator()
    other.set_state(found.generators["noise"])
    assert torch.equal(torch.randn(5, generator=other), wanted)


@pytest.mark.parametrize("name", AGGREGATION)
def test_the_start_of_every_method_can_be_kept(tmp_path, name):
    method = AGGREGATION[name]()
    roles = {
        "A": torch.randn(2, 6),
        "B": torch.randn(5, 2),
        "B0": torch.zeros(5, 16),
        "core": torch.eye(2),
    }
    state = method.start(Packet({"q": roles}, 2.0))
    save_checkpoint(tmp_path, replace(example(), state=state))
    found = load_checkpoint(tmp_path, RECIPE)
    assert found is not None
    assert found.state.scale == state.scale
    assert {n: list(t) for n, t in found.state.layers.items()} == {
        n: list(t) for n, t in state.layers.items()
    }


def test_a_folder_without_a_checkpoint_has_none(tmp_path):
    assert load_checkpoint(tmp_path, RECIPE) is None
    assert load_checkpoint(tmp_path / "missing", RECIPE) is None


def test_a_new_checkpoint_replaces_the_old_one(tmp_path):
    for number in (1, 2):
        path = save_checkpoint(tmp_path, replace(example(), round=number))
    assert [p.name for p in tmp_path.iterdir()] == [FILE] == [path.name]
    found = load_checkpoint(tmp_path, RECIPE)
    assert found is not None
    assert found.round == 2


def test_the_checkpoint_of_another_recipe_is_refused_with_what_differs(tmp_path):
    save_checkpoint(tmp_path, example())
    other = {**RECIPE, "method": "lora", "seed": 1}
    with pytest.raises(ConfigError, match="differ: method, seed"):
        load_checkpoint(tmp_path, other)


def test_order_of_keys_and_tuples_make_no_other_recipe(tmp_path):
    save_checkpoint(tmp_path, example())
    same = {
        "federated": {"ranks": (8, 4, 2), "clients": 3},
        "method": "alora",
    }
    assert hash_recipe(same) == hash_recipe(RECIPE)
    assert load_checkpoint(tmp_path, same) is not None


@pytest.mark.parametrize("content", [b"", b"other", None])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = save_checkpoint(tmp_path, example())
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    with pytest.raises(ConfigError, match="whole safetensors file"):
        load_checkpoint(tmp_path, RECIPE)


def test_another_safetensors_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / FILE)
    with pytest.raises(ConfigError, match="must be a checkpoint"):
        load_checkpoint(tmp_path, RECIPE)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    save_checkpoint(tmp_path, example())
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ConfigError, match="Convert it first"):
        save_checkpoint(tmp_path, replace(example(), history=[torch.ones(1)]))
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.017, 0.04, 0.09])
def test_a_server_that_is_killed_while_it_saves_leaves_a_whole_checkpoint(
    tmp_path, delay
):
    save_checkpoint(tmp_path, replace(example(), round=0))
    code = f"""
import torch
from cotune.federated._checkpoint import Checkpoint, save_checkpoint
from cotune.federated.aggregation import Packet
number = 0
print("saving", flush=True)
while True:
    number += 1
    x = torch.full((4_000_000,), float(number))
    state = Packet({{"q": {{"B": x}}}})
    save_checkpoint({str(tmp_path)!r}, Checkpoint(number, state, {RECIPE!r}))
"""
    kill_while_it_saves(code, delay)
    found = load_checkpoint(tmp_path, RECIPE)
    assert found is not None
    if found.round:
        assert bool((found.state.layers["q"]["B"] == found.round).all())
    save_checkpoint(tmp_path, example())
    assert load_checkpoint(tmp_path, RECIPE) is not None


def test_a_folder_is_claimed_before_anything_in_it_is_replaced(tmp_path):
    claim_folder(tmp_path / "new", resume=False)
    (tmp_path / "events.jsonl").touch()
    claim_folder(tmp_path, resume=False)
    save_checkpoint(tmp_path, example())
    (tmp_path / "recipe.yaml").touch()
    claim_folder(tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"which holds a run.*pass --resume"):
        claim_folder(tmp_path, resume=False)


@pytest.mark.parametrize("name", ["settings.json", "recipe.yaml"])
@pytest.mark.parametrize("resume", [False, True])
def test_the_folder_of_a_run_that_is_no_federation_is_refused(tmp_path, name, resume):
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"holds {name} of something else"):
        claim_folder(tmp_path, resume=resume)
