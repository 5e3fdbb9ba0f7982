import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from cotune import read_adapter
from cotune.recipes import open_run
from recipes.small_world import TASKS, run

IDS = torch.arange(2, 14).reshape(2, 6)


def plain_logits(world, folder) -> torch.Tensor:
    base = AutoModelForCausalLM.from_pretrained(world / "base")
    model = PeftModel.from_pretrained(base, folder).eval()
    with torch.no_grad():
        return model(IDS).logits


def our_logits(run_folder, task) -> torch.Tensor:
    model = open_run(run_folder, with_data=False).model
    with torch.no_grad():
        return model(IDS, tasks=task).logits


def test_every_task_gets_a_folder_that_plain_peft_computes_alike(
    world, trained, tmp_path
) -> None:
    shown = run("export", trained, tmp_path / "out")
    logits = []
    for task in TASKS:
        assert f"{tmp_path / 'out' / task}: task {task}, rank 2" in shown
        logits.append(plain_logits(world, tmp_path / "out" / task))
        gap = (logits[-1] - our_logits(trained, task)).abs().max()
        assert gap <= 1e-5
    assert not torch.equal(*logits)


def test_one_task_goes_into_the_folder_itself(world, trained, tmp_path) -> None:
    run("export", trained, tmp_path / "out", "--task", "right")
    gap = plain_logits(world, tmp_path / "out") - our_logits(trained, "right")
    assert gap.abs().max() <= 1e-5


def test_the_rank_can_be_cut_and_the_error_is_told(trained, tmp_path) -> None:
    words = ["--task", "left", "--rank", "1"]
    shown = run("export", trained / "adapter", tmp_path / "out", *words)
    error = float(shown.split("relative error ")[1])
    assert 0 < error < 1
    assert read_adapter(tmp_path / "out").config["r"] == 1


def test_an_exported_folder_can_be_exported_again(trained, tmp_path) -> None:
    run("export", trained, tmp_path / "once", "--task", "left")
    run("export", tmp_path / "once", tmp_path / "twice")
    once, twice = (read_adapter(tmp_path / name) for name in ("once", "twice"))
    for layer in once.layers:
        assert torch.equal(once.update(layer).delta(), twice.update(layer).delta())


def test_a_routed_adapter_is_exported_with_averages_and_says_the_cost(
    world, routed, tmp_path
) -> None:
    shown = run("export", routed, tmp_path / "out", "--calibrate")
    for task in TASKS:
        line = next(one for one in shown.splitlines() if f"task {task}" in one)
        assert "accuracy" in line
        assert "routed" in line
        assert plain_logits(world, tmp_path / "out" / task).isfinite().all()
