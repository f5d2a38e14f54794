"""Counts of ONNX operators by hand, one small graph a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axdnn.hardware import load_machine
from axdnn.models import network_from_onnx
from axdnn.models.onnx_operators import COPIES, RULES, TABLES, VIEWS
from axdnn.records import ExactOperator, Network

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
node = helper.make_node
TYPES = {"ArgMax": onnx.TensorProto.INT64, "QuantizeLinear": onnx.TensorProto.UINT8}


def written(path: Path, nodes: list[Any], shape: tuple[int, ...], opset: int, stored: dict[str, Any]) -> Path:
    """A file with the nodes from `x` to `y` beside one layer, which every network needs."""
    nodes = [node("MatMul", ["x", "w"], ["layer"], name="/layer/MatMul"), *nodes]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    tensors.append(onnx.numpy_helper.from_array(np.ones((shape[-1], 2), dtype=np.float32), "w"))
    types = {"layer": FLOAT, "y": TYPES.get(nodes[-1].op_type, FLOAT)}
    results = [helper.make_tensor_value_info(name, of, None) for name, of in types.items()]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape)], results, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def of_nodes(path: Path, nodes: list[Any], shape: tuple[int, ...], opset: int = 21, **stored: Any) -> Network:
    return network_from_onnx(written(path / "net.onnx", nodes, shape, opset, stored))


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


PICTURE, TOKENS = (1, 4, 6, 10), (1, 5, 8)  # 240 and 40 values
PASS = ("movement", 0, 0)
# name -> node, shape of x, stored operands, and (operator, kind, operations, transcendental, words read, written)
ONE: dict[str, tuple[Any, tuple[int, ...], dict[str, Any], tuple[Any, ...]]] = {
    # one comparison or look-up a value, two comparisons with two bounds
    "Relu": (node("Relu", ["x"], ["y"]), TOKENS, {}, ("clamp", "activation", 40, 0, 40, 40)),
    "HardSwish": (node("HardSwish", ["x"], ["y"]), TOKENS, {}, ("unary", "activation", 40, 0, 40, 40)),
    "Clip": (node("Clip", ["x", "low", "high"], ["y"]), TOKENS, {"low": np.float32(0), "high": np.float32(6)},
             ("clamp", "activation", 80, 0, 40, 40)),
    "Clip from above": (node("Clip", ["x", "", "high"], ["y"]), TOKENS, {"high": np.float32(6)},
                        ("clamp", "activation", 40, 0, 40, 40)),
    "PRelu": (node("PRelu", ["x", "slope"], ["y"]), TOKENS, {"slope": f32(8)}, ("unary", "activation", 40, 0, 40, 40)),
    # 4 x 3 x 5 windows of 4 values; the whole pictures have 60
    "MaxPool": (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]), PICTURE, {},
                ("max_pool2d", "pooling", 60 * 3, 0, 240, 60)),
    "AveragePool": (node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]), PICTURE, {},
                    ("avg_pool2d", "pooling", 60 * (4 + 1), 0, 240, 60)),
    "MaxPool of lines": (node("MaxPool", ["x"], ["y"], kernel_shape=[4], strides=[4]), TOKENS, {},
                         ("max_pool1d", "pooling", 10 * 3, 0, 40, 10)),
    "GlobalMaxPool": (node("GlobalMaxPool", ["x"], ["y"]), PICTURE, {}, ("max_pool2d", "pooling", 4 * 59, 0, 240, 4)),
    "GlobalAveragePool": (node("GlobalAveragePool", ["x"], ["y"]), PICTURE, {},
                          ("avg_pool2d", "pooling", 4 * 61, 0, 240, 4)),
    # two activations are read, constants are not
    "Add": (node("Add", ["x", "x"], ["y"]), TOKENS, {}, ("add", "elementwise", 40, 0, 80, 40)),
    "Add of a constant": (node("Add", ["x", "c"], ["y"]), TOKENS, {"c": f32(8)},
                          ("affine", "elementwise", 40, 0, 40, 40)),
    "Sub": (node("Sub", ["x", "x"], ["y"]), TOKENS, {}, ("combine", "elementwise", 40, 0, 80, 40)),
    "Mul": (node("Mul", ["x", "c"], ["y"]), TOKENS, {"c": f32(8)}, ("affine", "elementwise", 40, 0, 40, 40)),
    "Div": (node("Div", ["x", "x"], ["y"]), TOKENS, {}, ("div", "elementwise", 0, 40, 80, 40)),
    "Div by a constant": (node("Div", ["x", "c"], ["y"]), TOKENS, {"c": f32()},
                          ("affine", "elementwise", 40, 0, 40, 40)),
    "Div of a constant": (node("Div", ["c", "x"], ["y"]), TOKENS, {"c": f32()}, ("div", "elementwise", 0, 40, 40, 40)),
    "Max of three": (node("Max", ["x", "x", "x"], ["y"]), TOKENS, {}, ("maximum", "elementwise", 80, 0, 120, 40)),
    "Min": (node("Min", ["x", "x"], ["y"]), TOKENS, {}, ("minimum", "elementwise", 40, 0, 80, 40)),
    "Mean of three": (node("Mean", ["x", "x", "x"], ["y"]), TOKENS, {}, ("add", "elementwise", 120, 0, 120, 40)),
    "Pow 2": (node("Pow", ["x", "c"], ["y"]), TOKENS, {"c": np.float32(2)}, ("pow", "elementwise", 40, 0, 40, 40)),
    "Pow 3": (node("Pow", ["x", "c"], ["y"]), TOKENS, {"c": np.float32(3)}, ("pow", "elementwise", 80, 0, 40, 40)),
    "Pow 0.5": (node("Pow", ["x", "c"], ["y"]), TOKENS, {"c": np.float32(0.5)}, ("pow", "elementwise", 0, 40, 40, 40)),
    "Pow of a constant": (node("Pow", ["c", "x"], ["y"]), TOKENS, {"c": f32()}, ("pow", "elementwise", 0, 40, 40, 40)),
    "Sqrt": (node("Sqrt", ["x"], ["y"]), TOKENS, {}, ("sqrt", "elementwise", 0, 40, 40, 40)),
    "BatchNormalization": (node("BatchNormalization", ["x", "c", "c", "c", "c"], ["y"]), PICTURE, {"c": f32(4)},
                           ("batch_norm", "elementwise", 480, 0, 240, 240)),
    # 5 rows of 8: 7 comparisons, 8 differences, 8 exponentials, 8 sums, a division and 8 products each
    "Softmax": (node("Softmax", ["x"], ["y"]), TOKENS, {}, ("softmax", "softmax", 5 * (7 + 8 + 8 + 8), 5 * 9, 40, 40)),
    "LogSoftmax": (node("LogSoftmax", ["x"], ["y"], axis=1), TOKENS, {},
                   ("log_softmax", "softmax", 8 * (4 + 5 + 5 + 5), 8 * 6, 40, 40)),
    # a row: 8 sums, mean, 8 differences, 8 squares, 8 sums, variance, eps, inverse root, 8 products, weights, biases
    "LayerNormalization": (node("LayerNormalization", ["x", "c", "c"], ["y"]), TOKENS, {"c": f32(8)},
                           ("layer_norm", "normalisation", 5 * (7 * 8 + 3), 5, 40, 40)),
    "LayerNormalization of all, no bias": (node("LayerNormalization", ["x", "c"], ["y"], axis=1), TOKENS,
                                           {"c": f32(5, 8)}, ("layer_norm", "normalisation", 6 * 40 + 3, 1, 40, 40)),
    "InstanceNormalization": (node("InstanceNormalization", ["x", "c", "c"], ["y"]), PICTURE, {"c": f32(4)},
                              ("group_norm", "normalisation", 4 * (7 * 60 + 3), 4, 240, 240)),
    "GroupNormalization": (node("GroupNormalization", ["x", "c", "c"], ["y"], num_groups=2), PICTURE, {"c": f32(4)},
                           ("group_norm", "normalisation", 2 * (7 * 120 + 3), 2, 240, 240)),
    # 5 results of 8 values
    "ReduceMean": (node("ReduceMean", ["x", "axes"], ["y"]), TOKENS, {"axes": np.array([-1])},
                   ("mean", "reduction", 5 * 9, 0, 40, 5)),
    "ReduceMean of pictures": (node("ReduceMean", ["x", "axes"], ["y"], keepdims=0), PICTURE,
                               {"axes": np.array([-1, 2])}, ("avg_pool2d", "pooling", 4 * 61, 0, 240, 4)),
    "ReduceSum": (node("ReduceSum", ["x", "axes"], ["y"]), TOKENS, {"axes": np.array([2])},
                  ("sum", "reduction", 40, 0, 40, 5)),
    "ReduceMax": (node("ReduceMax", ["x", "axes"], ["y"]), TOKENS, {"axes": np.array([2])},
                  ("amax", "reduction", 5 * 7, 0, 40, 5)),
    "ReduceL2": (node("ReduceL2", ["x", "axes"], ["y"]), TOKENS, {"axes": np.array([2])},
                 ("sum", "reduction", 5 * (8 + 8), 5, 40, 5)),
    "ArgMax": (node("ArgMax", ["x"], ["y"], axis=2), TOKENS, {}, ("argmax", "reduction", 5 * 7, 0, 40, 5)),
    # moves: copies have their words, a transposition of axes of one value has none
    "Concat": (node("Concat", ["x", "c"], ["y"], axis=1), TOKENS, {"c": f32(1, 1, 8)}, ("cat", *PASS, 48, 48)),
    "Pad": (node("Pad", ["x", "pads"], ["y"]), TOKENS, {"pads": np.array([0, 0, 1, 0, 0, 1])}, ("pad", *PASS, 40, 50)),
    "Transpose": (node("Transpose", ["x"], ["y"], perm=[0, 2, 1]), TOKENS, {}, ("reshape", *PASS, 40, 40)),
    "Transpose of all": (node("Transpose", ["x"], ["y"]), TOKENS, {}, ("reshape", *PASS, 40, 40)),
    "Transpose of the batch": (node("Transpose", ["x"], ["y"], perm=[1, 0, 2]), TOKENS, {}, ("reshape", *PASS, 0, 0)),
    "Tile": (node("Tile", ["x", "c"], ["y"]), TOKENS, {"c": np.array([1, 1, 3])}, ("reshape", *PASS, 40, 120)),
    "Expand": (node("Expand", ["x", "c"], ["y"]), TOKENS, {"c": np.array([3, 5, 8])}, ("reshape", *PASS, 0, 0)),
    "Slice": (node("Slice", ["x", "a", "b"], ["y"]), TOKENS, {"a": np.array([0, 1]), "b": np.array([1, 3])},
              ("reshape", *PASS, 0, 0)),
    "Reshape": (node("Reshape", ["x", "c"], ["y"]), TOKENS, {"c": np.array([1, 40])}, ("reshape", *PASS, 0, 0)),
    "Gather of one": (node("Gather", ["x", "c"], ["y"], axis=1), TOKENS, {"c": np.array(2)}, ("reshape", *PASS, 0, 0)),
    "Gather of some": (node("Gather", ["x", "c"], ["y"], axis=1), TOKENS, {"c": np.array([2, 0])},
                       ("reshape", *PASS, 40, 16)),
    # nearest neighbours are copies; bilinear weighs 2 x 2 values: 4 products, 4 sums
    "Resize nearest": (node("Resize", ["x", "", "c"], ["y"]), PICTURE, {"c": np.float32([1, 1, 2, 2])},
                       ("reshape", *PASS, 240, 960)),
    "Resize bilinear": (node("Resize", ["x", "", "c"], ["y"], mode="linear"), PICTURE, {"c": np.float32([1, 1, 2, 2])},
                        ("interpolate", "other", 960 * 8, 0, 240, 960)),
    "QuantizeLinear": (node("QuantizeLinear", ["x", "c"], ["y"]), TOKENS, {"c": f32()}, ("reshape", *PASS, 0, 0)),
}  # fmt: skip


def counts(found: ExactOperator) -> tuple[Any, ...]:
    return (found.operator, found.kind, found.operations, found.transcendental, found.input_words, found.output_words)


@pytest.mark.parametrize("name", ONE)
def test_counts_by_hand(name: str, tmp_path: Path) -> None:
    made, shape, stored, wanted = ONE[name]
    (found,) = of_nodes(tmp_path, [made], shape, **stored).exact_operators
    assert counts(found) == wanted
    assert found.is_counted
    assert found.reason.startswith(f"{made.op_type} of the file")


def test_a_layer_behind_group_norms_has_its_shape(tmp_path: Path) -> None:
    """ONNX's inference does not know the operator."""
    nodes = [
        node("GroupNormalization", ["x", "c", "c"], ["a"], num_groups=2), node("Mish", ["a"], ["b"]),
        node("GroupNormalization", ["b", "c", "c"], ["d"], num_groups=4),
        node("Conv", ["d", "kernel"], ["y"], name="/conv/Conv"),
    ]  # fmt: skip
    network = of_nodes(tmp_path, nodes, PICTURE, c=f32(4), kernel=f32(3, 4, 3, 3))
    assert [(x.name, x.in_shape, x.out_shape) for x in network.layers[1:]] == [("conv", (4, 6, 10), (3, 4, 8))]
    assert [o.operations for o in network.exact_operators] == [7 * 240 + 6, 240, 7 * 240 + 12]


