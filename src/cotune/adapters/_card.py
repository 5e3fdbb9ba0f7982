"""The part of the model card that says how to load the adapter."""

from __future__ import annotations

import os
from pathlib import Path

from .._files import write_text

HEADING = "## How to load this adapter"
SECTION = f"""{HEADING}

This adapter was trained with cotune. Import it before loading, or PEFT does not know
the adapter's type and stops with `KeyError: 'COTUNE'`:

```python
import cotune  # registers the adapter type with PEFT
from peft import PeftModel

model = PeftModel.from_pretrained(base_model, "PATH_OR_NAME")
```

Without cotune: `cotune export` writes one plain LoRA folder per task.
"""


def add_loading_section(folder: str | os.PathLike[str]) -> None:
    """Append the section to ``README.md`` in an adapter folder, unless it is there.

    Args:
        folder: Where the adapter was saved. Nothing is done without a README.
    """
    card = Path(folder) / "README.md"
    if not card.exists():
        return
    text = card.read_text(encoding="utf-8")
    if HEADING in text:
        return
    write_text(card, f"{text.rstrip()}\n\n{SECTION}")
