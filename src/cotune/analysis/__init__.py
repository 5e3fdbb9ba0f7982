"""What trained adapters are like: pure numbers in, a small typed result out.

No model is needed. What must score one takes a callable: ``score(adapter)`` or
``value(active)``.
"""

from ._advice import Affinity as Affinity
from ._advice import TaskGroup as TaskGroup
from ._affinity import affinity as affinity
from ._affinity import affinity_from_gradients as affinity_from_gradients
from ._average import average_factors as average_factors
from ._cache import EvaluationCache as EvaluationCache
from ._change import Change as Change
from ._change import FactorChange as FactorChange
from ._change import change_from_start as change_from_start
from ._conflict import Conflict as Conflict
from ._conflict import GradientPair as GradientPair
from ._conflict import conflict as conflict
from ._connectivity import Connectivity as Connectivity
from ._connectivity import Line as Line
from ._connectivity import LinePoint as LinePoint
from ._connectivity import connectivity as connectivity
from ._fusion_gap import FusionGap as FusionGap
from ._fusion_gap import LayerGap as LayerGap
from ._fusion_gap import fusion_gap as fusion_gap
from ._merging import MergedScore as MergedScore
from ._merging import Merging as Merging
from ._merging import merging as merging
from ._pruning import PruneTrial as PruneTrial
from ._pruning import Pruning as Pruning
from ._pruning import PruningPoint as PruningPoint
from ._pruning import default_trials as default_trials
from ._pruning import pruning as pruning
from ._result import Result as Result
from ._sharing import LayerSharing as LayerSharing
from ._sharing import Sharing as Sharing
from ._sharing import sharing as sharing
from ._sharing import sharing_from_gradients as sharing_from_gradients
from ._similarity import Similarity as Similarity
from ._similarity import SimilarPair as SimilarPair
from ._similarity import similarity as similarity
from ._stability import Stability as Stability
from ._stability import StabilityPoint as StabilityPoint
from ._stability import stability as stability
from ._table import ANALYSES as ANALYSES
from ._trial import Trial as Trial
from .contribution import ESTIMATORS as ESTIMATORS
from .contribution import ActivationCache as ActivationCache
from .contribution import Contribution as Contribution
from .contribution import contribution as contribution
