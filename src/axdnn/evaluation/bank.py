"""Fitted codings of (layer, multiplier) pairs, made once and kept, in memory and on disk, keyed by content."""

from __future__ import annotations

import hashlib
import io
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch

from axdnn.evaluation.outcomes import read_checked, write_checked
from axdnn.evaluation.splits import code_key, digest_of
from axdnn.layers import Calibration, LayerCoding, Recipe, coded, fit_coding
from axdnn.quant import Encoding
from axdnn.records import Multiplier


class CodingBank:
    """Codings by layer and multiplier.

    Args:
        calibration: samples of each layer.
        recipe: switches.
        folder: where codings are kept between runs, or None. A damaged file is fitted again.
    """

    def __init__(self, calibration: Calibration, recipe: Recipe, folder: Path | None = None) -> None:
        self.calibration, self.recipe, self.folder = calibration, recipe, folder
        self._held: dict[tuple[str, str], LayerCoding] = {}
        self._layer_keys = {
            name: digest_of(sample.rows, sample.weight, torch.tensor([sample.low, sample.high], dtype=torch.float64))
            for name, sample in calibration.samples.items()
        }

    @property
    def key(self) -> str:
        """Content key of everything a coding depends on, multipliers aside."""
        text = f"{code_key()}{astuple(self.recipe)}{sorted(self._layer_keys.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def get(self, layer: str, multiplier: Multiplier) -> LayerCoding:
        """Return the coding of a layer for a multiplier, fitted at most once."""
        slot = (layer, multiplier.id)
        if slot not in self._held:
            self._held[slot] = self._load(layer, multiplier) or self._fit(layer, multiplier)
        return self._held[slot]

    def _path(self, layer: str, multiplier: Multiplier) -> Path | None:
        if self.folder is None:
            return None
        text = f"{code_key()}{astuple(self.recipe)}{self._layer_keys[layer]}{multiplier.id}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"

    def _fit(self, layer: str, multiplier: Multiplier) -> LayerCoding:
        coding = fit_coding(self.calibration.samples[layer], multiplier, self.recipe)
        path = self._path(layer, multiplier)
        if path is not None:
            e, buffer = coding.encoding, io.BytesIO()
            np.savez(
                buffer, w_codes=coding.w_codes.numpy(), w_scale=coding.w_scale.numpy(), noise=coding.noise,
                encoding=np.array([e.scale, e.zero_point, e.signed, e.step_bits, coding.w_zero], dtype=np.float64),
            )  # fmt: skip
            write_checked(path, buffer.getvalue())
        return coding

    def _load(self, layer: str, multiplier: Multiplier) -> LayerCoding | None:
        body = read_checked(self._path(layer, multiplier))
        if body is None:
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            scale, zero, signed, step, w_zero = file["encoding"].tolist()
            encoding = Encoding(scale, int(zero), bool(signed), int(step))
            codes, w_scale = torch.from_numpy(file["w_codes"]), torch.from_numpy(file["w_scale"])
            noise = float(file["noise"])
        return LayerCoding(coded(multiplier, self.recipe), encoding, codes, w_scale, int(w_zero), noise)
