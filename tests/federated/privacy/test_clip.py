import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cotune.federated.aggregation import Packet
from cotune.federated.privacy import clip_update, update_norm


def packet(*values: float, role: str = "B") -> Packet:
    layers = {f"l{i}": {role: torch.full((2, 2), v)} for i, v in enumerate(values)}
    return Packet(layers, 2.0)


def test_the_length_is_that_of_all_tensors_together():
    # Two tensors of four numbers: sqrt(4 x 3^2 + 4 x 4^2).
    assert update_norm(packet(4.0, 5.0), packet(1.0, 1.0)) == pytest.approx(10.0)


def test_a_long_update_is_shortened_to_the_bound_in_its_direction():
    state = packet(1.0, 1.0)
    found = clip_update(packet(4.0, 5.0), state, 5.0)
    assert found.norm == pytest.approx(10.0)
    assert found.factor == pytest.approx(0.5, rel=1e-5)
    assert torch.allclose(found.packet.layers["l0"]["B"], torch.tensor(2.5))
    assert torch.allclose(found.packet.layers["l1"]["B"], torch.tensor(3.0))
    assert found.packet.scale == 2.0


def test_a_short_update_is_the_one_that_came():
    sent = packet(4.0, 5.0)
    assert clip_update(sent, packet(1.0, 1.0), 10.0).packet is sent


def test_an_update_of_length_zero_stays():
    sent = packet(1.0)
    found = clip_update(sent, packet(1.0), 0.1)
    assert found.packet is sent
    assert (found.norm, found.factor) == (0.0, 1.0)


def test_a_role_that_the_state_lacks_is_an_update_as_it_is():
    state = Packet({"l0": {"B0": torch.full((2, 2), 9.0)}}, 2.0)
    found = clip_update(packet(3.0, role="dB"), state, 3.0)
    assert found.norm == pytest.approx(6.0)
    assert torch.allclose(found.packet.layers["l0"]["dB"], torch.tensor(1.5))


@given(
    size=st.integers(1, 500),
    spread=st.sampled_from([1e-6, 1.0, 1e4]),
    around=st.sampled_from([0.0, 1.0, 1e3]),
    bound=st.sampled_from([1e-3, 1.0, 50.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 50),
)
def test_no_clipped_update_is_longer_than_the_bound(
    size, spread, around, bound, dtype, seed
):
    draw = torch.Generator().manual_seed(seed)
    first = (torch.randn(1, size, generator=draw) * around).to(dtype)
    last = (torch.randn(1, size, generator=draw) * spread).to(dtype)
    state, sent = Packet({"q": {"A": first}}), Packet({"q": {"A": last}})
    found = clip_update(sent, state, bound)
    assert update_norm(found.packet, state) <= bound
    assert found.packet.layers["q"]["A"].dtype == dtype


def test_a_clipped_update_is_hardly_shorter_than_the_bound():
    draw = torch.Generator().manual_seed(0)
    state = Packet({"q": {"A": torch.randn(100, 100, generator=draw)}})
    sent = Packet({"q": {"A": torch.randn(100, 100, generator=draw)}})
    found = clip_update(sent, state, 1.0)
    # The state is 100 long: rounding it to float32 can add 1.2e-5.
    assert update_norm(found.packet, state) == pytest.approx(1.0, abs=2e-5)


def test_inputs_are_not_changed():
    sent, state = packet(4.0), packet(1.0)
    clip_update(sent, state, 0.5)
    assert torch.equal(sent.layers["l0"]["B"], torch.full((2, 2), 4.0))
    assert torch.equal(state.layers["l0"]["B"], torch.full((2, 2), 1.0))
