"""Choosing operand codes of one layer for one multiplier, from sampled rows, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from axdnn.kernels import EXACT, approx_matmul
from axdnn.kernels.codes import table_index
from axdnn.layers.alwann import mapped
from axdnn.layers.closed_forms import Steps, lowest_lines, regress
from axdnn.layers.joint_codes import Responses, joint_codes, responses
from axdnn.layers.recipe import Recipe
from axdnn.layers.samples import LayerSample
from axdnn.multipliers import classify
from axdnn.quant import Encoding, candidate_ranges, range_encoding
from axdnn.records import Multiplier

CodeRule = Literal["expected", "centred", "nearest"]
WEIGHT_RATIOS = (0.8, 0.6)
NEAREST_RATIOS = (0.8, 0.6, 0.45)  # few bits gain from a tighter clip, and no other rule is tried
UNSIGNED_WEIGHT_ZERO = 128
MOST_STEP_BITS = 7  # a constant table ignores all 8 bits; a code still needs two levels


@dataclass(frozen=True)
class LayerCoding:
    """Codes of one layer for one multiplier.

    Attributes:
        multiplier: with its coding applied (unsigned circuits wrapped when sign-magnitude).
        encoding: of the activations.
        w_codes: `(groups, n, k)`, int8 or uint8.
        w_scale: `(groups, n)` float64, real weight of one unit of the multiplier's weight value.
        w_zero: code of zero weight (only `unsigned` coding; else 0).
        terms: which terms multiply exactly, see `LayerSample`.
        w_encoding: of a product of activations, the code of the second operand; `w_codes` is empty then.
        noise: share of the output's variance that the approximate layer gets wrong after compensation, 0 is exact.
    """

    multiplier: Multiplier
    encoding: Encoding
    w_codes: torch.Tensor
    w_scale: torch.Tensor
    w_zero: int
    noise: float
    terms: torch.Tensor | None = None
    w_encoding: Encoding | None = None


def coded(multiplier: Multiplier, recipe: Recipe) -> Multiplier:
    """Return the multiplier as the recipe wires it: unsigned circuits get sign-magnitude weights by default."""
    if multiplier.coding == "unsigned" and recipe.unsigned_coding == "sign_magnitude":
        return multiplier.sign_magnitude()
    return multiplier


def fit_coding(sample: LayerSample, multiplier: Multiplier, recipe: Recipe) -> LayerCoding:
    """Choose codes for one layer.

    Searches the activation range (and zero point) first, then the weight clip and the criterion of the weight codes,
    keeping what leaves the least output error on the sampled rows.

    Args:
        sample: rows, weights and targets.
        multiplier: the circuit, as in the catalogue.
        recipe: switches.
    """
    return _fit(sample, multiplier, recipe).best()


def optimal_codes(sample: LayerSample, coding: LayerCoding, recipe: Recipe, centred: bool = False) -> Steps:
    """Return the codes that fit best under the sample's activations as a function of the weight, in units of its scale.

    Args:
        sample: rows of the layer's input.
        coding: multiplier and encoding.
        recipe: switches.
        centred: leave the mean error out, as compensation will.
    """
    return CodingFit(sample, coding.multiplier, recipe).optimal_codes(
        coding.encoding.quantise(sample.rows), coding.encoding, centred
    )


def joint_steps(sample: LayerSample, coding: LayerCoding, recipe: Recipe) -> Steps:
    """Return the codes that `joint_codes` gives to wanted weights, in units of the scale: as `optimal_codes`."""
    fit = CodingFit(sample, coding.multiplier, recipe)
    steps = fit.responses(coding.encoding.quantise(sample.rows), coding.encoding).steps
    return Steps(fit.stored(steps.values), steps.breaks)


def screen_noise(sample: LayerSample, multiplier: Multiplier, recipe: Recipe) -> float:
    """Return the noise of a coding chosen with one look at the range: a cheap upper estimate of `fit_coding`'s."""
    return _fit(sample, multiplier, recipe).first_look()


