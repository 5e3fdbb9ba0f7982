"""``cotune analyze``: what trained adapters are like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import RunArgument, SetOption, TaskOption, adapter_folder

if TYPE_CHECKING:
    from .._adapter import Adapter
    from ..analysis import Result
    from ._analyze_scorer import Scorer

analyze = typer.Typer(
    name="analyze",
    help="What trained adapters are like: alike, connected, stable, at odds.",
    no_args_is_help=True,
)

AdaptersArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Adapter folders, of cotune or PEFT's LoRA, or runs; a run with one "
        "adapter per task stands for all of them."
    ),
]
RunsArgument = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="JSON file to write. Commands that score a model write into the run, "
        "folder analysis/, if it is left out, and keep finished evaluations beside it."
    ),
]
PlotOption = Annotated[
    Path | None, typer.Option(help="Picture to write (.png or .svg).")
]
RowsOption = Annotated[
    int | None, typer.Option(min=1, help="Most rows per task; else all.")
]
DataOption = Annotated[
    Path | None, typer.Option(help="Folder of the data, instead of the run's.")
]
TasksOption = Annotated[
    list[str] | None, typer.Option("--task", help="A task; repeatable; else all.")
]
ByOption = Annotated[
    str, typer.Option(help="What is switched off together: block, module or third.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the draws.")]
FactorOption = Annotated[str, typer.Option(help="Which factor: A or B.")]


@analyze.command("similarity")
def run_similarity(
    adapters: AdaptersArgument,
    factor: FactorOption = "A",
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Compare the subspaces of factors, beside what random ones have."""
    from ..analysis import similarity

    _hand_out(similarity(_read_all(adapters), factor=factor), out, plot)


