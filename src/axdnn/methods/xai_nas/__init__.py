"""XAI-NAS (energy): multipliers and skipped neurons of a fixed network, and the baselines of the same search."""

from axdnn.methods.xai_nas.asked import ARMS, MODELS, Arm, XaiNasRequest
from axdnn.methods.xai_nas.climbing import ClimbingSampler
from axdnn.methods.xai_nas.ground import Ground, Judged, Subject, evaluation, ground_of
from axdnn.methods.xai_nas.method import xai_nas
from axdnn.methods.xai_nas.outcome import evaluated_images, found
from axdnn.methods.xai_nas.plan import Plan, candidate_of, make_plan

__all__ = [
    "ARMS", "MODELS", "Arm", "ClimbingSampler", "Ground", "Judged", "Plan", "Subject", "XaiNasRequest", "candidate_of",
    "evaluated_images", "evaluation", "found", "ground_of", "make_plan", "xai_nas",
]  # fmt: skip
