"""`LayerScores`: how important each layer is, by one measure."""

from __future__ import annotations

from axdnn.records.codec import Record


class LayerScores(Record, frozen=True, kw_only=True):
    """Importance of layers by one score.

    Attributes:
        score: name of the score, e.g. `"conductance"`.
        values: layer name -> importance, larger is more important.
        settings: options that made it, as text.
        images: images attributed.
        network_images: images sent through the network to compute it (an image at s points of a path counts s; the
            backward passes, one for each class, belong to their forward pass).
        unit: what the values mean.
    """

    score: str
    values: dict[str, float]
    settings: dict[str, str] = {}
    images: int = 0
    network_images: int = 0
    unit: str = ""
