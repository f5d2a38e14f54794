"""In-memory computing."""
from axdnn.hardware.imc.macro import sram_macro
from axdnn.hardware.imc.voltage import voltage_fit
