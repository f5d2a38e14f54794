"""No more kinds of multipliers than the chip has pods: what is valid, how a candidate is mended, how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from axdnn.records import Scalar
from axdnn.search import Named

HERE = "axdnn.methods.xai_nas.pods"


@dataclass(frozen=True)
class FitsPods:
    """Says why a candidate does not fit the pods, or None; a check of a space.

    Attributes:
        fields: paths of the multipliers.
        most: kinds that fit.
    """

    fields: tuple[str, ...]
    most: int

    def __call__(self, candidate: Mapping[str, Scalar]) -> str | None:
        """Judge a candidate."""
        kinds = {candidate[path] for path in self.fields}
        if len(kinds) <= self.most:
            return None
        return f"a candidate must have at most {self.most} kinds of multipliers, one a pod, but has {len(kinds)}"

    @property
    def named(self) -> Named:
        """How another process makes it."""
        return Named(f"{HERE}:fits_pods", {"fields": list(self.fields), "most": self.most})


@dataclass(frozen=True)
class IntoPods:
    """Mends a candidate with too many kinds: the one that is cheapest to replace goes, again and again.

    Its layers move to the kind in use whose noise there is nearest, in orders of magnitude.

    Attributes:
        fields: paths of the multipliers.
        most: kinds that fit.
        noise: of each field, logarithm of the noise of each of `multipliers`.
        multipliers: their names.
    """

    fields: tuple[str, ...]
    most: int
    noise: tuple[tuple[float, ...], ...]
    multipliers: tuple[str, ...]

    def __call__(self, candidate: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return a candidate that fits."""
        mended = dict(candidate)
        place = {name: i for i, name in enumerate(self.multipliers)}
        while len(kinds := sorted({str(mended[path]) for path in self.fields}, key=lambda k: place[k])) > self.most:
            best: dict[str, Scalar] = {}
            least = float("inf")
            for kind in kinds:
                moved, cost = dict(mended), 0.0
                for row, path in zip(self.noise, self.fields, strict=True):
                    if mended[path] == kind:
                        others = [(abs(row[place[o]] - row[place[kind]]), o) for o in kinds if o != kind]
                        step, moved[path] = min(others, key=lambda pair: pair[0])
                        cost += step
                if cost < least:
                    least, best = cost, moved
            mended = best
        return mended

    @property
    def named(self) -> Named:
        """How another process makes it."""
        return Named(
            f"{HERE}:into_pods",
            {"fields": list(self.fields), "most": self.most, "noise": [list(row) for row in self.noise],
             "multipliers": list(self.multipliers)},
        )  # fmt: skip


def fits_pods(fields: Sequence[str], most: int) -> FitsPods:
    """Make the check from plain data."""
    return FitsPods(tuple(fields), most)


def into_pods(
    fields: Sequence[str], most: int, noise: Sequence[Sequence[float]], multipliers: Sequence[str]
) -> IntoPods:
    """Make the repair from plain data."""
    return IntoPods(tuple(fields), most, tuple(tuple(row) for row in noise), tuple(multipliers))


def choices_within(layers: int, kinds: int, most: int) -> int:
    """Return how many ways there are to give each layer one of `kinds` so that at most `most` different ones are used.

    Inclusion and exclusion count the ways that use exactly `k` given kinds.
    """
    total = 0
    for k in range(1, min(most, kinds, layers) + 1):
        onto = sum((-1) ** j * comb(k, j) * (k - j) ** layers for j in range(k + 1))
        total += comb(kinds, k) * onto
    return total
