"""`Network`: the layers of a model with shapes and products, and how they are joined."""

from __future__ import annotations

from typing import Literal

from axdnn.records.codec import Record

LayerKind = Literal["conv2d", "linear"]


class Layer(Record, frozen=True, kw_only=True):
    """A layer that multiplies activations with weights, as `groups` matrix products `(m x k) . (k x n)`.

    For one inference (batch 1). A convolution has m = output pixels, k = kernel height * width * input channels
    per group, n = output channels per group. A linear layer has m = rows of its input (1 for a vector).

    Attributes:
        name: path of the module in the user's model.
        kind: operator.
        m, k, n, groups: see above.
        input_words: distinct input values (not the unfolded matrix).
        output_words: output values.
        in_shape, out_shape: without the batch dimension, e.g. `(c, h, w)`.
        kernel, stride, padding, dilation: of a convolution, `(height, width)`.
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
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    has_bias: bool = True

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        return self.groups * self.m * self.k * self.n

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted."""
        return self.groups * self.k * self.n


class ExactOperator(Record, frozen=True, kw_only=True):
    """An operator that stays exact, and why."""

    name: str
    operator: str
    reason: str


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
        return sum(layer.weights for layer in self.layers)
