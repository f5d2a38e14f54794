"""`Multiplier`: an 8-bit by 8-bit circuit as its operand coding, product table, figures and origin."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.records.codec import Record
from axdnn.records.errors import InvalidInputError

Coding = Literal["signed", "unsigned", "sign_magnitude"]
CODINGS: tuple[Coding, ...] = ("signed", "unsigned", "sign_magnitude")
SIZE = 256
Int32Array = npt.NDArray[np.int32]


class Figures(Record, frozen=True, kw_only=True):
    """Published figures of a circuit, in SI units, with their source.

    `power_w` has unknown operand activity in EvoApproxLib; use it as a ratio to the exact circuit of the same
    synthesis, never as an absolute. `published` keeps the error figures as printed by the source.
    """

    power_w: float
    area_m2: float
    delay_s: float
    source: str
    published: dict[str, str] = {}


class Multiplier(Record, frozen=True, kw_only=True, eq=False):
    """An 8x8-bit multiplier, identified by its behaviour.

    Attributes:
        name: label, e.g. `"mul8u_QKX"`; a transposed circuit ends in `.T`, a narrowed one in its widths, as
            in `.6x5`. Labels are not identity.
        coding: which numbers the 256 codes of each operand stand for.
            `signed`: both operands two's complement, index = value + 128.
            `unsigned`: both operands 0..255, index = value.
            `sign_magnitude`: activation 0..255; weight stored as sign and 7-bit magnitude, index = stored value
            + 128, the magnitude wired to the upper seven bits of an unsigned circuit's operand b, the product
            negated by the sign bit. Stored value -128 is minus zero.
        table: int32 `(256, 256)`, row = operand a (activation), column = operand b (weight). Read-only.
        figures: power, area and delay, or None if unknown (such a multiplier can be simulated but not priced).
        origin: where the behaviour comes from.
        aliases: other labels of the same table.
        id: identity, computed: the first 16 hex digits of a SHA-256 over the coding and the table.
    """

    name: str
    coding: Coding
    table: np.ndarray[Any, Any]
    figures: Figures | None = None
    origin: str = "user"
    aliases: tuple[str, ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        """Check the table and make it read-only."""
        if self.coding not in CODINGS:
            raise InvalidInputError(f"`coding` must be one of {', '.join(CODINGS)}, but got {self.coding!r}")
        table = check_table(self.table, self.name)
        msgspec.structs.force_setattr(self, "table", table)
        msgspec.structs.force_setattr(self, "id", content_id(self.coding, table))

    @classmethod
    def from_table(
        cls,
        array: npt.ArrayLike,
        *,
        signed: bool,
        name: str,
        figures: Figures | None = None,
        origin: str = "user table",
    ) -> Multiplier:
        """Build a multiplier from its products.

        Args:
            array: 256 x 256 integers within int32, row = operand a, column = operand b; index = value + 128 for
                signed operands, value for unsigned ones. Negative entries are legal for unsigned operands too.
            signed: whether both operands are two's complement.
            name: a label.
            figures: power, area, delay; needed to price the multiplier.
            origin: a sentence on where the table comes from.

        Raises:
            InvalidInputError: wrong shape, not integers, or an entry outside int32.
        """
        coding: Coding = "signed" if signed else "unsigned"
        return cls(name=name, coding=coding, table=np.asarray(array), figures=figures, origin=origin)

    @property
    def a_signed(self) -> bool:
        """Whether activation codes are int8 (two's complement) rather than uint8."""
        return self.coding == "signed"

    @property
    def w_signed(self) -> bool:
        """Whether weight codes are int8 rather than uint8."""
        return self.coding != "unsigned"

    @property
    def a_values(self) -> Int32Array:
        """The number each row stands for, shape `(256,)`."""
        return np.arange(SIZE, dtype=np.int32) - (128 if self.a_signed else 0)

    @property
    def w_values(self) -> Int32Array:
        """The number each column stands for, shape `(256,)`; for `sign_magnitude` twice the stored value."""
        codes = np.arange(SIZE, dtype=np.int32) - (128 if self.w_signed else 0)
        if self.coding == "sign_magnitude":
            codes = 2 * codes
            codes[0] = 0  # minus zero
        return codes

    @property
    def exact_table(self) -> Int32Array:
        """Products of an exact circuit of the same coding, shape `(256, 256)`."""
        return np.multiply.outer(self.a_values, self.w_values)

    @property
    def is_exact(self) -> bool:
        """Whether every entry is the exact product."""
        return bool(np.array_equal(self.table, self.exact_table))

    def __eq__(self, other: object) -> bool:
        """Two multipliers are equal if they behave the same."""
        return isinstance(other, Multiplier) and self.id == other.id

    def __hash__(self) -> int:
        """Hash of the identity."""
        return hash(self.id)

    def __repr__(self) -> str:
        """Short form: the table is left out."""
        return f"Multiplier(name={self.name!r}, coding={self.coding!r}, id={self.id!r})"

    def transposed(self) -> Multiplier:
        """Return the circuit with its operands swapped, as a multiplier named `<name>.T`.

        Raises:
            InvalidInputError: for `sign_magnitude`, whose operands have different codings.
        """
        if self.coding == "sign_magnitude":
            raise InvalidInputError(f"transpose the unsigned circuit of {self.name!r} before wrapping it")
        name = self.name.removesuffix(".T") if self.name.endswith(".T") else f"{self.name}.T"
        return msgspec.structs.replace(self, name=name, table=self.table.T, aliases=())

    def narrowed(self, a_bits: int, w_bits: int) -> Multiplier:
        """Return the circuit with the low lines of its operands tied to 0, as `<name>.<a_bits>x<w_bits>`.

        Its figures stay those of the whole circuit: what synthesis would remove is not known.

        Args:
            a_bits: upper lines of operand a that stay wired, 1..8.
            w_bits: upper lines of operand b that stay wired, 1..8.

        Raises:
            InvalidInputError: for `sign_magnitude`, whose weight is no operand of the circuit, or for other widths.
        """
        if self.coding == "sign_magnitude":
            raise InvalidInputError(f"narrow the unsigned circuit of {self.name!r} before wrapping it")
        for name, bits in (("a_bits", a_bits), ("w_bits", w_bits)):
            if isinstance(bits, bool) or bits not in range(1, 9):
                raise InvalidInputError(f"1 <= {name} <= 8 must hold, but got {name}={bits!r}")
        codes = np.arange(SIZE)  # the index of a signed operand is its value + 128, whose low bits are the value's
        rows, columns = (codes >> (8 - bits) << (8 - bits) for bits in (a_bits, w_bits))
        table = self.table[np.ix_(rows, columns)]
        return msgspec.structs.replace(self, name=f"{self.name}.{a_bits}x{w_bits}", table=table, aliases=())

    def sign_magnitude(self) -> Multiplier:
        """Return the unsigned circuit with a sign-magnitude weight operand around it (see `coding`).

        Raises:
            InvalidInputError: if this circuit is not unsigned.
        """
        if self.coding != "unsigned":
            raise InvalidInputError(f"only an unsigned circuit can be wrapped, but {self.name!r} is {self.coding}")
        stored = np.arange(SIZE) - 128
        magnitude = np.where(stored == -128, 0, np.abs(stored))
        table = np.where(stored < 0, -1, 1) * self.table[:, 2 * magnitude]
        return msgspec.structs.replace(self, coding="sign_magnitude", table=table.astype(np.int32), aliases=())


def content_id(coding: str, table: Int32Array) -> str:
    """Return the identity of a behaviour: 16 hex digits over the coding and the table."""
    digest = hashlib.sha256(coding.encode())
    digest.update(np.ascontiguousarray(table, dtype="<i4").tobytes())
    return digest.hexdigest()[:16]


def check_table(array: Any, name: str) -> Int32Array:
    """Return `array` as a read-only int32 table.

    Raises:
        InvalidInputError: wrong shape, not integers, or an entry outside int32.
    """
    table = np.asarray(array)
    if table.shape != (SIZE, SIZE):
        raise InvalidInputError(f"the table of {name!r} must have shape (256, 256), but got {table.shape}")
    if table.dtype.kind not in "iub":
        raise InvalidInputError(f"the table of {name!r} must hold integers, but got dtype {table.dtype}")
    info = np.iinfo(np.int32)
    if int(table.min()) < info.min or int(table.max()) > info.max:
        raise InvalidInputError(
            f"entries of the table of {name!r} must fit int32, but got {int(table.min())}..{int(table.max())}"
        )
    if table.dtype == np.int32 and not table.flags.writeable and table.flags.c_contiguous:
        return table
    table = np.array(table, dtype=np.int32, order="C")
    table.flags.writeable = False
    return table
