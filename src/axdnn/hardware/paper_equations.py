"""XAI-Gen's published energy model, equations 1 and 2, as printed (Siddique, Khalil, Hoque, ISQED 2025, section III).

    accesses   N = r c                                 if r c < m / 2
                 = (m / 2) max(f - (r c / 2 - 1), 1)   if m / 2 < r c < m
                 = m max(f - (r c - 1), 1)             otherwise
    energy     E = ceil(N / R) E_M + c_l T P_pod       summed over layers
               P_pod = (m / 2) P_mac + (m / 2) P_xmac
    cycles     c_l = w_p, with w_(p/2) = 2 n_w / (m p)

m elements a pod, p pods, n_w weights, f feature maps multiplied by the same weight, R rows a bank. For comparison
with the paper only: a cycle loads a group of weights and how many activations stream past them does not enter, so
compute is undercounted by about the number of output positions. Its figures never stand in a column with those of
`streaming`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import Floats, power_ratio
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.records import Coding, Figures, InvalidInputError, Multiplier, Network, unknown_name

Pods = Literal["all", "one"]
Groups = Literal["half", "whole"]
Tile = Literal["used", "array"]


class PaperConstants(NamedTuple):
    """Constants of the equations, and the readings of what the text leaves open.

    Attributes:
        pods, elements: p pods of m multiply-accumulate elements; the paper's experiments: 8 of 256 x 256.
        rows, columns: of a pod, `elements = rows * columns`; they bound a tile.
        period_s: T. The paper gives none; 1.5 ns is just above the delay of mul8s_1KV6 (1.48 ns).
        bank_rows: R.
        access_j: E_M, joules per access (2.7 pJ/byte; an access moves a byte).
        mac_w: P_mac, power of an exact element: mul8s_1KV6 in EvoApproxLib, without adder. The paper prints none.
        charged: pods whose power a cycle costs: `all` (nearest the published baselines) or `one`, as printed.
        groups: `half`: c_l = 2 n_w / (m p), the only ratio the paper defines. `whole`: c_l = n_w / (m p).
        whole_cycles: c_l is rounded up, layer by layer.
        tile: r and c in equation 1: `used` is what a layer fills of a pod, min(k, rows) and min(n, columns);
            `array` is the pod itself, so that the third branch always holds.
    """

    pods: int = 8
    rows: int = 256
    columns: int = 256
    period_s: float = 1.5e-9
    bank_rows: int = 128
    access_j: float = 2.7e-12
    mac_w: float = 0.425e-3
    charged: Pods = "all"
    groups: Groups = "half"
    whole_cycles: bool = True
    tile: Tile = "used"

    @property
    def elements(self) -> int:
        """M."""
        return self.rows * self.columns

    @classmethod
    def of(cls, chip: Accelerator, **changes: Any) -> PaperConstants:
        """Take pods, array and clock period of an accelerator; the rest as published, or as given.

        Half of every pod is exact, as the equations have it, whatever the accelerator's `exact_rows`.
        """
        taken = {"pods": chip.pods, "rows": chip.rows, "columns": chip.columns, "period_s": 1 / chip.clock_hz}
        return cls(**{**taken, **changes})


class Terms(NamedTuple):
    """Per layer, shape `(L,)`: accesses (eq. 1), cycles c_l, energy of the accesses."""

    accesses: Floats
    cycles: Floats
    memory_j: Floats


def paper_terms(network: Network, constants: PaperConstants) -> Terms:
    """Evaluate equation 1 and the cycles of every layer; f is a layer's output positions (m of its product).

    Raises:
        InvalidInputError: no layers, illegal shapes or illegal constants.
    """
    _check(constants)
    a, c = layer_arrays(network), constants
    used = np.minimum(a.k, c.rows) * np.minimum(a.n, c.columns)
    tile = used if c.tile == "used" else np.full_like(used, c.elements)
    small = tile < c.elements / 2
    middle = (tile > c.elements / 2) & (tile < c.elements)
    in_half = c.elements / 2 * np.maximum(a.m - (tile / 2 - 1), 1)
    in_whole = c.elements * np.maximum(a.m - (tile - 1), 1)
    accesses = np.where(small, tile, np.where(middle, in_half, in_whole)).astype(np.float64)
    weights = (a.groups * a.k * a.n).astype(np.float64)
    cycles = (2 if c.groups == "half" else 1) * weights / (c.elements * c.pods)
    return Terms(accesses, np.ceil(cycles) if c.whole_cycles else cycles, np.ceil(accesses / c.bank_rows) * c.access_j)


def pod_w(multiplier: Multiplier, constants: PaperConstants, exact: Mapping[Coding, Figures]) -> float:
    """P_pod: half the elements exact, half with the multiplier.

    P_xmac = P_mac x power / power of the exact circuit of the same signedness, the ratio that `streaming` uses: for
    signed circuits of EvoApproxLib it is their power, and unsigned ones (with sign-magnitude operands too) keep their
    relation to their own exact circuit.
    """
    half = constants.elements / 2
    return half * constants.mac_w + half * constants.mac_w * power_ratio(multiplier, exact)


def paper_sources(
    constants: PaperConstants, kinds: Mapping[str, Multiplier], exact: Mapping[Coding, Figures]
) -> dict[str, str]:
    """Return the constants and readings in force, and the multipliers, as text."""
    c = constants
    whole = "rounded up, layer by layer" if c.whole_cycles else "not rounded"
    result = {
        "pods": f"{c.pods}; p, 8 in the paper's experiments",
        "array": f"{c.rows} x {c.columns}; m = {c.elements}, 256 x 256 in the paper's experiments",
        "period": f"{c.period_s * 1e9:.6g} ns; T, from the accelerator or the caller: the paper gives none",
        "bank_rows": f"{c.bank_rows}; R, 128 in the paper",
        "access": f"{c.access_j * 1e12:g} pJ; E_M, 2.7 pJ/byte in the paper (Cacti-P)",
        "mac": f"{c.mac_w * 1e3:g} mW; P_mac, mul8s_1KV6 in EvoApproxLib without adder: the paper gives none",
        "charged": f"{c.charged}; pods whose power a cycle costs, a reading of eq. 2",
        "cycles": f"{'2 n_w' if c.groups == 'half' else 'n_w'} / (m p); {whole}, a reading of c_l = w_p",
        "tile": f"{c.tile}; r x c, a reading: what a layer fills of a pod (used), or the pod (array)",
        "feature_maps": "output positions of a layer; f, a reading of `feature maps multiplied by the same weight`",
    }
    for name, multiplier in kinds.items():
        ratio = power_ratio(multiplier, exact)
        result[f"multiplier.{name}"] = f"P_xmac = {ratio:.4g} x P_mac; power / power of the exact circuit of its kind"
    return result


def _check(constants: PaperConstants) -> None:
    for label in ("pods", "rows", "columns", "bank_rows"):
        if isinstance(value := getattr(constants, label), bool) or not isinstance(value, int) or value < 1:
            raise InvalidInputError(f"`{label}` must be a whole number >= 1, but got {value!r}")
    for label in ("period_s", "access_j", "mac_w"):
        if not (math.isfinite(value := getattr(constants, label)) and value >= 0):
            raise InvalidInputError(f"`{label}` must be finite and >= 0, but got {value!r}")
    for label, allowed in (("charged", Pods), ("groups", Groups), ("tile", Tile)):
        if (value := getattr(constants, label)) not in get_args(allowed):
            raise unknown_name(label, value, get_args(allowed))
