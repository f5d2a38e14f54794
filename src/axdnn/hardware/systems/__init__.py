"""Systems on a chip: cores of different kinds, and which of them runs which layer."""

from axdnn.hardware.systems.chip import SystemChip
from axdnn.hardware.systems.core_costs import CoreCosts, core_costs
from axdnn.hardware.systems.explaining import explain_system_layer
from axdnn.hardware.systems.explaining_chip import explain_system_chip
from axdnn.hardware.systems.files import list_systems, parse_system, shipped_system_text, system_faults
from axdnn.hardware.systems.report import mapped_report

__all__ = [
    "CoreCosts",
    "SystemChip",
    "core_costs",
    "explain_system_chip",
    "explain_system_layer",
    "list_systems",
    "mapped_report",
    "parse_system",
    "shipped_system_text",
    "system_faults",
]
