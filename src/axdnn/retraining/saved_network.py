"""An integer network as one safetensors file: codes, scales and biases of its layers, and the codes between them.

What the file holds decides every bit of the outputs; the graph comes from the captured model and the tables from the
circuits, both checked. No code runs when a file is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from axdnn.layers import ApproxModel, IntegerLayer, LayerCoding, ScaledSums
from axdnn.layers.product import IntegerProduct
from axdnn.quant import CapturedModel, Encoding
from axdnn.records import CheckpointError, Multiplier, Network

FORMAT = "axdnn integer network 1"


def network_bytes(model: ApproxModel) -> bytes:
    """Return a network as the content of a safetensors file; equal networks give equal bytes.

    Args:
        model: without skipped channels and exact terms, as `TrainableModel.finish` returns it.
    """
    tensors: dict[str, torch.Tensor] = {}
    layers: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(model.layer_names):
        layer, coding = model.layer(name), model.layer(name).coding
        codes = {} if isinstance(layer, IntegerProduct) else {"w_codes": layer.w_codes}
        held = {**codes, "w_scale": coding.w_scale, "scale": layer.scale, "bias": layer.bias}
        tensors |= {f"{number}.{key}": value.detach().cpu().contiguous().clone() for key, value in held.items()}
        second = None if coding.w_encoding is None else astuple(coding.w_encoding)
        layers[name] = {"multiplier": layer.multiplier.id, "w_zero": coding.w_zero, "noise": coding.noise,
                        "encoding": astuple(coding.encoding), "w_encoding": second}  # fmt: skip
    operators = [[name, i, astuple(encoding)] for (name, i), encoding in model.operator_encodings.items()]
    about = {"format": FORMAT, "layers": layers, "operators": operators}
    return safetensors.torch.save(tensors, metadata={"network": json.dumps(about)})


def read_network(
    file: Path, captured: CapturedModel, network: Network, multipliers: Mapping[str, Multiplier]
) -> ApproxModel:
    """Return the network of a file that holds `network_bytes`, bit for bit.

    Args:
        file: its place.
        captured: the model it was made from, batch norm folded; its weights are not looked at.
        network: description of that model.
        multipliers: layer -> circuit with the coding it is wired in.

    Raises:
        CheckpointError: the file is missing, damaged, or holds another network.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            about = json.loads(opened.metadata()["network"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r}")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"the trained network {file} cannot be read: {error}") from error
    if list(about["layers"]) != list(captured.layer_names):
        raise CheckpointError(f"the trained network {file} is of another model: it has layers {list(about['layers'])}")
    layers: dict[str, ScaledSums] = {}
    for number, (name, one) in enumerate(about["layers"].items()):
        held = {key.partition(".")[2]: value for key, value in tensors.items() if key.startswith(f"{number}.")}
        if one["multiplier"] != multipliers[name].id:
            raise CheckpointError(f"the trained network {file} has another circuit in layer {name!r} than was chosen")
        layers[name] = _layer(captured, name, multipliers[name], one, held, file)
    encodings = {(name, i): _encoding(numbers) for name, i, numbers in about["operators"]}
    return ApproxModel(captured, layers, encodings, network).eval()


def _layer(
    captured: CapturedModel, name: str, multiplier: Multiplier, about: Mapping[str, Any],
    held: Mapping[str, torch.Tensor], file: Path,
) -> ScaledSums:  # fmt: skip
    node, product = captured.nodes[name], captured.nodes[name].op == "matmul"
    shape = None if product else captured.layer(name).weight.shape
    codes = torch.zeros(0, dtype=torch.int8) if product else held["w_codes"]
    if shape is not None and codes.shape != shape:
        raise CheckpointError(f"the trained network {file} must have weights {tuple(shape)} in layer {name!r}, "
                              f"but has {tuple(codes.shape)}")  # fmt: skip
    w_scale = held["w_scale"]
    second = None if about["w_encoding"] is None else _encoding(about["w_encoding"])
    coding = LayerCoding(
        multiplier, _encoding(about["encoding"]), codes if product else codes.reshape(*w_scale.shape, -1), w_scale,
        about["w_zero"], about["noise"], None, second,
    )  # fmt: skip
    layer = IntegerProduct(node, coding) if shape is None else IntegerLayer(node, shape, coding)
    layer.scale, layer.bias = held["scale"], held["bias"]
    return layer


def _encoding(numbers: list[Any]) -> Encoding:
    scale, zero_point, signed, step_bits = numbers
    return Encoding(scale, zero_point, signed, step_bits)
