"""Tiny random models of five families, and what most tests do with them.

Models are made from configs, never loaded, and have no dropout of their own, so that
training mode differs from evaluation by the adapter alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beartype import BeartypeConf, beartype

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""The run-time type checker of the tests; takes an int where a float is asked for."""

FAMILIES = ("opt", "gpt2", "llama", "bert", "t5")
"""Decoder with biases, Conv1D, gated decoder, encoder, encoder-decoder."""

DECODERS = ("opt", "gpt2", "llama")
TASK_TYPES: dict[str, str | None] = {
    "opt": "CAUSAL_LM",
    "gpt2": "CAUSAL_LM",
    "llama": "CAUSAL_LM",
    "bert": "SEQ_CLS",
    "t5": "SEQ_2_SEQ_LM",
}
# PEFT 0.20 has wrappers for generation that this transformers has no methods for.
if version("peft").startswith("0.20."):
    TASK_TYPES["t5"] = None
TARGETS = {
    "opt": ["q_proj", "v_proj"],
    "gpt2": ["c_attn", "c_proj"],
    "llama": ["q_proj", "v_proj"],
    "bert": ["query", "value"],
    "t5": ["q", "v"],
}
"""Attention layers to adapt, where a test needs few layers."""

VOCABULARY = 40


def tiny_model(
    family: str, *, seed: int = 0, dtype: torch.dtype | None = None, **changes: Any
) -> PreTrainedModel:
    """Make a random model of two layers, 16 wide, in evaluation mode.

    Args:
        family: One of ``FAMILIES``.
        seed: Of its weights. The same seed gives the same model.
        dtype: Of its weights; None is fp32.
        **changes: Fields of its config to set.
    """
    import torch

    model_class, config = _shape(family)
    for name, value in changes.items():
        setattr(config, name, value)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = model_class(config)
    # Weights this small models start with barely matter: outputs would all look alike.
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.25)
    torch.set_rng_state(state)
    return model.to(dtype or torch.float32).eval()


def _shape(family: str) -> tuple[Any, Any]:
    import transformers as hf

    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if family == "opt":
        return hf.OPTForCausalLM, hf.OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            ffn_dim=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            word_embed_proj_dim=16,
            max_position_embeddings=32,
            dropout=0.0,
            attention_dropout=0.0,
            **ids,
        )
    if family == "gpt2":
        return hf.GPT2LMHeadModel, hf.GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=32,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **ids,
        )
    if family == "llama":
        return hf.LlamaForCausalLM, hf.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=32,
            **ids,
        )
    if family == "bert":
        return hf.BertForSequenceClassification, hf.BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=32,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=3,
            **ids,
        )
    assert family == "t5", family
    return hf.T5ForConditionalGeneration, hf.T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=8,
        d_ff=24,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        **ids,
    )


def tiny_batch(
    family: str, *, samples: int = 4, length: int = 5, seed: int = 0
) -> dict[str, Tensor]:
    """Make random inputs with labels for a model of ``tiny_model``.

    Args:
        family: One of ``FAMILIES``.
        samples: Rows of the batch.
        length: Tokens per row; no padding.
        seed: Of the tokens and labels.
    """
    import torch

    dice = torch.Generator().manual_seed(seed)

    def tokens() -> Tensor:
        return torch.randint(3, VOCABULARY, (samples, length), generator=dice)

    ids = tokens()
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "bert":
        return {**batch, "labels": torch.randint(3, (samples,), generator=dice)}
    return {**batch, "labels": tokens() if family == "t5" else ids}


def logits(model: nn.Module, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
    """Return the logits of a batch, without gradients."""
    import torch

    with torch.no_grad():
        return model(**batch, **kwargs).logits


def factors_of(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Walk over the parameters of all cotune adapters, frozen copies included."""
    for name, parameter in model.named_parameters():
        if "cotune_" in name:
            yield name, parameter


def fill_factors(model: nn.Module, seed: int = 0, std: float = 0.3) -> None:
    """Give every trained factor random values, so that no part is zero or alike."""
    import torch

    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in factors_of(model):
            if "cotune_A0" in name or "cotune_B0" in name:
                continue
            noise = torch.randn(parameter.shape, generator=dice) * std
            parameter.copy_(noise.to(parameter))


def run_python(
    code: str, *arguments: str, seconds: float = 300, **environment: str
) -> Any:
    """Run code in a fresh Python process and return its last line, read as JSON.

    Args:
        code: A script; it finds ``arguments`` in ``sys.argv[1:]``.
        *arguments: Strings for the script.
        seconds: After which it is given up.
        **environment: Variables to add.
    """
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


def write_loras(folder: Path) -> list[Path]:
    """Write two adapters of PEFT for the tiny Llama; return their folders."""
    import peft
    import torch

    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = peft.LoraConfig(
            r=2, target_modules=["q_proj"], init_lora_weights=False
        )
        folders.append(folder / f"lora{seed}")
        peft.get_peft_model(tiny_model("llama"), config).save_pretrained(folders[-1])
    return folders


def folder_bytes(folder: Path) -> int:
    """Return the size of all tensors in a folder's safetensors files, in bytes."""
    from safetensors import safe_open

    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():
                tensor = file.get_tensor(key)
                total += tensor.numel() * tensor.element_size()
    return total
