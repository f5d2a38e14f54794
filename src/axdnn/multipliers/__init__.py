"""What a multiplier is: its table, error, exact factors, and the catalogue of known circuits. Loads no torch."""

from axdnn.multipliers.catalogue import (
    area_ratio,
    catalogue_names,
    exact_multiplier,
    load_multiplier,
    load_set,
    power_ratio,
)
from axdnn.multipliers.classify import Classification, classify
from axdnn.multipliers.factors import Factors, factors_for, integer_factors
from axdnn.multipliers.listing import CatalogueRow, list_multipliers
from axdnn.multipliers.metrics import ErrorMetrics, error_map, error_metrics
from axdnn.multipliers.modular import matrix_rank
from axdnn.records import Figures, Multiplier

__all__ = [
    "CatalogueRow",
    "Classification",
    "ErrorMetrics",
    "Factors",
    "Figures",
    "Multiplier",
    "area_ratio",
    "catalogue_names",
    "classify",
    "error_map",
    "error_metrics",
    "exact_multiplier",
    "factors_for",
    "integer_factors",
    "list_multipliers",
    "load_multiplier",
    "load_set",
    "matrix_rank",
    "power_ratio",
]
