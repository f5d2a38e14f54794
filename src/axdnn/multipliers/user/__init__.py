"""Multipliers that users bring: tables and functions imported, checked against a*b, and kept in `.axmul` files."""

from axdnn.multipliers.user.file import file_multiplier, is_file_name, require_path, save_multiplier
from axdnn.multipliers.user.importing import ImportedTable, import_table
from axdnn.multipliers.user.names import require_label, require_own_name
from axdnn.multipliers.user.numbers import RAW_TYPES, load_table
from axdnn.multipliers.user.readings import Reading, check_reading, readings

__all__ = [
    "RAW_TYPES",
    "ImportedTable",
    "Reading",
    "check_reading",
    "file_multiplier",
    "import_table",
    "is_file_name",
    "load_table",
    "readings",
    "require_label",
    "require_own_name",
    "require_path",
    "save_multiplier",
]
