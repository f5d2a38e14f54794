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
from axdnn.importance.deeplift import DeepLift, deeplift
from axdnn.importance.divergence import divergence, log_probabilities
from axdnn.importance.error_path import ErrorAttributions, ErrorPath, error_attributions
from axdnn.importance.explain import SCORERS, SCORES, USUAL_SCORES, explain, load_scorer
from axdnn.importance.fisher import Fisher
from axdnn.importance.gradients import (
    GradientXActivation,
    IntegratedGradients,
    gradient_x_activation,
    layer_integrated_gradients,
)
from axdnn.importance.learned_noise import LearnedNoise
from axdnn.importance.noise import NoiseRanking

__all__ = [
    "AGGREGATIONS", "PANEL", "SCORERS", "SCORES", "USUAL_SCORES", "Ablation", "Aggregation", "Conductance", "Context",
    "DeepLift", "ErrorAttributions", "ErrorPath", "Fisher", "GradientXActivation", "IntegratedGradients",
    "LearnedNoise", "NoiseRanking", "Scorer", "ablation", "channel_conductance", "conductance",
    "conductance_of_all_layers", "deeplift", "divergence", "error_attributions", "explain", "gradient_x_activation",
    "grouped", "kendall_tau", "layer_conductance", "layer_integrated_gradients", "load_scorer", "log_probabilities",
]  # fmt: skip
