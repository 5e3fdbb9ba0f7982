import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data._partition import PARTITIONS, PartitionSpec, partition

ALPHA = {"iid": {}, "dirichlet": {"alpha": 0.3}, "quantity": {"alpha": 0.3}}


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def labels(rows, kinds=4):
    return [f"label {row % kinds}" for row in range(rows)]


def split(name, rows=400, clients=5, seed=0, **options):
    return partition(labels(rows), clients, name=name, generator=draw(seed), **options)


@pytest.mark.parametrize("name", PARTITIONS)
@given(
    clients=st.integers(1, 8),
    least=st.integers(1, 6),
    spare=st.integers(0, 60),
    kinds=st.integers(1, 7),
    alpha=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_parts_are_disjoint_cover_all_rows_and_are_large_enough(
    name, clients, least, spare, kinds, alpha, seed
):
    rows = clients * least + spare
    options = {"alpha": alpha} if ALPHA[name] else {}
    found = partition(
        labels(rows, kinds),
        clients,
        name=name,
        min_rows=least,
        generator=draw(seed),
        **options,
    )
    assert sorted(row for part in found.rows for row in part) == list(range(rows))
    assert len(found.rows) == clients
    assert min(found.sizes) >= least
    assert all(list(part) == sorted(part) for part in found.rows)
    assert [sum(counts.values()) for counts in found.labels] == found.sizes
    assert 0 <= found.label_skew <= 1
    assert 1 <= found.size_skew <= clients


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_generator_alone_decides(name):
    one = split(name, seed=1, **ALPHA[name])
    torch.randn(3)
    assert split(name, seed=1, **ALPHA[name]) == one
    assert split(name, seed=2, **ALPHA[name]) != one


def test_iid_parts_differ_by_one_row_at_most():
    assert sorted(split("iid", rows=13).sizes) == [2, 2, 3, 3, 3]


def test_a_small_alpha_skews_labels_and_a_large_one_does_not():
    small = split("dirichlet", rows=4000, alpha=0.05)
    large = split("dirichlet", rows=4000, alpha=1000.0)
    assert small.label_skew > 0.5
    assert large.label_skew < 0.05


def test_quantity_skew_leaves_the_labels_alone():
    found = split("quantity", rows=8000, alpha=0.3, min_rows=300)
    assert found.size_skew > 1.5
    assert found.label_skew < 0.05


def test_statistics_of_a_split_by_hand():
    found = partition(["a", "a", "a", "b"], 1, generator=draw())
    assert found.labels == ({"a": 3, "b": 1},)
    assert found.label_skew == 0
    assert found.to_json() == {
        "sizes": [4],
        "labels": [{"a": 3, "b": 1}],
        "label_skew": 0.0,
        "size_skew": 1.0,
    }


def test_label_skew_is_the_mean_total_variation_distance():
    from cotune.data._partition import Partition

    apart = Partition(((0, 1), (2, 3)), ({"a": 2, "b": 0}, {"a": 0, "b": 2}))
    assert apart.label_skew == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rows", "clients", "least"),
    [(0, 1, 1), (5, 6, 1), (5, 2, 3), (5, 0, 1), (5, 2, 0)],
)
def test_too_few_rows_or_no_clients_are_refused(rows, clients, least):
    with pytest.raises(ConfigError, match="partition"):
        partition(labels(rows), clients, min_rows=least, generator=draw())


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="alpha must be above 0"):
        split("dirichlet", alpha=alpha)


def test_an_unknown_way_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean dirichlet"):
        split("dirichlett")


def test_the_section_of_a_recipe_splits_as_the_function_does():
    spec = PartitionSpec(name="dirichlet", alpha=0.3, min_rows=2)
    expected = split("dirichlet", min_rows=2, alpha=0.3)
    assert spec.split(labels(400), 5, draw()) == expected
    assert PartitionSpec().split(labels(9), 2, draw()).sizes == [5, 4]


def test_an_option_is_refused_beside_the_name_of_a_way_without_it():
    with pytest.raises(ValidationError, match="alpha goes with name: dirichlet or qu"):
        PartitionSpec(name="iid", alpha=1.0)


@pytest.mark.parametrize(
    "section",
    [{"name": "iid", "alpha": 1.0}, {"alpha": 0}, {"min_rows": 0}, {"name": "x"}],
)
def test_a_section_that_makes_no_sense_is_refused(section):
    with pytest.raises(ValidationError):
        PartitionSpec(**{"name": "dirichlet", **section})
