"""Accuracy and cost of assignments: one evaluator, cached by content, every image counted."""

from axdnn.evaluation.bank import CodingBank
from axdnn.evaluation.bounds import Z_95, paired_loss_bound
from axdnn.evaluation.evaluator import FULL_SHARE, Evaluator, OutOfEvaluationsError
from axdnn.evaluation.memory import give_back
from axdnn.evaluation.rows import RowMapping
from axdnn.evaluation.simulation import predictions
from axdnn.evaluation.skipping import Skipping
from axdnn.evaluation.splits import Split
from axdnn.layers import BATCH, digest_of

__all__ = [
    "BATCH", "FULL_SHARE", "Z_95", "CodingBank", "Evaluator", "OutOfEvaluationsError", "RowMapping", "Skipping",
    "Split", "digest_of", "give_back", "paired_loss_bound", "predictions",
]  # fmt: skip
