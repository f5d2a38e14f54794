"""The nouns of axdnn as plain frozen data, their JSON, and the errors. Loads no torch."""

from axdnn.records.assignment import Assignment
from axdnn.records.codec import (
    Record,
    from_json,
    load_record,
    remove_leftovers,
    require_finite,
    save_record,
    to_builtins,
    to_json,
    write_atomic,
)
from axdnn.records.cost import CostReport, LayerCost, OperatorCost, Operators, Reading
from axdnn.records.errors import (
    AmbiguousNameError,
    AxdnnError,
    CheckpointError,
    ClusterError,
    DataError,
    InfeasibleError,
    InvalidInputError,
    MissingPackageError,
    OutputFolderError,
    RecordError,
    StorageError,
    UnknownNameError,
    UnsupportedOperatorError,
    unknown_name,
)
from axdnn.records.evaluation import Accuracy, Evaluation
from axdnn.records.importance import LayerScores
from axdnn.records.machine import cache_root, processor_name
from axdnn.records.multiplier import CODINGS, Coding, Figures, Multiplier
from axdnn.records.network import ExactOperator, Layer, Network, OperatorKind
from axdnn.records.robustness import AttackOutcome, Law, RobustnessReport, WorstCase
from axdnn.records.search import (
    EVALUATED,
    Constraint,
    Objective,
    Outcome,
    Scalar,
    SearchHistory,
    SearchTrial,
)
from axdnn.records.search_result import ChosenLayer, FrontMember, Rival, SearchResult
from axdnn.records.study import GenerationResult, Study
from axdnn.records.sweep import RooflineLayer, Sweep, SweepPoint
from axdnn.records.training import TrainedChoice, Training

__all__ = [
    "CODINGS",
    "EVALUATED",
    "Accuracy",
    "AmbiguousNameError",
    "Assignment",
    "AttackOutcome",
    "AxdnnError",
    "CheckpointError",
    "ChosenLayer",
    "ClusterError",
    "Coding",
    "Constraint",
    "CostReport",
    "DataError",
    "Evaluation",
    "ExactOperator",
    "Figures",
    "FrontMember",
    "GenerationResult",
    "InfeasibleError",
    "InvalidInputError",
    "Law",
    "Layer",
    "LayerCost",
    "LayerScores",
    "MissingPackageError",
    "Multiplier",
    "Network",
    "Objective",
    "OperatorCost",
    "OperatorKind",
    "Operators",
    "Outcome",
    "OutputFolderError",
    "Reading",
    "Record",
    "RecordError",
    "Rival",
    "RobustnessReport",
    "RooflineLayer",
    "Scalar",
    "SearchHistory",
    "SearchResult",
    "SearchTrial",
    "StorageError",
    "Study",
    "Sweep",
    "SweepPoint",
    "TrainedChoice",
    "Training",
    "UnknownNameError",
    "UnsupportedOperatorError",
    "WorstCase",
    "cache_root",
    "from_json",
    "load_record",
    "processor_name",
    "remove_leftovers",
    "require_finite",
    "save_record",
    "to_builtins",
    "to_json",
    "unknown_name",
    "write_atomic",
]
