"""Rows of a pod that keep exact multipliers: which terms land on them, and what they cost."""

import itertools

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import cost_table, estimate, exact_terms, load_accelerator, parse_accelerator, term_counts
from axdnn.hardware.components import pe_area_m2
from axdnn.records import Assignment, InvalidInputError, UnknownNameError

EXACT_OF = {"signed": "mul8s_1KV6", "unsigned": "mul8u_1JFF"}


def mapped(k, rows, exact_rows, fill):
    """Walk through the folds and put each term on a row."""
    result = []
    for start in range(0, k, rows):
        fold = list(range(start, min(start + rows, k)))
        first = rows - len(fold) if fill == "bottom" else 0
        result += [first + place < exact_rows for place, _ in enumerate(fold)]
    return result


def test_terms_against_a_walk():
    for k, rows, fill in itertools.product((0, 1, 2, 5, 7, 8, 9, 15, 16, 17, 24), (1, 2, 7, 8), ("top", "bottom")):
        for exact_rows in range(rows + 1):
            assert exact_terms(k, rows, exact_rows, fill).tolist() == mapped(k, rows, exact_rows, fill)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 700), st.integers(1, 300), st.data())
def test_laws_of_the_mapping(k, rows, data):
    exact_rows = data.draw(st.integers(0, rows))
    top, bottom = exact_terms(k, rows, exact_rows), exact_terms(k, rows, exact_rows, "bottom")
    assert top.shape == bottom.shape == (k,)
    assert top.sum() >= bottom.sum()
    full = k // rows * rows
    assert np.array_equal(top[:full], bottom[:full])
    assert top[:full].sum() == k // rows * exact_rows
    if k <= rows - exact_rows:
        assert not bottom.any()
    if k <= exact_rows:
        assert top.all()


def test_the_papers_pod():
    """256 rows, the upper half exact: 400 terms are 128 exact, 128 not, 128 exact, 16 not."""
    terms = exact_terms(400, 256, 128)
    assert np.flatnonzero(np.diff(terms)).tolist() == [127, 255, 383]
    chip = load_accelerator("xai_gen")
    assert term_counts(400, chip) == (256, 144)
    assert term_counts(400, chip.replace(fill="bottom")) == (128 + 16, 256)
    assert term_counts(84, chip) == (84, 0)
    assert term_counts(84, chip.replace(fill="bottom")) == (0, 84)
    assert term_counts(400, load_accelerator("tpu_v4")) == (0, 400)


@pytest.mark.parametrize("arguments", [(-1, 8, 4), (9, 0, 0), (9, 8, 9), (9, 8, -1), (9, 8.5, 4), (9, True, 0)])
def test_bad_mappings(arguments):
    with pytest.raises(InvalidInputError, match=r"must be (a whole|at most)"):
        exact_terms(*arguments)


def test_unknown_fill():
    with pytest.raises(UnknownNameError, match="top"):
        exact_terms(9, 8, 4, "middle")


def multiplier_pj(network, names, chip, multipliers, exact_of):
    """Slow oracle: every product of every layer, one term at a time."""
    total = 0.0
    for layer, name in zip(network.layers, names, strict=True):
        ratio = multipliers[name].figures.power_w / exact_of[multipliers[name].coding].power_w
        for term, exact in enumerate(mapped(layer.k, chip.rows, chip.exact_rows, chip.fill)):
            assert 0 <= term < layer.k
            total += layer.groups * layer.m * layer.n * chip.multiply_j * (1.0 if exact else ratio)
    return total * 1e12


