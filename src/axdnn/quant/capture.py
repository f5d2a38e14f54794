"""Capture a trained `torch.nn.Module` as a graph whose convolutions and linear layers carry the user's names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from axdnn.quant.builder import Builder
from axdnn.quant.graph import CapturedModel
from axdnn.records import InvalidInputError, UnsupportedOperatorError

CHECK_TOLERANCE = 1e-4
EXAMPLE_BATCH = 3
CHECK_BATCHES = (1, 2, 5)


def capture(model: nn.Module, example: torch.Tensor) -> CapturedModel:
    """Capture a model in eval mode.

    Lowers through `torch.export` (batch size free); where that fails, through `make_fx`, which records one run. Both
    give ATen operators, so modules, functional calls and tensor methods are captured alike. The result is run against
    the original on batches of other sizes before it is returned. The model itself is left as it was.

    Args:
        model: of 2-D convolutions, linear layers, batch norm, pooling, element-wise functions, additions, reshapes.
        example: a batch of at least one input, float, shape `(b, ...)`.

    Raises:
        InvalidInputError: `model` or `example` is not usable.
        UnsupportedOperatorError: an operator has no rule; all of them are listed.
    """
    if not isinstance(model, nn.Module):
        raise InvalidInputError(f"`model` must be a torch.nn.Module, but got {type(model).__name__}")
    if not isinstance(example, torch.Tensor) or example.dim() < 2 or example.shape[0] < 1:
        raise InvalidInputError("`example` must be a float tensor (batch, ...) with at least one input")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(example.device.type, enabled=False):
            captured = _capture(model, example[:1].expand(EXAMPLE_BATCH, *example.shape[1:]).contiguous().float())
            _check_same(model, captured, example.float())
    finally:
        for module, training in modes:
            module.training = training
    return captured


def _capture(model: nn.Module, batch: torch.Tensor) -> CapturedModel:
    shape = tuple(batch.shape[1:])
    try:
        model(batch)
    except Exception as error:
        raise InvalidInputError(f"the model fails on an input of shape {shape}: {_first_line(error)}") from error
    try:
        program = torch.export.export(model, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    except Exception as error:  # torch.export raises many kinds; the fallback decides whether the model is capturable
        return Builder(_trace(model, batch, error), model, {}, "make_fx", shape).build()
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names |= signature.inputs_to_lifted_tensor_constants
    tensors: dict[str, Any] = {**program.state_dict, **program.constants}
    parameters = {node: (name, tensors[name]) for node, name in names.items()}
    return Builder(program.graph_module, model, parameters, "torch.export", shape).build()


def _trace(model: nn.Module, batch: torch.Tensor, cause: Exception) -> torch.fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        module: torch.fx.GraphModule = make_fx(model, pre_dispatch=True)(batch)
    except Exception as error:
        raise UnsupportedOperatorError(
            f"the model cannot be captured: torch.export says {_first_line(cause)}; make_fx says {_first_line(error)}"
        ) from error
    for node in module.graph.nodes:
        if "val" not in node.meta and "tensor_meta" in node.meta:
            node.meta["val"] = node.meta["tensor_meta"]
    return module


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_same(model: nn.Module, captured: CapturedModel, example: torch.Tensor) -> None:
    for size in CHECK_BATCHES:
        batch = example[torch.arange(size) % len(example)]
        try:
            expected = model(batch)
            expected = expected[0] if isinstance(expected, list | tuple) else expected
            got = captured(batch)
            same = expected.shape == got.shape and torch.allclose(
                expected, got, rtol=CHECK_TOLERANCE, atol=CHECK_TOLERANCE, equal_nan=True
            )
        except Exception as error:
            raise _not_reproduced(captured, size, f" ({_first_line(error)})") from error
        if not same:
            raise _not_reproduced(captured, size, "")


def _not_reproduced(captured: CapturedModel, size: int, tail: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"the captured graph ({captured.captured_by}) does not reproduce the model on a batch of {size}: the model may "
        f"depend on the batch size, on values of its input or on random numbers{tail}"
    )
