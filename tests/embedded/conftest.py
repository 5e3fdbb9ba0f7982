"""The embedded model and its pre-training texts, loaded once."""

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
    sys.path.insert(0, str(SCRIPTS))
    try:
        return importlib.import_module("embedded_corpus")
    finally:
        sys.path.remove(str(SCRIPTS))
