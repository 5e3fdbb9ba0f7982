import pytest
import torch

from cotune import use_tasks
from cotune.recipes import open_run
from recipes.small_world import run


def test_text_is_written_as_the_model_itself_writes_it(trained) -> None:
    shown = run("generate", trained, "abab", "--task", "left", "--max-new-tokens", "5")
    opened = open_run(trained)
    tokenizer = opened.base.tokenizer
    # As in training: the prompt and the separator.
    ids = torch.tensor([tokenizer("abab\n")["input_ids"]])
    with use_tasks(opened.model, "left"):
        whole = opened.model.generate(
            input_ids=ids, max_new_tokens=5, do_sample=False, pad_token_id=1
        )
    text = tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert shown == f"{text}\n"


@pytest.mark.slow
def test_sampling_is_repeated_by_its_seed(trained) -> None:
    words = ["generate", trained, "abab", "--task", "left", "--temperature", "2.0"]
    texts = [run(*words, "--seed", seed) for seed in "007"]
    assert texts[0] == texts[1] != texts[2]
