import pytest

from cotune._errors import ConfigError
from cotune.operators.prune._keep import ROLES, keep


@pytest.mark.parametrize(
    ("modules", "kinds"),
    [
        ("query", {"q_proj"}),
        ("q_proj", {"q_proj"}),
        ("self_attn.v_proj", {"v_proj"}),
        (["query", "value"], {"q_proj", "v_proj"}),
        (("value",), {"v_proj"}),
    ],
)
def test_only_the_named_kinds_stay(adapter, modules, kinds):
    result = keep(adapter(1), modules=modules)
    assert {name.split(".")[-1] for name in result.adapter.layers} == kinds
    assert len(result.adapter.layers) == 2 * len(kinds)


@pytest.mark.parametrize("role", list(ROLES))
def test_a_role_knows_the_names_of_common_models(adapter, role):
    source = adapter(1, blocks=1)
    factors = next(iter(source.layers.values()))
    for name in ROLES[role]:
        layers = {f"layer.0.{name}": factors, "layer.0.other": factors}
        result = keep(source.with_layers(layers), modules=role)
        assert list(result.adapter.layers) == [f"layer.0.{name}"]


def test_a_part_of_a_word_does_not_count(adapter):
    with pytest.raises(ConfigError, match=r"module 'proj'.*Known: q_proj, v_proj"):
        keep(adapter(1), modules="proj")


def test_each_of_several_kinds_must_fit(adapter):
    with pytest.raises(ConfigError, match="Unknown module 'key'"):
        keep(adapter(1), modules=["query", "key"])
