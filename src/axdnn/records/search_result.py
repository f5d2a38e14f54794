"""`SearchResult`: what a published search method found, in one flat, citable form; the same for every method."""

from __future__ import annotations

from axdnn.records.codec import Record
from axdnn.records.importance import LayerScores
from axdnn.records.search import Constraint, Objective, Scalar


class ChosenLayer(Record, frozen=True, kw_only=True):
    """One layer of a network on the front.

    Attributes:
        name: of the layer.
        kind: `conv`, `linear`, ...
        shape: for people, such as `16 x 3 x 3, 32 x 32`.
        multiplier: its circuit.
        skipped: share of its neurons that are not computed, 0..1.
        importance: beside the other layers of the network, mean 1; None where no score was made.
        energy_j: of the layer on the accelerator, J; None where layers are not priced apart.
    """

    name: str
    kind: str = ""
    shape: str = ""
    multiplier: str = ""
    skipped: float = 0.0
    importance: float | None = None
    energy_j: float | None = None


class FrontMember(Record, frozen=True, kw_only=True):
    """A candidate that no other one beats in every objective.

    Attributes:
        objectives: name -> value, in the units of `SearchResult.objectives`.
        candidate: path of a field -> value, the fields that exist.
        trial: its number in the study.
        figures: what else is known of it (accuracy on the test images, energy of the multipliers), by name with unit.
        layers: the network, in order; empty for methods that search no layers.
        file: what to export or simulate it from, relative to the folder of the result; empty for none.
    """

    objectives: dict[str, float]
    candidate: dict[str, Scalar]
    trial: int = -1
    figures: dict[str, float] = {}
    layers: tuple[ChosenLayer, ...] = ()
    file: str = ""


class Rival(Record, frozen=True, kw_only=True):
    """Something that a front is drawn beside: the exact network, or what another search found.

    Attributes:
        name: shown in the legend.
        points: objective -> value, each.
        hypervolume: after each of its evaluations, with the reference point of the result; empty for none.
        evaluations: it was given; 0 for a point that needed none.
    """

    name: str
    points: tuple[dict[str, float], ...]
    hypervolume: tuple[float, ...] = ()
    evaluations: int = 0


class SearchResult(Record, frozen=True, kw_only=True):
    """Outcome of a search method.

    Attributes:
        method: `xai-nas`, `robust-xai-nas`, ...
        model: the network that is searched around; empty where networks themselves are searched.
        data: name of the data set.
        accelerator: priced on; empty where the method searches it.
        settings: what was asked, as text.
        objectives: at least two.
        constraints: that every member of the front keeps.
        space_size: number of candidates, exact.
        evaluations: candidates evaluated, never more than asked; failed ones included.
        failed: evaluations that failed.
        front: distinct, none beaten by another, best first in the first objective.
        hypervolume: of the front, with `reference`.
        reference: objective -> reference point of the hypervolume.
        progress: hypervolume after each complete evaluation.
        rivals: drawn beside the front.
        images: split -> images of it that decided or measured something.
        network_images: images sent through any network, scores and trainings not counted.
        epochs: of the training of one candidate; 0 for none.
        scores: importance that guided the search.
        wall_s: seconds of the search, interruptions left out.
        reason: why it ended.
        provenance: versions, sources, checks.
    """

    method: str
    model: str = ""
    data: str = ""
    accelerator: str = ""
    settings: dict[str, str] = {}
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    space_size: int
    evaluations: int
    failed: int = 0
    front: tuple[FrontMember, ...]
    hypervolume: float
    reference: dict[str, float]
    progress: tuple[float, ...] = ()
    rivals: tuple[Rival, ...] = ()
    images: dict[str, int] = {}
    network_images: int = 0
    epochs: float = 0.0
    scores: tuple[LayerScores, ...] = ()
    wall_s: float = 0.0
    reason: str = ""
    provenance: dict[str, str] = {}