@pytest.mark.parametrize("fill", ["top", "bottom"])
@pytest.mark.parametrize("exact_rows", [0, 3, 8])
def test_multiplier_energy_term_by_term(mobile, multipliers, small_chip, exact_of, fill, exact_rows):
    chip = small_chip.replace(exact_rows=exact_rows, fill=fill)
    names = ["mul8s_1L2N", "QKX_sm", "mul8u_R36", "mul8s_1KV6", "QKX_sm", "mul8s_1KVP"]
    assignment = Assignment(multipliers=dict(zip(mobile.layer_names, names, strict=True)))
    report = estimate(mobile, assignment, chip, multipliers=multipliers)
    expected = multiplier_pj(mobile, names, chip, multipliers, exact_of)
    assert report.multiplier_energy_j * 1e12 == pytest.approx(expected, rel=1e-12)
    if exact_rows == chip.rows:
        assert report.multiplier_energy_j == pytest.approx(mobile.macs * chip.multiply_j, rel=1e-12)


@pytest.mark.parametrize("reading", ["ideal", "buildable"])
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("xai_gen", {}),
        ("xai_gen", {"fill": "bottom"}),
        ("sosa_32x32", {}),
        ("sosa_32x32", {"pods": 64, "pods_together": 8, "exact_rows": 9}),
        ("tpu_v4", {"exact_rows": 40, "pods_together": 2}),
        ("edge_16x16", {"exact_rows": 16}),
    ],
)
def test_table_agrees_with_estimate(mobile, multipliers, name, changes, reading):
    chip, names = load_accelerator(name).replace(**changes), list(multipliers)
    table = cost_table(mobile, [multipliers[n] for n in names], chip)
    assert table.pods * table.pods_together == chip.pods
    choice = np.random.default_rng(0).integers(0, len(names), (12, len(mobile.layers)))
    choice[:7] = np.arange(7)[:, None]
    prices = table.energy(choice, reading)
    for i, row in enumerate(choice):
        assignment = Assignment(multipliers={layer: names[j] for layer, j in zip(mobile.layer_names, row, strict=True)})
        if reading == "buildable" and len(set(row)) > table.pods:
            assert np.isinf([prices.energy_j[i], prices.latency_s[i], prices.area_m2[i]]).all()
            with pytest.raises(InvalidInputError, match=f"at most {table.pods} kinds"):
                estimate(mobile, assignment, chip, multipliers=multipliers, reading=reading)
            continue
        report = estimate(mobile, assignment, chip, multipliers=multipliers, reading=reading)
        for field in ("energy_j", "latency_s", "area_m2", "multiplier_energy_j"):
            assert getattr(prices, field)[i] == pytest.approx(getattr(report, field), rel=1e-12), field
        assert {names[j]: n for j, n in enumerate(prices.pods[i].tolist()) if n} == report.pods
        assert all(n % chip.pods_together == 0 for n in report.pods.values())
        assert report.area_m2 == pytest.approx(sum(report.area_breakdown_m2.values()), rel=1e-12)


def test_area_of_a_pod_by_row(lenet, multipliers, uniform, exact_of):
    for name in ("mul8s_1L2N", "QKX_sm", "mul8u_R36"):
        chip = load_accelerator("xai_gen").replace(exact_rows=100)
        report = estimate(lenet, uniform(lenet, name), chip, multipliers=multipliers)
        product, rest = pe_area_m2(multipliers[name], chip)
        reference = exact_of[multipliers[name].coding].area_m2 * chip.multiplier_area_scale
        parts = report.area_breakdown_m2
        assert parts["multiplier"] == pytest.approx(8 * 256 * (100 * reference + 156 * product), rel=1e-12)
        assert parts["mac_rest"] == pytest.approx(8 * 256 * 256 * rest, rel=1e-12)


def test_static_power_lies_between_all_and_none(lenet, multipliers, uniform):
    chip = load_accelerator("xai_gen")
    static = [
        estimate(lenet, uniform(lenet, "mul8s_1L2N"), chip.replace(exact_rows=rows), multipliers=multipliers)
        .energy_breakdown_j["static"] for rows in (0, 64, 128, 192, 256)
    ]  # fmt: skip
    assert np.allclose(np.diff(static), np.diff(static)[0], rtol=1e-9)
    exact = estimate(lenet, uniform(lenet, "mul8s_1KV6"), chip, multipliers=multipliers)
    assert static[0] < static[-1] == pytest.approx(exact.energy_breakdown_j["static"], rel=1e-12)


