"""The harness's model class, with the task of each request. Imports lm_eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch import nn

from ..adapters import use_tasks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Answer = Callable[..., list[Any]]
# The decorator of the harness hides the type of the class.
_HFLM: Any = HFLM


class TaskModel(_HFLM):
    """A model of the harness whose requests belong to tasks of an adapter.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        tasks: One task for all requests, or harness task -> task, or None.
        batch_size: Requests computed at once.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        tasks: str | Mapping[str, str] | None,
        *,
        batch_size: int,
    ) -> None:
        self.tasks = tasks
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)

    def loglikelihood(self, requests: list[Instance], **kwargs: Any) -> list[Any]:
        """Score continuations, each as its task.

        Args:
            requests: Pairs of context and continuation.
            **kwargs: Passed on.

        Returns:
            Per request the log-likelihood and whether it is the greedy choice.
        """
        return self._by_task(super().loglikelihood, requests, kwargs)

    def loglikelihood_rolling(
        self, requests: list[Instance], **kwargs: Any
    ) -> list[Any]:
        """Score whole texts, each as its task.

        Args:
            requests: Texts.
            **kwargs: Passed on.

        Returns:
            Per request the log-likelihood.
        """
        return self._by_task(super().loglikelihood_rolling, requests, kwargs)

    def generate_until(self, requests: list[Instance], **kwargs: Any) -> list[Any]:
        """Write answers, each as its task.

        Args:
            requests: Contexts, with when to stop.
            **kwargs: Passed on.

        Returns:
            Per request the text.
        """
        return self._by_task(super().generate_until, requests, kwargs)

    def _by_task(
        self, answer: Answer, requests: list[Instance], kwargs: dict[str, Any]
    ) -> list[Any]:
        answers: dict[int, Any] = {}
        for task, places in self._group(requests):
            with self._as_task(task):
                found = answer([requests[place] for place in places], **kwargs)
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(requests))]

    def _group(
        self, requests: list[Instance]
    ) -> Iterator[tuple[str | None, list[int]]]:
        groups: dict[str | None, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(self._find_task(request), []).append(place)
        yield from groups.items()

    def _find_task(self, request: Instance) -> str | None:
        if self.tasks is None or isinstance(self.tasks, str):
            return self.tasks
        return self.tasks.get(str(request.task_name))

    def _as_task(self, task: str | None) -> AbstractContextManager[None]:
        return nullcontext() if task is None else use_tasks(self.model, task)
