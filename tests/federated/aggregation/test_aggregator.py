import doctest

import pytest

from cotune._errors import ConfigError
from cotune.federated.aggregation import AGGREGATION, Packet, _aggregator, aggregate


def test_the_example_in_the_docs_runs():
    assert doctest.testmod(_aggregator) == doctest.TestResults(failed=0, attempted=6)


def test_a_step_without_replies_is_refused(toy):
    method = AGGREGATION["fedit"]()
    with pytest.raises(ConfigError, match="at least one"):
        aggregate(method, method.start(toy.own(4, 0)), {})


def test_a_reply_from_another_model_names_the_layer(toy):
    method = AGGREGATION["fedit"]()
    sent = method.upload(toy.own(4, 1))
    other = Packet({"q": sent.layers["q"], "k": sent.layers["v"]}, sent.scale)
    with pytest.raises(ConfigError, match="too many or too few: k, v"):
        aggregate(method, method.start(toy.own(4, 0)), {"a": (other, 1.0)})


def test_an_unknown_method_gets_the_nearest_names():
    with pytest.raises(ConfigError, match="Did you mean fed-alora"):
        AGGREGATION["fedalora"]
