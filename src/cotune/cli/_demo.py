"""``cotune demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import SetOption

if TYPE_CHECKING:
    from ..recipes import Arm, Comparison, Recipe

LEARNING_RATES = (1e-3, 3e-3, 1e-2)
WORKERS = 2
EXPORTED = ("CoLoRA", "gate")
"""The arm and the task that are exported to plain LoRA."""


def run_demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where everything is written.")
    ] = Path("demo_run"),
    learning_rate: Annotated[
        list[float] | None,
        typer.Option("--learning-rate", "-l", min=0.0, help="Another grid."),
    ] = None,
    set_: SetOption = None,
) -> None:
    """Train five methods on eight small tasks, offline, and show who is best.

    What is finished is not run again: a second call only shows it.
    """
    import os
    import time

    import torch
    from transformers.utils import logging

    from ..recipes import compare, read_recipe
    from ._show import show

    begin = time.monotonic()
    # Threads would wait for one another more than they work: the model is too small.
    torch.set_num_threads(1)
    workers = min(WORKERS, os.cpu_count() or 1)
    logging.disable_progress_bar()
    recipe = read_recipe("demo", set_ or [])
    recipe = recipe.model_copy(update={"output_dir": str(out)})
    rates = learning_rate or LEARNING_RATES
    show(_introduce(recipe, rates))
    found = compare(
        recipe,
        list_arms(recipe),
        learning_rates=rates,
        workers=workers,
        report=show,
    )
    _show_results(found)
    _show_export(found, out)
    show(f"Everything lies in {out}. {time.monotonic() - begin:.0f} seconds in all.")


def list_arms(recipe: Recipe) -> list[Arm]:
    """Return the arms of the demo.

    Args:
        recipe: What they have in common; its adapter is one LoRA for all tasks.

    Returns:
        Separate LoRAs, one LoRA, ALoRA, CoLA and CoLoRA. Each of the separate LoRAs
        makes as many steps as a joint adapter and sees as many rows of its task.
    """
    from ..recipes import Arm, list_recipe_tasks

    rows = recipe.training.per_device_train_batch_size
    share = max(1, rows // len(list_recipe_tasks(recipe)))
    fewer = f"training.per_device_train_batch_size={share}"
    return [
        Arm("separate LoRAs", ("separate=true", fewer)),
        Arm("one LoRA"),
        Arm("ALoRA", ("adapter.method=alora",)),
        Arm("CoLA", ("adapter.method=cola",)),
        Arm("CoLoRA", ("adapter.method=colora",)),
    ]


def _introduce(recipe: Recipe, rates: tuple[float, ...] | list[float]) -> str:
    from ..recipes import load_recipe_tasks

    tasks, training = load_recipe_tasks(recipe), recipe.training
    parts = [
        len(tasks[0].train),
        len(tasks[0].validation or ()),
        len(tasks[0].test or ()),
    ]
    return (
        f"A small language model; {len(tasks)} tasks, of two families and two "
        f"outsiders; of each {parts[0]} rows to train on, {parts[1]} to choose the "
        f"learning rate, {parts[2]} to test.\n"
        f"Every method: rank {recipe.need_adapter().build(['-']).r}, "
        f"{training.max_steps} steps, learning rates "
        f"{', '.join(f'{rate:g}' for rate in rates)}. Separate LoRAs: the same steps, "
        "and of its task each sees as many rows as a joint adapter.\n"
    )


def _show_results(found: Comparison) -> None:
    from ..embedded import FAMILIES
    from ._compare import NO_PICTURE
    from ._compare_table import build_compare_table, describe_winner
    from ._picture import draw_comparison
    from ._show import show

    show("", build_compare_table(found, FAMILIES), describe_winner(found))
    picture = draw_comparison(found, found.folder / "comparison.png")
    show(f"Picture: {picture}" if picture else NO_PICTURE.removeprefix(". "), "")


def _show_export(found: Comparison, out: Path) -> None:
    from ._demo_export import export_and_compare
    from ._show import show

    arm, task = EXPORTED
    run = Path(found.chosen(arm, found.seeds()[0]).folder)
    proof = export_and_compare(run, task, out / f"{task}-lora")
    show(
        f"Task {task} of {arm}, exported to plain LoRA of rank {proof.rank} in "
        f"{proof.folder}, and loaded by PEFT alone: its logits differ by at most "
        f"{proof.difference:.1e}, where the adapter changes them by up to "
        f"{proof.effect:.1f}."
    )
