"""A trained candidate as an integer network with its multipliers, what is skipped left out, and its price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from axdnn.channels import coding_bank, described
from axdnn.evaluation import Evaluator, RowMapping
from axdnn.generation import neurons_of
from axdnn.hardware import Accelerator
from axdnn.layers import ApproxModel, Recipe
from axdnn.multipliers import load_multiplier
from axdnn.nas.layout import Layout
from axdnn.nas.network import LayeredNetwork, module_name
from axdnn.quant import CapturedModel, capture, fold_batch_norm
from axdnn.records import Assignment, CostReport, Multiplier, Network

Channels = Mapping[str, npt.NDArray[np.float64]]


class IntegerCandidate:
    """A trained float network, captured and calibrated; assignments are built and priced from it.

    Args:
        network: trained.
        layout: its shapes.
        calibration: images `(n, ...)`.
        accelerator: priced on; rows that it keeps exact multiply exactly.
        multipliers: that assignments may name; the exact one is added.
        recipe: conversion switches.

    Attributes:
        captured: the float network with batch norm folded.
        shapes: its description, which energy, latency and memory are all priced from.
        evaluator: builds and prices assignments as every other method does.
    """

    def __init__(
        self, network: LayeredNetwork, layout: Layout, calibration: torch.Tensor, accelerator: Accelerator,
        multipliers: Mapping[str, Multiplier], recipe: Recipe | None = None,
    ) -> None:  # fmt: skip
        self.layout, recipe = layout, recipe or Recipe()
        captured = fold_batch_norm(capture(network, calibration[:2]))
        bank = coding_bank(captured, calibration, recipe, None, RowMapping.of(accelerator))
        self.captured: CapturedModel = bank.calibration.model
        self.shapes: Network = described(bank, f"layered-{layout.topology[:8]}")
        exact = load_multiplier("exact")
        self.evaluator = Evaluator(
            bank, self.shapes, {exact.name: exact, **multipliers}, exact.name, {}, accelerator, shared_bytes=0
        )

    def assignment(self, layout: Layout, channels: Channels | None = None) -> Assignment:
        """Return the assignment of a layout of this topology: its multipliers, its least important channels left out.

        Args:
            layout: of the same topology.
            channels: layer -> importance of each output channel; None for the size of its weights (sum of absolute
                values after batch norm is folded; H. Li et al., "Pruning filters for efficient ConvNets", ICLR 2017).
        """
        chosen = {module_name(layer): name for layer, name in layout.multipliers.items()}
        shares = {module_name(layer): share for layer, share in layout.skips.items()}
        if not shares:
            return Assignment(multipliers=chosen)
        values = self.weight_sizes() if channels is None else channels
        outputs = frozenset(a for a, b in self.shapes.edges if b == "output")
        neurons = neurons_of(self.captured, self.evaluator.bank.calibration, values, outputs)
        left_out = neurons.skipping(shares, remove=True)
        return Assignment(multipliers=chosen, skip=left_out.skip, absent=left_out.absent)

    def weight_sizes(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return layer -> sum of the absolute weights of each output channel, float64 `(channels,)`."""
        return {
            name: self.captured.layer(name).weight.detach().double().abs().flatten(1).sum(1).numpy()
            for name in self.captured.layer_names
        }

    def model(self, assignment: Assignment) -> ApproxModel:
        """Build and calibrate the integer network of an assignment."""
        return self.evaluator.model(assignment)

    def cost(self, assignment: Assignment) -> CostReport:
        """Price an assignment, every pod of the accelerator holding one multiplier."""
        return self.evaluator.cost(assignment)

    @property
    def network_images(self) -> int:
        """Images sent through the network so far by capture and calibration."""
        return self.evaluator.network_images
