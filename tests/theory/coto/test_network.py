from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cotune.theory.coto._network import (
    BLOCKS,
    Adapters,
    Network,
    draw_adapters,
    draw_network,
    forward,
)


def _trained(seeds: list[int]) -> Adapters:
    """Give the adapters a B that is not 0."""
    generator = torch.Generator().manual_seed(9)
    return draw_adapters(seeds).map(
        lambda t: t + 0.1 * torch.randn(t.shape, generator=generator)
    )


def _explicit(network: Network, adapters: Adapters, x: Tensor, mask: Tensor) -> Tensor:
    """Compute one copy, one block and one linear at a time."""
    h = F.linear(x, network.first[0], network.first_bias[0])
    for b in range(BLOCKS):
        on = 2.0 * mask[b]
        up = network.up[0, b] + on * adapters.up_B[0, b] @ adapters.up_A[0, b]
        down = network.down[0, b] + on * adapters.down_B[0, b] @ adapters.down_A[0, b]
        z = F.layer_norm(h, (48,))
        u = F.gelu(F.linear(z, up, network.up_bias[0, b]))
        h = h + F.linear(u, down, network.down_bias[0, b])
    return F.linear(h, network.last[0], network.last_bias[0])


def test_stacked_copies_equal_the_formula() -> None:
    network, adapters = draw_network([1, 2]), _trained([3, 4])
    x = torch.randn(2, 5, 48)
    mask = torch.tensor([[1.0, 0, 1, 1, 0, 0, 1, 1], [1.0] * 8])
    logits = forward(network, x, adapters, mask)
    for copy in range(2):
        one = network.map(lambda t, copy=copy: t[copy : copy + 1])
        own = adapters.map(lambda t, copy=copy: t[copy : copy + 1])
        expected = _explicit(one, own, x[copy], mask[copy])
        torch.testing.assert_close(logits[copy], expected, atol=1e-5, rtol=1e-5)


def test_no_mask_means_all_on() -> None:
    network, adapters = draw_network([1]), _trained([3])
    x = torch.randn(1, 5, 48)
    on = torch.ones(1, BLOCKS)
    both = forward(network, x, adapters), forward(network, x, adapters, on)
    assert torch.equal(*both)


def test_all_off_and_a_fresh_start_are_the_base_bit_for_bit() -> None:
    network = draw_network([1])
    x = torch.randn(1, 5, 48)
    base = forward(network, x)
    off = torch.zeros(1, BLOCKS)
    assert torch.equal(forward(network, x, _trained([3]), off), base)
    assert torch.equal(forward(network, x, draw_adapters([3])), base)


def test_equal_seeds_give_equal_starts() -> None:
    adapters = draw_adapters([5, 5, 6])
    assert torch.equal(adapters.up_A[0], adapters.up_A[1])
    assert not torch.equal(adapters.up_A[0], adapters.up_A[2])
    assert float(adapters.down_A.abs().max()) <= 96**-0.5