@analyze.command("fusion-gap")
def run_fusion_gap(
    adapters: AdaptersArgument,
    task: TaskOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Measure how far averaging factors is from averaging updates."""
    from ..analysis import fusion_gap

    _hand_out(fusion_gap(list(_read_all(adapters).values()), task=task), out, plot)


@analyze.command("change")
def run_change(
    start: Annotated[Path, typer.Argument(help="Adapter folder of an earlier state.")],
    adapter: Annotated[Path, typer.Argument(help="Adapter folder, or a run.")],
    factor: FactorOption = "A",
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Measure how far training moved a factor, in angle and in length."""
    from .._adapter_file import read_adapter
    from ..analysis import change_from_start

    states = [read_adapter(adapter_folder(path)) for path in (start, adapter)]
    found = change_from_start(*states, factors=(factor,), reference=str(start))
    _hand_out(found, out, plot)


@analyze.command("connectivity")
def run_connectivity(
    runs: RunsArgument,
    grid: Annotated[int, typer.Option(min=3, help="Points from end to end.")] = 11,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score the averages of runs of one recipe with different seeds."""
    from ..analysis import connectivity

    adapters = _read_all(runs)
    scorer = _open(runs[0], rows, task, data, set_)
    folders = [adapter_folder(run) for run in runs]
    steps = [number / (grid - 1) for number in range(grid)]
    with _session("connectivity", runs[0], out, scorer, folders) as session:
        loss = scorer.loss if scorer.has_loss else None
        found = connectivity(
            adapters, scorer.score, loss=loss, grid=steps, **session.options
        )
    _hand_out(found, session.out, plot)


@analyze.command("stability")
def run_stability(
    run: RunArgument,
    by: ByOption = "block",
    draws: Annotated[int, typer.Option(min=2, help="Sets per probability.")] = 32,
    seed: SeedOption = 0,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Score a run with every group of adapters on with probability q."""
    import torch

    from ..analysis import stability

    scorer = _open(run, rows, task, data, set_)
    value, groups = _game(scorer, by, "score")
    with _session("stability", run, out, scorer, [run / "adapter"], "score") as session:
        found = stability(
            value,
            groups,
            draws=draws,
            generator=torch.Generator().manual_seed(seed),
            **session.options,
        )
    _hand_out(found, session.out, plot)


@analyze.command("contribution")
def run_contribution(
    run: RunArgument,
    by: ByOption = "block",
    method: Annotated[
        str | None,
        typer.Option(help="exact, quadrature or antithetic; else by the cost."),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, help="Random sets, n + 1 evaluations each.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="loss: minus the mean loss. score: the task's metric.")
    ] = "loss",
    seed: SeedOption = 0,
    rows: RowsOption = None,
    task: TasksOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Share what a run gained among its layers: Shapley values."""
    import torch

    from .._errors import ConfigError, unknown_name
    from ..analysis import contribution

    if metric not in ("loss", "score"):
        raise ConfigError(unknown_name("metric", metric, ("loss", "score")))
    scorer = _open(run, rows, task, data, set_)
    value, groups = _game(scorer, by, metric)
    folders = [run / "adapter"]
    with _session("contribution", run, out, scorer, folders, metric) as session:
        found = contribution(
            value,
            groups,
            method=method,
            draws=draws,
            generator=torch.Generator().manual_seed(seed),
            **session.options,
        )
    _hand_out(found, session.out, plot)


@analyze.command("conflict")
def run_conflict(
    run: RunArgument,
    factor: FactorOption = "B",
    rows: Annotated[int, typer.Option(min=1, help="Training rows per task.")] = 128,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Compare the gradients of a run's tasks on a factor that they share."""
    from .._errors import ConfigError
    from ..adapters import explain_model
    from ..analysis import conflict
    from ..recipes import open_run
    from ._analyze_scorer import task_gradients

    opened = open_run(run, _overrides(data, set_))
    lines = explain_model(opened.model)
    shared = sorted({line.factor for line in lines if line.owner == "shared"})
    if factor not in ("A", "B") or factor not in shared:
        raise ConfigError(
            f"--factor: must be a factor that the tasks share, got {factor!r}. This "
            f"adapter shares {', '.join(shared) or 'none'}."
        )
    with _bar("gradients") as progress:
        gradients = task_gradients(
            opened.model,
            opened.base,
            opened.tasks,
            factor=factor,
            rows=rows,
            batch_size=opened.recipe.evaluation.batch_size,
            progress=progress,
        )
    _hand_out(conflict(gradients), out or _place(run, "conflict"), plot)


@analyze.command("affinity")
def run_affinity(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Adapters, one per task, from short runs with one seed. Or one recipe "
            "(or run): then gradients at the start are compared, without training."
        ),
    ],
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of the shared pair A, B.")
    ] = None,
    groups: Annotated[
        int | None, typer.Option(min=1, help="How many groups; else by silhouette.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Training rows per task.")] = 128,
    data: DataOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    plot: PlotOption = None,
) -> None:
    """Say which tasks to train together and which to keep apart, with numbers."""
    from ..analysis import affinity, affinity_from_gradients

    found_adapters = _expand([Path(each) for each in what])
    if len(found_adapters) > 1:
        adapters = _read_all(found_adapters)
        found = affinity(adapters, rank=rank, groups=groups)
    else:
        gradients = _gradients_at_start(what[0], rows, _overrides(data, set_))
        found = affinity_from_gradients(gradients, rank=rank, groups=groups)
    _hand_out(found, out, plot)
    for line in found.advice():
        typer.echo(line)


def _gradients_at_start(recipe: str, rows: int, overrides: Sequence[str]) -> Any:
    """Return gradients of B of plain LoRA, whatever the method of the recipe."""
    import torch

    from ..adapters import CoTuneConfig
    from ..recipes import load_recipe_tasks, open_base, read_recipe
    from ..training import adapt
    from ._analyze_scorer import task_gradients

    read = read_recipe(recipe, overrides)
    tasks = load_recipe_tasks(read)
    opened = open_base(read, tasks)
    asked = read.adapter.model_dump()
    shape = ("r", "lora_alpha", "target_modules", "exclude_modules")
    config = CoTuneConfig(method="lora", **{name: asked[name] for name in shape})
    torch.manual_seed(read.training.seed)
    model = adapt(opened.base, config).eval()
    with _bar("gradients") as progress:
        found = task_gradients(
            model,
            opened.base,
            tasks,
            factor="B",
            rows=rows,
            batch_size=read.evaluation.batch_size,
            progress=progress,
        )
    return {
        task: {layer: gradient[0] for layer, gradient in own.items()}
        for task, own in found.items()
    }


