"""Codings of the parts of split layers: fitted for the whole layer, then cut."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from axdnn.channels.calibration import ChannelCalibration, cut_sample
from axdnn.channels.splitting import Part, require_groups, split_channels
from axdnn.evaluation import CodingBank, RowMapping
from axdnn.importance import channel_conductance
from axdnn.kernels import approx_matmul
from axdnn.layers import Calibration, LayerCoding, LayerSample, Recipe, regress
from axdnn.layers.coding import correction
from axdnn.quant import CapturedModel, Inputs, network_of
from axdnn.records import InvalidInputError, Multiplier, Network

ORDER_IMAGES = 32


class ChannelBank(CodingBank):
    """Codings by part and multiplier.

    The parts of a layer read the same codes if they have the same multiplier, for the range of the activations is that
    which suits the whole layer. So a split network with one multiplier everywhere is the whole network with it, to the
    bit, and fitting costs and keeps no more than without a split. Only the noise is the part's own.

    Args:
        calibration: of the split network.
        recipe, folder, rows: as of `CodingBank`.
    """

    def __init__(
        self,
        calibration: ChannelCalibration,
        recipe: Recipe,
        folder: Path | None = None,
        rows: RowMapping | None = None,
    ) -> None:
        super().__init__(calibration, recipe, folder, rows)
        self.parts = calibration.split.parts
        self.whole = CodingBank(calibration.whole, recipe, folder, rows)
        self._cut: dict[tuple[str, str, tuple[int, ...]], LayerCoding] = {}

    @property
    def key(self) -> str:
        """Content key of everything a coding depends on, multipliers aside."""
        text = f"{super().key}{self.whole.key}{sorted(self.parts.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def sample(self, layer: str, absent: tuple[int, ...] = ()) -> LayerSample:
        """Return the sample of a part with its exact terms marked, when some inputs are left out."""
        part = self.parts.get(layer)
        if part is None:
            return self.whole.sample(layer, absent)
        return cut_sample(self.whole.sample(part.layer, absent), part)

    def get(self, layer: str, multiplier: Multiplier, absent: tuple[int, ...] = ()) -> LayerCoding:
        """Return the coding of a part for a multiplier, see `CodingBank.get`."""
        part = self.parts.get(layer)
        if part is None:
            return self.whole.get(layer, multiplier, absent)
        slot = (layer, multiplier.id, absent if self.rows.exact_rows else ())
        if slot not in self._cut:
            coding = cut_coding(self.whole.get(part.layer, multiplier, absent), part)
            self._cut[slot] = replace(coding, noise=noise_of(self.sample(layer, absent), coding, self.recipe))
        return self._cut[slot]


def cut_coding(coding: LayerCoding, part: Part) -> LayerCoding:
    """Return the codes of a part of a layer; the noise is still that of the whole one."""
    if part.blocks is None:
        index = torch.tensor(part.channels)
        return replace(coding, w_codes=coding.w_codes[:, index], w_scale=coding.w_scale[:, index])
    index = torch.tensor(part.blocks)
    return replace(coding, w_codes=coding.w_codes[index], w_scale=coding.w_scale[index])


def noise_of(sample: LayerSample, coding: LayerCoding, recipe: Recipe) -> float:
    """Return the share of the output's variance that a layer with weights gets wrong, see `LayerCoding.noise`."""
    x = coding.encoding.quantise(sample.rows)
    pairs = zip(x, coding.w_codes, strict=True)
    sums = torch.stack([approx_matmul(a, w, coding.multiplier, terms=coding.terms) for a, w in pairs]).double()
    sums += correction(x, coding.w_codes, coding.multiplier, coding.encoding, coding.w_zero)
    z, y = sums * (coding.w_scale.unsqueeze(1) * coding.encoding.scale), sample.target.double()
    if recipe.compensate:
        gain, offset = regress(z, y)
        z = z * gain + offset
    spread = float((sample.target - sample.target.mean(1, keepdim=True)).square().mean(1).sum()) or 1.0
    return float((y - z).square().mean(dim=1).sum()) / spread


def coding_bank(
    captured: CapturedModel,
    images: Inputs,
    recipe: Recipe,
    folder: Path | None = None,
    rows: RowMapping | None = None,
    groups: int = 1,
    importance: Mapping[str, Sequence[float]] | None = None,
) -> CodingBank:
    """Calibrate a captured model, split by channels or not, and return the bank of its codings.

    Args:
        captured: batch norm folded.
        images: calibration images.
        recipe: switches.
        folder: where codings are kept, or None.
        rows: which terms of a layer multiply exactly.
        groups: of output channels in each layer.
        importance: of channels, see `split_channels`; None: their conductance on the first calibration images, which
            are counted.

    Raises:
        InvalidInputError: unusable images; `groups` that are no number of groups, or more than any layer has channels.
    """
    require_groups(groups)
    whole = Calibration(captured, images, recipe.fit_rows, recipe.seed, recipe.activation_range)
    if groups == 1:
        return CodingBank(whole, recipe, folder, rows)
    split = split_channels(captured, groups, importance)
    if importance is None:
        measured, spent = channel_conductance(captured, _first(whole.images))
        whole.network_images += spent
        split = split_channels(captured, groups, {name: values.tolist() for name, values in measured.items()})
    return ChannelBank(ChannelCalibration(whole, split), recipe, folder, rows)


def _first(images: Inputs) -> torch.Tensor:
    """Return the images that channels are put in order by."""
    if isinstance(images, tuple):
        raise InvalidInputError(f"channel groups need a model of one input, but it takes {len(images)}")
    return images[:ORDER_IMAGES]


def described(bank: CodingBank, name: str) -> Network:
    """Describe the network of a bank.

    Parts write their channels where the output of the whole layer lies, so a split adds layers, but no moves and no
    memory.

    Args:
        bank: of the network.
        name: label.
    """
    calibration = bank.calibration
    network = network_of(calibration.model, name)
    if not isinstance(calibration, ChannelCalibration):
        return network
    whole = network_of(calibration.whole.model, name)
    return msgspec.structs.replace(
        network, exact_operators=whole.exact_operators, peak_activation_words=whole.peak_activation_words
    )
