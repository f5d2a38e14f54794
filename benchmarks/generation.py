"""Generation without training on several networks, budgets and seeds: the results behind docs/results.md.

    OMP_NUM_THREADS=1 python benchmarks/generation.py                                  # everything that is missing
    OMP_NUM_THREADS=1 python benchmarks/generation.py --cases resnet8 --losses 1 --seeds 3
    python tools/make_docs.py                                                          # the page

Rows are those of `baselines.py`, kept in the same files (`results/baselines-CASE.json`): what is there is not run
again, an interrupted run goes on with what is missing. A seed draws the calibration images, the samples and whatever
a strategy leaves to chance. What training adds is measured by `tuning.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from baselines import one, rows
from cases import CASES

from axdnn.models.machine import one_thread

# The best of ours, the strongest rows of exact products, and what needs no prediction.
ROWS = ("integer", "integer, exact products, joint codes", "mixed_precision", "greedy", "uniform")
LOSSES = (0.5, 1.0, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=[c for c in CASES if CASES[c]["model"]], choices=list(CASES))
    parser.add_argument("--model", help="of the foreign network: file.py:function")
    parser.add_argument("--weights", type=Path, help="of the foreign network")
    parser.add_argument("--losses", nargs="+", type=float, default=list(LOSSES), help="budgets, percentage points")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(rows()))
    parser.add_argument("--work", type=Path, default=Path("runs/baselines"), help="cache and whole results")
    args = parser.parse_args()
    with one_thread():
        for case in args.cases:
            for loss in args.losses:
                for seed in range(args.seeds):
                    for row in args.rows:
                        one(argparse.Namespace(**{**vars(args), "case": case, "loss": loss, "seed": seed}), row)


if __name__ == "__main__":
    main()
