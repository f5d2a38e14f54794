"""Labels of users' multipliers: they must not mean anything else already."""

from __future__ import annotations

import re

from axdnn.multipliers.narrow import narrowed_name
from axdnn.records import AmbiguousNameError, AxdnnError, InvalidInputError, Multiplier

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def require_label(name: str) -> None:
    """Check the label of a multiplier that is to be kept.

    Raises:
        InvalidInputError: other characters than letters, digits, `._+-`; an ending with a meaning of its own; or a name
            that the catalogue knows, its sets and families included.
    """
    from axdnn.multipliers.catalogue import SETS, load_multiplier
    from axdnn.multipliers.families import FAMILIES

    ending = isinstance(name, str) and (name.endswith((".T", ".axmul")) or narrowed_name(name) is not None)
    if not isinstance(name, str) or not _LABEL.fullmatch(name) or ending:
        raise InvalidInputError(
            "a name must be 1 to 64 letters, digits or ._+- and not end in .T, .axmul or widths like .6x5, "
            f"but got {name!r}"
        )
    try:
        load_multiplier(name)
    except AmbiguousNameError:
        pass
    except AxdnnError:
        if name not in SETS and name not in FAMILIES:
            return
    raise InvalidInputError(f"{name!r} is a name of the catalogue already; choose another name")


def require_own_name(multiplier: Multiplier) -> None:
    """Check that a multiplier is not called by the catalogue's name of another circuit.

    Raises:
        InvalidInputError: the name means another circuit.
    """
    from axdnn.multipliers.catalogue import load_multiplier

    try:
        known = load_multiplier(multiplier.name)
    except AmbiguousNameError:
        pass
    except AxdnnError:
        return
    else:
        wrapped = multiplier.coding == "sign_magnitude" and known.coding == "unsigned"
        if multiplier.id in (known.id, known.sign_magnitude().id if wrapped else known.id):
            return
    raise InvalidInputError(f"{multiplier.name!r} is the catalogue's name of another circuit; choose another name")
