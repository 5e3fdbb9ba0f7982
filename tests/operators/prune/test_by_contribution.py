import pytest

from cotune._errors import ConfigError
from cotune.operators.prune._by_contribution import by_contribution


def scored(adapter, values):
    return dict(zip(adapter.layers, values, strict=True))


def test_the_layers_of_least_score_go(adapter):
    source = adapter(1)
    names = list(source.layers)
    result = by_contribution(source, scores=scored(source, [3.0, -1.0, 2.0, 0.5]))
    assert result.removed == (names[1], names[3])


@pytest.mark.parametrize(("drop", "left"), [(0.0, 4), (0.25, 3), (0.4, 2), (0.75, 1)])
def test_the_share_is_rounded_to_layers(adapter, drop, left):
    source = adapter(1)
    result = by_contribution(source, scores=scored(source, [1.0, 2, 3, 4]), drop=drop)
    assert list(result.adapter.layers) == list(source.layers)[4 - left :]


def test_of_equal_scores_the_later_go_first(adapter):
    source = adapter(1)
    result = by_contribution(source, scores=scored(source, [1.0] * 4))
    assert list(result.adapter.layers) == list(source.layers)[:2]


def test_a_block_can_have_one_score_and_a_layer_of_it_its_own(adapter):
    source = adapter(1, blocks=3)
    own = "model.layers.1.self_attn.v_proj"
    scores = {"model.layers.0": 1.0, "model.layers.1": 0.0, own: 5.0, "model": 2.0}
    result = by_contribution(source, scores=scores, drop=0.5)
    assert list(result.adapter.layers) == [
        own,
        "model.layers.2.self_attn.q_proj",
        "model.layers.2.self_attn.v_proj",
    ]


def test_block_1_is_not_the_start_of_block_10(adapter):
    source = adapter(1, blocks=11)
    scores = {f"model.layers.{block}": float(block) for block in range(11)}
    scores["model.layers.1"] = -1.0
    result = by_contribution(source, scores=scores, drop=1 / 11)
    assert {name.split(".")[2] for name in result.removed} == {"1"}


@pytest.mark.parametrize(
    ("scores", "drop", "message"),
    [
        ({"model.layers.0": 1.0}, 0.5, "every layer needs a score, got none for"),
        ({"model": 1.0, "modle": 2.0}, 0.5, "got 'modle': 2.0"),
        ({"model": float("nan")}, 0.5, "got 'model': nan"),
        ({"model": 1.0}, 1.0, r"drop must be in \[0, 1\)"),
        ({"model": 1.0}, 0.9, "at least one layer must stay"),
    ],
)
def test_scores_that_do_not_fit_are_refused(adapter, scores, drop, message):
    with pytest.raises(ConfigError, match=message):
        by_contribution(adapter(1), scores=scores, drop=drop)
