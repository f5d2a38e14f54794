"""Fitted codings of (layer, multiplier) pairs, made once and kept, in memory and on disk, keyed by content."""

from __future__ import annotations

import hashlib
import io
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import torch

from axdnn.evaluation.outcomes import read_checked, write_checked
from axdnn.evaluation.rows import RowMapping
from axdnn.evaluation.splits import code_key
from axdnn.layers import Calibration, LayerCoding, LayerSample, Recipe, coded, digest_of, fit_coding
from axdnn.quant import Encoding
from axdnn.records import Multiplier, remove_leftovers


class CodingBank:
    """Codings by layer and multiplier.

    Args:
        calibration: samples of each layer.
        recipe: switches.
        folder: where codings are kept between runs, or None. A damaged file is fitted again.
        rows: which terms of a layer multiply exactly.
    """

    def __init__(
        self, calibration: Calibration, recipe: Recipe, folder: Path | None = None, rows: RowMapping | None = None
    ) -> None:
        self.calibration, self.recipe, self.folder, self.rows = calibration, recipe, folder, rows or RowMapping()
        if folder is not None:
            remove_leftovers(folder)
        self._held: dict[tuple[str, str, tuple[int, ...]], LayerCoding] = {}
        self._layer_keys = {
            name: digest_of(sample.rows, sample.weight, _ranges(sample)) for name, sample in calibration.samples.items()
        }

    @property
    def key(self) -> str:
        """Content key of everything a coding depends on, multipliers aside."""
        text = f"{code_key()}{astuple(self.recipe)}{sorted(self._layer_keys.items())}{self.rows.key}"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def sample(self, layer: str, absent: tuple[int, ...] = ()) -> LayerSample:
        """Return the sample of a layer with its exact terms marked, when some inputs are left out."""
        model = self.calibration.model
        groups = model.nodes[layer].attrs.get("groups", 1)
        sample = self.calibration.samples[layer]
        shape = sample.weight.shape[1:] if model.nodes[layer].op == "matmul" else model.layer(layer).weight.shape
        terms = self.rows.terms(shape, absent if groups == 1 else ())
        return replace(sample, terms=terms)

    def get(self, layer: str, multiplier: Multiplier, absent: tuple[int, ...] = ()) -> LayerCoding:
        """Return the coding of a layer for a multiplier, fitted at most once.

        Args:
            layer: name.
            multiplier: the circuit, as in the catalogue.
            absent: inputs that are left out; they matter only where rows of the array are exact, since the others
                then move to other rows.
        """
        absent = absent if self.rows.exact_rows else ()
        slot = (layer, multiplier.id, absent)
        if slot not in self._held:
            sample = self.sample(layer, absent)
            path = self._path(layer, multiplier, sample)
            self._held[slot] = self._load(sample, multiplier, path) or self._fit(sample, multiplier, path)
        return self._held[slot]

    def _path(self, layer: str, multiplier: Multiplier, sample: LayerSample) -> Path | None:
        if self.folder is None:
            return None
        terms = "" if sample.terms is None else digest_of(sample.terms)
        text = f"{code_key()}{astuple(self.recipe)}{self._layer_keys[layer]}{multiplier.id}{terms}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"

    def _fit(self, sample: LayerSample, multiplier: Multiplier, path: Path | None) -> LayerCoding:
        coding = fit_coding(sample, multiplier, self.recipe)
        if path is not None:
            e, second, buffer = coding.encoding, coding.w_encoding, io.BytesIO()
            np.savez(
                buffer, w_codes=coding.w_codes.numpy(), w_scale=coding.w_scale.numpy(), noise=coding.noise,
                encoding=np.array([*_numbers(e), coding.w_zero], dtype=np.float64),
                second=np.array([] if second is None else _numbers(second), dtype=np.float64),
            )  # fmt: skip
            write_checked(path, buffer.getvalue())
        return coding

    def _load(self, sample: LayerSample, multiplier: Multiplier, path: Path | None) -> LayerCoding | None:
        body = read_checked(path)
        if body is None:
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            *first, w_zero = file["encoding"].tolist()
            encoding, second = _encoding(first), file["second"].tolist()
            codes, w_scale = torch.from_numpy(file["w_codes"]), torch.from_numpy(file["w_scale"])
            noise = float(file["noise"])
        return LayerCoding(
            coded(multiplier, self.recipe), encoding, codes, w_scale, int(w_zero), noise, sample.terms,
            _encoding(second) if second else None,
        )  # fmt: skip


def _ranges(sample: LayerSample) -> torch.Tensor:
    second = () if sample.w_low is None or sample.w_high is None else (sample.w_low, sample.w_high)
    return torch.tensor([sample.low, sample.high, *second], dtype=torch.float64)


def _numbers(encoding: Encoding) -> list[float]:
    return [encoding.scale, encoding.zero_point, encoding.signed, encoding.step_bits]


def _encoding(numbers: list[float]) -> Encoding:
    scale, zero, signed, step = numbers
    return Encoding(scale, int(zero), bool(signed), int(step))
