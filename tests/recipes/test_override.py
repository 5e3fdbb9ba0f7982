import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotune.recipes import override

KEYS = st.text(alphabet="abc_", min_size=1, max_size=5)


def test_later_changes_win_and_the_input_stays_as_it_is() -> None:
    before = {"adapter": {"r": 8}, "data": {"tasks": [{"name": "a"}, {"name": "b"}]}}
    changes = ["adapter.r=4", "adapter.r=2", "data.tasks.1.name=c", "training.seed=1"]
    after = override(before, changes)
    assert after["adapter"] == {"r": 2}
    assert after["data"]["tasks"] == [{"name": "a"}, {"name": "c"}]
    assert after["training"] == {"seed": 1}
    assert before["adapter"] == {"r": 8}
    assert before["data"]["tasks"][1] == {"name": "b"}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("", None),
        ("null", None),
        ("a=b", "a=b"),
        ("[q, v]", ["q", "v"]),
        ("1e-3", 0.001),
    ],
)
def test_the_value_is_yaml(raw, value) -> None:
    assert override({}, [f"a.b={raw}"]) == {"a": {"b": value}}


def test_a_section_that_is_left_out_or_null_is_made() -> None:
    assert override({"a": None}, ["a.b.c=1"]) == {"a": {"b": {"c": 1}}}


@given(path=st.lists(KEYS, min_size=1, max_size=4), value=st.integers())
def test_what_is_set_is_found_at_its_path(path, value) -> None:
    found = override({}, [f"{'.'.join(path)}={value}"])
    for step in path:
        found = found[step]
    assert found == value