def test_older_operators_hold_numbers_as_attributes(tmp_path: Path) -> None:
    """Bounds, axes, and a softmax over all axes from its own on."""
    nodes = [
        node("Clip", ["x"], ["a"], min=0.0, max=6.0), node("ReduceMean", ["a"], ["b"], axes=[2]),
        node("Softmax", ["a"], ["y"], axis=1),
    ]  # fmt: skip
    clip, mean, soft = of_nodes(tmp_path, nodes, TOKENS, 10).exact_operators
    assert counts(clip) == ("clamp", "activation", 80, 0, 40, 40)
    assert counts(mean) == ("mean", "reduction", 45, 0, 40, 5)
    assert counts(soft) == ("softmax", "softmax", 4 * 40 - 1, 40 + 1, 40, 40)


def test_rows_at_computed_places_are_gathered(tmp_path: Path) -> None:
    """An embedding reads its places and the rows: 40 places, rows of 3."""
    nodes = [node("Cast", ["x"], ["i"], to=onnx.TensorProto.INT64), node("Gather", ["table", "i"], ["y"])]
    cast, rows = of_nodes(tmp_path, nodes, TOKENS, table=f32(9, 3)).exact_operators
    assert counts(cast) == ("reshape", *PASS, 0, 0)
    assert counts(rows) == ("embedding", "gather", 0, 0, 40 + 120, 120)


