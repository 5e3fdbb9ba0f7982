"""Run folders with every file that a report reads, written by those who write them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

TASKS = ("sentiment-1", "toxicity-2")
LAYERS = ("model.layers.0.q", "model.layers.1.q")

MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    """Return task names -> a finished run folder, filled as tests ask for them."""
    return {}


@pytest.fixture
def make_run(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    templates: dict[tuple[str, ...], Path],
) -> MakeRun:
    """Return a function that writes a run folder of two tasks."""

    def make(name: str = "first", *, tasks: tuple[str, ...] = TASKS) -> Path:
        if tasks not in templates:
            templates[tasks] = tmp_path_factory.mktemp("template")
            _fill(templates[tasks], tasks)
        return Path(shutil.copytree(templates[tasks], tmp_path / name))

    return make


def _fill(folder: Path, tasks: tuple[str, ...]) -> None:
    _write_told(folder, tasks)
    _write_history(folder, tasks)
    _write_scores(folder, tasks)
    _write_schedule(folder)
    _write_adapter(folder / "adapter", tasks)
    _write_comparison(folder, tasks)
    _write_rounds(folder)
    _write_analyses(folder / "analysis", tasks)


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _write_told(folder: Path, tasks: tuple[str, ...]) -> None:
    recipe = {
        "description": "Two small tasks.",
        "base": {"name": "tiny"},
        "data": {"root": "/home/someone/secret/data"},
        "adapter": {"method": "alora", "r": 2},
        "separate": False,
        "schedule": {"name": "coto"},
        "training": {
            "learning_rate": 1e-3,
            "per_device_train_batch_size": 4,
            "seed": 3,
        },
        "versions": {"cotune": "0.1.0", "torch": "2.13.0"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    told = {"base": {"name": "tiny"}, "adapter": {"method": "alora", "r": 2}}
    rows = {task: {"name": task, "rows": 100} for task in tasks}
    _write(folder / "settings.json", {**told, "tasks": rows})


def _write_history(folder: Path, tasks: tuple[str, ...]) -> None:
    history: list[dict[str, float]] = []
    for step in (5, 10, 15):
        entry = {
            "step": step,
            "loss": 2.0 / step,
            "learning_rate": 1e-3,
            "grad_norm": 1,
        }
        for place, task in enumerate(tasks):
            entry[f"router/{task}/expert_0"] = 0.25 + place / 8
            entry[f"router/{task}/expert_1"] = 0.75 - place / 8
            entry[f"router/{task}/entropy"] = 0.6 - step / 100
        scores = {f"eval_{task}_accuracy": step / 20 for task in tasks}
        means = {"eval_mean_accuracy": step / 20, "eval_worst_accuracy": step / 25}
        history += [entry, {"step": step, "eval_loss": 1.5 / step, **scores, **means}]
    history.append({"step": 15, "train_runtime": 12.5, "train_loss": 0.2})
    _write(folder / "log_history.json", history)


def _write_scores(folder: Path, tasks: tuple[str, ...]) -> None:
    from cotune.training import Evaluation, TaskScore

    scores = [
        TaskScore(task, "accuracy", True, "test", 50, 0.5 + place / 10, 0.8125, 0.75)
        for place, task in enumerate(tasks)
    ]
    Evaluation(tuple(scores)).save(folder / "metrics.json")


def _write_schedule(folder: Path) -> None:
    from cotune.schedules import ActivationRecord

    share = {"model.layers.0": (0.25, 1.0), "model.layers.1": (0.5, 1.0)}
    settings = {"name": "coto"}
    record = ActivationRecord(settings, 8, (0, 4), (4, 4), (0.3, 1.0), share)
    record.save(folder / "schedule.json")


def _write_adapter(folder: Path, tasks: tuple[str, ...]) -> None:
    from cotune._adapter_file import write_adapter

    write_adapter(_adapter(tasks, seed=0), folder)


def _adapter(tasks: tuple[str, ...], seed: int):
    import torch

    from cotune._adapter import Adapter, Factors

    draw = torch.Generator().manual_seed(seed)
    config = {"peft_type": "COTUNE", "r": 2, "lora_alpha": 4, "tasks": list(tasks)}
    layers = {
        layer: Factors(
            A=torch.randn(len(tasks), 2, 6, generator=draw),
            B=torch.randn(1, 5, 2, generator=draw),
            scale=2.0,
        )
        for layer in LAYERS
    }
    return Adapter(layers, config, tasks)


def _write_comparison(folder: Path, tasks: tuple[str, ...]) -> None:
    from cotune.recipes import Cell, Comparison

    def rows(score: float) -> dict[str, list[float]]:
        return {task: [score, score] for task in tasks}

    cells = tuple(
        Cell(
            arm=arm,
            learning_rate=rate,
            seed=seed,
            validation=0.5 + rate + seed / 100,
            parameters=1000,
            seconds=3.5,
            folder=str(folder),
            rows=rows(0.6 + seed / 10 + rate) if rate == 0.01 else {},
        )
        for arm in ("LoRA", "ALoRA")
        for rate in (0.001, 0.01)
        for seed in (0, 1)
    )
    found = Comparison(cells, rows(0.5), "accuracy", True, folder)
    found.save(folder / "comparison.json")


def _write_rounds(folder: Path) -> None:
    client = {"up": 400, "down": 300, "score_after_aggregation": 0.5}
    other = {"up": 500, "down": 300, "score_after_aggregation": 0.75}
    rounds = [
        {"round": number, "clients": {"anna": client, "ben": other}, "dropped": {}}
        for number in (1, 2)
    ]
    rounds[1]["dropped"] = {"carl": "not finite"}
    _write(folder / "rounds.json", rounds)


def _write_analyses(folder: Path, tasks: tuple[str, ...]) -> None:
    import torch

    from cotune import analysis

    folder.mkdir(parents=True, exist_ok=True)
    pair = {"one": _adapter(("t",), 0), "two": _adapter(("t",), 1)}

    def measure(adapter) -> float:
        return 1 / (1 + float(sum(f.B.norm() for f in adapter.layers.values())))

    def value(active) -> float:
        return len(active) ** 0.5

    gradients = {
        task: {layer: torch.tensor([1.0, place]) for layer in LAYERS}
        for place, task in enumerate(tasks)
    }
    results = [
        analysis.connectivity(pair, measure, loss=measure),
        analysis.similarity(pair, factor="B"),
        analysis.stability(value, LAYERS),
        analysis.contribution(value, LAYERS),
        analysis.change_from_start(*pair.values()),
        analysis.fusion_gap(list(pair.values())),
        analysis.conflict(gradients),
        analysis.affinity(pair),
        analysis.sharing(pair),
        analysis.pruning(pair["one"], measure, base=lambda: 0.25),
        analysis.merging(pair, lambda task, found: measure(found)),
    ]
    for result in results:
        (folder / f"{result.name}.json").write_text(result.to_json(), encoding="utf-8")
    rows = [{"operator": "other", "score": 0.5625}]
    _write(folder / "own.json", {"analysis": "own", "summary": {}, "rows": rows})
