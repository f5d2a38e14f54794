"""Weight codes chosen together: the objective falls, no single code could be better, and held-out error is less."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from axdnn.kernels import EXACT
from axdnn.layers import Calibration, Recipe, fit_coding
from axdnn.layers.coding import CodingFit
from axdnn.layers.joint_codes import Responses, block_covariance, joint_codes, responses
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm

A = torch.arange(256, dtype=torch.float64) - 100


def some_responses(seed, legal=6):
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(256, generator=generator, dtype=torch.float64)
    share /= share.sum()
    value = torch.linspace(-3, 3, 256, dtype=torch.float64)
    products = A[:, None] * value + torch.randn(256, 256, generator=generator, dtype=torch.float64) * 20
    codes = torch.randperm(256, generator=generator)[:legal]
    return responses(share, A, products, codes), share, products, codes


def noise_of(share, products):
    """Variance of the products of each code that no multiple of the activation explains, over the activation's own."""
    mean = share @ A
    found = []
    for column in products.T:
        slope = (share * (A - mean) * (column - share @ column)).sum() / (share * (A - mean) ** 2).sum()
        rest = column - share @ column - slope * (A - mean)
        found.append((share * rest**2).sum() / (share * (A - mean) ** 2).sum())
    return torch.stack(found)


def objective(columns, target, slope, noise, c):
    delta = slope[columns] - target
    return delta @ c @ delta + (noise[columns] * c.diagonal()).sum()


@pytest.mark.parametrize("seed", range(8))
def test_no_other_code_of_one_term_is_better(seed):
    """At the end of the descent every term has the best of all legal codes, given the others; brute force."""
    found, share, products, codes = some_responses(seed)
    noise, generator = noise_of(share, products), torch.Generator().manual_seed(100 + seed)
    rows = torch.randn(1, 200, 5, generator=generator) @ torch.randn(5, 5, generator=generator)
    covariance = block_covariance(rows)
    target = torch.randn(1, 3, 5, generator=generator, dtype=torch.float64) * 2
    start = codes[torch.randint(len(codes), (1, 3, 5), generator=generator)]
    chosen = joint_codes(target, start, found, covariance, None)
    c = covariance[0][0].double()
    for n in range(3):
        reached = objective(chosen[0, n], target[0, n], found.slope, noise, c)
        assert reached <= objective(start[0, n], target[0, n], found.slope, noise, c) + 1e-9
        for j, code in itertools.product(range(5), codes):
            other = chosen[0, n].clone()
            other[j] = code
            assert objective(other, target[0, n], found.slope, noise, c) >= reached - 1e-9


def test_without_covariance_every_code_is_chosen_by_itself():
    found, share, products, codes = some_responses(3, legal=20)
    target = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen = joint_codes(
        target, torch.full((1, 4, 6), int(codes[0])), found, (torch.eye(6, dtype=torch.float64)[None],), None
    )
    noise = noise_of(share, products)
    each = (found.slope[codes] - target[..., None]) ** 2 + noise[codes]
    assert torch.equal(chosen, codes[each.argmin(-1)])


def test_an_error_is_made_up_for_by_a_term_that_varies_alike():
    """Two terms that are always equal, codes of 0 and 1 alone: of two weights of a half one becomes 1, the other 0."""
    slope = torch.zeros(256, dtype=torch.float64)
    slope[1] = 1.0
    steps = responses(torch.full_like(A, 1 / 256), A, A[:, None] * slope, torch.tensor([0, 1])).steps
    chosen = joint_codes(
        torch.full((1, 1, 2), 0.49, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.long),
        Responses(slope, steps), (torch.tensor([[[1.0, 0.99], [0.99, 1.0]]], dtype=torch.float64),), None,
    )  # fmt: skip
    assert sorted(chosen.flatten().tolist()) == [0, 1]


def test_covariance_is_shrunk_and_cut_into_blocks(monkeypatch):
    rows = torch.randn(2, 50, 7, generator=torch.Generator().manual_seed(1))
    (whole,) = block_covariance(rows)
    plain = torch.stack([torch.cov(r.T.double(), correction=0) for r in rows])
    off = ~torch.eye(7, dtype=torch.bool)
    torch.testing.assert_close(whole[:, off], plain[:, off] * 50 / 57)
    floor = 0.01 * plain.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    torch.testing.assert_close(whole.diagonal(dim1=1, dim2=2), plain.diagonal(dim1=1, dim2=2) + floor)
    monkeypatch.setattr("axdnn.layers.joint_codes.BLOCK", 3)
    blocks = block_covariance(rows)
    assert [tuple(b.shape) for b in blocks] == [(2, 3, 3), (2, 3, 3), (2, 1, 1)]
    assert (block_covariance(torch.zeros(1, 5, 4))[0].diagonal(dim1=1, dim2=2) > 0).all()


@pytest.fixture(scope="module")
def grouped():
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(),
        nn.Conv2d(8, 12, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 16, 10),
    )  # fmt: skip
    coarse = torch.rand(96, 4, 3, 3, generator=torch.Generator().manual_seed(3))
    images = nn.functional.interpolate(coarse, (8, 8), mode="bilinear")  # neighbours are alike, as in pictures
    graph = fold_batch_norm(capture(module.eval(), images))
    return Calibration(graph, images[:64]).samples, Calibration(graph, images[64:], 256).samples


@pytest.mark.parametrize("name", ["mul8u_QKX", "mul8u_R36", "mul8s_1L2N"])
def test_less_error_on_images_not_seen(grouped, name):
    """Dense, depthwise and grouped layers, and one with fewer rows than terms; none gets worse by much."""
    circuit, seen, unseen = load_multiplier(name), *grouped
    total = {"optimal": 0.0, "joint": 0.0}
    for layer in seen:
        errors = {}
        for rule in total:
            recipe = Recipe(weight_codes=rule)
            coding = fit_coding(seen[layer], circuit, recipe)
            fit = CodingFit(unseen[layer], coding.multiplier, recipe)
            x = coding.encoding.quantise(unseen[layer].rows)
            errors[rule] = fit._noise(x, coding.w_codes, coding.encoding, coding.w_scale)
            total[rule] += errors[rule]
        assert errors["joint"] <= 1.1 * errors["optimal"]
    assert total["joint"] < 0.98 * total["optimal"]


def test_exact_terms_keep_their_codes_and_a_sample_without_covariance_its_rule(grouped):
    sample, circuit = grouped[0]["4"], load_multiplier("mul8u_QKX")
    terms = torch.zeros(sample.rows.shape[2], dtype=torch.uint8)
    terms[:7] = EXACT
    before = fit_coding(replace(sample, terms=terms), circuit, Recipe(weight_codes="optimal"))
    after = fit_coding(replace(sample, terms=terms), circuit, Recipe())
    assert torch.equal(before.w_codes[..., :7], after.w_codes[..., :7])
    assert not torch.equal(before.w_codes, after.w_codes)
    assert after.noise < before.noise
    bare = replace(sample, covariance=None)
    assert torch.equal(fit_coding(bare, circuit, Recipe()).w_codes,
                       fit_coding(bare, circuit, Recipe(weight_codes="optimal")).w_codes)  # fmt: skip
