"""Make PEFT know the method COTUNE, from outside.

``register_peft_method`` does the work but refuses names that are not members of the
closed enum ``PeftType``. So the member is added first, in the way that ``enum`` itself
adds it. Both functions can be called any number of times.
"""

from __future__ import annotations

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import register_peft_method
from peft.utils.peft_types import PeftType

NAME = "COTUNE"


def add_peft_type() -> None:
    """Add the member ``COTUNE`` to PEFT's enum, unless it is there."""
    if NAME in PeftType.__members__:
        return
    member = str.__new__(PeftType, NAME)
    member._name_ = NAME
    member._value_ = NAME
    PeftType._member_names_.append(NAME)
    PeftType._member_map_[NAME] = member
    PeftType._value2member_map_[NAME] = member
    # From Python 3.12 on, members are found as class attributes.
    type.__setattr__(PeftType, NAME, member)


def register() -> None:
    """Register config and tuner with PEFT, unless done."""
    add_peft_type()
    if PeftType[NAME] in PEFT_TYPE_TO_CONFIG_MAPPING:
        return
    from ._config import CoTuneConfig
    from ._tuner import CoTuneModel

    register_peft_method(
        name=NAME.lower(),
        config_cls=CoTuneConfig,
        model_cls=CoTuneModel,
        prefix=CoTuneModel.prefix,
    )
