"""Properties over shapes, ranks, bank sizes and dtypes, drawn by hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapters.layers import CORE_NAMES
from adapters.oracle import loop_update, read_bank
from cotune._errors import ConfigError
from cotune.adapters import COUPLINGS, STARTS, CollaborativeLayer, CoTuneConfig
from cotune.adapters._tasks import TaskState
from helpers import fill_factors

TOLERANCE = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.float16: 2e-2,
    torch.bfloat16: 1e-1,
}
EXAMPLES = 60


@dataclass(frozen=True)
class Drawn:
    """A layer of any kind with inputs for it, as hypothesis shrinks it."""

    fields: dict[str, Any]
    d_in: int
    d_out: int
    base: str
    dtype: torch.dtype
    samples: int
    tokens: int
    rows: list[int]
    fast: str
    seed: int

    def layer(self, filled: bool = True) -> CollaborativeLayer:
        """Make the layer, with random factors or as it starts."""
        torch.manual_seed(self.seed)
        base: nn.Module = nn.Linear(self.d_in, self.d_out)
        if self.base == "conv1d":
            base = Conv1D(self.d_out, self.d_in)
        base.requires_grad_(False)
        config = CoTuneConfig(**self.fields)
        layer = CollaborativeLayer(
            base, "default", config, config.r, config.lora_alpha, TaskState()
        )
        if filled:
            fill_factors(layer, self.seed)
        return layer.to(self.dtype).eval()

    def inputs(self) -> Tensor:
        """Make the inputs, (samples, tokens, d_in)."""
        dice = torch.Generator().manual_seed(self.seed)
        x = torch.randn(self.samples, self.tokens, self.d_in, generator=dice)
        return x.to(self.dtype)


def sizes_for(coupling: str) -> st.SearchStrategy[tuple[int | str, int | str]]:
    """Draw (num_A, num_B) that the coupling can connect."""
    n = st.integers(1, 4)
    if coupling == "by-task":
        return st.sampled_from([("tasks", 1), (1, "tasks"), ("tasks", "tasks")])
    if coupling == "shared-and-own":
        return st.just(("tasks", "tasks"))
    if coupling == "task-weights":
        return st.tuples(st.just(1), n)
    if coupling == "router":
        one = st.just(1)
        return st.one_of(st.tuples(n, one), st.tuples(one, n), n.map(lambda k: (k, k)))
    if coupling.startswith("heuristic"):
        return st.tuples(n, n).map(lambda sizes: (min(sizes), max(sizes)))
    return st.tuples(n, n)


@st.composite
def drawn_layers(draw: st.DrawFn, dtypes: Any = tuple(TOLERANCE)) -> Drawn:
    tasks, r = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    coupling = draw(st.sampled_from(list(COUPLINGS)))
    num_A, num_B = draw(sizes_for(coupling))
    most = max(1 + tasks if size == "tasks" else int(size) for size in (num_A, num_B))
    # pissa-split decomposes r * max(M, N) directions.
    least = r * most
    samples = draw(st.integers(1, 3))
    return Drawn(
        fields={
            "coupling": coupling,
            "num_A": num_A,
            "num_B": num_B,
            "core": draw(st.sampled_from(CORE_NAMES)),
            "start": draw(st.sampled_from(list(STARTS))),
            "r": r,
            "lora_alpha": draw(st.integers(1, 9)),
            "use_rslora": draw(st.booleans()),
            "tasks": [f"task {row}" for row in range(tasks)],
        },
        d_in=draw(st.integers(least, least + 7)),
        d_out=draw(st.integers(least, least + 7)),
        base=draw(st.sampled_from(["linear", "conv1d"])),
        dtype=draw(st.sampled_from(dtypes)),
        samples=samples,
        tokens=draw(st.integers(1, 3)),
        rows=draw(
            st.lists(st.integers(0, tasks - 1), min_size=samples, max_size=samples)
        ),
        fast=draw(st.sampled_from(["auto", "off"])),
        seed=draw(st.integers(0, 2**16)),
    )


def base_weight(layer: CollaborativeLayer) -> Tensor:
    base = layer.get_base_layer()
    weight = base.weight.detach().double()
    return weight.T if isinstance(base, Conv1D) else weight


def relative_error(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).norm() / wanted.norm())


@settings(max_examples=EXAMPLES)
@given(drawn_layers())
def test_any_layer_computes_the_formula(drawn: Drawn) -> None:
    layer = drawn.layer()
    layer.specs["default"].config.fast = drawn.fast
    x = drawn.inputs()
    layer.state.current = drawn.rows
    y = layer(x)
    assert y.dtype == drawn.dtype and y.shape == (*x.shape[:-1], drawn.d_out)
    wide = x.double()
    base = wide @ base_weight(layer).T + layer.get_base_layer().bias.double()
    wanted = base + loop_update(read_bank(layer), wide, drawn.rows)
    assert relative_error(y, wanted) <= TOLERANCE[drawn.dtype]


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(drawn_layers(dtypes=[torch.float64, torch.float32]))
def test_any_layer_has_the_same_gradients_both_ways(drawn: Drawn) -> None:
    layer = drawn.layer()
    found = []
    for fast in ("auto", "off"):
        layer.specs["default"].config.fast = fast
        layer.zero_grad(set_to_none=True)
        layer.state.current = drawn.rows
        x = drawn.inputs().requires_grad_(True)
        layer(x).square().sum().backward()
        parameters = [p for p in layer.parameters() if p.requires_grad]
        assert x.grad is not None and all(p.grad is not None for p in parameters)
        found.append([x.grad, *(p.grad for p in parameters)])
    largest = max(float(grad.abs().max()) for grad in found[0])
    for mine, theirs in zip(*found, strict=True):
        # Some gradients are sums that cancel: measured against the largest of all.
        assert float((mine - theirs).abs().max()) <= TOLERANCE[drawn.dtype] * largest


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(drawn_layers(dtypes=[torch.float32]))
def test_any_layer_merges_and_comes_apart_or_says_why_not(drawn: Drawn) -> None:
    layer = drawn.layer()
    x = drawn.inputs()
    before = layer.get_base_layer().weight.detach().clone()
    with layer.state.pin(f"task {drawn.rows[0]}"):
        wanted = layer(x)
        if layer.specs["default"].coupling.can_merge:
            layer.merge(safe_merge=True)
            assert relative_error(layer(x), wanted) <= 1e-5
            layer.unmerge()
        else:
            try:
                layer.merge()
            except ConfigError as error:
                assert "cannot be merged" in str(error)
            else:
                raise AssertionError("a routed layer was merged")
        assert torch.equal(layer.get_base_layer().weight, before)
        assert torch.equal(layer(x), wanted)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(drawn_layers(dtypes=[torch.float64]))
def test_a_mixed_batch_of_any_layer_is_its_samples_one_by_one(drawn: Drawn) -> None:
    layer = drawn.layer()
    x = drawn.inputs()
    layer.state.current = drawn.rows
    together = layer(x)
    for row, task in enumerate(drawn.rows):
        layer.state.current = [task]
        alone = layer(x[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone)
    layer.state.current = [row for row in drawn.rows for _ in range(2)]
    doubled = layer(x.repeat_interleave(2, dim=0))
    torch.testing.assert_close(doubled[::2], together)


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(drawn_layers(dtypes=[torch.float32]))
def test_any_new_layer_is_its_base_layer(drawn: Drawn) -> None:
    layer = drawn.layer(filled=False)
    layer.state.current = drawn.rows
    x = drawn.inputs()
    for training in (True, False):
        layer.train(training)
        assert relative_error(layer(x), layer.base_layer(x)) <= 1e-6
