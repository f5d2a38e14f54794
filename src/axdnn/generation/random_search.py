"""Random assignments cheaper than the best so far: the control for every guided search."""

from __future__ import annotations

import numpy as np

from axdnn.generation.judge import Judge

DRAWS = 2_000


def random(judge: Judge, rng: np.random.Generator) -> None:
    """Try random assignments until the evaluations run out.

    The number of kinds is drawn first (1 to the number of layers or pods), then the kinds, then one of them for each
    layer. Draws that cost more than what is accepted already are skipped without an evaluation.
    """
    problem = judge.problem
    layers, candidates = len(problem.layers), len(problem.multipliers)
    most = min(layers, candidates, problem.table.pods)
    for _ in range(DRAWS):
        kinds = rng.choice(candidates, size=int(rng.integers(1, most + 1)), replace=False)
        choice = rng.choice(kinds, size=layers).astype(np.int64)
        if not judge.knows(choice) and judge.cheaper(choice):
            judge.try_(choice)
