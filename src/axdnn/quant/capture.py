"""Capture a trained `torch.nn.Module` as a graph whose convolutions and linear layers carry the user's names."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch
from torch import nn

from axdnn.quant.builder import Builder
from axdnn.quant.fx_nodes import with_batch
from axdnn.quant.graph import CapturedModel, Inputs
from axdnn.records import InvalidInputError, UnsupportedOperatorError

CHECK_TOLERANCE = 1e-4
EXAMPLE_BATCH = 3
CHECK_BATCHES = (1, 2, 5)
TELLING_SIZES = (7, 11, 13, 17, 19, 23, 29, 31, 37)


def capture(model: nn.Module, example: Inputs) -> CapturedModel:
    """Capture a model in eval mode.

    Lowers through `torch.export` (batch size free); where that fails, through `make_fx`, which records one run. Both
    give ATen operators, so modules, functional calls and tensor methods are captured alike. The result is run against
    the original on batches of other sizes before it is returned. The model itself is left as it was.

    Args:
        model: of convolutions, linear layers, products of activations, attention, recurrent layers, normalisations,
            pooling, element-wise functions, reshapes.
        example: a batch of at least one input, float (or integers for an embedding), shape `(b, ...)`; a tuple of them
            for a model of several inputs.

    Raises:
        InvalidInputError: `model` or `example` is not usable.
        UnsupportedOperatorError: an operator has no rule; all of them are listed.
    """
    if not isinstance(model, nn.Module):
        raise InvalidInputError(f"`model` must be a torch.nn.Module, but got {type(model).__name__}")
    examples = example if isinstance(example, tuple) else (example,)
    if not examples or not all(isinstance(x, torch.Tensor) and x.dim() >= 2 and x.shape[0] >= 1 for x in examples):
        raise InvalidInputError("`example` must be a float tensor (batch, ...) with at least one input, or several")
    modes = [(module, module.training) for module in model.modules()]
    fused = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # one fused operator would hide the layers of a transformer
        with torch.no_grad(), torch.autocast(examples[0].device.type, enabled=False), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*were assigned during export.*")  # of recurrent layers
            prepared = tuple(x.float() if x.is_floating_point() else x for x in examples)
            batch = tuple(x[:1].expand(EXAMPLE_BATCH, *x.shape[1:]).contiguous() for x in prepared)
            captured = _capture(model, batch)
            _check_same(model, captured, prepared)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes:
            module.training = training
    return captured


def _capture(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> CapturedModel:
    shapes = tuple(tuple(x.shape[1:]) for x in batch)
    try:
        model(*batch)
    except Exception as error:
        told = ", ".join(str(shape) for shape in shapes)
        raise InvalidInputError(f"the model fails on an input of shape {told}: {_first_line(error)}") from error
    try:
        program = torch.export.export(model, batch, dynamic_shapes=_free_batch(model, len(batch)))
    except Exception as error:  # torch.export raises many kinds; the fallback decides whether the model is capturable
        return Builder(_trace(model, batch, error), model, {}, "make_fx", shapes).build()
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names |= signature.inputs_to_lifted_tensor_constants
    tensors: dict[str, Any] = {**program.state_dict, **program.constants}
    parameters = {node: (name, tensors[name]) for node, name in names.items()}
    return Builder(program.graph_module, model, parameters, "torch.export", shapes).build()


def _free_batch(model: nn.Module, count: int) -> tuple[Any, ...]:
    """Say that the batch size of every input is free; inputs of `*args` stand in a tuple of their own."""
    parameters = inspect.signature(model.forward).parameters.values()
    named = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    free = tuple({0: torch.export.Dim.DYNAMIC} for _ in range(count))
    return free if named >= count else (*free[:named], free[named:])


def _trace(model: nn.Module, batch: tuple[torch.Tensor, ...], cause: Exception) -> torch.fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    size = _telling_size(model, batch)
    many = tuple(x[:1].expand(size, *x.shape[1:]).contiguous() for x in batch)
    try:
        module: torch.fx.GraphModule = make_fx(model, pre_dispatch=True)(*many)
    except Exception as error:
        raise UnsupportedOperatorError(
            f"the model cannot be captured: torch.export says {_first_line(cause)}; make_fx says {_first_line(error)}"
        ) from error
    for node in module.graph.nodes:
        value = node.meta.get("val", node.meta.get("tensor_meta"))
        node.meta["val"] = torch.utils._pytree.tree_map(lambda v: with_batch(v, size), value)
    return module


def _telling_size(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> int:
    """Return a batch size that divides no size of the model, so that what it divides comes from the batch."""
    tensors = [*model.parameters(), *model.buffers()]
    sizes = {s for t in tensors for s in t.shape} | {s for x in batch for s in x.shape[1:]}
    return next(p for p in TELLING_SIZES if p == TELLING_SIZES[-1] or all(s % p for s in sizes))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_same(model: nn.Module, captured: CapturedModel, examples: tuple[torch.Tensor, ...]) -> None:
    for size in CHECK_BATCHES:
        batch = tuple(x[torch.arange(size) % len(x)] for x in examples)
        try:
            expected, got = _flat(model(*batch)), _flat(captured(*batch))
            same = len(expected) == len(got) and all(map(_close, expected, got))
        except Exception as error:
            raise _not_reproduced(captured, size, f" ({_first_line(error)})") from error
        if not same:
            raise _not_reproduced(captured, size, "")


def _flat(results: Any) -> list[torch.Tensor]:
    """Return the tensors of a result in order, whatever holds them."""
    leaves, _ = torch.utils._pytree.tree_flatten(results)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    same = one.shape == other.shape
    return same and torch.allclose(one, other, rtol=CHECK_TOLERANCE, atol=CHECK_TOLERANCE, equal_nan=True)


def _not_reproduced(captured: CapturedModel, size: int, tail: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"the captured graph ({captured.captured_by}) does not reproduce the model on a batch of {size}: the model may "
        f"depend on the batch size, on values of its input or on random numbers{tail}"
    )
