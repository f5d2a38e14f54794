"""Products of approximate operands as exact integers: reference, factorised and look-up paths behind one call."""

from axdnn.kernels.conv import approx_conv2d, conv_output_size, unfold
from axdnn.kernels.conv_nd import FlatConv, approx_conv, flatten_conv
from axdnn.kernels.conv_transpose import approx_conv_transpose
from axdnn.kernels.dispatch import approx_matmul
from axdnn.kernels.factorised import torch_factors
from axdnn.kernels.microbenchmark import calibrate
from axdnn.kernels.native import native_variants
from axdnn.kernels.operands import peak_term, sums_dtype, table_operand
from axdnn.kernels.operators import conv2d_operator, matmul_operator
from axdnn.kernels.plan import PATHS, Path, Plan, explain
from axdnn.kernels.terms import ABSENT, APPROXIMATE, EXACT, exact_of

__all__ = [
    "ABSENT", "APPROXIMATE", "EXACT", "PATHS", "FlatConv", "Path", "Plan", "approx_conv", "approx_conv2d",
    "approx_conv_transpose", "approx_matmul", "calibrate", "conv2d_operator", "conv_output_size", "exact_of", "explain",
    "flatten_conv", "matmul_operator", "native_variants", "peak_term", "sums_dtype", "table_operand", "torch_factors",
    "unfold",
]  # fmt: skip
