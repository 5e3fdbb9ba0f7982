"""How the tests score and train on the embedded tasks: plain torch, no cotune code."""

from __future__ import annotations

from typing import Any

import torch

SEPARATOR = "\n"  # the default of cotune.data, between prompt and answer


def encode(rows: list[dict[str, Any]], tokenizer) -> tuple[torch.Tensor, ...]:
    """Return ids, mask and labels, padded on the right; only the answer has labels."""
    prompts = [tokenizer(r["prompt"] + SEPARATOR)["input_ids"] for r in rows]
    answers = [
        tokenizer(r["answer"], add_special_tokens=False)["input_ids"] for r in rows
    ]
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for row, (p, a) in enumerate(zip(prompts, answers, strict=True)):
        ids[row, : len(p) + len(a)] = torch.tensor(p + a)
        labels[row, len(p) : len(p) + len(a)] = torch.tensor(a)
        mask[row, : len(p) + len(a)] = 1
    return ids, mask, labels


@torch.no_grad()
def accuracy(rows: list[dict[str, Any]], model, tokenizer) -> float:
    """Choose the likeliest option; every option of these tasks is one token."""
    ids, mask, labels = encode(rows, tokenizer)
    last = (labels != -100).int().argmax(1) - 1
    logits = model(input_ids=ids, attention_mask=mask).logits
    logits = logits[torch.arange(len(rows)), last]
    right = 0
    for row, scores in zip(rows, logits, strict=True):
        options = tokenizer.convert_tokens_to_ids(["▁" + o for o in row["options"]])
        right += row["options"][int(scores[options].argmax())] == row["answer"]
    return right / len(rows)


def train_lora(rows: list[dict[str, Any]], model, tokenizer, *, steps: int, seed: int):
    """Return the model with a rank-8 LoRA of PEFT, trained on batches of 32."""
    import peft

    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = peft.get_peft_model(model, config).train()
    weights = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 10, 1 - step / steps)
    )
    order: list[int] = []
    for _ in range(steps):
        if len(order) < 32:
            order += torch.randperm(len(rows)).tolist()
        batch, order = order[:32], order[32:]
        ids, mask, labels = encode([rows[i] for i in batch], tokenizer)
        loss = adapted(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return adapted.eval()
