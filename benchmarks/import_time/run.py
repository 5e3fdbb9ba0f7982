"""How long does it take to import cotune with PEFT, against PEFT alone?"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.harness import figure, paired_ratios, parser, publish, read_arguments

QUESTION = "import peft and cotune's configs / import peft"


def run(code: str) -> None:
    """Run code in a fresh process."""
    subprocess.run([sys.executable, "-c", code], check=True)


def main() -> None:
    """Measure, print, write."""
    args = read_arguments(parser(QUESTION), __file__)
    arms = {
        "import peft, cotune": partial(run, "import peft, cotune"),
        "... and all configs": partial(
            run, "import peft; from cotune import CoTuneConfig"
        ),
        "import cotune alone": partial(run, "import cotune"),
    }
    ratios = paired_ratios(
        partial(run, "import peft"), arms, pairs=args.pairs, device="cpu", warmup=1
    )
    marks = {"import cotune alone": None}
    figures = [figure(n, v, marks.get(n, 1.3)) for n, v in ratios.items()]
    publish(QUESTION, figures, args, str(Path(__file__).parent))


if __name__ == "__main__":
    main()
