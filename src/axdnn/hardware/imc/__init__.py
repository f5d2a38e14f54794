"""Cost of networks on in-memory arrays, analogue and digital: closed forms over NumPy arrays. Loads no torch."""

from axdnn.hardware.imc.activity import Activity, measure_activity
from axdnn.hardware.imc.chip import ImcChip, imc_chip_faults, list_imc_chips, load_imc_chip, parse_imc_chip
from axdnn.hardware.imc.converters import Adc, largest_sum, lossless_adc_bits, sar_adc, survey_adc
from axdnn.hardware.imc.cost import balanced_replicas, imc_cost, network_shapes
from axdnn.hardware.imc.explaining import explain_imc_layer
from axdnn.hardware.imc.explaining_chip import explain_imc_chip, explain_imc_memory
from axdnn.hardware.imc.macro import SramMacro, sram_macro
from axdnn.hardware.imc.mapping import Placement, Residency, Shapes, place_on_arrays, residency
from axdnn.hardware.imc.report import imc_report
from axdnn.hardware.imc.result import AREA_COMPONENTS, BOUNDS, COMPONENTS, ImcCost, Shortfall
from axdnn.hardware.imc.sums import analogue_sums
from axdnn.hardware.imc.voltage import VoltageFit, alpha_power_delay, voltage_fit, voltage_fits

__all__ = [
    "AREA_COMPONENTS",
    "BOUNDS",
    "COMPONENTS",
    "Activity",
    "Adc",
    "ImcChip",
    "ImcCost",
    "Placement",
    "Residency",
    "Shapes",
    "Shortfall",
    "SramMacro",
    "VoltageFit",
    "alpha_power_delay",
    "analogue_sums",
    "balanced_replicas",
    "explain_imc_chip",
    "explain_imc_layer",
    "explain_imc_memory",
    "imc_chip_faults",
    "imc_cost",
    "imc_report",
    "largest_sum",
    "list_imc_chips",
    "load_imc_chip",
    "lossless_adc_bits",
    "measure_activity",
    "network_shapes",
    "parse_imc_chip",
    "place_on_arrays",
    "residency",
    "sar_adc",
    "sram_macro",
    "survey_adc",
    "voltage_fit",
    "voltage_fits",
]
