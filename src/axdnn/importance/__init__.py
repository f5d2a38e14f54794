"""Which layers matter: scorers with one interface, and how well each ranks the layers."""

from axdnn.importance.ablation import PANEL, Ablation, ablation
from axdnn.importance.agreement import kendall_tau
from axdnn.importance.all_layers import conductance_of_all_layers
from axdnn.importance.base import Context, Scorer
from axdnn.importance.conductance import (
    AGGREGATIONS,
    Aggregation,
    Conductance,
    channel_conductance,
    conductance,
    grouped,
    layer_conductance,
)
from axdnn.importance.explain import SCORERS, SCORES, explain, load_scorer

__all__ = [
    "AGGREGATIONS", "PANEL", "SCORERS", "SCORES", "Ablation", "Aggregation", "Conductance", "Context", "Scorer",
    "ablation", "channel_conductance", "conductance", "conductance_of_all_layers", "explain", "grouped", "kendall_tau",
    "layer_conductance", "load_scorer",
]  # fmt: skip