def _fit(sample: LayerSample, multiplier: Multiplier, recipe: Recipe) -> CodingFit:
    if sample.w_low is None:
        return CodingFit(sample, coded(multiplier, recipe), recipe)
    from axdnn.layers.product_coding import ProductFit

    return ProductFit(sample, coded(multiplier, recipe), recipe)


class CodingFit:
    """One search for the codes of a layer."""

    def __init__(self, sample: LayerSample, multiplier: Multiplier, recipe: Recipe) -> None:
        self.sample, self.multiplier, self.recipe = sample, multiplier, recipe
        steps = classify(multiplier)
        # Fewer bits are the upper ones of the circuit's operand: codes in steps.
        self.a_step = max(8 - recipe.activation_bits, min(steps.a_step_bits, MOST_STEP_BITS) if recipe.align else 0)
        # ALWANN's map knows no steps: columns that are equal are its business.
        ignored = min(steps.w_step_bits, MOST_STEP_BITS) if recipe.align and recipe.weight_codes != "alwann" else 0
        self.w_step = max(8 - recipe.weight_bits, ignored)
        self.w_zero = UNSIGNED_WEIGHT_ZERO if multiplier.coding == "unsigned" else 0
        self.table = torch.from_numpy(multiplier.table.copy()).double()
        self.a_values = torch.from_numpy(multiplier.a_values).double()
        self.w_values = torch.from_numpy(multiplier.w_values).double() - self.w_zero
        self.spread = float((sample.target - sample.target.mean(1, keepdim=True)).square().mean(1).sum()) or 1.0

    def best(self) -> LayerCoding:
        """Return the coding that leaves the least noise."""
        best = self._one_by_one()
        if self.recipe.weight_codes != "joint" or self.sample.covariance is None:
            return best
        return better(best, self.jointly(best))

    def _one_by_one(self) -> LayerCoding:
        """Return the best coding whose codes depend on their own weight alone."""
        best: LayerCoding | None = None
        for family in self._encodings():
            best = better(best, self._best_clip(family))
        assert best is not None
        if self.recipe.activation_range != "error" or self.recipe.weight_codes == "alwann":
            return best
        if self.recipe.weight_codes == "nearest":
            for ratio in NEAREST_RATIOS:
                best = better(best, self.attempt(best.encoding, ratio))
            return best
        for ratio in WEIGHT_RATIOS:
            best = better(best, self.attempt(best.encoding, ratio))
        for ratio in (1.0, WEIGHT_RATIOS[0]):
            best = better(best, self.attempt(best.encoding, ratio, "centred"))
        return better(best, self.attempt(best.encoding, 1.0, "nearest"))

    def first_look(self) -> float:
        """Return the noise of the first range tried."""
        return min(self.attempt(family[self._first(family)]).noise for family in self._encodings())

    def _encodings(self) -> list[list[Encoding]]:
        ranges = candidate_ranges(torch.tensor([self.sample.low, self.sample.high]), self.recipe.activation_range)
        if self.recipe.activation_range == "percentile":
            ranges = candidate_ranges(self.sample.rows, "percentile")
        signed, step = self.multiplier.a_signed, self.a_step
        families = [] if self.recipe.activation_codes == "symmetric" else [
            [range_encoding(low, high, signed, step) for low, high in ranges]
        ]  # fmt: skip
        if signed or not families:
            families.append([range_encoding(low, high, signed, step, symmetric=True) for low, high in ranges])
        if step and self.sample.terms is not None:  # exact terms see every step
            families.append(
                [range_encoding(low, high, signed, 8 - self.recipe.activation_bits) for low, high in ranges]
            )
        return families

    def _best_clip(self, encodings: list[Encoding]) -> LayerCoding:
        tried: dict[int, LayerCoding] = {}

        def at(i: int) -> float:
            if i not in tried:
                tried[i] = self.attempt(encodings[i])
            return tried[i].noise

        best = min(range(self._first(encodings) % 3, len(encodings), 3), key=at)
        while True:  # downhill from the best of every third
            lower = min(range(max(best - 1, 0), min(best + 2, len(encodings))), key=at)
            if at(lower) >= at(best):
                return tried[best]
            best = lower

    @staticmethod
    def _first(encodings: list[Encoding]) -> int:
        return len(encodings) // 4

    def attempt(self, encoding: Encoding, ratio: float = 1.0, rule: CodeRule = "expected") -> LayerCoding:
        """Return the coding with a range of the activations, a weight clip and a criterion of the weight codes."""
        x = encoding.quantise(self.sample.rows)
        scale = self._weight_scale(ratio)
        target = self.sample.weight.double() / scale.unsqueeze(-1)
        if rule == "nearest" or self.recipe.weight_codes == "nearest":
            codes = self._nearest_codes(target, self.w_step)
        elif self.recipe.weight_codes == "alwann":
            codes = mapped(self._nearest_codes(target, self.w_step), self.multiplier, self.w_step)
        else:
            codes = self.optimal_codes(x, encoding, rule == "centred").at(target)
        terms = self.sample.terms
        if terms is not None:
            codes = torch.where(terms == EXACT, self._nearest_codes(target, 8 - self.recipe.weight_bits), codes)
        noise = self._noise(x, codes, encoding, scale)
        return LayerCoding(self.multiplier, encoding, codes, scale, self.w_zero, noise, terms)

    def _weight_scale(self, ratio: float) -> torch.Tensor:
        """Real weight of one unit of weight value: the largest weight of a channel meets the largest usable value."""
        step = 1 << self.w_step
        top = {"signed": (127 // step or 1) * step, "sign_magnitude": 254, "unsigned": 127}[self.multiplier.coding]
        peak = self.sample.weight.abs().amax(dim=2).double() * ratio
        if self.recipe.weight_scales == "tensor":
            peak = peak.amax().expand_as(peak)
        return torch.where(peak > 0, peak, torch.ones_like(peak)) / top

    def _nearest_codes(self, target: torch.Tensor, step_bits: int) -> torch.Tensor:
        """Code of the nearest weight value, on a grid of `2**step_bits` codes (what the circuit can tell apart)."""
        unit = 2 if self.multiplier.coding == "sign_magnitude" else 1
        step = 1 << step_bits
        level = torch.round(target / (unit * step)) * step
        low, high = {"signed": (-128, 127), "sign_magnitude": (-127, 127), "unsigned": (-128, 127)}[
            self.multiplier.coding
        ]
        top = high // step * step
        codes = torch.clamp(level, -(-low // step * step), top) + self.w_zero
        return codes.to(torch.int8 if self.multiplier.w_signed else torch.uint8)

    def jointly(self, coding: LayerCoding) -> LayerCoding:
        """Return the coding with the codes of each sum chosen together, see `joint_codes`."""
        sample = self.sample
        assert sample.covariance is not None
        x = coding.encoding.quantise(sample.rows)
        target = sample.weight.double() / coding.w_scale.unsqueeze(-1)
        found = self.responses(x, coding.encoding)
        fixed = None if sample.terms is None else sample.terms == EXACT
        start = table_index(coding.w_codes, self.multiplier.w_signed).long()
        if fixed is not None and fixed.any():
            # Exact terms act as the values of their codes; the table's own slopes are those of the others.
            target = torch.where(fixed, target - self.w_values[start] + found.slope[start], target)
        columns = joint_codes(target, start, found, sample.covariance, fixed)
        codes = self.stored(columns)
        noise = self._noise(x, codes, coding.encoding, coding.w_scale)
        return replace(coding, w_codes=codes, noise=noise)

    def responses(self, x: torch.Tensor, encoding: Encoding) -> Responses:
        """Return what the circuit's codes do under the activation codes x."""
        share, a, u = self._products(x, encoding)
        return responses(share, a, u, self._legal())

    def _products(self, x: torch.Tensor, encoding: Encoding) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the histogram of activation codes, their values, and corrected products `(256, 256)`."""
        index = table_index(x, self.multiplier.a_signed).flatten().long()
        share = torch.bincount(index, minlength=256).double() / index.numel()
        a = self.a_values - encoding.zero_point
        u = self.table - self.w_zero * self.a_values[:, None] - encoding.zero_point * self.w_values[None, :]
        return share, a, u

    def _legal(self) -> torch.Tensor:
        """Return the columns that the circuit tells apart; among equal codes the smallest value wins."""
        legal = torch.arange(0, 256, 1 << self.w_step)
        return legal[self.w_values[legal].abs().argsort(stable=True)]

    def optimal_codes(self, x: torch.Tensor, encoding: Encoding, centred: bool) -> Steps:
        """Stored code c, as a function of the weight m, that minimises E_a[(A m - U_c)^2] (the variance, when centred).

        A is the activation's value, U_c what the circuit and its zero-point corrections give for code c, both under
        the histogram of activation codes: a lower envelope of 256 lines in m.
        """
        weight, a, u = self._products(x, encoding)
        first, second = weight * a @ u, weight @ u.square()
        if centred:
            mean = weight @ u
            first, second = first - (weight @ a) * mean, second - mean.square()
        order = self._legal()
        line, breaks = lowest_lines(first[order] * -2.0, second[order])
        return Steps(self.stored(order[line]), breaks)

    def stored(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the codes of columns of the table."""
        low = -128 if self.multiplier.w_signed else 0
        return (columns + low).to(torch.int8 if self.multiplier.w_signed else torch.uint8)

    def _noise(self, x: torch.Tensor, codes: torch.Tensor, encoding: Encoding, scale: torch.Tensor) -> float:
        sums = _sums(x, codes, self.multiplier, self.sample.terms)
        z = (sums + correction(x, codes, self.multiplier, encoding, self.w_zero)) * (
            scale.unsqueeze(1) * encoding.scale
        )
        y = self.sample.target.double()
        if self.recipe.compensate:
            gain, offset = regress(z, y)
            z = z * gain + offset
        return float((y - z).square().mean(dim=1).sum()) / self.spread


def sample_affine(sample: LayerSample, coding: LayerCoding) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gain and offset per channel, `(c_out,)` float64, regressed on the sampled rows with exact inputs."""
    x = coding.encoding.quantise(sample.rows)
    sums = _sums(x, coding.w_codes, coding.multiplier, sample.terms)
    z = (sums + correction(x, coding.w_codes, coding.multiplier, coding.encoding, coding.w_zero)) * (
        coding.w_scale.unsqueeze(1) * coding.encoding.scale
    )
    gain, offset = regress(z, sample.target.double())
    return gain.flatten(), offset.flatten()


def _sums(x: torch.Tensor, codes: torch.Tensor, multiplier: Multiplier, terms: torch.Tensor | None) -> torch.Tensor:
    """Return raw sums `(groups, r, n)`, float64."""
    if terms is None:
        return approx_matmul(x, codes, multiplier).double()
    parts = [approx_matmul(a, w, multiplier, terms=terms) for a, w in zip(x, codes, strict=True)]
    return torch.stack(parts).double()


def better(old: LayerCoding | None, new: LayerCoding) -> LayerCoding:
    """Return the coding that leaves less noise, the old one if equal."""
    return new if old is None or new.noise < old.noise else old


def weight_values(codes: torch.Tensor, multiplier: Multiplier, w_zero: int) -> torch.Tensor:
    """Return the numbers that stored weight codes stand for, int64."""
    values = torch.from_numpy(multiplier.w_values).long() - w_zero
    return values[table_index(codes, multiplier.w_signed).long()]


def correction(
    x: torch.Tensor, codes: torch.Tensor, multiplier: Multiplier, encoding: Encoding, w_zero: int
) -> torch.Tensor:
    """Return the exact zero-point corrections to add to the sums, int64.

    `sum (x - zx)(w - zw) = sum x w - zw sum x - zx sum (w - zw)`.

    Args:
        x: `(groups, r, k)`.
        codes: `(groups, n, k)`.
        multiplier: coding of the codes.
        encoding: of the activations, whose zero point is zx.
        w_zero: zw.
    """
    constant = -encoding.zero_point * weight_values(codes, multiplier, w_zero).sum(dim=2).unsqueeze(1)
    if w_zero == 0:
        return constant
    return constant - w_zero * x.long().sum(dim=2).unsqueeze(2)
