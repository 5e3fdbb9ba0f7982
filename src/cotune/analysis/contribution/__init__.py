"""What each adapter contributes: a cooperative game, and how it is estimated."""

from ._activations import ActivationCache as ActivationCache
from ._contribution import Contribution as Contribution
from ._contribution import contribution as contribution
from ._table import ESTIMATORS as ESTIMATORS
