"""The traffic of the Fed-ALoRA paper: Llama-2-7B, q and v, in million numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotune.federated.aggregation import (
    AGGREGATION,
    Cohort,
    Site,
    Traffic,
    count_numbers,
    layer_traffic,
    traffic,
)

LLAMA = {
    f"layers.{block}.{name}": Site(d_in=4096, d_out=4096)
    for block in range(32)
    for name in ("q_proj", "v_proj")
}
RANKS = (64, 64, 32, 32, 16, 16, 8, 8)


def millions(name: str, ranks: tuple[int, ...], **options) -> float:
    """Numbers up and down per client and round, averaged over the clients."""
    method = AGGREGATION[name](**options)
    total = sum(
        traffic(method, LLAMA, rank, Cohort(ranks), itemsize=1).total for rank in ranks
    )
    return total / len(ranks) / 1e6


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("local", 0.0),
        ("fedit", 8.388608),
        ("fedsa", 4.194304),
        ("fed-alora", 4.194304),
        ("ffa", 4.194304),
        ("colora", 8.388608),
        ("feddpa", 8.388608),
    ],
)
def test_equal_ranks_move_what_the_paper_says(name, expected):
    assert millions(name, (8,) * 8) == expected


def test_zero_padding_moves_49_283_million():
    assert millions("zeropad", RANKS) == pytest.approx(49.283072, abs=1e-9)


def test_sending_the_product_moves_8_4_million_and_the_factors_12_1():
    assert millions("fed-alora-any", RANKS) == 8.388608
    factors = millions("fed-alora-any", RANKS, send_factors=True)
    assert factors == pytest.approx(12.089344, abs=1e-9)


def test_methods_that_hand_out_own_ranks_move_the_mean_rank_both_ways():
    for name in ("flexlora", "hetlora"):
        assert millions(name, RANKS) == pytest.approx(2 * 30 * 8192 * 64 / 1e6)


def test_a_stack_grows_with_the_clients():
    up, down = 30 * 8192 * 64 / 1e6, 240 * 8192 * 64 / 1e6
    assert millions("flora", RANKS) == pytest.approx(up + down)


def test_fedex_moves_fedit_and_the_factors_of_the_rest():
    assert millions("fedex", (8,) * 8) == pytest.approx(
        8.388608 + 7 * 8 * 8192 * 64 / 1e6
    )
    assert millions("fedex", (8,)) == 8.388608


@pytest.mark.slow
@given(
    d_in=st.integers(1, 500),
    d_out=st.integers(1, 500),
    ranks=st.lists(st.integers(1, 64), min_size=1, max_size=9),
    width=st.integers(1, 64),
    itemsize=st.sampled_from([2, 4, 8]),
)
def test_bytes_follow_the_table_of_the_spec(d_in, d_out, ranks, width, itemsize):
    r, both = ranks[0], d_in + d_out
    widest, count = max(ranks), len(ranks)
    table = {
        "local": (0, 0),
        "fedit": (r * both, r * both),
        "ffa": (r * d_out, r * d_out),
        "fedsa": (r * d_in, r * d_in),
        "fed-alora": (r * d_out, r * d_out),
        "fed-alora-any": (width * d_out, width * d_out),
        "colora": (r * both, r * both),
        "feddpa": (r * both, r * both),
        "flora": (r * both, sum(ranks) * both),
        "flexlora": (r * both, r * both),
        "hetlora": (r * both, r * both),
        "fedex": (r * both, r * both + (count - 1) * r * both),
        "zeropad": (r * both, widest * both),
    }
    assert set(table) == set(AGGREGATION)
    for name, (up, down) in table.items():
        options = {"width": width} if name == "fed-alora-any" else {}
        got = layer_traffic(
            AGGREGATION[name](**options),
            Site(d_in=d_in, d_out=d_out),
            r,
            Cohort(tuple(ranks)),
            itemsize=itemsize,
        )
        assert got == Traffic(up * itemsize, down * itemsize)


def test_the_widest_client_of_the_federation_counts_even_when_it_is_away():
    method = AGGREGATION["zeropad"]()
    shapes = method.down_shapes(Site(10, 10), 2, Cohort((2, 3), max_rank=8))
    assert count_numbers(shapes) == 8 * 20
