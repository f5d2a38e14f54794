"""What XAI-NAS is asked, and the arms: ours and the baselines that share its space, evaluator and budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from axdnn.generation import SCORE_NAMES, SensitivityOptions, SkipOptions
from axdnn.layers import Recipe
from axdnn.records import InvalidInputError, require_finite, unknown_name
from axdnn.search import Named

Energy = Literal["energy", "multiplier"]
Seeds = Literal["", "xai", "macs"]
POPULATION, MUTATION, SEEDS = 50, 0.1, 36
SKIP_SHARES = (0.125, 0.25, 0.375, 0.5, 0.75)
MODELS = {"mnist": "lenet5", "fashion-mnist": "cnn_small", "cifar10": "resnet8"}


class Arm(NamedTuple):
    """How an arm searches: what makes its seeds, whether mutations are guided, its sampler."""

    seeds: Seeds
    guided: bool
    sampler: str
    options: Mapping[str, Any]


_NSGA = {"population_size": POPULATION, "mutation_prob": MUTATION}
_STEADY = {"population": POPULATION, "mutation": MUTATION, "start": 0}
ARMS: dict[str, Arm] = {
    "xai": Arm("xai", True, "guided", _STEADY),
    "xai-seeds": Arm("xai", False, "nsga2", _NSGA),
    "nsga2-macs": Arm("macs", False, "nsga2", _NSGA),
    "alwann": Arm("", False, "nsga2", _NSGA),
    "cgp": Arm("", False, "axdnn.methods.xai_nas.climbing:ClimbingSampler", {"mutation": MUTATION}),
    "random": Arm("", False, "random", {}),
}


@dataclass(frozen=True, kw_only=True)
class XaiNasRequest:
    """What XAI-NAS is asked, apart from network and data.

    Attributes:
        arm: a name in `ARMS`: `xai`, or a baseline.
        objective: `multiplier`: energy of the multipliers alone, which ALWANN and the paper's case study report;
            `energy`: of the whole chip. The other one stands beside it.
        accelerator: priced on; a name, or path of a YAML file.
        multipliers: a set, or names with commas.
        weight_codes: of the recipe, the same for every arm: ours, or `alwann`.
        score: importance that guides, a name in `axdnn.generation.SCORE_NAMES` but `none`.
        skip: shares of its neurons that a layer may skip; empty for none.
        loss_limit: most accuracy loss of a member of the front, for every arm; the reference point's too, a fraction.
        search_images: of the search split, that judge every candidate.
        test_images: of the test split, for the final figures; None for all.
        final_members: front members at most that get final figures, spread over those within `final_loss`.
        final_loss: a fraction.
        score_images: of the search split, for the importance of layers and neurons.
        sensitivity: what is measured of single layers before the search, by arms with seeds from XAI; of levels of
            skipping one point less.
        sample_seed: of the calibration images.
        seeds: how many candidates are made before the search.
    """

    arm: str = "xai"
    objective: Energy = "multiplier"
    accelerator: str = "tpu_v4"
    multipliers: str = "evoapprox8b"
    weight_codes: str = "joint"
    score: str = "conductance"
    skip: tuple[float, ...] = SKIP_SHARES
    loss_limit: float = 0.1
    search_images: int = 512
    test_images: int | None = 2000
    final_members: int = 5
    final_loss: float = 0.02
    score_images: int = 32
    sensitivity: SensitivityOptions = field(
        default_factory=lambda: SensitivityOptions(points=3, held_out=0.0, images=64)
    )
    sample_seed: int = 0
    seeds: int = SEEDS

    def __post_init__(self) -> None:
        """Check what can be checked before any work."""
        if self.arm not in ARMS:
            raise unknown_name("arm", self.arm, ARMS)
        if self.objective not in get_args(Energy):
            raise unknown_name("objective", self.objective, get_args(Energy))
        if self.score not in SCORE_NAMES or self.score == "none":
            raise unknown_name("score", self.score, [name for name in SCORE_NAMES if name != "none"])
        require_finite("loss_limit", self.loss_limit, 1e-6, 1.0)
        require_finite("final_loss", self.final_loss, 0.0, 1.0)
        for name, low in (("search_images", 1), ("final_members", 0), ("score_images", 1), ("seeds", 0)):
            require_finite(name, getattr(self, name), low)
        if self.test_images is not None:
            require_finite("test_images", self.test_images, 1)
        if not 0 <= self.sample_seed < 2**63:
            raise InvalidInputError(f"0 <= sample_seed < 2**63 must hold, but got {self.sample_seed}")
        if self.skip:
            object.__setattr__(self, "skip", SkipOptions(fractions=tuple(self.skip)).fractions)
        Recipe(weight_codes=self.weight_codes)  # type: ignore[arg-type]

    @property
    def how(self) -> Arm:
        """How the arm searches."""
        return ARMS[self.arm]

    @property
    def sampler(self) -> Named:
        """The sampler of the arm."""
        return Named(self.how.sampler, dict(self.how.options))

    @property
    def energy_name(self) -> str:
        """Name of the figure that is minimised besides the loss."""
        return "energy_j" if self.objective == "energy" else "multiplier_energy_j"
