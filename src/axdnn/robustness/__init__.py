"""Attacks through approximate networks, and the robustness that is left in the worst case over all of them."""

from axdnn.robustness.assess import Request, assess, inner_robustness
from axdnn.robustness.attack import Attack, Settings
from axdnn.robustness.distance_attacks import CarliniWagner, DeepFool
from axdnn.robustness.gradient_attacks import BIM, FGSM, PGD
from axdnn.robustness.laws import MaskedGradientError
from axdnn.robustness.library_attacks import AutoAttack, Square
from axdnn.robustness.measure import Attacked, AttackError, look, run_attack
from axdnn.robustness.network import DifferentiableNetwork, differentiable
from axdnn.robustness.statistics import wilson
from axdnn.robustness.suite import ATTACKS, LEVELS, parse_attacks
from axdnn.robustness.threat import EPSILONS, NORMS, Ball, default_epsilons
from axdnn.robustness.transfer import Transfer
from axdnn.robustness.victim import Passes, Victim, float_victim, integer_victim

__all__ = [
    "ATTACKS", "BIM", "EPSILONS", "FGSM", "LEVELS", "NORMS", "PGD", "Attack", "AttackError", "Attacked", "AutoAttack",
    "Ball", "CarliniWagner", "DeepFool", "DifferentiableNetwork", "MaskedGradientError", "Passes", "Request",
    "Settings", "Square", "Transfer", "Victim", "assess", "default_epsilons", "differentiable", "float_victim",
    "inner_robustness", "integer_victim", "look", "parse_attacks", "run_attack", "wilson",
]  # fmt: skip
