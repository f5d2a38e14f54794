"""Choose an assignment within an accuracy budget: strategies under one judge, verified by simulation."""

from axdnn.generation.acceptance import Acceptance, Sampled
from axdnn.generation.agn import agn, matched_choices
from axdnn.generation.constraints import Constraints, parse_constraints
from axdnn.generation.divergence_model import DivergenceModel, Pairs
from axdnn.generation.exhaustive import exhaustive
from axdnn.generation.front import generate_front, requests_at, run_budgets
from axdnn.generation.generate import Run, generate
from axdnn.generation.greedy import greedy, noise_greedy
from axdnn.generation.integer import integer
from axdnn.generation.judge import Judge, Verdict
from axdnn.generation.neurons import Neurons, neurons_of
from axdnn.generation.nsga2 import NsgaOptions, nsga2
from axdnn.generation.objective import OBJECTIVES, Objective, objective_table
from axdnn.generation.paper import PaperOptions, paper, units_of
from axdnn.generation.pods import within_pods
from axdnn.generation.precision import exact_products, mixed_precision, precision_recipe, uniform_precision
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.prepare import SCORE_NAMES, prepare
from axdnn.generation.probe import Probe, ProbeOptions
from axdnn.generation.problem import Expected, Problem, undominated
from axdnn.generation.programme import Programme
from axdnn.generation.random_search import random
from axdnn.generation.request import RECOVERY, STRATEGIES, Request, Strategy, recovery_recipe
from axdnn.generation.sensitivity import SensitivityOptions, expect
from axdnn.generation.skip_levels import SkipLevels, SkipOptions, skip_levels
from axdnn.generation.skip_prices import SkipPrices
from axdnn.generation.skip_problem import SkippingProblem
from axdnn.generation.skip_programme import SkipProgramme, programme_of
from axdnn.generation.skipping import with_skipping
from axdnn.generation.stages import Stage, TrainedStage
from axdnn.generation.taylor import taylor
from axdnn.generation.trained import Trained, TuningResult, with_training
from axdnn.generation.tuning import require_tunable, tune
from axdnn.generation.tuning_options import TuningOptions
from axdnn.generation.uniform import uniform

__all__ = [
    "OBJECTIVES", "RECOVERY", "SCORE_NAMES", "STRATEGIES", "Acceptance", "Constraints", "DivergenceModel",
    "Expected", "Judge", "LossPredictor", "Neurons", "NsgaOptions", "Objective", "Pairs", "PaperOptions", "Probe",
    "ProbeOptions", "Problem", "Programme", "Request", "Run", "Sampled", "SensitivityOptions", "SkipLevels",
    "SkipOptions", "SkipPrices", "SkipProgramme", "SkippingProblem", "Stage", "Strategy", "Trained", "TrainedStage",
    "TuningOptions", "TuningResult", "Verdict", "agn", "exact_products", "exhaustive", "expect", "generate",
    "generate_front", "greedy", "integer", "matched_choices", "mixed_precision", "neurons_of", "noise_greedy",
    "nsga2", "objective_table", "paper", "parse_constraints", "precision_recipe", "prepare", "programme_of",
    "random", "recovery_recipe", "requests_at", "require_tunable", "run_budgets", "skip_levels", "taylor", "tune",
    "undominated", "uniform", "uniform_precision", "units_of", "with_skipping", "with_training", "within_pods",
]  # fmt: skip
