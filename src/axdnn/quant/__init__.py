"""Capture a torch model, describe it, fold batch norm, choose activation codes."""

from axdnn.quant.capture import capture
from axdnn.quant.encoding import Encoding, range_encoding
from axdnn.quant.float_layers import CONV_OPS, TRANSPOSED_OPS, FloatLayer, FloatProduct
from axdnn.quant.fold import fold_batch_norm
from axdnn.quant.graph import (
    LAYER_OPS,
    PASSING_OPS,
    CapturedModel,
    Inputs,
    Node,
    apply_float,
    constant_value,
    pool_count,
    pool_sum,
)
from axdnn.quant.network import network_of
from axdnn.quant.ranges import RANGE_RULES, RangeRule, candidate_ranges, plain_encoding
from axdnn.quant.skipping import check_absent, check_skip, dead_inputs

__all__ = [
    "CONV_OPS", "LAYER_OPS", "PASSING_OPS", "RANGE_RULES", "TRANSPOSED_OPS", "CapturedModel", "Encoding", "FloatLayer",
    "FloatProduct", "Inputs", "Node", "RangeRule", "apply_float", "candidate_ranges", "capture", "check_absent",
    "check_skip", "constant_value", "dead_inputs", "fold_batch_norm", "network_of", "plain_encoding", "pool_count",
    "pool_sum", "range_encoding",
]  # fmt: skip
