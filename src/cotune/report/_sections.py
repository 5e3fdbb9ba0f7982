"""The table of sections: name -> the function that builds it, in the order of the page.

A function takes the runs and returns a section, or None if no run has its data. A new
section is one file and one line.
"""

from collections.abc import Callable, Sequence

from .._registry import Registry
from ._blocks import Section
from ._run_folder import RunFolder

_HERE = "cotune.report.sections"

SECTIONS: Registry[Callable[[Sequence[RunFolder]], Section | None]] = Registry(
    "report section",
    {
        "trained": f"{_HERE}._trained:build_trained",
        "scores": f"{_HERE}._scores:build_scores",
        "comparison": f"{_HERE}._comparison:build_comparison",
        "curves": f"{_HERE}._curves:build_curves",
        "router": f"{_HERE}._router:build_router",
        "activation": f"{_HERE}._activation:build_activation",
        "similarity": f"{_HERE}._similarity:build_similarity",
        "connectivity": f"{_HERE}._connectivity:build_connectivity",
        "stability": f"{_HERE}._stability:build_stability",
        "pruning": f"{_HERE}._pruning:build_pruning",
        "merging": f"{_HERE}._merging:build_merging",
        "contribution": f"{_HERE}._contribution:build_contribution",
        "fusion-gap": f"{_HERE}._fusion_gap:build_fusion_gap",
        "change": f"{_HERE}._change:build_change",
        "conflict": f"{_HERE}._conflict:build_conflict",
        "affinity": f"{_HERE}._affinity:build_affinity",
        "sharing": f"{_HERE}._sharing:build_sharing",
        "communication": f"{_HERE}._communication:build_communication",
        "others": f"{_HERE}._others:build_others",
        "recipe": f"{_HERE}._recipe:build_recipe",
    },
)
