"""``cotune merge-adapters``: recipe, options, faults, what is written."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from cotune import read_adapter, write_adapter
from cotune._adapter import Adapter, LowRank, plain_factors
from cotune.operators.merge import MERGE, merge_adapters, options_of
from recipes.small_world import call, run

pytestmark = pytest.mark.slow

LAYERS = [f"model.layers.{n}.self_attn.{k}_proj" for n in range(2) for k in "qv"]
OTHER_OPTIONS = {
    "fuse": {},
    "mix": {},
    "ties": {"density": 0.5, "scale": 2.0},
    "dare": {"density": 0.9, "then": "ties", "trim": 0.5, "scale": 2.0},
    "lego": {
        "reweight_parameters": False,
        "reweight_output": False,
        "balance": True,
        "restarts": 2,
    },
    "align": {"reference": 1, "iterations": 3},
    "knots": {"density": 0.5, "scale": 2.0},
}


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    """Return three plain LoRA folders of ranks 2, 2 and 3."""
    made = []
    for seed, rank in enumerate((2, 2, 3)):
        dice = torch.Generator().manual_seed(seed)
        layers = {
            name: plain_factors(
                LowRank(
                    torch.randn(rank, 5, generator=dice),
                    torch.randn(6, rank, generator=dice),
                )
            )
            for name in LAYERS
        }
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank}
        made.append(tmp_path / f"adapter{seed}")
        write_adapter(Adapter(layers, config), made[-1])
    return made


def same(one: Adapter, other: Adapter) -> bool:
    pairs = zip(one.updates().values(), other.updates().values(), strict=True)
    return all(torch.equal(a.delta(), b.delta()) for a, b in pairs)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("method", MERGE)
def test_every_operator_can_be_called_with_all_its_options(folders, tmp_path, method):
    options = OTHER_OPTIONS[method]
    reserved = ("generator", "rank")
    assert set(options) == set(options_of(MERGE[method], reserved=reserved))
    words = [word for key in options for word in ("-o", f"{key}={options[key]}")]
    text = run(
        *("merge-adapters", *folders[:2], "--out", tmp_path / "out"),
        *("-m", method, *words, "--rank", "2", "--seed", "3"),
    )
    adapters = [read_adapter(folder) for folder in folders[:2]]
    own = merge_adapters(
        adapters, method=method, rank=2, generator=seeded(3), **options
    )
    assert same(read_adapter(tmp_path / "out"), own.adapter)
    assert f"2 adapters merged by {method}, 4 layers, rank 2" in text
    assert f"largest {own.worst:.2g}" in text


def test_a_recipe_says_the_same_as_options(folders, tmp_path):
    recipe = {
        "adapters": [
            str(folders[0]),
            {"path": str(folders[1])},
            {"path": str(folders[2])},
        ],
        "merge": {"name": "ties", "density": 0.5},
        "rank": 2,
        "out": str(tmp_path / "from-recipe"),
    }
    (tmp_path / "merge.yaml").write_text(yaml.safe_dump(recipe))
    run("merge-adapters", tmp_path / "merge.yaml")
    run(
        *("merge-adapters", *folders, "--out", tmp_path / "from-options"),
        *("--method", "ties", "--option", "density=0.5", "--rank", "2"),
    )
    found = read_adapter(tmp_path / "from-recipe")
    assert same(found, read_adapter(tmp_path / "from-options"))
    # An option replaces the recipe's value, and keeps the rest.
    run(
        *("merge-adapters", tmp_path / "merge.yaml", "-o", "density=1.0"),
        *("--out", tmp_path / "other"),
    )
    own = [read_adapter(folder) for folder in folders]
    whole = merge_adapters(own, method="ties", density=1.0, rank=2)
    assert same(read_adapter(tmp_path / "other"), whole.adapter)


def test_weights_and_an_error_target_reach_the_merge(folders, tmp_path):
    weights = ("--weight", "0.5", "--weight", "2", "--weight", "-1")
    run(
        *("merge-adapters", *folders, "--out", tmp_path / "out", "-m", "mix"),
        *(*weights, "--max-error", "1e-5"),
    )
    own = [read_adapter(folder) for folder in folders]
    merged = read_adapter(tmp_path / "out")
    for name in LAYERS:
        pairs = zip((0.5, 2.0, -1.0), own, strict=True)
        expected = sum(w * each.update(name).delta() for w, each in pairs)
        assert torch.allclose(merged.update(name).delta(), expected, atol=1e-4)


def test_peft_loads_what_was_written(folders, tmp_path):
    from peft import LoraConfig

    run("merge-adapters", *folders, "--out", tmp_path / "out", "-m", "mix")
    config = LoraConfig.from_pretrained(tmp_path / "out")
    assert config.r == config.lora_alpha == 3


def test_the_operators_are_listed_with_their_options():
    text = run("merge-adapters", "--list")
    for name in MERGE:
        assert name in text
    assert "density=0.2" in text and "generator" not in text


def test_all_faults_of_a_recipe_are_told_at_once(tmp_path):
    recipe = {
        "adapters": [{"path": "a", "wieght": 1.0}, "b"],
        "merge": {"name": "ties", "densty": 0.2, "scale": "much"},
        "rank": 0,
        "lairs": "same",
    }
    (tmp_path / "merge.yaml").write_text(yaml.safe_dump(recipe))
    result = call("merge-adapters", tmp_path / "merge.yaml")
    assert result.exit_code == 2
    for part in (
        "6 faults",
        "Did you mean weight",
        "Unknown option of ties 'densty'. Did you mean density",
        "ties: scale: must be a valid number",
        "rank: must be greater than or equal to 1, got 0",
        "Unknown key 'lairs'. Did you mean layers",
        "out: must be given",
    ):
        assert part in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "a recipe or adapter folders must be given"),
        (("none.yaml",), "must be a YAML recipe, got no such file"),
        (("a", "b", "-m", "tie"), "Did you mean ties"),
        (("a", "b", "-m", "ties", "-o", "density"), "must be name=value"),
        (("a", "b", "-m", "mix", "--weight", "1"), "got 1 for 2 adapters"),
        (("a", "b", "-m", "mix", "--base", "x"), "acts only with into_model"),
        (
            ("a", "b", "-m", "mix", "--into-model", "--rank", "4"),
            "rank: must be left out with into_model",
        ),
        (("a", "b", "-m", "mix", "--svd-iterations", "2"), "needs rank"),
        (("a", "b", "-m", "mix", "--layers", "some"), "must be 'same' or 'union'"),
    ],
)
def test_mistakes_end_with_a_message_that_helps(tmp_path, words, message):
    out = () if not words else ("--out", tmp_path / "out")
    result = call("merge-adapters", *words, *out)
    assert result.exit_code == 2
    assert message in result.stderr


def test_all_folders_that_cannot_be_read_are_named(folders, tmp_path):
    wrong = [tmp_path / "no", folders[0], tmp_path / "nor"]
    result = call("merge-adapters", *wrong, "-m", "mix", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.count("no such folder") == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(folders):
    before = sorted(path.name for path in folders[0].iterdir())
    result = call("merge-adapters", *folders, "-m", "mix", "--out", folders[0])
    assert result.exit_code == 2
    assert "out: must be new or empty" in result.stderr
    assert sorted(path.name for path in folders[0].iterdir()) == before


def test_a_full_model_answers_as_the_base_with_the_exact_merge(world, tmp_path):
    from transformers import AutoModelForCausalLM

    runs = []
    for seed in range(2):
        runs.append(world / f"merged-seed{seed}")
        run(
            *("train", world / "recipe.yaml", "--set", f"output_dir={runs[-1]}"),
            *("--set", "adapter.method=lora", "--set", f"training.seed={seed}"),
        )
    run(
        *("merge-adapters", *runs, "-m", "mix", "--into-model"),
        *("--out", tmp_path / "model"),
    )
    name = yaml.safe_load((runs[0] / "recipe.yaml").read_text())["base"]["name"]
    base = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    adapters = [read_adapter(folder / "adapter") for folder in runs]
    changed = 0
    for layer in adapters[0].layers:
        delta = sum(each.update(layer).delta() for each in adapters) / 2
        old, new = (m.get_submodule(layer).weight for m in (base, merged))
        # float32 sums of numbers around 1.
        assert torch.allclose(new, old + delta, atol=1e-6)
        changed += not torch.equal(new, old)
    assert changed
    assert json.loads((tmp_path / "model" / "config.json").read_text())
    assert (tmp_path / "model" / "tokenizer.json").is_file()


def test_an_update_is_turned_for_layers_that_hold_their_weight_transposed(
    world, tmp_path
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from helpers import tiny_model

    base = tiny_model("gpt2")
    base.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(world / "base").save_pretrained(tmp_path / "base")
    names = {"transformer.h.0.attn.c_attn": 48, "transformer.h.1.attn.c_proj": 16}
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "task_type": "CAUSAL_LM"}
    config["base_model_name_or_path"] = str(tmp_path / "base")
    for seed in range(2):
        dice = torch.Generator().manual_seed(seed)
        layers = {
            name: plain_factors(
                LowRank(
                    torch.randn(2, 16, generator=dice),
                    torch.randn(width, 2, generator=dice),
                )
            )
            for name, width in names.items()
        }
        write_adapter(Adapter(layers, config), tmp_path / f"adapter{seed}")
    folders = [tmp_path / f"adapter{seed}" for seed in range(2)]
    run(
        *("merge-adapters", *folders, "-m", "mix", "--into-model"),
        *("--out", tmp_path / "model"),
    )
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    for name in names:
        delta = sum(read_adapter(each).update(name).delta() for each in folders) / 2
        old, new = (m.get_submodule(name).weight for m in (base, merged))
        # float32 sums of numbers around 1.
        assert torch.allclose(new, old + delta.T, atol=1e-6)