class _Session:
    """Where one analysis keeps its evaluations and shows its progress."""

    def __init__(self, out: Path, options: dict[str, Any]) -> None:
        self.out = out
        self.options = options


@contextmanager
def _session(
    name: str,
    run: Path,
    out: Path | None,
    scorer: Scorer,
    folders: Sequence[Path],
    metric: str = "",
) -> Iterator[_Session]:
    from ..analysis import EvaluationCache

    out = out or _place(run, name)
    mark = scorer.fingerprint(folders) + metric
    # The mark is in the name too: other rows or adapters begin a file of their own.
    short = f"{mark[:8]}{'-' if metric else ''}{metric}"
    path = out.with_name(f"{out.stem}.{short}.jsonl")
    cache = EvaluationCache(path, fingerprint=mark)
    if cache.found:
        typer.echo(f"{cache.found} finished evaluations lie in {path}", err=True)
    try:
        with _bar(name) as progress:
            yield _Session(out, {"cache": cache, "progress": progress})
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped with {len(cache)} evaluations in {path}. The same command goes "
            "on from there.",
            err=True,
        )
        raise typer.Exit(130) from None


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def _game(
    scorer: Scorer, by: str, metric: str
) -> tuple[Callable[[frozenset[str]], float], list[str]]:
    """Return the value of a set of groups, and the names of the groups."""
    groups = scorer.groups(by)

    def value(on: frozenset[str]) -> float:
        off = [name for group in groups if group not in on for name in groups[group]]
        return scorer.value(off, metric)

    return value, list(groups)


def _open(
    run: Path,
    rows: int | None,
    tasks: list[str] | None,
    data: Path | None,
    set_: list[str] | None,
) -> Scorer:
    from ..recipes import open_run
    from ._analyze_scorer import Scorer

    return Scorer(open_run(run, _overrides(data, set_)), rows=rows, tasks=tasks)


def _overrides(data: Path | None, set_: list[str] | None) -> tuple[str, ...]:
    root = () if data is None else (f"data.root={data}",)
    return (*root, *(set_ or ()))


def _expand(paths: Sequence[Path]) -> list[Path]:
    """Replace a run that trained every task apart by the runs of its tasks."""
    found: list[Path] = []
    for path in paths:
        apart = sorted(folder.parent for folder in path.glob("*/adapter"))
        whole = (path / "adapter").is_dir() or (path / "adapter_config.json").is_file()
        found += [path] if whole or not apart else apart
    return found


def _read_all(paths: Sequence[Path]) -> dict[str, Adapter]:
    from .._adapter_file import read_adapter
    from .._errors import ConfigError

    paths = _expand(paths)
    short = [
        path.parent.name if path.name == "adapter" else path.name for path in paths
    ]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise ConfigError("analyze: every adapter must be named once, got one twice.")
    return {
        name: read_adapter(adapter_folder(path))
        for name, path in zip(names, paths, strict=True)
    }


def _place(run: Path, name: str) -> Path:
    return run / "analysis" / f"{name}.json"


def _hand_out(
    found: Result, out: Path | None, plot: Path | None, most: int = 40
) -> None:
    """Print a result, and write it where it was asked for."""
    from rich.table import Table

    from .._files import write_text
    from ._show import show

    rows = found.rows()
    left = len(rows) - most
    table = Table(title=found.name, caption=f"and {left} more" if left > 0 else None)
    for column in rows[0]:
        table.add_column(column)
    for row in rows[:most]:
        table.add_row(*map(_text, row.values()))
    show(table)
    summary = found.summary()
    if "matrix" in summary:
        names = [summary[key] for key in ("names", "tasks", "norms") if key in summary]
        names = list(names[0])
        show(_matrix_table(names, summary["matrix"]))
    for name, value in summary.items():
        if isinstance(value, (int, float, str)):
            show(f"{name}: {_text(value)}")
    if out is not None:
        write_text(out, found.to_json() + "\n")
        show(f"The numbers lie in {out}")
    if plot is not None:
        show(f"The picture lies in {found.plot(plot)}")


def _matrix_table(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> Any:
    from rich.table import Table

    table = Table(title="over all layers")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, matrix, strict=True):
        table.add_row(name, *(f"{value:.3f}" for value in row))
    return table


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
