"""`Network`: the layers of a model with shapes and products, and how they are joined."""

from __future__ import annotations

import math
from typing import Literal

from axdnn.records.codec import Record

LayerKind = Literal[
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "matmul"
]
OperatorKind = Literal[
    "pooling", "elementwise", "normalisation", "softmax", "activation", "reduction", "gather", "movement", "other"
]


class Layer(Record, frozen=True, kw_only=True):
    """A layer that multiplies activations with weights, as `groups` matrix products `(m x k) . (k x n)`.

    For one inference (batch 1). A convolution has m = output pixels, k = kernel height * width * input channels
    per group, n = output channels per group. A transposed one has m = input pixels, k = input channels per group,
    n = output channels per group * kernel height * width. A linear layer has m = rows of its input (1 for a vector). A
    product of two activations (`matmul`) has a group for each pair of matrices (attention: heads) and no weights. A
    layer that is called several times (a recurrent one, a shared one) has the rows of all its calls.

    Attributes:
        name: path of the module in the user's model.
        kind: operator.
        m, k, n, groups: see above.
        input_words: distinct input values (not the unfolded matrix); of a product of activations both operands.
        output_words: output values.
        in_shape, out_shape: without the batch dimension, e.g. `(c, h, w)`.
        kernel, stride, padding, dilation: of a convolution, one number an axis: `(height, width)`.
        calls: how often the layer is called in an inference.
    """

    name: str
    kind: LayerKind
    m: int
    k: int
    n: int
    groups: int = 1
    input_words: int
    output_words: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    kernel: tuple[int, ...] = (1, 1)
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    has_bias: bool = True
    calls: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        return self.groups * self.m * self.k * self.n

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted; of a product of activations, values of its second operand."""
        return self.groups * self.k * self.n

    @property
    def is_transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.kind.startswith("conv_transpose")

    @property
    def window(self) -> int:
        """Number of positions of a convolution's kernel; 1 for other layers."""
        return math.prod(self.kernel)

    @property
    def out_channels(self) -> int:
        """Number of output channels or features."""
        return self.n * self.groups // (self.window if self.is_transposed else 1)

    @property
    def in_channels(self) -> int:
        """Number of input channels or features."""
        return self.k * self.groups // (1 if self.is_transposed else self.window)


class ExactOperator(Record, frozen=True, kw_only=True):
    """An operator that stays exact, why, and its work in one inference (batch 1).

    The rules of the counts are those of `axdnn.quant.operator_counts`, of ONNX files too. An ONNX operator without a
    rule, and records saved before there were counts, have the kind `other` and zeros.

    Attributes:
        name: of the operator in the captured graph, or of the node in an ONNX file.
        operator: what it computes, e.g. `max_pool2d`.
        reason: why it stays exact.
        kind: its group in tables and prices.
        input_words: values it reads, all operands; 0 of a view, which moves nothing.
        output_words: values it writes; 0 of a view.
        operations: scalar additions, subtractions, multiplications, comparisons and look-ups.
        transcendental: exponentials, logarithms, sigmoids, hyperbolic tangents, divisions and square roots.
    """

    name: str
    operator: str
    reason: str
    kind: OperatorKind = "other"
    input_words: int = 0
    output_words: int = 0
    operations: int = 0
    transcendental: int = 0

    @property
    def is_counted(self) -> bool:
        """Whether the record says what the operator does; False without a rule, or saved before there were any."""
        return self.kind != "other" or bool(self.input_words or self.output_words or self.operations)


class Network(Record, frozen=True, kw_only=True):
    """A captured model as plain data.

    Attributes:
        name: label of the model.
        layers: in execution order.
        edges: pairs (producer, consumer) of layer names; operators in between are skipped over. `"input"` and
            `"output"` are the ends.
        exact_operators: everything that does not use a multiplier from the library.
        input_shape: without the batch dimension.
        peak_activation_words: most activation values alive at once (producer order, one byte each when quantised).
        captured_by: path taken by the capture, e.g. `"torch.export"`.
    """

    name: str
    layers: tuple[Layer, ...]
    edges: tuple[tuple[str, str], ...] = ()
    exact_operators: tuple[ExactOperator, ...] = ()
    input_shape: tuple[int, ...] = ()
    peak_activation_words: int = 0
    captured_by: str = ""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in execution order."""
        return tuple(layer.name for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted."""
        return sum(layer.weights for layer in self.layers if layer.kind != "matmul")
