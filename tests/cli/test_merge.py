import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cotune.recipes import open_run
from recipes.small_world import TASKS, run

IDS = torch.arange(2, 14).reshape(2, 6)


@pytest.mark.parametrize("task", TASKS)
def test_the_merged_model_alone_computes_what_the_adapter_does(
    trained, tmp_path, task
) -> None:
    (tmp_path / "out").mkdir()  # an empty folder is no obstacle
    run("merge", trained, tmp_path / "out", "--task", task)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    opened = open_run(trained, with_data=False)
    with torch.no_grad():
        ours = opened.model(IDS, tasks=task).logits
        with opened.model.disable_adapter():
            base = opened.model(IDS).logits
        theirs = merged(IDS).logits
    assert (ours - theirs).abs().max() <= 1e-5
    assert (ours - base).abs().max() > 1e-3
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer("abc") == opened.base.tokenizer("abc")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
