"""Banks of arrays of different sizes and multipliers behind shared memories, and which of them runs which layer."""

from axdnn.hardware.banks.bank import ArrayBank, BankArray
from axdnn.hardware.banks.explaining import explain_bank, explain_bank_layer
from axdnn.hardware.banks.files import bank_faults, list_banks, parse_bank, shipped_bank_text
from axdnn.hardware.banks.report import bank_report
from axdnn.hardware.banks.routing import Routed, route_layers

__all__ = [
    "ArrayBank",
    "BankArray",
    "Routed",
    "bank_faults",
    "bank_report",
    "explain_bank",
    "explain_bank_layer",
    "list_banks",
    "parse_bank",
    "route_layers",
    "shipped_bank_text",
]
