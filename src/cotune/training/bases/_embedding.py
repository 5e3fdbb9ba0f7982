"""Encoders that answer by matching the embedding of the prompt with the options'."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...data import Batch, EncodeSpec, Task, Tokens
from ._base import Base, Prediction, Row, call
from ._load import load_model, load_tokenizer
from ._spec import BaseSpec

SCALE = 20.0
"""Factor of the cosine: logits = 20 cos."""


class EmbeddingBase(Base):
    """An encoder without a head: the option nearest to the prompt is the answer.

    Prompt and options are embedded apart, as the mean over tokens of the last hidden
    layer, scaled to length 1; logits are 20 times the cosine. It starts from the skill
    of the pre-trained encoder, and all tasks share one output space.

    Source: CLIP (arXiv:2103.00020), section 3.1.2; differs: one encoder for both sides,
    and a fixed scale, as in sentence-transformers.
    """

    task_type = "FEATURE_EXTRACTION"
    form = "embedding"

    @classmethod
    def load(
        cls,
        spec: BaseSpec,
        tasks: Sequence[Task],
        *,
        encode: EncodeSpec,
        names: tuple[str, ...],
    ) -> EmbeddingBase:
        """Load model and tokenizer; see :meth:`Base.load`."""
        del tasks  # nothing in the model depends on them
        model = load_model("AutoModel", spec)
        # The pooler is not used: adapters on it would never have a gradient.
        if isinstance(getattr(model, "pooler", None), nn.Module):
            model.register_module("pooler", None)
        return cls(spec, model, Tokens(load_tokenizer(spec), encode), names)

    def loss(
        self, model: nn.Module, batch: Batch, items: Tensor | int | None = None
    ) -> Float[Tensor, ""]:
        """Return the cross entropy over the options; see :meth:`Base.loss`."""
        labels = batch["labels"]
        total = F.cross_entropy(match_options(model, batch), labels, reduction="sum")
        return total / (len(labels) if items is None else items)

    def form_to_score(self, task: Task) -> str:
        """Return the form of training; see :meth:`Base.form_to_score`."""
        return self.form

    def score(
        self,
        model: nn.Module,
        task: Task,
        batch: Batch,
        rows: Sequence[Row],
        *,
        max_new_tokens: int,
    ) -> list[Prediction]:
        """Pick the nearest option of every row; see :meth:`Base.score`."""
        logits = match_options(model, batch)
        losses = F.cross_entropy(logits, batch["labels"], reduction="none").tolist()
        picks = logits.argmax(1).tolist()
        return [
            Prediction(row["options"][pick], loss)
            for row, pick, loss in zip(rows, picks, losses, strict=True)
        ]


def match_options(
    model: nn.Module, batch: Batch
) -> Float[Tensor, "batch most_options"]:
    """Compute the logits of all options.

    Args:
        model: The encoder, with or without an adapter.
        batch: A batch of form ``embedding``.

    Returns:
        20 times the cosine of prompt and option; minus infinity where a row has fewer
        options.
    """
    # Prompts last: statistics of routers are those of the last call.
    options = embed(model, _take(batch, "option_"))
    prompts = embed(model, _take(batch, ""))
    index = batch["option_index"]
    cosines = torch.einsum("bd,bod->bo", prompts, options[index.clamp_min(0)])
    return (SCALE * cosines).masked_fill(index < 0, float("-inf"))


def embed(model: nn.Module, batch: Batch) -> Float[Tensor, "batch width"]:
    """Embed texts: mean over tokens of the last hidden layer, scaled to length 1.

    Args:
        model: The encoder, with or without an adapter.
        batch: ``input_ids``, ``attention_mask`` and ``tasks``.

    Returns:
        fp32, or fp64 if the model is.
    """
    mask = batch["attention_mask"]
    hidden = call(
        model, batch["tasks"], input_ids=batch["input_ids"], attention_mask=mask
    ).last_hidden_state
    hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return F.normalize(mean, dim=-1)


def _take(batch: Batch, prefix: str) -> Batch:
    names = ("input_ids", "attention_mask", "tasks")
    return {name: batch[f"{prefix}{name}"] for name in names}
