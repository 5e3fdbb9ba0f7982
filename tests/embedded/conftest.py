"""The embedded model and the scripts that made and measured it, loaded once."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from cotune.embedded import load_model, load_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="session")
def model() -> LlamaForCausalLM:
    return load_model()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return load_tokenizer()


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    return import_script("embedded_corpus")


@pytest.fixture(scope="session")
def compare() -> ModuleType:
    return import_script("compare_embedded_tasks")


@pytest.fixture(scope="session")
def build() -> ModuleType:
    return import_script("build_embedded_model")


def import_script(name: str) -> ModuleType:
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(SCRIPTS))
