"""Scores by lm-evaluation-harness on a local task file."""

import importlib.util
import json

import pytest
import torch

from cotune import ALoRAConfig
from cotune._errors import ConfigError
from cotune.training import adapt, build_harness_model

NAMES = ["plain", "flipped"]
NEEDS = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed"
)


@pytest.fixture
def adapted(load_kind):
    """Return a base and a by-task adapter that changes the answers."""
    base = load_kind()
    config = ALoRAConfig(
        r=4,
        lora_alpha=64,
        coupling="by-task",
        tasks=NAMES,
        target_modules="all-linear",
        init_weights=False,
    )
    torch.manual_seed(0)
    return base, adapt(base, config).eval()


def write_task(folder, name, rows):
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(dict(row)) + "\n" for row in rows))
    (folder / f"{name}.yaml").write_text(
        f"""task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
target_delimiter: "\\n"
doc_to_choice: "{{{{options}}}}"
doc_to_target: "{{{{options.index(answer)}}}}"
metric_list:
  - metric: acc
"""
    )


@NEEDS
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_harness_agrees_with_our_own_scores_task_by_task(adapted, tasks, tmp_path):
    import lm_eval
    from lm_eval.tasks import TaskManager

    from cotune.training import choose_parts, score_tasks

    base, model = adapted
    for task in tasks:
        write_task(tmp_path, f"local_{task.name}", task.test)
    found = lm_eval.simple_evaluate(
        build_harness_model(
            model, base, tasks={f"local_{name}": name for name in NAMES}, batch_size=4
        ),
        tasks=[f"local_{name}" for name in NAMES],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )["results"]
    ours = score_tasks(model, base, tasks, choose_parts(tasks))
    theirs = {name: found[f"local_{name}"]["acc,none"] for name in NAMES}
    assert theirs == pytest.approx(ours)


@NEEDS
@pytest.mark.filterwarnings("ignore")
def test_one_task_can_stand_for_all_requests(adapted):
    from lm_eval.api.instance import Instance

    from cotune import use_tasks

    base, model = adapted
    requests = [
        Instance("loglikelihood", {}, ("abc\n", " yes"), 0, ("x", 0, 1)),
        Instance("loglikelihood", {}, ("abd\n", " no"), 1, ("y", 0, 1)),
    ]
    found = build_harness_model(model, base, tasks="flipped").loglikelihood(requests)
    with use_tasks(model, "flipped"):
        plain = build_harness_model(model, base).loglikelihood(requests)
    assert found == plain
    other = build_harness_model(model, base, tasks="plain").loglikelihood(requests)
    assert found != other
    mixed = build_harness_model(model, base, tasks={"x": "plain", "y": "flipped"})
    assert mixed.loglikelihood(requests) == [other[0], found[1]]


@NEEDS
def test_what_does_not_fit_is_refused(adapted, load_kind):
    base, model = adapted
    with pytest.raises(ConfigError, match="Did you mean plain"):
        build_harness_model(model, base, tasks="plane")
    plain = load_kind()
    with pytest.raises(ConfigError, match="need a model with a cotune adapter"):
        build_harness_model(plain.model, plain, tasks="plain")
    encoder = load_kind("embedding")
    with pytest.raises(ConfigError, match="must be of kind causal, got embedding"):
        build_harness_model(encoder.model, encoder)


def test_a_missing_harness_names_the_extra(adapted, monkeypatch):
    base, model = adapted
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "cotune\[harness\]"'):
        build_harness_model(model, base)
