"""``cotune evaluate``."""

from ._options import RunArgument, SetOption


def run_evaluate(run: RunArgument, set_: SetOption = None) -> None:
    """Score a run again and write its metrics.json anew."""
    import os

    from ..recipes import open_run
    from ..training import build_table, evaluate
    from ._show import show

    opened = open_run(run, set_ or [])
    spec = opened.recipe.evaluation
    found = evaluate(opened.model, opened.tasks, opened.base, spec=spec)
    if int(os.environ.get("RANK", "0")) == 0:
        found.save(run / "metrics.json")
    show(build_table(found), f"Written to {run / 'metrics.json'}")
