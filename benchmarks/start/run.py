"""How fast and how good is the fast SVD of a `pissa` start?"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness import (
    Figure,
    figure,
    paired_ratios,
    parser,
    publish,
    read_arguments,
)
from cotune.adapters._start._svd import top_singular

QUESTION = "pissa start of a 4096 x 4096 layer, r = 8: exact SVD / fast SVD"
RANK = 8


def spectra(size: int) -> dict[str, Tensor]:
    """Return a matrix with a flat spectrum and one with a decaying one."""
    draw = torch.Generator().manual_seed(0)
    flat = torch.randn(size, size, generator=draw) / size**0.5
    left = torch.linalg.qr(torch.randn(size, size, generator=draw)).Q
    right = torch.linalg.qr(torch.randn(size, size, generator=draw)).Q
    decay = 1.0 / torch.arange(1, size + 1)
    return {"flat": flat, "decaying": (left * decay) @ right}


def main() -> None:
    """Measure, print, write."""
    parse = parser(QUESTION)
    parse.add_argument("--size", type=int)
    args = read_arguments(parse, __file__)
    torch.set_num_threads(args.threads)
    figures = []
    for name, matrix in spectra(args.size).items():
        matrix = matrix.to(args.device)
        fast = partial(top_singular, matrix, RANK)
        exact = partial(top_singular, matrix, RANK, exact=True)
        best = torch.linalg.svdvals(matrix)[:RANK].square().sum()
        U = fast()[0]
        energy = float((U.mT @ matrix).square().sum() / best)
        ratios = paired_ratios(
            fast, {"exact": exact}, pairs=args.pairs, device=args.device, warmup=0
        )
        figures.append(
            figure(f"{name}: time, exact / fast", ratios["exact"], 10, at_most=False)
        )
        label = f"{name}: captured energy / best"
        figures.append(Figure(label, energy, energy, energy, 0.99, at_most=False))
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
