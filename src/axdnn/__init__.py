"""axdnn: approximate deep neural networks and the accelerators that run them, exact to the bit.

Names resolve late, so that `import axdnn` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LATE = {
    "Multiplier": "axdnn.records",
    "Assignment": "axdnn.records",
    "Network": "axdnn.records",
    "load_multiplier": "axdnn.multipliers",
    "list_multipliers": "axdnn.multipliers",
    "load_accelerator": "axdnn.hardware",
    "estimate": "axdnn.hardware",
    "capture": "axdnn.quant",
    "approximate": "axdnn.layers",
    "explain": "axdnn.importance",
    "generate": "axdnn.methods",
    "tune": "axdnn.generation",
}

__all__ = ["__version__", *sorted(_LATE)]


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'axdnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
