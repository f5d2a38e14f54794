"""What a robust XAI-NAS is asked, as plain data, and the search space that each of its arms searches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from axdnn.data import Dataset
from axdnn.nas import SpaceOptions, Training, ladder_of
from axdnn.records import InvalidInputError, Multiplier, Scalar, require_finite, unknown_name
from axdnn.robustness import Request, default_epsilons

ARMS: dict[str, str] = {
    "xai": "topology, multipliers and skipped shares, guided by conductance on clean and attacked images",
    "plain": "the same space without any explanation",
    "exact": "topology alone with exact multipliers and nothing skipped, as RoHNAS searches",
    "fixed": "multipliers and skipped shares of one fixed topology without explanation, as ALWANN searches",
}
FLOORS = {"mnist": 0.90, "cifar10": 0.35}
"""Data set -> least clean accuracy of a candidate that was trained for a few epochs on a part of the images."""

BASE: tuple[Mapping[str, Scalar], ...] = (
    {"operator": "conv", "kernel": 5, "stride": 1, "channels": 8},
    {"operator": "conv", "kernel": 3, "stride": 2, "channels": 16},
    {"operator": "pool", "kernel": 3, "stride": 1, "channels": 16},
)
REFERENCE = 2.0  # times the price of the base network with exact multipliers


@dataclass(frozen=True, kw_only=True)
class RobustOptions:
    """Options of a robust XAI-NAS; every default is stated in its result.

    Attributes:
        data: name of the data set.
        arm: see `ARMS`.
        eps: radii of L-infinity balls, rising; the first one is the objective, the others are reported.
        multipliers: set or names, see `axdnn.nas.ladder_of`.
        accelerator: name or path of a YAML file.
        training: of each topology.
        images: held-out images that are attacked in the search.
        clean_images: held-out images that the clean accuracy is measured on, at least `images`.
        calibration_images: that integer networks are calibrated on.
        floor: least clean accuracy, 0..1.
        alpha: weight of clean against attacked images in the importance of a layer, 0..1.
        explain_images: held-out images that are explained.
        explain_steps: points of the path of conductance.
        members: of the front that the suite is run on in the end; 0 for none.
        suite: attacks of that check, see `axdnn.robustness.parse_attacks`.
        check_images: test images of that check.
        space: replaces fields of `SpaceOptions`, for smaller or larger networks.
        base: operator, kernel, stride and channels of each layer of the network that every arm begins with, that arm
            `fixed` keeps, and whose price sets the reference point.
        base_readout: of that network.
    """

    data: str
    eps: tuple[float, ...]
    training: Training
    floor: float
    arm: str = "xai"
    multipliers: str = "evoapprox8b"
    accelerator: str = "edge_16x16"
    images: int = 200
    clean_images: int = 1000
    calibration_images: int = 128
    alpha: float = 0.5
    explain_images: int = 16
    explain_steps: int = 8
    members: int = 3
    suite: str = "fgsm,pgd:steps=40:restarts=2,cw,square:queries=200,transfer"
    check_images: int = 40
    space: Mapping[str, Any] = field(default_factory=dict)
    base: tuple[Mapping[str, Scalar], ...] = BASE
    base_readout: str = "flatten"

    def __post_init__(self) -> None:
        """Check every option that can be checked without data."""
        if self.arm not in ARMS:
            raise unknown_name("arm", self.arm, ARMS)
        if not self.eps or list(self.eps) != sorted(set(self.eps)):
            raise InvalidInputError(f"`eps` must be rising numbers, at least one, but got {self.eps}")
        require_finite("floor", self.floor, 0.0, 1.0)
        require_finite("alpha", self.alpha, 0.0, 1.0)
        for name, low in (("images", 1), ("calibration_images", 2), ("explain_images", 1), ("explain_steps", 2),
                          ("members", 0), ("check_images", 1)):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InvalidInputError(f"{name} >= {low} must hold (an integer), but got {name}={value!r}")
        if self.clean_images < self.images:
            raise InvalidInputError(f"clean_images >= images must hold, but got {self.clean_images} < {self.images}")
        Request(self.eps, "linf", self.suite)

    @property
    def explains(self) -> bool:
        """Whether conductance guides."""
        return self.arm == "xai"

    def ladder(self) -> tuple[Multiplier, ...]:
        """Return the multipliers to choose from, exact first, the coarsest last."""
        ladder = ladder_of(self.multipliers)
        return ladder[:1] if self.arm == "exact" else ladder

    def space_options(self, data: Dataset, pods: int) -> SpaceOptions:
        """Return the space of the arm.

        Args:
            data: whose images are classified.
            pods: of the accelerator; each holds one kind of multiplier.
        """
        own: dict[str, Any] = {
            "image": data.image_shape, "classes": len(data.classes), "most_kinds": pods,
            "multipliers": tuple(m.name for m in self.ladder()), **self.space,
        }  # fmt: skip
        if self.arm == "exact":
            own["skips"] = (0.0,)
        if self.arm == "fixed":
            own |= {"topology": self.base, "readout": self.base_readout}
        return SpaceOptions.from_dict(own)

    def plain(self) -> dict[str, Any]:
        """Return the options as JSON data, equal for equal options: tuples are lists."""
        plain = asdict(self) | {"space": dict(self.space), "base": [dict(block) for block in self.base]}
        return dict(json.loads(json.dumps(plain)))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RobustOptions:
        """Return the options of `plain`."""
        tuples = {name: tuple(plain[name]) for name in ("eps", "base")}
        return cls(**{**plain, **tuples, "training": Training(**plain["training"])})


def default_options(data: str, **changes: Any) -> RobustOptions:
    """Return the options for a data set, some of them changed; of `training` single fields may be given as a mapping.

    Raises:
        InvalidInputError: data without a default `eps` or `floor`, for which none was given.
    """
    if "floor" not in changes and data not in FLOORS:
        raise InvalidInputError(f"`floor`, the least clean accuracy, must be given for {data!r}; it has no default")
    eps = changes.pop("eps", None) or default_epsilons(data, "linf")
    training: dict[str, Any] = {"epochs": 3, "images": 6_000}
    if data == "cifar10":
        training = {"epochs": 4, "images": 8_000, "shift": 2, "flip": True}
    training |= dict(changes.pop("training", {}))
    floor = changes.pop("floor", None)
    return RobustOptions(
        data=data, eps=tuple(eps), training=Training(**training), floor=FLOORS[data] if floor is None else floor,
        **changes,
    )  # fmt: skip
