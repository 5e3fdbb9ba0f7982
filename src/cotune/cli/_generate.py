"""``cotune generate``."""

from typing import Annotated

import typer

from ._options import RunArgument, TaskOption


def run_generate(
    run: RunArgument,
    prompt: Annotated[str, typer.Argument(help="What the model goes on from.")],
    task: TaskOption = None,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 64,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0: the likeliest token each time.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of sampling.")] = 0,
) -> None:
    """Write text with a trained adapter of a causal language model."""
    from contextlib import nullcontext

    import torch

    from .._errors import ConfigError
    from ..adapters import use_tasks
    from ..recipes import open_run

    opened = open_run(run, with_data=False)
    if opened.recipe.base.kind != "causal":
        raise ConfigError(
            f"{run}: must be a run of a causal language model to write text, got kind "
            f"{opened.recipe.base.kind}."
        )
    tokenizer = opened.base.tokenizer
    batch = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    batch = batch.to(opened.model.device)
    torch.manual_seed(seed)
    sampling = {"do_sample": True, "temperature": temperature} if temperature else {}
    with use_tasks(opened.model, task) if task else nullcontext():
        ids = opened.model.generate(**batch, max_new_tokens=max_new_tokens, **sampling)
    new = ids[0, batch["input_ids"].shape[1] :]
    typer.echo(tokenizer.decode(new, skip_special_tokens=True))
