"""Cost of a `Network` under an `Assignment` on an accelerator: closed forms over NumPy arrays. Loads no torch."""

from axdnn.hardware.accelerator import (
    Accelerator,
    accelerator_faults,
    list_accelerators,
    load_accelerator,
    parse_accelerator,
)
from axdnn.hardware.array_counts import ArrayCounts, array_counts
from axdnn.hardware.components import exact_figures
from axdnn.hardware.dram import DramWords, buffered_words, flushed_words, usable_words
from axdnn.hardware.estimate import estimate
from axdnn.hardware.layer_files import GemmLayers, read_gemm_csv, read_topology_csv
from axdnn.hardware.paper_equations import PaperConstants
from axdnn.hardware.paper_literal import PAPER_COMPONENTS, PAPER_MODEL, paper_energy_j, paper_literal, paper_table
from axdnn.hardware.pods import allocate, compositions, hull_allocation
from axdnn.hardware.row_mapping import exact_terms, term_counts
from axdnn.hardware.skipping import thinned
from axdnn.hardware.sosa import SosaPoint, sosa_point
from axdnn.hardware.streaming import COMPONENTS, MODEL
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

__all__ = [
    "COMPONENTS",
    "MODEL",
    "PAPER_COMPONENTS",
    "PAPER_MODEL",
    "Accelerator",
    "ArrayCounts",
    "BufferAccesses",
    "CostTable",
    "Dataflow",
    "DramWords",
    "GemmLayers",
    "PaperConstants",
    "Placement",
    "Prices",
    "SosaPoint",
    "Timing",
    "accelerator_faults",
    "allocate",
    "array_counts",
    "buffer_accesses",
    "buffered_words",
    "compositions",
    "cost_table",
    "cycles",
    "estimate",
    "exact_figures",
    "exact_terms",
    "flushed_words",
    "hull_allocation",
    "list_accelerators",
    "load_accelerator",
    "mapping_efficiency",
    "paper_energy_j",
    "paper_literal",
    "paper_table",
    "parse_accelerator",
    "place",
    "read_gemm_csv",
    "read_topology_csv",
    "sosa_point",
    "term_counts",
    "thinned",
    "usable_words",
    "utilisation",
]
