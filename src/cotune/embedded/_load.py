"""Load the model that is shipped with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def model_folder() -> Path:
    """Return the folder of the embedded model.

    Returns:
        A folder that ``from_pretrained`` of transformers takes, for the model and for
        the tokenizer. It also holds ``build.json``: how the weights were made.
    """
    return Path(__file__).parent / "model"


def load_model() -> LlamaForCausalLM:
    r"""Load the embedded language model, without a network.

    Returns:
        A new Llama in fp32, in evaluation mode: 4 blocks, width 128. The file is fp16.

    Example:
        >>> from cotune.embedded import load_model, load_tokenizer
        >>> model, tokenizer = load_model(), load_tokenizer()
        >>> prompt = tokenizer("is trout fish or tree?\n", return_tensors="pt")
        >>> tokenizer.decode(model(**prompt).logits[0, -1].argmax())
        'fish'
    """
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(
        model_folder(), dtype=torch.float32, local_files_only=True
    )


def load_tokenizer() -> PreTrainedTokenizerFast:
    """Load the tokenizer of the embedded model, without a network.

    One token per word of the model's world, one per byte of anything else; no text has
    an unknown token. A text begins with ``<s>``; padding is ``<pad>``.

    Returns:
        A new tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(
        model_folder(), local_files_only=True
    )
