"""Behavioural families of approximate 8x8-bit multipliers from the literature, by name: `drum:k=4`, `bam:h=0,v=4`.

Tables are computed from the published definition; power, area and delay are unknown, so members have no figures: they
can be simulated and compared, but not priced.
"""

from axdnn.multipliers.families.base import Family, Parameter
from axdnn.multipliers.families.naming import (
    FAMILIES,
    family_multiplier,
    is_family_name,
    list_families,
    split_names,
)

__all__ = ["FAMILIES", "Family", "Parameter", "family_multiplier", "is_family_name", "list_families", "split_names"]
