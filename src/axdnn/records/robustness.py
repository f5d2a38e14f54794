"""`RobustnessReport`: what was left of a network's accuracy under attack, by attack and at worst."""

from __future__ import annotations

from axdnn.records.codec import Record


class AttackOutcome(Record, frozen=True, kw_only=True):
    """One attack on one network at one epsilon.

    Attributes:
        network: `approximate`, `exact` (int8, exact multipliers) or another label.
        attack: its name.
        settings: its options.
        kind: `white_box` or `black_box`.
        eps: radius of the ball, in units of pixels within [0, 1].
        images: of the whole measurement.
        attacked: those that were classified right without an attack.
        broken: attacked images that the attack got classified wrong.
        robust_accuracy: images right without and under this attack / images, 0..1.
        forward_images: images whose logits were computed, those of a transfer's source included.
        backward_images: images whose gradient was computed, likewise.
        wall_s: seconds it took when it was computed.
    """

    network: str
    attack: str
    settings: str
    kind: str
    eps: float
    images: int
    attacked: int
    broken: int
    robust_accuracy: float
    forward_images: int
    backward_images: int
    wall_s: float


class WorstCase(Record, frozen=True, kw_only=True):
    """Robustness at one epsilon: an image counts only if every attack at this or a smaller epsilon fails on it.

    Attributes:
        network: as in `AttackOutcome`.
        eps: radius.
        images: how many.
        clean_accuracy: without an attack, on the same images, 0..1.
        robust_accuracy: in the worst case, 0..1.
        low, high: 95 % interval of `robust_accuracy` (Wilson).
        strongest: the attack that alone broke most images.
    """

    network: str
    eps: float
    images: int
    clean_accuracy: float
    robust_accuracy: float
    low: float
    high: float
    strongest: str


class Law(Record, frozen=True, kw_only=True):
    """A law that any sound measurement keeps, and whether this one did.

    Attributes:
        name: of the law.
        network: where it was checked.
        eps: at which epsilon; 0 if over all of them.
        holds: None if it could not be checked.
        text: the numbers.
    """

    name: str
    network: str
    eps: float
    holds: bool | None
    text: str


class RobustnessReport(Record, frozen=True, kw_only=True):
    """Robustness of networks on the same images under the same attacks.

    Attributes:
        model, data, split: what was attacked on what.
        images: how many.
        norm: `linf` or `l2`.
        epsilons: rising.
        gradient: how gradients pass approximate products.
        level: `inner`, `full` or `custom`.
        attacks: names in the order they ran.
        seed: of everything random.
        worst: worst cases, network by network, epsilons rising.
        outcomes: every attack on every network at every epsilon.
        laws: what was checked.
        forward_images, backward_images: of everything, checks included.
        wall_s: seconds of computing.
        assignment: layer -> multiplier of the approximate network.
        provenance: what else decided the numbers.
    """

    model: str
    data: str
    split: str
    images: int
    norm: str
    epsilons: tuple[float, ...]
    gradient: str
    level: str
    attacks: tuple[str, ...]
    seed: int
    worst: tuple[WorstCase, ...]
    outcomes: tuple[AttackOutcome, ...]
    laws: tuple[Law, ...]
    forward_images: int
    backward_images: int
    wall_s: float
    assignment: dict[str, str] = {}
    provenance: dict[str, str] = {}

    @property
    def networks(self) -> tuple[str, ...]:
        """Labels of the networks, in order."""
        return tuple(dict.fromkeys(w.network for w in self.worst))

    @property
    def sound(self) -> bool:
        """Whether no law was broken."""
        return all(law.holds is not False for law in self.laws)

    def at(self, network: str, eps: float) -> WorstCase:
        """Return the worst case of a network at an epsilon; KeyError if there is none."""
        for found in self.worst:
            if found.network == network and found.eps == eps:
                return found
        raise KeyError(f"{network} at {eps:g}")
