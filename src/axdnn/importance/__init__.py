"""Which layers matter: scores with one result type, and how well each ranks the layers."""

from axdnn.importance.ablation import PANEL, ablation
from axdnn.importance.agreement import kendall_tau
from axdnn.importance.conductance import AGGREGATIONS, Aggregation, conductance, grouped, layer_conductance
from axdnn.importance.explain import SCORES, explain

__all__ = [
    "AGGREGATIONS", "PANEL", "SCORES", "Aggregation", "ablation", "conductance", "explain", "grouped", "kendall_tau",
    "layer_conductance",
]  # fmt: skip
