"""YAML as a recipe means it: no key twice, and 1e-4 is a number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .._errors import ConfigError


class _Loader(yaml.SafeLoader):
    """The safe loader, stricter about keys and wider about numbers."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that comes twice; YAML would silently take the last."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(
                    f"line {key_node.start_mark.line + 1}: a key must be text, got "
                    f"{key!r}. Put it in quotes."
                )
            if key in seen:
                raise ConfigError(
                    f"line {key_node.start_mark.line + 1}: every key must be there "
                    f"once, got {key!r} twice. Delete one."
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-4 as text, since there is no dot in it.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> Any:
    """Read a YAML file as :func:`parse_yaml` does.

    Args:
        path: The file, which is there.

    Raises:
        ConfigError: No UTF-8 text, or no valid YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: must be UTF-8 text, got: {error}. Is it a recipe?"
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML. Only plain values are made; nothing in it is run.

    Args:
        text: The YAML.
        where: What to call it in messages.

    Returns:
        Mappings, lists, texts, numbers, truth values, None.

    Raises:
        ConfigError: Not valid YAML, or a key that comes twice.

    Example:
        >>> parse_yaml("learning_rate: 1e-4", "recipe")
        {'learning_rate': 0.0001}
    """
    try:
        # What yaml.safe_load does, with the loader above.
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        # A ValueError: a day, or a number, that there is not, such as 2020-99-99.
        shown = " ".join(str(error).split())
        raise ConfigError(
            f"{where}: must be valid YAML, got: {shown}. Mend the line."
        ) from error
