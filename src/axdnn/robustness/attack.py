"""What an attack is: it moves images within a ball; whether that fools the network is judged by others."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch

from axdnn.records import InvalidInputError, unknown_name
from axdnn.robustness.threat import NORMS, Ball
from axdnn.robustness.victim import Victim

Kind = Literal["white_box", "black_box"]


@runtime_checkable
class Attack(Protocol):
    """An attack with its settings.

    Attributes:
        name: in tables and options.
        kind: `white_box` uses the gradient of the network attacked; `black_box` asks it for logits at most.
        iterative: it takes many steps, so that no black box should beat it.
        norms: those it is made for.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def kind(self) -> Kind:
        """See the class."""
        ...

    @property
    def iterative(self) -> bool:
        """See the class."""
        ...

    @property
    def norms(self) -> tuple[str, ...]:
        """See the class."""
        ...

    @property
    def settings(self) -> str:
        """All that decides the result beside network, images, ball and seed."""
        ...

    def perturb(
        self, victim: Victim, images: torch.Tensor, labels: torch.Tensor, ball: Ball, seed: int
    ) -> torch.Tensor:
        """Return images within the ball, float32 `(b, ...)`; those that were not fooled may be any.

        Every logit and gradient must come from `victim`, which counts. Random numbers must follow from `seed` alone,
        and torch's global generator must be left as it was.

        Args:
            victim: the network.
            images: float32 `(b, ...)` within [0, 1], all classified right.
            labels: int64 `(b,)`.
            ball: how far they may move.
            seed: of every random choice.
        """
        ...


class Settings:
    """What attacks that are data classes have in common: their settings as text, and the check of whole numbers."""

    name: ClassVar[str]
    kind: ClassVar[Kind] = "white_box"
    iterative: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = NORMS

    def __post_init__(self) -> None:
        """Check that counts are at least 1 and other numbers positive."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            low = 1 if isinstance(value, int) else 0
            if isinstance(value, int | float) and not isinstance(value, bool) and not (value >= low and value < 1e9):
                raise InvalidInputError(f"{self.name}: {field.name} >= {low} must hold, but got {value}")

    @property
    def settings(self) -> str:
        """Name and options."""
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.options().items())})"

    def options(self) -> dict[str, Any]:
        """Return option -> value."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def check_norm(attack: Attack, norm: str) -> None:
    """Check that an attack knows a norm.

    Raises:
        UnknownNameError: no such norm.
        InvalidInputError: the attack is not made for it.
    """
    if norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    if norm not in attack.norms:
        raise InvalidInputError(f"the attack {attack.name!r} has no norm {norm}; it has {', '.join(attack.norms)}")


def generator_of(seed: int, *parts: object) -> torch.Generator:
    """Return a generator that follows from a seed and what it is for, the same in every process."""
    import hashlib

    text = "/".join(map(str, (seed, *parts)))
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1)
