"""Search over spaces: candidates, objectives, samplers, studies that any number of workers share. Never loads torch.

Names resolve when they are first used, so that importing this package does not load Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from axdnn.search.fields import Categorical, Integer, Real, Repeat, When

if TYPE_CHECKING:
    from axdnn.search.cluster import Cluster
    from axdnn.search.encoding import distributions, from_params, from_unit, suggest, to_unit
    from axdnn.search.evaluating import Run, Stopped
    from axdnn.search.fronts import Front, crowding, hypervolume, losses, ranks, violations
    from axdnn.search.guided import GuidedSampler
    from axdnn.search.history import history
    from axdnn.search.ladder import Ladder
    from axdnn.search.loop import Progress, search
    from axdnn.search.named import Named, register
    from axdnn.search.samplers import SAMPLERS, IndexedSampler, SamplerKind, derived_seed
    from axdnn.search.slots import Candidate, Slot
    from axdnn.search.space import Space
    from axdnn.search.storage import open_storage
    from axdnn.search.studies import delete_study, join, list_studies, load_history
    from axdnn.search.variation import Guidance, crossover, mutate

_LATE = {
    "cluster": ("Cluster",),
    "encoding": ("distributions", "from_params", "from_unit", "suggest", "to_unit"),
    "evaluating": ("Run", "Stopped"),
    "fronts": ("Front", "crowding", "hypervolume", "losses", "ranks", "violations"),
    "guided": ("GuidedSampler",),
    "history": ("history",),
    "ladder": ("Ladder",),
    "loop": ("Progress", "search"),
    "named": ("Named", "register"),
    "samplers": ("SAMPLERS", "IndexedSampler", "SamplerKind", "derived_seed"),
    "slots": ("Candidate", "Slot"),
    "space": ("Space",),
    "storage": ("open_storage",),
    "studies": ("delete_study", "join", "list_studies", "load_history"),
    "variation": ("Guidance", "crossover", "mutate"),
}
_WHERE = {name: module for module, names in _LATE.items() for name in names}

__all__ = [
    "SAMPLERS", "Candidate", "Categorical", "Cluster", "Front", "Guidance", "GuidedSampler", "IndexedSampler",
    "Integer", "Ladder", "Named", "Progress", "Real", "Repeat", "Run", "SamplerKind", "Slot", "Space", "Stopped",
    "When", "crossover", "crowding", "delete_study", "derived_seed", "distributions", "from_params", "from_unit",
    "history", "hypervolume", "join", "list_studies", "load_history", "losses", "mutate", "open_storage", "ranks",
    "register", "search", "suggest", "to_unit", "violations",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
