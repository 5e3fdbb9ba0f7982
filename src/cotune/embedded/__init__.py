"""A small language model and eight small tasks that work without a network.

See ``README.md`` in this folder for what they are and how the model was made.
"""

from ._load import load_model, load_tokenizer, model_folder
from ._world import Row, Task, World, split_world
from ._write import FAMILIES, TASKS, draw_rows, write_tasks

__all__ = [
    "FAMILIES",
    "TASKS",
    "Row",
    "Task",
    "World",
    "draw_rows",
    "load_model",
    "load_tokenizer",
    "model_folder",
    "split_world",
    "write_tasks",
]
