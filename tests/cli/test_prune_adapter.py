"""``cotune prune-adapter``."""

import json

import pytest
import torch

from cotune import read_adapter
from cotune.operators.prune import PRUNE, prune_adapter
from recipes.small_world import call, run

OPTIONS = {
    "every_other": {"first": 1},
    "keep": {"modules": "query"},
    "magnitude": {"sparsity": 0.9, "scope": "global"},
}


@pytest.mark.parametrize("method", OPTIONS)
def test_what_is_written_is_what_the_library_makes(trained, tmp_path, method):
    options = OPTIONS[method]
    words = [word for key in options for word in ("-o", f"{key}={options[key]}")]
    text = run("prune-adapter", trained, tmp_path / "out", "-m", method, *words)
    own = prune_adapter(read_adapter(trained / "adapter"), method=method, **options)
    found = read_adapter(tmp_path / "out")
    assert list(found.layers) == list(own.adapter.layers)
    for layer, factors in found.layers.items():
        for name, tensor in factors.tensors().items():
            assert torch.equal(tensor, own.adapter.layers[layer].tensors()[name])
    assert f"{len(found.layers)} of 4 layers" in text


def test_a_pruned_run_is_read_by_peft_with_our_method(trained, tmp_path):
    from cotune import load_adapter
    from cotune.recipes import open_base, read_run_recipe

    run("prune-adapter", trained, tmp_path / "out", "-m", "every_other")
    base = open_base(read_run_recipe(trained), [])
    model = load_adapter(base.model, tmp_path / "out")
    names = [name for name, _ in model.named_parameters() if "cotune_A" in name]
    assert len(names) == 2 and all(".layers.0." in name for name in names)


def test_layers_go_by_the_contributions_that_analyze_wrote(trained, tmp_path):
    rows = [{"player": "model.layers.0", "phi": 0.1}]
    rows += [{"player": "model.layers.1", "phi": 0.9}]
    (tmp_path / "c.json").write_text(json.dumps({"rows": rows}))
    run(
        *("prune-adapter", trained, tmp_path / "out", "-m", "by_contribution"),
        *("--scores", tmp_path / "c.json"),
    )
    layers = read_adapter(tmp_path / "out").layers
    assert layers and all(".layers.1." in name for name in layers)


def test_the_operators_are_listed_with_their_options():
    text = run("prune-adapter", "--list")
    for name in PRUNE:
        assert name in text
    assert "sparsity=0.5" in text and "scores (needed)" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-m", "every"), "Did you mean every_other"),
        (("-m", "every_other", "-o", "frist=1"), "Did you mean first"),
        (("-m", "magnitude", "-o", "sparsity=much"), "must be a valid number"),
        (("-m", "magnitude", "-o", "sparsity=2"), "sparsity must be in [0, 1]"),
        (("-m", "by_contribution", "--scores", "no.json"), "--scores: must be"),
        ((), "--method must be given"),
    ],
)
def test_mistakes_end_with_a_message_that_helps(trained, tmp_path, words, message):
    result = call("prune-adapter", trained, tmp_path / "out", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