def test_exponents_in_nodes_count_as_stored_ones(tmp_path: Path) -> None:
    for value in ({"value_float": 2.0}, {"value_floats": [2.0, 2.0]},
                  {"value": onnx.numpy_helper.from_array(np.float32(2))}):  # fmt: skip
        nodes = [node("Constant", [], ["two"], **value), node("Pow", ["x", "two"], ["y"])]
        (square,) = of_nodes(tmp_path, nodes, (1, 3, 2)).exact_operators
        assert (square.operations, square.transcendental) == (6, 0)


def test_a_normalisation_in_parts_counts_as_its_parts(tmp_path: Path) -> None:
    """Of 5 rows of 8, a layer norm divides 40 times by 5 roots where the operator takes 5 inverse roots."""
    nodes = [
        node("ReduceMean", ["x", "last"], ["mean"]), node("Sub", ["x", "mean"], ["d"]),
        node("Pow", ["d", "two"], ["square"]), node("ReduceMean", ["square", "last"], ["variance"]),
        node("Add", ["variance", "eps"], ["v"]), node("Sqrt", ["v"], ["root"]), node("Div", ["d", "root"], ["n"]),
        node("Mul", ["n", "weight"], ["s"]), node("Add", ["s", "weight"], ["y"]),
    ]  # fmt: skip
    numbers = {"last": np.array([-1]), "two": np.float32(2), "eps": f32(), "weight": f32(8)}
    parts = of_nodes(tmp_path, nodes, TOKENS, **numbers).exact_operators
    whole = [node("LayerNormalization", ["x", "weight", "weight"], ["y"])]
    (norm,) = of_nodes(tmp_path, whole, TOKENS, weight=f32(8)).exact_operators
    assert sum(o.operations for o in parts) == norm.operations - 40
    assert sum(o.transcendental for o in parts) == norm.transcendental + 40
    assert [counts(o)[4:] for o in parts] == [
        (40, 5), (45, 40), (40, 40), (40, 5), (5, 5), (5, 5), (45, 40), (40, 40), (40, 40)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "stored"),
    [
        (node("TopK", ["x", "c"], ["y", "places"]), {"c": np.array([3])}),
        (node("CumSum", ["x", "c"], ["y"]), {"c": np.array(2)}),
        (node("PRelu", ["x", "x"], ["y"]), {}),  # slopes that are computed
    ],
)
def test_what_has_no_rule_stays_uncounted_and_is_said(made: Any, stored: dict[str, Any], tmp_path: Path) -> None:
    network = of_nodes(tmp_path, [made, node("Relu", ["layer"], ["z"])], TOKENS, **stored)
    assert [o.is_counted for o in network.exact_operators] == [False, True]
    assert counts(network.exact_operators[0]) == (made.op_type, "other", 0, 0, 0, 0)
    report = load_machine("tpu_v4").cost(network)
    (note,) = (note for note in report.notes if "no counts" in note)
    assert note.startswith(f"1 exact operators have no counts, so they are priced at 0: {made.op_type};")


def test_rules_are_those_of_standard_operators() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    newer = {"Swish"}  # of a later standard than the least version of onnx that is supported
    assert set(RULES) - newer <= known
    assert {*TABLES, *VIEWS, *COPIES} <= set(RULES)
