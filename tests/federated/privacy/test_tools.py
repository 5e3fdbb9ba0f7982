import pytest

from cotune._errors import ConfigError
from cotune.federated.aggregation import AGGREGATION
from cotune.federated.privacy import (
    PrivacySpec,
    list_tools,
    refuse_secure_aggregation,
    require_client_level,
)

CLIENT_LEVEL = {"clip": 1.0, "noise": 1.0}
GOES = ("fedit", "ffa", "fedsa", "fed-alora", "fed-alora-any", "colora", "feddpa")


@pytest.mark.parametrize("name", AGGREGATION)
def test_client_level_privacy_goes_with_means_of_equal_shapes_only(name):
    method = AGGREGATION[name]()
    applies = {tool.name: tool.applies for tool in list_tools(method)}
    assert applies == {
        "client-level": name in GOES,
        "local": True,
        "secure-aggregation": False,
    }
    if name in GOES:
        require_client_level(method)
        assert method.linear
        assert method.equal_uploads
    else:
        with pytest.raises(ConfigError, match=r"client_level.*Use fedit"):
            require_client_level(method)


def test_factors_that_are_multiplied_on_the_server_are_not_linear():
    with pytest.raises(ConfigError, match="not linear"):
        require_client_level(AGGREGATION["fed-alora-any"](send_factors=True))


def test_every_tool_has_a_reason():
    for name in AGGREGATION:
        for tool in list_tools(AGGREGATION[name]()):
            assert len(tool.reason) > 20
            assert not tool.reason.endswith(".")


def test_secure_aggregation_is_refused_with_the_reason_and_what_to_do():
    with pytest.raises(ConfigError, match=r"32 bit.*Use privacy\.client_level"):
        refuse_secure_aggregation()


def test_the_section_of_a_recipe_checks_the_method():
    none = PrivacySpec()
    for name in AGGREGATION:
        none.check(AGGREGATION[name]())
    client = PrivacySpec.model_validate({"client_level": CLIENT_LEVEL})
    client.check(AGGREGATION["fedsa"]())
    with pytest.raises(ConfigError, match="FlexLoRA"):
        client.check(AGGREGATION["flexlora"]())
    local = PrivacySpec.model_validate({"local": {"noise": 1.0}})
    local.check(AGGREGATION["flexlora"]())
    with pytest.raises(ConfigError, match="secure_aggregation"):
        PrivacySpec(secure_aggregation=True).check(AGGREGATION["fedit"]())
