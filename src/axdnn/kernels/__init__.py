"""Products of approximate operands as exact integers: reference, factorised and look-up paths behind one call."""

from axdnn.kernels.conv import approx_conv2d, conv_output_size, unfold
from axdnn.kernels.dispatch import approx_matmul
from axdnn.kernels.factorised import torch_factors
from axdnn.kernels.microbenchmark import calibrate
from axdnn.kernels.native import native_variants
from axdnn.kernels.plan import PATHS, Path, Plan, explain
from axdnn.kernels.terms import ABSENT, APPROXIMATE, EXACT

__all__ = [
    "ABSENT", "APPROXIMATE", "EXACT", "PATHS", "Path", "Plan", "approx_conv2d", "approx_matmul", "calibrate",
    "conv_output_size", "explain", "native_variants", "torch_factors", "unfold",
]  # fmt: skip
