"""Who a sample belongs to: in training, evaluation, generation and backward."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from adapters.models import (
    PER_TASK,
    TASKS,
    adapted,
    close,
    config_of,
    generate,
    grid,
    rows_apart,
)
from cotune import use_tasks
from cotune._errors import ConfigError
from cotune.adapters._tasks import attach_state, detach_state, find_state, rows_of
from helpers import DECODERS, fill_factors, logits, tiny_batch, tiny_model

MIXED = ["law", "art", "law", "bio"]


# -- mixed batches ---------------------------------------------------------------------


@pytest.mark.parametrize(("method", "family"), grid())
def test_m8_a_mixed_batch_equals_the_batches_of_each_task(
    method: str, family: str
) -> None:
    model = adapted(method, family)
    batch = tiny_batch(family)
    mixed = logits(model, batch, tasks=MIXED)
    for task in TASKS:
        rows = [i for i, name in enumerate(MIXED) if name == task]
        assert close(mixed[rows], logits(model, rows_apart(batch, rows), tasks=task))
    if method in PER_TASK:
        assert not close(mixed, logits(model, batch, tasks="art"))


@pytest.mark.parametrize(("method", "family"), grid(PER_TASK))
def test_m8_gradients_of_a_mixed_batch_are_the_sum_over_its_tasks(
    method: str, family: str
) -> None:
    model = adapted(method, family, model={"dtype": torch.float64}).train()
    batch = tiny_batch(family)
    model(**batch, tasks=MIXED).logits.square().sum().backward()
    whole = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad(set_to_none=True)
    for task in TASKS:
        rows = [i for i, name in enumerate(MIXED) if name == task]
        part = model(**rows_apart(batch, rows), tasks=task)
        part.logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            mine, theirs = whole[name], parameter.grad
            assert mine is not None and theirs is not None, name
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def as_names() -> Any:
    return list(MIXED)


def as_tuple() -> Any:
    return tuple(MIXED)


def as_rows() -> Any:
    return [TASKS.index(name) for name in MIXED]


def as_tensor() -> Any:
    return torch.tensor(as_rows())


def as_small_tensor() -> Any:
    return torch.tensor(as_rows(), dtype=torch.int32)


@pytest.mark.parametrize(
    "form", [as_names, as_tuple, as_rows, as_tensor, as_small_tensor]
)
def test_tasks_may_be_names_or_rows(form: Callable[[], Any]) -> None:
    model = adapted("colora")
    batch = tiny_batch("llama")
    assert torch.equal(
        logits(model, batch, tasks=form()), logits(model, batch, tasks=MIXED)
    )


def test_tasks_work_with_and_without_a_task_type() -> None:
    batch = tiny_batch("llama")
    plain, typed = adapted("colora", task_type=None), adapted("colora")
    assert torch.equal(
        logits(plain, batch, tasks=MIXED), logits(typed, batch, tasks=MIXED)
    )


def test_the_same_list_may_be_changed_between_two_calls() -> None:
    model, batch = adapted("colora"), tiny_batch("llama")
    tasks = ["art"] * 4
    first = logits(model, batch, tasks=tasks)
    tasks[:] = MIXED
    assert torch.equal(
        logits(model, batch, tasks=tasks), logits(model, batch, tasks=list(MIXED))
    )
    with use_tasks(model, tasks):
        tasks[:] = ["art"] * 4
        assert torch.equal(logits(model, batch), first)


def test_methods_without_parts_per_task_take_tasks_and_ignore_them() -> None:
    model, batch = adapted("cola"), tiny_batch("llama")
    assert torch.equal(logits(model, batch, tasks=MIXED), logits(model, batch))


# -- default, missing and wrong tasks --------------------------------------------------


def test_without_tasks_the_default_task_is_taken() -> None:
    model = adapted("colora", default_task="bio")
    batch = tiny_batch("llama")
    assert torch.equal(logits(model, batch), logits(model, batch, tasks="bio"))
    assert torch.equal(
        logits(model, batch, tasks=None), logits(model, batch, tasks="bio")
    )


def test_without_tasks_and_default_the_error_lists_the_tasks() -> None:
    with pytest.raises(ConfigError, match="must name one of art, bio, law, got none"):
        adapted("colora")(**tiny_batch("llama"))


BAD_TASKS: list[tuple[Any, str]] = [
    (["art", "bio", "laws", "art"], "Unknown task 'laws'. Did you mean law"),
    ("bioo", "Unknown task 'bioo'. Did you mean bio"),
    ([0, 1, 3, 0], "rows must lie in 0..2 .art, bio, law., got 0..3"),
    ([0, -1, 2, 0], "rows must lie in 0..2"),
    (torch.tensor([0.0, 1.0, 2.0, 0.0]), "must be an integer tensor"),
    (torch.tensor([True, False, True, True]), "must be an integer tensor"),
    (torch.tensor([[0, 1, 2, 0]]), "integer tensor of shape .batch,., got"),
    (torch.tensor(1), "integer tensor of shape .batch,., got"),
    (["art", "bio"], "one task per sample, got 2 tasks for 4 samples"),
    (["art"] * 8, "one task per sample, got 8 tasks for 4 samples"),
    ([], "one task per sample, got 0 tasks for 4 samples"),
]


@pytest.mark.parametrize(("tasks", "message"), BAD_TASKS, ids=lambda v: str(v)[:30])
def test_wrong_tasks_are_refused_and_nothing_is_left_behind(
    tasks: Any, message: str
) -> None:
    model = adapted("colora", default_task="bio")
    batch = tiny_batch("llama")
    wanted = logits(model, batch)
    with pytest.raises(ConfigError, match=message):
        logits(model, batch, tasks=tasks)
    assert torch.equal(logits(model, batch), wanted)


@pytest.mark.parametrize("count", [3, 5, 8])
def test_pinned_tasks_that_do_not_fit_the_batch_are_refused(count: int) -> None:
    # 4 samples of 6 tokens: 3 and 8 divide the tokens, but not the samples.
    model, batch = adapted("colora"), tiny_batch("llama", length=6)
    with (
        use_tasks(model, (MIXED * 2)[:count]),
        pytest.raises(ConfigError, match="one task per sample"),
    ):
        logits(model, batch)


def test_a_model_without_an_adapter_is_refused() -> None:
    with (
        pytest.raises(ConfigError, match="needs a cotune adapter, got a plain"),
        use_tasks(tiny_model("llama"), "art"),
    ):
        pass


def test_rows_of_says_what_it_wants() -> None:
    assert rows_of("bio", ("art", "bio")).tolist() == [1]
    assert rows_of(["bio", "art"], ("art", "bio")).dtype == torch.int64


# -- the state survives nothing --------------------------------------------------------


class Boom(Exception):
    pass


def test_an_exception_in_the_model_leaves_no_task_behind() -> None:
    model = adapted("colora")
    batch = tiny_batch("llama")

    def explode(*args: Any) -> None:
        raise Boom

    handle = model.get_base_model().lm_head.register_forward_hook(explode)
    with pytest.raises(Boom):
        model(**batch, tasks=MIXED)
    handle.remove()
    with pytest.raises(ConfigError, match="got none"):
        model(**batch)


def test_an_exception_inside_use_tasks_leaves_no_task_behind() -> None:
    model = adapted("colora")
    with pytest.raises(Boom), use_tasks(model, "art"):
        raise Boom
    with pytest.raises(ConfigError, match="got none"):
        model(**tiny_batch("llama"))


def test_blocks_of_use_tasks_nest_and_a_call_goes_before_them() -> None:
    model, batch = adapted("colora"), tiny_batch("llama")
    wanted = {task: logits(model, batch, tasks=task) for task in TASKS}
    with use_tasks(model, "art"):
        assert torch.equal(logits(model, batch), wanted["art"])
        with use_tasks(model, "bio"):
            assert torch.equal(logits(model, batch), wanted["bio"])
            assert torch.equal(logits(model, batch, tasks="law"), wanted["law"])
            assert torch.equal(logits(model, batch), wanted["bio"])
        assert torch.equal(logits(model, batch), wanted["art"])


def test_unload_takes_the_hooks_off() -> None:
    model = adapted("colora", default_task="art")
    base = model.get_base_model()
    assert base._forward_pre_hooks and base._forward_hooks
    plain = model.unload()
    assert not plain._forward_pre_hooks and not plain._forward_hooks
    with pytest.raises(ConfigError, match="needs a cotune adapter"):
        find_state(plain)


def test_attach_is_done_once_and_detach_undoes_it() -> None:
    module = nn.Linear(2, 2)
    state = attach_state(module)
    assert attach_state(module) is state and find_state(module) is state
    assert len(module._forward_hooks) == 1
    detach_state(module)
    detach_state(module)
    assert not module._forward_hooks and not module._forward_pre_hooks


def test_a_call_keeps_its_output_no_longer_than_needed() -> None:
    model = adapted("colora").train()
    output = model(**tiny_batch("llama"), tasks=MIXED)
    seen = weakref.ref(output.logits)
    del output
    gc.collect()
    assert seen() is None


# -- generation ------------------------------------------------------------------------

WAYS = {
    "greedy": {"do_sample": False},
    "beams": {"do_sample": False, "num_beams": 3},
    "several beams": {"do_sample": False, "num_beams": 4, "num_return_sequences": 2},
    "no cache": {"do_sample": False, "use_cache": False},
}


@pytest.mark.parametrize(
    "way",
    [
        "several beams",
        *(
            pytest.param(way, marks=pytest.mark.slow)
            for way in WAYS
            if way != "several beams"
        ),
    ],
)
@pytest.mark.parametrize("family", [*DECODERS, "t5"])
@pytest.mark.parametrize(
    "method", ["dual", pytest.param("colora", marks=pytest.mark.slow)]
)
def test_generation_of_a_mixed_batch_equals_that_of_each_sample(
    method: str, family: str, way: str
) -> None:
    model = adapted(method, family)
    batch = tiny_batch(family)
    with use_tasks(model, MIXED):
        together = generate(model, batch, **WAYS[way])
    copies = len(together) // len(MIXED)
    for row, task in enumerate(MIXED):
        with use_tasks(model, task):
            alone = generate(model, rows_apart(batch, [row]), **WAYS[way])
        assert torch.equal(together[row * copies : (row + 1) * copies], alone)


def test_sampled_sequences_belong_to_the_task_of_their_prompt() -> None:
    # One task's adapter makes one token certain, so that samples show whose they are.
    model = adapted("colora", filled=False, target_modules=["down_proj"])
    fill_factors(model, std=2.0)
    batch = tiny_batch("llama")
    with use_tasks(model, MIXED):
        drawn = generate(model, batch, do_sample=True, top_k=1, num_return_sequences=3)
        wanted = generate(model, batch, do_sample=False)
    assert torch.equal(drawn, wanted.repeat_interleave(3, dim=0))


def test_generation_takes_the_default_task_and_refuses_without_one() -> None:
    batch = tiny_batch("llama")
    model = adapted("colora", default_task="bio")
    with use_tasks(model, "bio"):
        wanted = generate(model, batch)
    assert torch.equal(generate(model, batch), wanted)
    with pytest.raises(ConfigError, match="use_tasks"):
        generate(adapted("colora"), batch)


def test_an_encoder_after_a_training_step_does_not_remember_its_tasks() -> None:
    model = adapted("colora", "t5", default_task="bio")
    batch = tiny_batch("t5")
    with use_tasks(model, "bio"):
        wanted = generate(model, batch)
    model(**batch, tasks="law").loss.backward()
    # `generate` calls the encoder by itself, before the model with its hooks.
    assert torch.equal(generate(model, batch), wanted)


# -- other ways in ---------------------------------------------------------------------


def test_tasks_reach_a_model_that_transformers_adapted_by_itself() -> None:
    model = tiny_model("llama")
    model.add_adapter(config_of("colora", "llama"), "default")
    fill_factors(model)
    wrapped = adapted("colora")
    batch = tiny_batch("llama")
    assert torch.equal(
        logits(model, batch, tasks=MIXED), logits(wrapped, batch, tasks=MIXED)
    )
    with use_tasks(model, MIXED):
        generate(model, batch)


def test_two_adapters_of_different_tasks_share_one_call() -> None:
    model = adapted("colora", tasks=["art", "bio"])
    model.add_adapter("more", config_of("dual", "llama", tasks=["bio", "art", "law"]))
    model.base_model.set_adapter(["default", "more"])
    fill_factors(model)
    batch = tiny_batch("llama")
    names = ["bio", "art", "art", "bio"]
    mixed = logits(model, batch, tasks=names)
    for task in ("art", "bio"):
        rows = [i for i, name in enumerate(names) if name == task]
        assert close(mixed[rows], logits(model, rows_apart(batch, rows), tasks=task))
    with pytest.raises(ConfigError, match="Unknown task 'law'"):
        logits(model, batch, tasks="law")


def test_a_plain_module_takes_tasks_as_well() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).tanh())

    torch.manual_seed(0)
    config = config_of("colora", "llama", target_modules=["first"], task_type=None)
    model = peft.get_peft_model(Net(), config)
    fill_factors(model)
    x = torch.randn(3, 6)
    mixed = model(x, tasks=["law", "art", "law"])
    assert close(mixed[[0, 2]], model(x[[0, 2]], tasks="law"))
    with pytest.raises(ConfigError, match="got 2 tasks for 3 samples"):
        model(x, tasks=["law", "art"])
