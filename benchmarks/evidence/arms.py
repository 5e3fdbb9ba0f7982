"""Arms that several lines share, so that they share their runs."""

from __future__ import annotations

from cotune.recipes import Arm

LORA = Arm("LoRA")
COTO = Arm("CoTo", ("schedule={name: coto}",))
DEPTH = Arm("stochastic depth", ("schedule={name: coto, p0: 0.5, shape: constant}",))
FULL = Arm("full fine-tuning", ("adapter=null",))
SEPARATE = "separate LoRAs"
SEPARATE_COTO = "separate CoTos"

_FROM_TABLE = ("num_A", "num_B", "coupling", "core", "start")


def method(name: str, title: str, *changes: str) -> Arm:
    """Return the arm of a method as the table has it, with some changes.

    Args:
        name: Name in the method table.
        title: Name of the arm.
        changes: More changes to the recipe.
    """
    reset = [f"adapter.{field}=null" for field in _FROM_TABLE]
    return Arm(title, (f"adapter.method={name}", *reset, *changes))


ALORA = method("alora", "ALoRA")
HYDRA = method("hydralora", "HydraLoRA")
COLORA = method("colora", "CoLoRA")
PISSA = method("lora", "PiSSA", "adapter.start=pissa")
PISSA_RATES = method(
    "lora",
    "PiSSA, rates (2, 3)",
    "adapter.start=pissa",
    "training.factor_lr_ratio={A: 2, B: 3}",
)
COLA = method("cola", "CoLA (2, 3) full")
COLA_HEURISTIC = method(
    "cola", "CoLA (2, 3) heuristic", "adapter.coupling=heuristic-paper"
)
COLA_RANDOM = method("cola", "CoLA (2, 3) random", "adapter.coupling=random")
COLA_SPLIT = method("cola", "CoLA (2, 3) pissa-split", "adapter.start=pissa-split")
COLA_LEARNED = method("cola", "CoLA (2, 3) learned", "adapter.coupling=learned")
