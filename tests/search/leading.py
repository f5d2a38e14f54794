"""Begins or resumes a search in a process of its own, to be killed: STORAGE WORKERS TRIALS LOG SECONDS [DEADLY]."""

from __future__ import annotations

import sys

from search_grid import grid_search

if __name__ == "__main__":
    storage, workers, trials, log, seconds, *deadly = sys.argv[1:]
    settings = {"deadly": int(deadly[0])} if deadly else {}
    found = grid_search(storage, int(workers), int(trials), log, float(seconds), **settings)
    print(found.evaluations, found.reason)
