"""The closed forms behind the codes: nearest line, regression, optimal codes, and what each switch does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from axdnn import approximate
from axdnn.layers import Calibration, Recipe, coded, fit_coding, regress, screen_noise
from axdnn.layers.closed_forms import lowest_lines
from axdnn.layers.coding import MOST_STEP_BITS
from axdnn.multipliers import classify, load_multiplier
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import InvalidInputError, Multiplier

NUMBER = st.floats(-1e4, 1e4, allow_nan=False)
PLAIN = Recipe(activation_range="minmax", weight_codes="nearest", compensate=False, in_order=False, align=False)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    lines=st.lists(st.tuples(st.integers(-20, 20), st.integers(-50, 50)), min_size=1, max_size=40),
    points=st.lists(st.integers(-60, 60), min_size=1, max_size=30),
)
def test_lowest_line_is_the_brute_force_minimum(lines, points):
    slope, offset = torch.tensor(lines, dtype=torch.float64).T
    at = torch.tensor(points, dtype=torch.float64) / 4
    got = lowest_lines(slope, offset).at(at)
    values = slope[:, None] * at + offset[:, None]
    np.testing.assert_allclose(values[got, torch.arange(len(at))], values.min(0).values, rtol=0, atol=1e-9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    lines=st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=60), points=st.lists(NUMBER, min_size=1, max_size=60)
)
def test_lowest_line_on_real_numbers(lines, points):
    slope, offset = torch.tensor(lines, dtype=torch.float64).T
    at = torch.tensor(points, dtype=torch.float64).view(-1, 1)
    got = lowest_lines(slope, offset).at(at)
    values = slope * at + offset
    chosen = values.gather(1, got)[:, 0]
    assert got.shape == at.shape
    assert (chosen - values.min(1).values <= 1e-6 * (1 + chosen.abs())).all()


def test_regress_is_least_squares():
    rng = np.random.default_rng(0)
    z, noise = rng.normal(size=(2, 50, 3)) * 5 + 3, rng.normal(size=(2, 50, 3))
    y = z * np.array([0.5, 1.0, 3.0]) - 2 + noise
    gain, offset = regress(torch.from_numpy(z), torch.from_numpy(y))
    assert gain.shape == offset.shape == (2, 1, 3)
    for g in range(2):
        for n in range(3):
            design = np.stack([z[g, :, n], np.ones(50)], 1)
            want = np.linalg.lstsq(design, y[g, :, n], rcond=None)[0]
            np.testing.assert_allclose([gain[g, 0, n], offset[g, 0, n]], want, rtol=1e-9)


def test_regress_keeps_the_gain_where_it_means_nothing():
    z = torch.tensor([[[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 3.0, 3.0]]], dtype=torch.float64)
    y = torch.tensor([[[4.0, 10.0, 3.0], [6.0, 20.0, 2.0], [8.0, 30.0, 1.0]]], dtype=torch.float64)
    gain, offset = regress(z, y)  # no spread; gain 10; gain -1
    assert gain.flatten().tolist() == [1.0, 1.0, 1.0]
    torch.testing.assert_close(offset.flatten(), (y - z).mean(1).flatten())


def samples(nets, net="chain"):
    module, images, _ = getattr(nets, net)
    return Calibration(fold_batch_norm(capture(module, images)), images).samples


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("mul8s_1L12", Recipe()), ("mul8u_QKX", Recipe()), ("mul8u_QKX", Recipe(unsigned_coding="unsigned")),
     ("mul8u_17KS", Recipe(unsigned_coding="unsigned")), ("exact", Recipe())],
)  # fmt: skip
def test_optimal_codes_minimise_the_expected_error(nets, name, recipe):
    """Against brute force: every legal code, error averaged over the sampled activation codes."""
    circuit = load_multiplier(name)
    for layer, sample in samples(nets).items():
        recipe = replace(recipe, activation_range="minmax", weight_codes="optimal")  # minmax: never centred
        coding = fit_coding(sample, circuit, recipe)
        m, e = coding.multiplier, coding.encoding
        x = e.quantise(sample.rows).long().flatten()
        a = (x - e.zero_point).double()
        low = -128 if m.w_signed else 0
        codes = torch.arange(low, low + 256, 2 ** classify(m).w_step_bits)
        values = torch.from_numpy(m.w_values.astype(np.int64))[codes - low] - coding.w_zero
        products = torch.from_numpy(m.table.astype(np.int64))[x + 128 * m.a_signed][:, codes - low]
        u = (products - coding.w_zero * x[:, None] - e.zero_point * values).double()
        wanted = (sample.weight.double() / coding.w_scale.unsqueeze(-1)).flatten()[:40]
        chosen = coding.w_codes.long().flatten()[:40]
        for m_real, code in zip(wanted, chosen, strict=True):
            error = (a[:, None] * m_real - u).square().mean(0)
            assert error[(codes == code).nonzero().item()] <= error.min() * (1 + 1e-9) + 1e-9, layer


def test_nearest_codes_are_nearest(nets):
    for name, unit in (("exact", 1), ("mul8u_1JJQ", 2)):
        for sample in samples(nets, "residual").values():
            coding = fit_coding(sample, load_multiplier(name), PLAIN)
            real = coding.w_codes.double() * unit * coding.w_scale.unsqueeze(-1)
            error = (real - sample.weight).abs()
            assert (error <= 0.5 * unit * coding.w_scale.unsqueeze(-1) * (1 + 1e-6)).all()
            assert (coding.w_codes.abs().amax(-1) == 127).all()


def test_scale_is_per_channel(nets):
    sample = samples(nets)["conv1"]
    coding = fit_coding(sample, load_multiplier("exact"), PLAIN)
    torch.testing.assert_close(coding.w_scale, sample.weight.abs().amax(2).double() / 127)
    assert len(coding.w_scale.unique()) == 6


@pytest.mark.parametrize("name", ["mul8s_1L2N", "mul8s_1L12", "mul8u_17R6", "mul8u_R36", "mul8u_13QR"])
@pytest.mark.parametrize("codes", ["optimal", "nearest"])
def test_codes_are_those_the_circuit_can_tell_apart(nets, name, codes):
    circuit = load_multiplier(name)
    for sample in samples(nets).values():
        for unsigned in ("sign_magnitude", "unsigned"):
            recipe = Recipe(weight_codes=codes, unsigned_coding=unsigned)
            coding = fit_coding(sample, circuit, recipe)
            assert coding.multiplier == coded(circuit, recipe)
            kind = classify(coding.multiplier)
            a_step, w_step = (min(s, MOST_STEP_BITS) for s in (kind.a_step_bits, kind.w_step_bits))
            x = coding.encoding.quantise(sample.rows).long()
            assert not (x % 2**a_step).any()
            assert not (coding.w_codes.long() % 2**w_step).any()
            assert coding.encoding.step_bits == a_step


@pytest.mark.parametrize("name", ["mul8s_1L2N", "mul8u_QKX", "exact"])
def test_noise_is_what_the_sampled_rows_show(nets, name):
    for sample in samples(nets, "residual").values():
        for recipe in (Recipe(), Recipe(compensate=False)):
            coding = fit_coding(sample, load_multiplier(name), recipe)
            assert coding.noise >= 0
            assert coding.noise < 1 or not recipe.compensate
            assert coding.noise <= screen_noise(sample, load_multiplier(name), recipe) * (1 + 1e-9)


def total_noise(nets, name, recipe):
    return sum(fit_coding(s, load_multiplier(name), recipe).noise for s in samples(nets, "residual").values())


@pytest.mark.parametrize(
    ("switch", "name", "factor"),
    [
        ({"align": False, "weight_codes": "nearest"}, "mul8s_1L2N", 1.25),
        ({"activation_range": "minmax", "weight_codes": "optimal"}, "mul8u_R36", 1.02),
        ({"weight_codes": "nearest"}, "mul8u_QKX", 1.2),
        ({"weight_codes": "optimal"}, "mul8u_QKX", 1.1),
        ({"compensate": False}, "mul8u_QKX", 1.3),
        ({"unsigned_coding": "unsigned"}, "mul8u_QKX", 1.5),
    ],
)
def test_every_switch_of_the_recipe_helps_on_its_example(nets, switch, name, factor):
    other = {"weight_codes": switch["weight_codes"]} if len(switch) > 1 else {}  # joint codes make up for some switches
    full = total_noise(nets, name, Recipe(**other))
    assert total_noise(nets, name, Recipe(**switch)) > factor * full


def test_layers_in_order_beat_layers_on_exact_input(nets, decibels):
    module, images, _ = nets.residual
    for name in ("mul8u_QKX", "mul8u_R36"):
        in_order = decibels(approximate(module, name, images), module, images)
        alone = decibels(approximate(module, name, images, recipe=Recipe(in_order=False)), module, images)
        assert in_order > alone


def test_compensation_recovers_a_scaled_and_shifted_circuit(nets, decibels):
    """A circuit that is off by a gain and an offset in every product costs nothing once both are folded."""
    values = np.arange(256) - 128
    circuit = Multiplier.from_table(np.multiply.outer(values, values) * 2 + 100, signed=True, name="gain and offset")
    module, images, _ = nets.chain
    exact = decibels(approximate(module, "exact", images), module, images)
    recipe = Recipe(weight_codes="nearest")
    assert decibels(approximate(module, circuit, images, recipe=recipe), module, images) > exact - 1
    off = Recipe(weight_codes="nearest", compensate=False)
    assert decibels(approximate(module, circuit, images, recipe=off), module, images) < 10


def test_constant_tables_are_refused_by_nothing_and_give_a_constant(nets):
    for entries in (np.zeros((256, 256), int), np.full((256, 256), 7)):
        for signed in (True, False):
            circuit = Multiplier.from_table(entries, signed=signed, name="constant")
            module, images, x = nets.chain
            y = approximate(module, circuit, images)(x)
            assert torch.isfinite(y).all()
            assert float(y.std(0).max()) < 1e-6


def test_bad_switches():
    for bad in (
        {"activation_range": "best"},
        {"weight_codes": "random"},
        {"unsigned_coding": "signed"},
        {"fit_rows": 3},
    ):
        with pytest.raises(InvalidInputError, match=next(iter(bad))):
            Recipe(**bad)


def test_the_seed_and_the_sample_size_are_used(nets):
    module, images, _ = nets.residual
    graph = fold_batch_norm(capture(module, images))
    rows = [Calibration(graph, images, 64, seed).samples["stem"].rows for seed in (0, 0, 1)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert rows[0].shape == (1, 64, 18)
    target = Calibration(graph, images, 64).samples["wide"]
    assert target.rows.shape == (2, 64, 27)
    torch.testing.assert_close(target.target, target.rows @ target.weight.transpose(1, 2))
    assert isinstance(graph, nn.Module)
