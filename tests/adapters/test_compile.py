"""torch.compile: one graph, the same numbers, and no recompilation per batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.models import methods
from helpers import run_python

# The run-time type checks of the tests are Python that dynamo would trace as well, so
# compiled models run in a process without them.
PREAMBLE = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import peft, torch
import torch._dynamo as dynamo
from adapters.models import PER_TASK, adapted, config_of, methods
from helpers import fill_factors, tiny_batch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

def call(method):
    return {"tasks": ["law", "art", "law", "bio"]} if method in PER_TASK else {}

def small_net(method, **changes):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5))
    fields = {"target_modules": ["0", "2"], "task_type": None, **changes}
    model = peft.get_peft_model(net, config_of(method, "llama", **fields))
    fill_factors(model)
    return model

def error(got, wanted):
    return float((got - wanted).detach().norm() / wanted.detach().norm())
"""

NO_BREAKS = """
found = {}
x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))
for method in methods():
    dynamo.reset()
    model = small_net(method).train()
    plain = model(x, **call(method))
    plain.square().sum().backward()
    wanted = [p.grad.clone() for p in model.parameters() if p.requires_grad]
    model.zero_grad(set_to_none=True)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    output = compiled(x, **call(method))
    output.square().sum().backward()
    got = [p.grad for p in model.parameters() if p.requires_grad]
    found[method] = max([error(output, plain), *map(error, got, wanted)])
for method in ("cola", "dual"):
    dynamo.reset()
    model = adapted(method, model={"num_hidden_layers": 1}).train()
    told = dynamo.explain(model)(**tiny_batch("llama"), **call(method))
    found["whole " + method] = [told.graph_count, told.graph_break_count]
print(json.dumps(found))
"""

NO_RECOMPILATION = """
def graphs_and_errors(model, tasks):
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(model, backend=counter)
    errors, values = [], []
    for seed in range(5):
        x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))
        rows = torch.randint(3, (4,), generator=torch.Generator().manual_seed(seed))
        kwargs = {"tasks": rows} if tasks else {}
        torch.manual_seed(seed)
        plain = model(x, **kwargs)
        torch.manual_seed(seed)
        errors.append(error(compiled(x, **kwargs), plain))
        values.append(float(plain.sum()))
    return [counter.frame_count, max(errors), len(set(values)) > 1]

fields = {"coupling": "random", "num_A": 3, "num_B": 3, "start": "kaiming"}
random = small_net("cola", **fields).train()
print(json.dumps({
    "tasks": graphs_and_errors(small_net("dual"), tasks=True),
    "random": graphs_and_errors(random, tasks=False),
}))
"""

CHECKPOINTED_BLOCKS = """
def gradients(model):
    loss = model(**tiny_batch("llama"), tasks=["law", "art", "law", "bio"]).loss
    loss.backward()
    return [p.grad for p in model.parameters() if p.requires_grad]

def one_block():
    fields = {"default_task": "art", "model": {"num_hidden_layers": 1}}
    return adapted("dual", **fields).train()

wanted = gradients(one_block())
found = {}
for reentrant in (False, True):
    model = one_block()
    how = {"use_reentrant": reentrant}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
    model.enable_input_require_grads()
    model.get_base_model().model.layers[0].self_attn.compile(backend="aot_eager")
    found[str(reentrant)] = max(map(error, gradients(model), wanted))
print(json.dumps(found))
"""


def run(code: str) -> Any:
    tests = str(Path(__file__).parents[1])
    return run_python(PREAMBLE + code, tests, COTUNE_CHECK_TYPES="0")


@pytest.mark.slow
def test_any_method_compiles_without_breaks_to_the_same_numbers() -> None:
    found = run(NO_BREAKS)
    assert found.pop("whole cola") == found.pop("whole dual") == [1, 0]
    assert list(found) == methods() and max(found.values()) <= 1e-5, found


@pytest.mark.slow
def test_other_tasks_and_other_draws_do_not_compile_again() -> None:
    found = run(NO_RECOMPILATION)
    for graphs, largest_error, different in found.values():
        assert graphs == 1 and largest_error <= 1e-6 and different
    assert list(found) == ["tasks", "random"]


@pytest.mark.slow
def test_compiled_blocks_are_recomputed_for_the_tasks_of_their_forward() -> None:
    found = run(CHECKPOINTED_BLOCKS)
    assert set(found) == {"False", "True"} and max(found.values()) <= 1e-5
