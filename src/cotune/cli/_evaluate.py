"""``cotune evaluate``."""

from ._options import RunArgument, SetOption


def run_evaluate(run: RunArgument, set_: SetOption = None) -> None:
    """Score a run again and write its metrics.json anew."""
    from rich import print as show

    from ..recipes import open_run
    from ..training import build_table, evaluate

    opened = open_run(run, tuple(set_ or ()))
    spec = opened.recipe.evaluation
    found = evaluate(opened.model, opened.tasks, opened.base, spec=spec)
    found.save(run / "metrics.json")
    show(build_table(found))
