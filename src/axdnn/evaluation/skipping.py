"""What a candidate leaves out of the network: neurons, and products with inputs that are always zero."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Skipping:
    """What is left out of a network.

    Attributes:
        skip: layer name -> output channels that are not computed and hand on 0.
        absent: layer name -> input channels or features whose products are left out.
    """

    skip: dict[str, tuple[int, ...]] = field(default_factory=dict)
    absent: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return bool(self.skip or self.absent)

    @property
    def key(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """A hashable form."""
        both = (("skip", self.skip), ("absent", self.absent))
        return tuple((kind, name, which) for kind, part in both for name, which in sorted(part.items()))
