"""Choose an assignment within an accuracy budget: strategies under one judge, verified by simulation."""

from axdnn.generation.constraints import Constraints, parse_constraints
from axdnn.generation.generate import generate
from axdnn.generation.greedy import greedy
from axdnn.generation.integer import integer
from axdnn.generation.judge import Judge, Verdict
from axdnn.generation.neurons import Neurons, neurons_of
from axdnn.generation.objective import OBJECTIVES, Objective, objective_table
from axdnn.generation.paper import PaperOptions, paper, units_of
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.prepare import SCORE_NAMES, prepare
from axdnn.generation.problem import Problem, undominated
from axdnn.generation.programme import Programme
from axdnn.generation.random_search import random
from axdnn.generation.request import STRATEGIES, Request, Strategy
from axdnn.generation.uniform import uniform

__all__ = [
    "OBJECTIVES", "SCORE_NAMES", "STRATEGIES", "Constraints", "Judge", "LossPredictor", "Neurons", "Objective",
    "PaperOptions", "Problem", "Programme", "Request", "Strategy", "Verdict", "generate", "greedy", "integer",
    "neurons_of", "objective_table", "paper", "parse_constraints", "prepare", "random", "undominated", "uniform",
    "units_of",
]  # fmt: skip
