"""Kinds of base models: how each is loaded, trained and scored."""

from ..._registry import Registry
from ._base import Base, Prediction, accepts_tasks
from ._spec import BaseSpec

BASES: Registry[type[Base]] = Registry(
    "kind of base model",
    {
        "causal": "cotune.training.bases._causal:CausalBase",
        "embedding": "cotune.training.bases._embedding:EmbeddingBase",
        "classifier": "cotune.training.bases._classifier:ClassifierBase",
    },
)

__all__ = ["BASES", "Base", "BaseSpec", "Prediction", "accepts_tasks"]
