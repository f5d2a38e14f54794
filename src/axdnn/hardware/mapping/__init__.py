"""Mapping of a network's layers to the cores of a chip: who runs what, and what it costs. Loads no torch."""

from axdnn.hardware.mapping.account import LayerRow, Mapped
from axdnn.hardware.mapping.baselines import given, greedy, single_core
from axdnn.hardware.mapping.batch import ManyMapped, sequential_many
from axdnn.hardware.mapping.legality import Legality, is_depthwise, legality, network_edges
from axdnn.hardware.mapping.pipelined import pipelined
from axdnn.hardware.mapping.problem import Problem
from axdnn.hardware.mapping.sequential import pareto_front, sequential
from axdnn.hardware.mapping.terms import spilled_bytes

__all__ = [
    "LayerRow",
    "Legality",
    "ManyMapped",
    "Mapped",
    "Problem",
    "given",
    "greedy",
    "is_depthwise",
    "legality",
    "network_edges",
    "pareto_front",
    "pipelined",
    "sequential",
    "sequential_many",
    "single_core",
    "spilled_bytes",
]
