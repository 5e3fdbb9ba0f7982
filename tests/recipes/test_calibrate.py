import pytest
import torch

from cotune import load_adapter, read_adapter
from cotune.recipes import (
    export_calibrated,
    open_base,
    open_run,
    read_recipe,
    run_recipe,
)
from cotune.training import score_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def routed(world, tmp_path_factory):
    """Return the folder of a run with a router."""
    folder = tmp_path_factory.mktemp("routed") / "run"
    changes = ["adapter.method=hydralora", "adapter.num_B=2", f"output_dir={folder}"]
    run_recipe(read_recipe(world / "recipe.yaml", changes))
    return folder


def test_every_task_is_exported_with_the_scores_before_and_after(routed, tmp_path):
    found = export_calibrated(routed, tmp_path / "out")
    assert [one.task for one in found] == ["left", "right"]
    opened = open_run(routed)
    for one, task in zip(found, opened.tasks, strict=True):
        assert read_adapter(one.folder).config["peft_type"] == "LORA"
        routed_score, _ = score_task(opened.model, opened.base, task, "test")
        assert one.routed == routed_score
        fresh = open_base(opened.recipe, opened.tasks)
        plain = load_adapter(fresh.base.model, one.folder)
        assert one.plain == score_task(plain, fresh.base, task, "test")[0]
        assert one.error == 0.0


def test_the_export_holds_the_average_over_the_training_rows(routed, tmp_path) -> None:
    (left,) = export_calibrated(routed, tmp_path / "out", task="left")
    bank, plain = read_adapter(routed / "adapter"), read_adapter(left.folder)
    layer = next(iter(bank.layers))
    factors, delta = bank.layers[layer], plain.update(layer).delta()
    pairs = torch.stack([B @ factors.A[0] for B in factors.B]) * factors.scale
    shares = torch.linalg.lstsq(pairs.flatten(1).T, delta.flatten()[:, None]).solution
    assert shares.sum() == pytest.approx(1.0, abs=1e-4)
    assert torch.all((shares > 0) & (shares < 1))


def test_the_rank_can_be_cut_as_well(routed, tmp_path) -> None:
    (left,) = export_calibrated(routed, tmp_path / "out", task="left", rank=1)
    assert left.rank == 1
    assert 0 < left.error < 1
