"""What a multiplier is: its table, error, exact factors, and the catalogue of known circuits. Loads no torch."""

from axdnn.multipliers.catalogue import catalogue_names, load_multiplier, load_set, pinned_set
from axdnn.multipliers.classify import Classification, classify
from axdnn.multipliers.factors import Factors, factors_for, integer_factors
from axdnn.multipliers.families import Family, Parameter, family_multiplier, list_families
from axdnn.multipliers.listing import CatalogueRow, describe_multiplier, list_multipliers
from axdnn.multipliers.metrics import ErrorMetrics, error_map, error_metrics
from axdnn.multipliers.modular import matrix_rank
from axdnn.multipliers.narrow import exact_widths
from axdnn.multipliers.ratios import area_ratio, exact_multiplier, power_ratio
from axdnn.multipliers.user import (
    ImportedTable,
    Reading,
    import_table,
    load_table,
    readings,
    require_label,
    require_own_name,
    save_multiplier,
)
from axdnn.records import Figures, Multiplier

__all__ = [
    "CatalogueRow",
    "Classification",
    "ErrorMetrics",
    "Factors",
    "Family",
    "Figures",
    "ImportedTable",
    "Multiplier",
    "Parameter",
    "Reading",
    "area_ratio",
    "catalogue_names",
    "classify",
    "describe_multiplier",
    "error_map",
    "error_metrics",
    "exact_multiplier",
    "exact_widths",
    "factors_for",
    "family_multiplier",
    "import_table",
    "integer_factors",
    "list_families",
    "list_multipliers",
    "load_multiplier",
    "load_set",
    "load_table",
    "matrix_rank",
    "pinned_set",
    "power_ratio",
    "readings",
    "require_label",
    "require_own_name",
    "save_multiplier",
]
