"""Adapters inside the user's own Trainer, and inside TRL's."""

import pytest
import torch

from cotune import ALoRAConfig
from cotune.training import KeepTasks
from training.small_runs import choice_rows

NAMES = ["plain", "flipped"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_check:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`gradient_check:FutureWarning"),
]


@pytest.fixture
def rows():
    """Return prompts with answers that only the task can tell."""
    from datasets import Dataset

    found = [
        {"prompt": row["prompt"] + "\n", "completion": row["answer"], "tasks": task}
        for task, flipped in (("plain", False), ("flipped", True))
        for row in choice_rows(32, flipped=flipped)
    ]
    return Dataset.from_list(found).shuffle(seed=0)


def load(root):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = ALoRAConfig(
        r=4,
        coupling="by-task",
        tasks=NAMES,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(root / "llama")
    return model, AutoTokenizer.from_pretrained(root / "llama"), config


def settings(tmp_path):
    return {
        "output_dir": str(tmp_path),
        "max_steps": 24,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-2,
        "remove_unused_columns": False,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": 0,
    }


@torch.no_grad()
def accuracy(model, tokenizer, rows):
    """Measure how often the answer's first letter is the likelier one."""
    model.eval()
    letters = {word: tokenizer(word)["input_ids"][1] for word in ("no", "yes")}
    right = 0
    for row in rows:
        ids = tokenizer(row["prompt"], return_tensors="pt")
        logits = model(**ids, tasks=[row["tasks"]]).logits[0, -1]
        no, yes = logits[letters["no"]], logits[letters["yes"]]
        right += ("yes" if yes > no else "no") == row["completion"]
    return right / len(rows)


@pytest.mark.slow
def test_the_users_own_trainer_trains_parts_per_task(root, tmp_path, rows):
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model, tokenizer, config = load(root)
    model = get_peft_model(model, config)

    def encode(row):
        prompt = tokenizer(row["prompt"])["input_ids"]
        answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        labels = [-100] * len(prompt) + answer
        return {"input_ids": prompt + answer, "labels": labels}

    encoded = rows.map(encode, remove_columns=["prompt", "completion"])
    trainer = Trainer(
        model,
        TrainingArguments(**settings(tmp_path)),
        train_dataset=encoded,
        data_collator=KeepTasks(DataCollatorForSeq2Seq(tokenizer), NAMES),
    )
    trainer.train()
    # Half of the rows is all that a model without tasks could get right.
    assert accuracy(model, tokenizer, rows) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [True, False])
def test_trls_sft_trainer_trains_parts_per_task(root, tmp_path, rows, wrapped):
    trl = pytest.importorskip("trl")
    from peft import get_peft_model
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model, tokenizer, config = load(root)
    own = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)
    trainer = trl.SFTTrainer(
        model=get_peft_model(model, config) if wrapped else model,
        args=trl.SFTConfig(
            **settings(tmp_path), bf16=False, gradient_checkpointing=False
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        data_collator=KeepTasks(own, NAMES),
        peft_config=None if wrapped else config,
    )
    trainer.train()
    assert accuracy(trainer.model, tokenizer, rows) > 0.9