def test_an_exact_network_costs_the_same_with_and_without(mobile, multipliers, uniform):
    chip = load_accelerator("xai_gen")
    for name in EXACT_OF.values():
        costs = [estimate(mobile, uniform(mobile, name), chip.replace(exact_rows=rows), multipliers=multipliers)
                 for rows in (0, 77, 256)]  # fmt: skip
        for cost in costs[1:]:
            assert (cost.energy_j, cost.area_m2) == pytest.approx((costs[0].energy_j, costs[0].area_m2), rel=1e-12)


def test_sensitivity_spares_the_exact_rows(gemm, network_of, multipliers, uniform):
    network = network_of(gemm("layer", 64, 300, 16))
    report = estimate(network, uniform(network, "mul8s_1L2N"), "xai_gen", multipliers=multipliers)
    exact, approximate = term_counts(300, load_accelerator("xai_gen"))
    ratio = multipliers["mul8s_1L2N"].figures.power_w / 0.425e-3
    half = 64 * 16 * approximate * load_accelerator("xai_gen").multiply_j * ratio / 2
    note = next(text for text in report.notes if text.startswith("sensitivity"))
    low, high = report.multiplier_energy_j - half, report.multiplier_energy_j + half
    assert f"{low * 1e6:.6g} to {high * 1e6:.6g} µJ" in note
    assert any(text.startswith("rows 0 to 127 of the 256") for text in report.notes)
    assert exact + approximate == 300


def test_without_the_keys_nothing_is_said(lenet, multipliers, uniform):
    chip = load_accelerator("tpu_v4")
    assert (chip.exact_rows, chip.fill, chip.pods_together) == (0, "top", 1)
    assert not {"array.exact_rows", "array.fill", "array.pods_together"} & set(chip.sources)
    report = estimate(lenet, uniform(lenet, "mul8s_1L2N"), multipliers=multipliers)
    assert not any(text.startswith("rows") for text in report.notes)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("exact_rows", 129, r"chip\.yaml: `array\.exact_rows` must be at most `array\.rows` = 128, but got 129"),
        ("exact_rows", -1, r"`array\.exact_rows`\.value must be a whole number"),
        ("exact_rows", 1.5, r"`array\.exact_rows`\.value must be a whole number"),
        ("fill", "middle", r"`array\.fill`\.value must be one of top, bottom, but got 'middle'"),
        ("fill", 0, r"`array\.fill`\.value must be one of top, bottom"),
        ("fill", ["top"], r"`array\.fill`\.value must be one of top, bottom"),
        ("pods_together", 3, r"`array\.pods_together` must divide `array\.pods` = 8, but got 3"),
        ("pods_together", 0, r"`array\.pods_together`\.value must be a whole number"),
    ],
)
def test_bad_files(key, value, match):
    from importlib import resources

    text = (resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    data["array"][key] = {"value": value, "unit": "1", "source": "a test"}
    with pytest.raises(InvalidInputError, match=match):
        parse_accelerator(yaml.safe_dump(data), "chip.yaml")


def test_given_pods_come_in_groups(lenet, multipliers, uniform):
    names = uniform(lenet, "mul8s_1L2N").multipliers
    good = Assignment(multipliers=names, pods={"mul8s_1L2N": 48})
    assert estimate(lenet, good, "sosa_32x32", multipliers=multipliers).pods == {"mul8s_1L2N": 48}
    with pytest.raises(InvalidInputError, match=r"multiples of 16, .*but got 40"):
        estimate(lenet, Assignment(multipliers=names, pods={"mul8s_1L2N": 40}), "sosa_32x32", multipliers=multipliers)
