"""How fast is the recompression of a mix of 8 adapters of a 4096 x 4096 layer?"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import figure, paired_ratios, parser, publish, read_arguments
from cotune._adapter import LowRank
from cotune.operators.convert import recompress

QUESTION = "Recompressing a mix of 8 adapters: dense SVD / QR and small SVD"
RANK = 16


def main() -> None:
    """Measure, print, write."""
    parse = parser(QUESTION)
    parse.add_argument("--size", type=int)
    args = read_arguments(parse, __file__)
    torch.set_num_threads(args.threads)
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(8 * RANK, args.size, generator=draw).to(args.device)
    B = torch.randn(args.size, 8 * RANK, generator=draw).to(args.device)
    mix = LowRank(A, B)
    dense = partial(torch.linalg.svd, mix.delta(), full_matrices=False)
    small = partial(recompress, mix, RANK)
    ratios = paired_ratios(
        small, {"dense": dense}, pairs=args.pairs, device=args.device, warmup=0
    )
    figures = [figure("dense / ours", ratios["dense"], 20, at_most=False)]
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
