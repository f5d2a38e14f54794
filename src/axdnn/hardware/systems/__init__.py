"""Systems on a chip: cores of different kinds, and which of them runs which layer."""

from axdnn.hardware.systems.chip import SystemChip
from axdnn.hardware.systems.core_costs import CoreCosts, core_costs
from axdnn.hardware.systems.files import list_systems, parse_system, shipped_system_text, system_faults
from axdnn.hardware.systems.report import mapped_report

__all__ = [
    "CoreCosts",
    "SystemChip",
    "core_costs",
    "list_systems",
    "mapped_report",
    "parse_system",
    "shipped_system_text",
    "system_faults",
]
