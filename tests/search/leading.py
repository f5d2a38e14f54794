"""Begins or resumes a search in a process of its own, to be killed: STORAGE WORKERS TRIALS LOG SECONDS [CLUSTER].

No workers, 0, are as many as the cluster has room for.
"""

from __future__ import annotations

import sys

from search_grid import grid_search

if __name__ == "__main__":
    storage, workers, trials, log, seconds, *cluster = sys.argv[1:]
    address = cluster[0] if cluster else None
    found = grid_search(storage, int(workers) or None, int(trials), log, float(seconds), cluster=address)
    print(found.evaluations, found.reason)
