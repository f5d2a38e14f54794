"""Robust XAI-NAS: networks, multipliers and skipped shares evolve together; the arms of the comparison, its ratios."""

from axdnn.methods.robust_xai_nas.asked import ARMS, BASE, RobustOptions, default_options
from axdnn.methods.robust_xai_nas.candidates import GRADIENT, Workbench, accuracy, robust_figure
from axdnn.methods.robust_xai_nas.check import chosen_members
from axdnn.methods.robust_xai_nas.guidance import base_candidate, guidance_of, guide, leaning, nearest, seeds_of
from axdnn.methods.robust_xai_nas.importance import Explained, explain, save_explained, shapes_of
from axdnn.methods.robust_xai_nas.method import objectives, robust_xai_nas
from axdnn.methods.robust_xai_nas.ratios import PUBLISHED, Ratio, robust_ratios

__all__ = [
    "ARMS", "BASE", "GRADIENT", "PUBLISHED", "Explained", "Ratio", "RobustOptions", "Workbench", "accuracy",
    "base_candidate", "chosen_members", "default_options", "explain", "guidance_of", "guide", "leaning", "nearest",
    "objectives", "robust_figure", "robust_ratios", "robust_xai_nas", "save_explained", "seeds_of", "shapes_of",
]  # fmt: skip
