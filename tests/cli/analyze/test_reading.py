"""The bar of analyses that read adapters and score no model."""

from contextlib import contextmanager

import pytest
import torch

from cotune import Adapter, read_adapter, write_adapter
from cotune._adapter import Factors
from cotune.cli.analyze import _reading
from cotune.cli.analyze._reading import show_reading
from recipes.small_world import run

LAYERS = ("layers.0.q_proj", "layers.1.q_proj", "layers.2.q_proj")


@pytest.fixture
def folders(tmp_path):
    """Return the folders of two plain LoRAs with three layers."""
    for seed in range(2):
        dice = torch.Generator().manual_seed(seed)
        layers = {
            name: Factors(
                torch.randn(1, 2, 6, generator=dice),
                torch.randn(1, 5, 2, generator=dice),
                1.0,
            )
            for name in LAYERS
        }
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2}
        write_adapter(Adapter(layers, config), tmp_path / f"seed{seed}")
    return [tmp_path / f"seed{seed}" for seed in range(2)]


@pytest.fixture
def told(monkeypatch):
    """Return what the bar is told, in place of a bar."""
    found: list[tuple[int, int]] = []

    @contextmanager
    def listen(name):
        assert name == "layers"
        yield lambda done, total: found.append((done, total))

    monkeypatch.setattr(_reading, "show_progress", listen)
    return found


@pytest.mark.parametrize("command", ["similarity", "change", "fusion-gap"])
def test_the_bar_goes_from_the_first_layer_to_all_of_all_adapters(
    command, folders, told
):
    run("analyze", command, *folders)
    done = [count for count, _ in told]
    assert sorted(set(done)) == [1, 2, 3, 4, 5, 6]
    assert done == sorted(done)
    assert {total for _, total in told} == {6}


def test_a_bar_changes_no_adapter_and_counts_every_layer_once(folders, told):
    plain = {folder.name: read_adapter(folder) for folder in folders}
    with show_reading(plain) as adapters:
        assert list(adapters) == list(plain)
        for name, adapter in adapters.items():
            assert list(adapter.layers) == list(LAYERS)
            assert LAYERS[0] in adapter.layers and "other" not in adapter.layers
            assert adapter.config == plain[name].config
        # The type checker of the tests looks at some layers by itself.
        before = max((done for done, _ in told), default=0)
        for _ in range(2):
            factors = adapters["seed1"].layers[LAYERS[2]]
            assert torch.equal(factors.A, plain["seed1"].layers[LAYERS[2]].A)
            assert told[-1] == (before + 1, 6)
