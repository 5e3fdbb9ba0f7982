"""From one form of adapter to another: export to plain LoRA, cut the rank."""

from ._export import Exported, export_lora
from ._recompress import recompress

__all__ = ["Exported", "export_lora", "recompress"]
