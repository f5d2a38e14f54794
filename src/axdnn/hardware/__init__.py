"""Cost of a `Network` under an `Assignment` on an accelerator: closed forms over NumPy arrays. Loads no torch."""

from axdnn.hardware.accelerator import (
    Accelerator,
    accelerator_faults,
    list_accelerators,
    load_accelerator,
    parse_accelerator,
)
from axdnn.hardware.array_counts import ArrayCounts, array_counts
from axdnn.hardware.banks import ArrayBank, BankArray, explain_bank, explain_bank_layer
from axdnn.hardware.batching import batched
from axdnn.hardware.components import exact_figures
from axdnn.hardware.dram import DramWords, buffered_words, flushed_words, usable_words
from axdnn.hardware.estimate import estimate
from axdnn.hardware.explained import Explained
from axdnn.hardware.explaining import explain_layer
from axdnn.hardware.explaining_chip import explain_chip
from axdnn.hardware.interface import Machine, exact_assignment
from axdnn.hardware.layer_arrays import LayerArrays, layer_arrays
from axdnn.hardware.layer_files import GemmLayers, read_gemm_csv, read_topology_csv
from axdnn.hardware.machines import list_machines, load_machine, machine_faults
from axdnn.hardware.many_chips import Chips, Costs, price_chips
from axdnn.hardware.operating import at_node, at_voltage
from axdnn.hardware.operators import priced_operators, requantisations
from axdnn.hardware.paper_equations import PaperConstants
from axdnn.hardware.paper_literal import PAPER_COMPONENTS, PAPER_MODEL, paper_energy_j, paper_literal, paper_table
from axdnn.hardware.pods import allocate, compositions, hull_allocation
from axdnn.hardware.row_mapping import exact_terms, term_counts
from axdnn.hardware.skipping import thinned
from axdnn.hardware.sosa import SosaPoint, sosa_point
from axdnn.hardware.streaming import COMPONENTS, MODEL
from axdnn.hardware.sweeping import sweep, undominated
from axdnn.hardware.systolic import (
    BufferAccesses,
    Dataflow,
    Placement,
    Timing,
    buffer_accesses,
    cycles,
    mapping_efficiency,
    place,
    utilisation,
)
from axdnn.hardware.table import CostTable, Prices, cost_table
from axdnn.hardware.vector_unit import (
    OPERATOR_COMPONENTS,
    OperatorArrays,
    VectorUnit,
    operator_costs,
    vector_sources,
    vector_unit,
)

__all__ = [
    "COMPONENTS",
    "MODEL",
    "OPERATOR_COMPONENTS",
    "PAPER_COMPONENTS",
    "PAPER_MODEL",
    "Accelerator",
    "ArrayBank",
    "ArrayCounts",
    "BankArray",
    "BufferAccesses",
    "Chips",
    "CostTable",
    "Costs",
    "Dataflow",
    "DramWords",
    "Explained",
    "GemmLayers",
    "LayerArrays",
    "Machine",
    "OperatorArrays",
    "PaperConstants",
    "Placement",
    "Prices",
    "SosaPoint",
    "Timing",
    "VectorUnit",
    "accelerator_faults",
    "allocate",
    "array_counts",
    "at_node",
    "at_voltage",
    "batched",
    "buffer_accesses",
    "buffered_words",
    "compositions",
    "cost_table",
    "cycles",
    "estimate",
    "exact_assignment",
    "exact_figures",
    "exact_terms",
    "explain_bank",
    "explain_bank_layer",
    "explain_chip",
    "explain_layer",
    "flushed_words",
    "hull_allocation",
    "layer_arrays",
    "list_accelerators",
    "list_machines",
    "load_accelerator",
    "load_machine",
    "machine_faults",
    "mapping_efficiency",
    "operator_costs",
    "paper_energy_j",
    "paper_literal",
    "paper_table",
    "parse_accelerator",
    "place",
    "price_chips",
    "priced_operators",
    "read_gemm_csv",
    "read_topology_csv",
    "requantisations",
    "sosa_point",
    "sweep",
    "term_counts",
    "thinned",
    "undominated",
    "usable_words",
    "utilisation",
    "vector_sources",
    "vector_unit",
]
