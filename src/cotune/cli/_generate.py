"""``cotune generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ._options import RunArgument, SetOption, TaskOption

if TYPE_CHECKING:
    from ..recipes import OpenedRun


def run_generate(
    run: RunArgument,
    prompt: Annotated[
        str,
        typer.Argument(help="The prompt of a row; it is put as in training."),
    ],
    task: TaskOption = None,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens to write.")
    ] = 64,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0: the likeliest token each time.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of sampling.")] = 0,
    set_: SetOption = None,
) -> None:
    """Write text with a trained adapter of a causal language model."""
    import math

    import torch

    from .._errors import ConfigError
    from ..recipes import open_run, read_run_recipe
    from ._show import show

    if not math.isfinite(temperature):
        raise ConfigError(
            f"--temperature: must be a finite number >= 0, got {temperature}. Try 0.7."
        )
    kind = read_run_recipe(run, set_ or []).base.kind
    if kind != "causal":
        raise ConfigError(
            f"{run}: must be a run of a causal language model to write text, got kind "
            f"{kind}. Score it with `cotune evaluate`."
        )
    opened = open_run(run, set_ or [], with_data=False)
    task = opened.choose_task(task)
    torch.manual_seed(seed)
    show(_write(opened, prompt, task, max_new_tokens, temperature))


def _write(
    opened: OpenedRun, prompt: str, task: str | None, length: int, temperature: float
) -> str:
    from contextlib import nullcontext

    import torch

    from ..adapters import use_tasks
    from ..data import get_pad_id

    tokens, model = opened.base.tokens, opened.model
    ids = torch.tensor([tokens.prompt({"prompt": prompt})], device=model.device)
    sampling = {"do_sample": True, "temperature": temperature} if temperature else {}
    with use_tasks(model, task) if task else nullcontext():
        whole = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=length,
            pad_token_id=get_pad_id(tokens.tokenizer),
            **{"do_sample": False, **sampling},
        )
    new = whole[0, ids.shape[1] :]
    return str(tokens.tokenizer.decode(new, skip_special_tokens=True))
