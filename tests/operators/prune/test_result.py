import pytest

from cotune._errors import ConfigError
from cotune.operators.prune._result import keep_layers


def test_layers_come_out_in_the_order_of_the_adapter_and_are_shared(adapter):
    source = adapter(1)
    names = list(source.layers)
    result = keep_layers("keep", source, [names[2], names[0]])
    assert list(result.adapter.layers) == [names[0], names[2]]
    assert result.removed == (names[1], names[3])
    assert result.adapter.layers[names[0]] is source.layers[names[0]]
    assert result.adapter.config["target_modules"] == [names[0], names[2]]
    assert "target_modules" not in source.config


def test_an_empty_adapter_is_refused(adapter):
    with pytest.raises(ConfigError, match="low: at least one layer must stay"):
        keep_layers("low", adapter(1), ["elsewhere"])
