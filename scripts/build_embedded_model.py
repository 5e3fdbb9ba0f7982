"""Build the embedded model: tokenizer, pre-training from scratch, files and their hash.

    python scripts/build_embedded_model.py

writes ``src/cotune/embedded/model``. Everything follows from the seed, up to the last
bits, which depend on the processor and the version of torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tokenizers
import torch
import transformers
from embedded_corpus import MIXTURE, Document, Maker, draw_documents
from jaxtyping import Float, Int
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cotune.embedded._words import vocabulary

TARGET = Path(__file__).parents[1] / "src" / "cotune" / "embedded" / "model"
PAD, START, END = 0, 1, 2


@dataclass(frozen=True)
class Plan:
    """The settings of one build; all of them go into ``build.json``.

    Args:
        seed: Seed of the weights and of the texts.
        steps: Optimizer steps.
        windows: Windows of text per step.
        width: Tokens per window.
        learning_rate: Peak of the cosine schedule.
        warmup: Steps of the linear rise.
        prompt_weight: Share of a prompt token in the loss; an answer token counts 1.
        newline_share: Share of the documents whose answer stands on a line of its own.
        hidden: Width of the model.
        inner: Width of its MLPs.
        layers: Number of its blocks.
        heads: Number of attention heads.
        threads: CPU threads.
    """

    seed: int = 0
    steps: int = 6000
    windows: int = 40
    width: int = 64
    learning_rate: float = 4e-3
    warmup: int = 200
    prompt_weight: float = 0.1
    newline_share: float = 0.7
    hidden: int = 128
    inner: int = 256
    layers: int = 4
    heads: int = 4
    threads: int = 2


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer: one token per word of the world, bytes for all else.

    Returns:
        A tokenizer that begins a text with ``<s>``; no text has an unknown token.
    """
    blank = "\u2581"  # the mark that stands for the blank before a word, as in Llama
    tokens = ["<pad>", "<s>", "</s>"]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [blank, f"{blank}\n", *".,:?!"]
    tokens += [blank + word for word in vocabulary()]
    core = Tokenizer(
        models.BPE(
            vocab={token: row for row, token in enumerate(tokens)},
            merges=[],
            byte_fallback=True,
            ignore_merges=True,
        )
    )
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    core.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(f"{blank}\n", "\n"),
            decoders.Replace(f"\n{blank}", "\n"),
            decoders.Replace(blank, " "),
            decoders.Strip(" ", 1, 0),
        ]
    )
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", START)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=256,
    )


def build_model(plan: Plan, tokens: int) -> LlamaForCausalLM:
    """Make the untrained model.

    Args:
        plan: Shape and seed.
        tokens: Size of the vocabulary.

    Returns:
        A Llama with random weights, in fp32.
    """
    torch.manual_seed(plan.seed)  # transformers draws weights from the global generator
    config = LlamaConfig(
        vocab_size=tokens,
        hidden_size=plan.hidden,
        intermediate_size=plan.inner,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config)


def encode_document(
    document: Document, core: Tokenizer, newline: bool
) -> tuple[list[int], list[int]]:
    """Tokenise a document as ``<s> prompt answer </s>``.

    Args:
        document: The text.
        core: The tokenizer.
        newline: Whether the answer stands on a line of its own.

    Returns:
        The ids of the prompt with its ``<s>``, and those of the answer with ``</s>``.
    """
    prompt = document.prompt + ("\n" if newline else "")
    given = core.encode(prompt, add_special_tokens=False).ids
    answer = core.encode(document.answer, add_special_tokens=False).ids
    return [START, *given], [*answer, END]


def draw_batch(
    plan: Plan, core: Tokenizer, rng: random.Random
) -> tuple[Int[Tensor, "windows width"], Float[Tensor, "windows width"]]:
    """Fill windows with documents, one after the other, cut at the window's end.

    Args:
        plan: Number and width of the windows, weight of prompt tokens.
        core: The tokenizer.
        rng: Source of all draws; moved on.

    Returns:
        Token ids, and the weight of each token in the loss.
    """
    size = plan.windows * plan.width
    ids: list[int] = []
    weights: list[float] = []
    while len(ids) < size:
        for document in draw_documents(32, rng):
            newline = rng.random() < plan.newline_share
            prompt, answer = encode_document(document, core, newline)
            ids += prompt + answer
            weights += [plan.prompt_weight] * len(prompt) + [1.0] * len(answer)
    shape = (plan.windows, plan.width)
    return torch.tensor(ids[:size]).view(shape), torch.tensor(weights[:size]).view(
        shape
    )


