"""Who owns which factor, and what the server does: a table of pure aggregators.

Nothing here knows Flower, PEFT or a model; everything is named torch tensors.
"""

from __future__ import annotations

from ..._registry import Registry
from ._aggregator import Aggregator, Exact, aggregate
from ._packet import Cohort, Layers, Packet, Received, Seat, Shapes, Site, Tensors
from ._round import Reply, Round, Step
from ._traffic import Traffic, count_numbers, layer_traffic, traffic

AGGREGATION: Registry[type[Aggregator]] = Registry(
    "aggregation",
    {
        "local": "cotune.federated.aggregation._local:Local",
        "fedit": "cotune.federated.aggregation._fedit:FedIT",
        "ffa": "cotune.federated.aggregation._ffa:FFA",
        "fedsa": "cotune.federated.aggregation._fedsa:FedSA",
        "fed-alora": "cotune.federated.aggregation._fed_alora:FedALoRA",
        "fed-alora-any": "cotune.federated.aggregation._fed_alora_any:FedALoRAAny",
        "colora": "cotune.federated.aggregation._colora:CoLoRA",
        "feddpa": "cotune.federated.aggregation._feddpa:FedDPA",
        "flora": "cotune.federated.aggregation._flora:FLoRA",
        "flexlora": "cotune.federated.aggregation._flexlora:FlexLoRA",
        "hetlora": "cotune.federated.aggregation._hetlora:HetLoRA",
        "fedex": "cotune.federated.aggregation._fedex:FedEx",
        "zeropad": "cotune.federated.aggregation._zeropad:ZeroPad",
    },
)

__all__ = [
    "AGGREGATION",
    "Aggregator",
    "Cohort",
    "Exact",
    "Layers",
    "Packet",
    "Received",
    "Reply",
    "Round",
    "Seat",
    "Shapes",
    "Site",
    "Step",
    "Tensors",
    "Traffic",
    "aggregate",
    "count_numbers",
    "layer_traffic",
    "traffic",
]
