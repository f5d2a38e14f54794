"""What calibration images look like inside a split network: cut out of what they look like inside the whole one."""

from __future__ import annotations

from dataclasses import replace

import torch

from axdnn.channels.splitting import Part, SplitModel
from axdnn.layers import Calibration, LayerSample


class ChannelCalibration(Calibration):
    """Calibration of a split network, with the very rows, ranges and targets of the whole one.

    Float kernels may round a convolution of fewer channels otherwise, and rows are drawn at random layer by layer; cut
    from the whole network's, both are the same to the bit.

    Args:
        whole: calibration of the whole network.
        split: of the same network.

    Attributes:
        whole, split: as given.
    """

    def __init__(self, whole: Calibration, split: SplitModel) -> None:
        # Nothing of the base class's own start is wanted: it would run the images through the split network.
        self.whole, self.split = whole, split
        self.model, self.images, self.count = split.model, whole.images, whole.count
        self.encodings, self.network_images = whole.encodings, whole.network_images
        self.samples = {
            name: cut_sample(whole.samples[split.parts[name].layer], split.parts[name])
            if name in split.parts
            else whole.samples[name]
            for name in split.model.layer_names
        }
        self._cut: dict[str, torch.Tensor] | None = None

    def targets(self) -> dict[str, torch.Tensor]:
        """Node that calls a layer -> float pre-activation on all calibration images, see `Calibration.targets`."""
        if self._cut is not None:
            return self._cut
        before = self.whole.network_images
        whole = self.whole.targets()
        spent = self.whole.network_images - before
        self.network_images += spent
        found: dict[str, torch.Tensor] = {}
        for name, value in whole.items():
            if name not in self.split.calls:
                found[name] = value
                continue
            axis = self.split.whole.nodes[name].channel_dim
            for call in self.split.calls[name]:
                part = self.split.parts[self.split.model.nodes[call].layer_name]
                found[call] = value.index_select(axis, torch.tensor(part.channels))
        if not spent:  # the whole network's are held, so these may be
            self._cut = found
        return found


def cut_sample(sample: LayerSample, part: Part) -> LayerSample:
    """Return the sample of a part of a layer.

    Args:
        sample: of the whole layer.
        part: of it.
    """
    if part.blocks is None:
        index = torch.tensor(part.channels)
        return replace(sample, weight=sample.weight[:, index], target=sample.target[:, :, index])
    index = torch.tensor(part.blocks)
    covariance = None if sample.covariance is None else tuple(block[index] for block in sample.covariance)
    return replace(
        sample, rows=sample.rows[index], weight=sample.weight[index], target=sample.target[index],
        covariance=covariance,
    )  # fmt: skip