def weigh_loss(
    model: LlamaForCausalLM, ids: Tensor, weights: Tensor
) -> Float[Tensor, ""]:
    """Return the weighted mean of the next-token cross entropy, in nats."""
    logits = model(input_ids=ids).logits[:, :-1].flatten(0, 1)
    losses = functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
    kept = weights[:, 1:].flatten()
    return (losses * kept).sum() / kept.sum()


def learning_rate(plan: Plan, step: int) -> float:
    """Return the rate of a step: linear rise, then cosine down to 2 % of the peak."""
    rise = min(1.0, (step + 1) / plan.warmup)
    fall = 0.51 + 0.49 * math.cos(math.pi * step / plan.steps)
    return plan.learning_rate * rise * fall


def train(model: LlamaForCausalLM, core: Tokenizer, plan: Plan) -> Iterator[str]:
    """Train the model in place.

    Args:
        model: The model.
        core: The tokenizer.
        plan: Settings.

    Yields:
        A line of progress every 250 steps.
    """
    rng = random.Random(plan.seed)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    began = time.perf_counter()
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        loss = weigh_loss(model, *draw_batch(plan, core, rng))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == plan.steps - 1:
            seconds = time.perf_counter() - began
            yield f"step {step:5d}  {seconds:5.0f} s  loss {loss.item():.3f}"


@torch.no_grad()
def measure(
    model: LlamaForCausalLM, core: Tokenizer, maker: Maker, rng: random.Random
) -> float:
    """Return the share of 200 fresh documents whose answer is the likeliest text."""
    pairs = [encode_document(maker(rng), core, newline=True) for _ in range(200)]
    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    rows = [[*p, *a, *[PAD] * (width - len(p) - len(a))] for p, a in pairs]
    best = model(input_ids=torch.tensor(rows)).logits.argmax(-1)
    right = [
        best[row, len(p) - 1 : len(p) + len(a) - 1].tolist() == a
        for row, (p, a) in enumerate(pairs)
    ]
    return sum(right) / len(right)


def describe(
    plan: Plan, weights: Path, seconds: float, skills: dict[str, float]
) -> dict[str, object]:
    """Collect what ``build.json`` says about a build."""
    data = weights.read_bytes()
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "seconds": round(seconds),
        "plan": asdict(plan),
        "accuracy": skills,
        "versions": {
            "python": platform.python_version(),
            "tokenizers": tokenizers.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def main() -> None:
    """Build the model and put its files in place."""
    parser = argparse.ArgumentParser(description="Build the embedded model of cotune.")
    parser.add_argument("--out", type=Path, default=TARGET, help="folder to write")
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    given = vars(parser.parse_args())
    out: Path = given.pop("out")
    plan = Plan(**{name: value for name, value in given.items() if value is not None})

    torch.set_num_threads(plan.threads)
    began = time.perf_counter()
    tokenizer = build_tokenizer()
    core = tokenizer.backend_tokenizer
    model = build_model(plan, len(tokenizer))
    print(f"{model.num_parameters()} parameters, {len(tokenizer)} tokens")
    for line in train(model, core, plan):
        print(line, flush=True)
    seconds = time.perf_counter() - began
    model = model.half().float()  # measure what will be shipped
    rng = random.Random(plan.seed + 1)
    skills = {maker.__name__: measure(model, core, maker, rng) for maker in MIXTURE}
    write(out, plan, model, tokenizer, seconds, skills)
    print((out / "build.json").read_text())


def write(
    out: Path,
    plan: Plan,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    seconds: float,
    skills: dict[str, float],
) -> None:
    """Write the files of a build beside the target, then put them in its place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        new = Path(folder) / "model"
        model.half().save_pretrained(new)
        tokenizer.save_pretrained(new)
        facts = describe(plan, new / "model.safetensors", seconds, skills)
        (new / "build.json").write_text(json.dumps(facts, indent=2) + "\n")
        shutil.rmtree(out, ignore_errors=True)
        os.replace(new, out)


if __name__ == "__main__":
    main()
