"""Causal language models: answers are scored by likelihood, or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...adapters import use_tasks
from ...data import (
    IGNORED,
    METRICS,
    Batch,
    EncodeSpec,
    Task,
    Tokens,
    get_pad_id,
)
from ._base import Base, Prediction, Row, accepts_tasks, call
from ._load import load_model, load_tokenizer
from ._spec import BaseSpec


class CausalBase(Base):
    """A causal language model, trained to continue a prompt with its answer.

    Options are ranked by log p(option | prompt), summed over the option's tokens and
    its end: the probability that the model itself gives to the whole answer.
    """

    task_type = "CAUSAL_LM"
    form = "causal"
    counts_rows = False

    @classmethod
    def load(
        cls,
        spec: BaseSpec,
        tasks: Sequence[Task],
        *,
        encode: EncodeSpec,
        names: tuple[str, ...],
    ) -> CausalBase:
        """Load model and tokenizer; see :meth:`Base.load`."""
        del tasks  # nothing in the model depends on them
        model = load_model("AutoModelForCausalLM", spec)
        return cls(spec, model, Tokens(load_tokenizer(spec), encode), names)

    def loss(
        self, model: nn.Module, batch: Batch, items: Tensor | int | None = None
    ) -> Float[Tensor, ""]:
        """Return the model's own loss, over answer tokens; see :meth:`Base.loss`."""
        inputs = dict(batch)
        tasks = inputs.pop("tasks")
        own = {} if items is None else {"num_items_in_batch": items}
        return call(model, tasks, **inputs, **own).loss

    def form_to_score(self, task: Task) -> str:
        """Return which form scores the task; see :meth:`Base.form_to_score`."""
        if task.spec.kind in ("choice", "label"):
            return "causal_options"
        reads = METRICS[task.spec.metric_name].reads
        return "causal" if reads == "loss" else "causal_prompt"

    def score(
        self,
        model: nn.Module,
        task: Task,
        batch: Batch,
        rows: Sequence[Row],
        *,
        max_new_tokens: int,
    ) -> list[Prediction]:
        """Predict the answers of a batch; see :meth:`Base.score`."""
        match self.form_to_score(task):
            case "causal_options":
                return self._choose(model, batch, rows)
            case "causal":
                losses, lengths = _answer_losses(model, batch)
                means = (losses / lengths).tolist()
                return [Prediction(None, loss) for loss in means]
        return self._write(model, batch, max_new_tokens)

    def _choose(
        self, model: nn.Module, batch: Batch, rows: Sequence[Row]
    ) -> list[Prediction]:
        losses, lengths = (part.cpu() for part in _answer_losses(model, batch))
        owner, answers = batch["option_row"].cpu(), batch["answer"].tolist()
        predictions = []
        for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            own, size = losses[owner == number], lengths[owner == number]
            text = row["options"][int(own.argmin())]
            predictions.append(Prediction(text, float(own[answer] / size[answer])))
        return predictions

    def _write(
        self, model: nn.Module, batch: Batch, max_new_tokens: int
    ) -> list[Prediction]:
        tokenizer = self.tokenizer
        settings: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "do_sample": False,
            "pad_token_id": get_pad_id(tokenizer),
        }
        prompts = {name: batch[name] for name in ("input_ids", "attention_mask")}
        generate = cast(Any, model).generate
        if accepts_tasks(model):
            with use_tasks(model, batch["tasks"]):
                whole = generate(**prompts, **settings)
        else:
            whole = generate(**prompts, **settings)
        new = whole[:, batch["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        return [Prediction(text.strip(), None) for text in texts]


def _answer_losses(
    model: nn.Module, batch: Batch
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Return each row's summed loss over its answer tokens, and their number."""
    logits = call(
        model,
        batch["tasks"],
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
    ).logits
    labels = batch["labels"][:, 1:]
    answer = labels != IGNORED
    # Only the answer's positions, because the vocabulary makes logits large.
    losses = torch.zeros(labels.shape, dtype=torch.float32, device=labels.device)
    picked = logits[:, :-1][answer].float()
    losses[answer] = F.cross_entropy(picked, labels[answer], reduction="none")
    return losses.sum(1), answer.sum(1).to(losses.dtype)
