import json

import pytest

from cotune._errors import ConfigError
from cotune.federated._explain import explain
from cotune.federated.aggregation import AGGREGATION, Cohort, Site, Traffic, traffic

LLAMA = {f"{i}.{name}": Site(4096, 4096) for i in range(32) for name in "qv"}
SMALL = {"q": Site(d_in=12, d_out=10), "v": Site(d_in=12, d_out=7)}
MIXED = [64, 64, 32, 32, 16, 16, 8, 8]


def find(name, ranks, sites=SMALL, **options):
    return explain(AGGREGATION[name](), sites, ranks, **{"rounds": 3, **options})


@pytest.mark.parametrize(
    ("name", "ranks", "millions"),
    [
        ("fedit", [8] * 8, 8.388608),
        ("fedsa", [8] * 8, 4.194304),
        ("fed-alora", [8] * 8, 4.194304),
        ("zeropad", MIXED, 49.283072),
        ("fed-alora-any", MIXED, 8.388608),
    ],
)
def test_the_numbers_of_the_papers_for_llama_2_7b_come_out(name, ranks, millions):
    found = find(name, ranks, LLAMA)
    assert found.later.total / 4 / len(ranks) == millions * 1e6


@pytest.mark.parametrize("name", AGGREGATION)
def test_arrays_add_up_to_the_bytes_of_the_round(name):
    method = AGGREGATION[name]()
    ranks = [4, 4, 4] if method.equal_ranks else [2, 4, 4]
    found = find(name, ranks)
    for way in ("up", "down"):
        listed = sum(
            array.nbytes * found.clients[array.rank]
            for array in found.arrays
            if array.way == way
        )
        assert listed == getattr(found.later, way)


@pytest.mark.parametrize("name", AGGREGATION)
def test_only_shared_roles_go_up(name):
    found = find(name, [4, 4])
    method = AGGREGATION[name]()
    assert {array.role for array in found.arrays if array.way == "up"} == set(
        method.sent
    )
    assert not {array.role for array in found.arrays} & set(method.private)
    assert found.private == method.private
    assert found.frozen == method.frozen


def test_local_training_sends_nothing():
    found = find("local", [4, 2])
    assert found.arrays == ()
    assert found.total == Traffic(0, 0)
    assert len(found.rows()) == 1


@pytest.mark.parametrize("name", ["flora", "fedex"])
def test_there_is_nothing_to_stack_before_the_first_round(name):
    found = find(name, [4, 4, 4])
    assert found.first.up == found.later.up
    assert found.first.down < found.later.down
    assert found.total.down == found.first.down + 2 * found.later.down


def test_what_a_run_sends_is_the_sum_of_its_rounds():
    found = find("fedit", [4, 4, 4], rounds=7)
    one = traffic(AGGREGATION["fedit"](), SMALL, 4, Cohort((4,) * 3))
    assert found.later == found.first == Traffic(3 * one.up, 3 * one.down)
    assert found.total == Traffic(21 * one.up, 21 * one.down)


def test_fewer_clients_per_round_send_less():
    whole, part = find("fedit", [4] * 10), find("fedit", [4] * 10, per_round=2)
    assert part.later.up == whole.later.up / 5
    stacked = find("flora", [8, 4, 2, 2], per_round=2)
    down = [array.shape for array in stacked.arrays if array.way == "down"]
    assert down[0] == (8 + 4, 12)


@pytest.mark.parametrize(("dtype", "size"), [("float16", 2), ("float64", 8)])
def test_the_dtype_decides_the_bytes(dtype, size):
    found = find("fedit", [4], dtype=dtype)
    assert found.later.up * 4 == find("fedit", [4]).later.up * size
    assert {array.dtype for array in found.arrays} == {dtype}


@pytest.mark.parametrize("name", AGGREGATION)
def test_the_result_is_json_and_a_table(name):
    found = find(name, [4, 4])
    content = json.loads(json.dumps(found.to_json()))
    assert content["bytes"]["run"] == {"up": found.total.up, "down": found.total.down}
    assert {tool["name"] for tool in content["privacy"]} == {
        "client-level",
        "local",
        "secure-aggregation",
    }
    heading, *lines = found.rows()
    assert len(lines) == len(found.arrays) == len(content["arrays"])
    assert {len(line) for line in lines} <= {len(heading)}


@pytest.mark.parametrize(
    "bad",
    [
        {"ranks": []},
        {"rounds": 0},
        {"per_round": 0},
        {"per_round": 3},
        {"ranks": [4, 2]},
        {"dtype": "bfloat16"},
    ],
)
def test_a_federation_that_cannot_be_is_refused(bad):
    with pytest.raises(ConfigError, match="explain"):
        find("fedit", **{"ranks": [4, 4], **bad})
