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

ONE_GRAPH = """
found = {}
for method in methods():
    dynamo.reset()
    model = adapted(method, model={"num_hidden_layers": 1}).train()
    told = dynamo.explain(model)(**tiny_batch("llama"), **call(method))
    found[method] = [told.graph_count, told.graph_break_count]
print(json.dumps(found))
"""

SAME_NUMBERS = """
found = {}
x = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))
for method in methods():
    dynamo.reset()
    model = small_net(method).train()
    plain = model(x, **call(method))
    plain.square().sum().backward()
    wanted = [p.grad.clone() for p in model.parameters() if p.requires_grad]
    model.zero_grad(set_to_none=True)
    compiled = torch.compile(model, backend="aot_eager")(x, **call(method))
    compiled.square().sum().backward()
    got = [p.grad for p in model.parameters() if p.requires_grad]
    found[method] = max([error(compiled, plain), *map(error, got, wanted)])
print(json.dumps(found))
"""

NO_RECOMPILATION = """
counter = CompileCounterWithBackend("eager")
model = small_net("dual")
compiled = torch.compile(model, backend=counter)
errors = []
for seed in range(4):
    torch.manual_seed(seed)
    x, rows = torch.randn(4, 3, 6), torch.randint(3, (4,))
    errors.append(error(compiled(x, tasks=rows), model(x, tasks=rows)))
print(json.dumps([counter.frame_count, errors]))
"""

RANDOM = """
counter = CompileCounterWithBackend("eager")
fields = {"coupling": "random", "num_A": 3, "num_B": 3, "start": "kaiming"}
model = small_net("cola", **fields).train()
compiled = torch.compile(model, backend=counter)
errors, values = [], []
x = torch.randn(4, 3, 6)
for seed in range(6):
    torch.manual_seed(seed)
    plain = model(x)
    torch.manual_seed(seed)
    errors.append(error(compiled(x), plain))
    values.append(float(plain[0, 0, 0]))
print(json.dumps([counter.frame_count, errors, len(set(values))]))
"""


def run(code: str) -> Any:
    tests = str(Path(__file__).parents[1])
    return run_python(PREAMBLE + code, tests, COTUNE_CHECK_TYPES="0")


@pytest.mark.slow
def test_a_model_with_any_method_is_one_graph_without_breaks() -> None:
    assert run(ONE_GRAPH) == {method: [1, 0] for method in methods()}


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_output_and_gradients() -> None:
    found = run(SAME_NUMBERS)
    assert list(found) == methods() and max(found.values()) <= 1e-5, found


@pytest.mark.slow
def test_other_tasks_in_a_tensor_do_not_compile_again() -> None:
    graphs, errors = run(NO_RECOMPILATION)
    assert graphs == 1 and max(errors) <= 1e-6


@pytest.mark.slow
def test_a_compiled_random_coupling_draws_anew_without_compiling_again() -> None:
    graphs, errors, different = run(RANDOM)
    assert graphs == 1 and max(errors) <= 1e-6 and different > 1
