"""What a behavioural family of multipliers is: its parameters, its literature source, and how it forms products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.records import Multiplier

IntArray = npt.NDArray[np.int64]
SignedForm = Literal["sign-magnitude", "two's complement"]
BITS = 8


class Parameter(NamedTuple):
    """A whole-number parameter of a family, `low <= value <= high`; without a default it must be given."""

    name: str
    low: int
    high: int
    meaning: str
    default: int | None = None


@dataclass(frozen=True)
class Family:
    """A behavioural family: everything that has the name `family:parameter=value,...`.

    Attributes:
        name: of the family, e.g. `drum`.
        title: in a few words.
        definition: what the circuit computes, in a sentence or two.
        source: literature.
        parameters: in the order of the canonical name.
        product: (a, b, **parameters) -> products; int64 arrays that broadcast, each operand 0..255 (magnitudes 0..128
            behind a sign, or signed values -128..127 for the two's complement form).
        signed: how the family takes signed operands, or None where its source defines unsigned ones only.
            `sign-magnitude`: magnitudes go through the unsigned circuit, the product gets the exclusive or of the
            signs. `two's complement`: the definition holds for signed values as it stands.
    """

    name: str
    title: str
    definition: str
    source: str
    parameters: tuple[Parameter, ...]
    product: Callable[..., IntArray]
    signed: SignedForm | None = None

    @property
    def usage(self) -> str:
        """How a name of this family is written, with the ranges."""
        parts = [
            f"{p.name}={p.low}..{p.high}" + ("" if p.default is None else f" (default {p.default})")
            for p in self.parameters
        ]
        parts += ["coding=unsigned or signed (default unsigned)"] if self.signed else []
        return f"{self.name}:{', '.join(parts)}" if parts else self.name

    def name_of(self, values: dict[str, int], signed: bool) -> str:
        """Return the canonical name: every parameter in order, the coding only where it is signed."""
        parts = [f"{p.name}={values[p.name]}" for p in self.parameters] + (["coding=signed"] if signed else [])
        return f"{self.name}:{','.join(parts)}" if parts else self.name

    def multiplier(self, values: dict[str, int], signed: bool) -> Multiplier:
        """Return the multiplier of these parameters; power, area and delay are unknown, so it has no figures."""
        form = f", {self.signed} operands" if signed else ""
        return Multiplier.from_table(
            self.table(values, signed),
            signed=signed,
            name=self.name_of(values, signed),
            origin=f"behavioural family {self.title}{form}: {self.source}; power, area and delay unknown",
        )

    def table(self, values: dict[str, int], signed: bool) -> IntArray:
        """Return all products, int64 `(256, 256)`, row = operand a, column = operand b, indexed as a `Multiplier`."""
        operand = np.arange(2**BITS, dtype=np.int64) - (128 if signed else 0)
        a, b = operand[:, None], operand[None, :]
        if signed and self.signed == "sign-magnitude":
            return np.asarray(np.sign(a) * np.sign(b) * self.product(np.abs(a), np.abs(b), **values))
        return self.product(a, b, **values)
