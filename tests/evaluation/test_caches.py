"""Results and codings on disk: keyed by content, bit for bit, robust, and never a change of any figure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from axdnn.evaluation import CodingBank, Evaluator, Split
from axdnn.evaluation.outcomes import Outcome, read_outcome, write_outcome
from axdnn.evaluation.splits import describe
from axdnn.layers import Calibration, Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel
from axdnn.records import Assignment, Multiplier
from axdnn.testing import counted_images

Make = Callable[..., Evaluator]


def choice(evaluator: Evaluator) -> Assignment:
    names = ("mul8u_13QR", "exact", "mul8s_1L12", "mul8u_QKX")
    return Assignment(multipliers=dict(zip(evaluator.network.layer_names, names, strict=True)))


def run(evaluator: Evaluator) -> tuple[Any, ...]:
    for assignment in (evaluator.baseline, choice(evaluator), evaluator.uniform("mul8u_QKX")):
        for split in ("search", "accept"):
            evaluator.evaluate(assignment, split)
    return evaluator.full_evaluations, evaluator.network_images, evaluator.history


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_second_evaluator_simulates_nothing_and_reports_the_same(make_evaluator: Make, tmp_path: Path) -> None:
    plain = run(make_evaluator())
    first = run(make_evaluator(tmp_path / "e", codings=tmp_path / "c"))
    with counted_images() as seen:
        second = run(make_evaluator(tmp_path / "e", codings=tmp_path / "c"))
    assert plain == first == second
    assert sum(seen) == 24, "only the float network looks at the calibration images"


def test_codings_on_disk_change_no_count(make_evaluator: Make, tmp_path: Path) -> None:
    fresh = run(make_evaluator(tmp_path / "a", codings=tmp_path / "c"))
    from_disk = run(make_evaluator(tmp_path / "b", codings=tmp_path / "c"))
    assert fresh == from_disk
    assert files(tmp_path / "a") == files(tmp_path / "b")


def keys_of(evaluator: Evaluator, folder: Path) -> set[str]:
    evaluator.evaluate(choice(evaluator))
    return set(files(folder))


def test_every_ingredient_is_in_the_key(
    make_evaluator: Make, capture_small: Callable[..., CapturedModel], splits: dict[str, Split],
    multipliers: dict[str, Multiplier], tmp_path: Path,
) -> None:  # fmt: skip
    """A changed ingredient never meets an old result: the files of all variants are different."""
    other_label = splits["search"].labels.clone()
    other_label[0] = (other_label[0] + 1) % 3
    other_image = splits["search"].images.clone()
    other_image[0, 0, 0, 0] += 1e-3
    tweaked = multipliers["mul8u_13QR"].table.copy()
    tweaked[200, 200] += 1
    table = Multiplier(name="mul8u_13QR", coding="unsigned", table=tweaked, figures=multipliers["mul8u_13QR"].figures)
    weights = capture_small()
    with torch.no_grad():
        weights.layer("fc3").bias[0] += 1e-6
    calibration = torch.rand(24, 1, 6, 6, generator=torch.Generator().manual_seed(5))
    last_pixel = calibration.clone()
    last_pixel[-1, 0, -1, -1] += 1e-3
    base = Recipe(fit_rows=64)
    variants: dict[str, dict[str, Any]] = {
        "none": {},
        "weights": {"model": weights},
        "clamp, never met": {"model": capture_small(top=5.9)},
        "calibration": {"calibration": last_pixel},
        "fewer calibration images": {"calibration": calibration[:20]},
        "label": {"parts": {**splits, "search": Split("search", splits["search"].images, other_label)}},
        "image": {"parts": {**splits, "search": Split("search", other_image, splits["search"].labels)}},
        "table": {"circuits": {**multipliers, "mul8u_13QR": table}},
        **{
            f"{k}={v}": {"recipe": replace(base, **{k: v})}
            for k, v in {
                "align": False, "activation_range": "minmax", "weight_codes": "nearest", "compensate": False,
                "in_order": False, "unsigned_coding": "unsigned", "fit_rows": 65, "seed": 1,
            }.items()
        },
    }  # fmt: skip
    seen: dict[str, str] = {}
    for name, options in variants.items():
        folder = tmp_path / name
        evaluator = make_evaluator(folder, **options)
        evaluator.correct(choice(evaluator), evaluator.splits["search"])
        (key,) = files(folder)
        assert key not in seen, f"{name} meets the result of {seen.get(key)}"
        seen[key] = name
    again = make_evaluator(tmp_path / "again")
    again.correct(choice(again), again.splits["search"])
    assert files(tmp_path / "again") == files(tmp_path / "none")


def test_the_name_of_a_circuit_is_not_in_the_key(
    make_evaluator: Make, multipliers: dict[str, Multiplier], tmp_path: Path
) -> None:
    """Identity is behaviour: the same table under another name finds its results."""
    first = make_evaluator(tmp_path)
    first.correct(first.uniform("mul8u_QKX"), first.splits["search"])
    renamed = Multiplier(
        name="mine", coding="unsigned", table=multipliers["mul8u_QKX"].table, figures=multipliers["mul8u_QKX"].figures
    )
    second = make_evaluator(tmp_path, circuits={**multipliers, "mine": renamed})
    second.correct(second.uniform("mine"), second.splits["search"])
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("harm", ["empty", "cut", "longer", "flipped", "garbage"])
def test_a_damaged_result_is_computed_again(make_evaluator: Make, tmp_path: Path, harm: str) -> None:
    first = make_evaluator(tmp_path)
    expected = first.correct(first.baseline, first.splits["search"])
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    damage(file, harm)
    second = make_evaluator(tmp_path)
    assert np.array_equal(second.correct(second.baseline, second.splits["search"]), expected)
    assert second.network_images == first.network_images
    assert file.read_bytes() == good


def damage(file: Path, harm: str) -> None:
    raw = file.read_bytes()
    middle = len(raw) // 2
    flipped = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
    file.write_bytes(
        {"empty": b"", "cut": raw[:-1], "longer": raw + b"0", "flipped": flipped, "garbage": b"x" * len(raw)}[harm]
    )


def test_outcomes_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for count in (1, 7, 8, 9, 5000):
        correct = rng.random(count) < 0.5
        write_outcome(tmp_path / "x", Outcome(correct, 256))
        found = read_outcome(tmp_path / "x", count)
        assert found is not None
        assert np.array_equal(found.correct, correct)
        assert found.calibration_images == 256
        assert read_outcome(tmp_path / "x", count + 1) is None
    assert read_outcome(tmp_path / "none", 3) is None
    assert read_outcome(None, 3) is None


def test_an_interrupted_write_leaves_nothing(
    make_evaluator: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    evaluator = make_evaluator(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluator.evaluate(evaluator.baseline)
    assert list(tmp_path.iterdir()) == []
    assert evaluator.evaluate(evaluator.baseline).accuracy["search"].loss == 0.0


def test_describe_is_the_same_in_every_process(capture_small: Callable[..., CapturedModel]) -> None:
    """No addresses, no hash order."""
    text = describe([node.attrs for node in capture_small().nodes.values()])
    assert " at 0x" not in text
    code = (
        "from axdnn.evaluation.splits import describe; import torch\n"
        "class A:\n  def __init__(self): self.x = {'b': 1, 'a': (2.5, None)}\n"
        "print(describe({'t': torch.arange(3), 'o': A(), 's': 'x', 'f': len}))"
    )
    outputs = {subprocess.check_output([sys.executable, "-W", "ignore", "-c", code]) for _ in range(2)}
    assert len(outputs) == 1


@pytest.fixture(scope="module")
def calibration(capture_small: Callable[..., CapturedModel]) -> Calibration:
    return Calibration(capture_small(), torch.rand(24, 1, 6, 6, generator=torch.Generator().manual_seed(5)), 64, 0)


@pytest.mark.parametrize("recipe", [Recipe(fit_rows=64), Recipe(fit_rows=64, unsigned_coding="unsigned")])
def test_codings_come_back_bit_for_bit(calibration: Calibration, tmp_path: Path, recipe: Recipe) -> None:
    for name in ("exact", "mul8s_1L12", "mul8u_QKX", "mul8u_QKX.T"):
        multiplier = load_multiplier(name)
        for layer in calibration.samples:
            fresh = CodingBank(calibration, recipe).get(layer, multiplier)
            stored = CodingBank(calibration, recipe, tmp_path).get(layer, multiplier)
            loaded = CodingBank(calibration, recipe, tmp_path).get(layer, multiplier)
            for other in (stored, loaded):
                assert other.encoding == fresh.encoding
                assert other.multiplier == fresh.multiplier
                assert (other.w_zero, other.noise) == (fresh.w_zero, fresh.noise)
                assert other.w_codes.dtype == fresh.w_codes.dtype
                assert torch.equal(other.w_codes, fresh.w_codes)
                assert torch.equal(other.w_scale, fresh.w_scale)
    assert len(list(tmp_path.iterdir())) == 4 * len(calibration.samples)


def test_a_coding_is_fitted_once(calibration: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, multiplier = CodingBank(calibration, Recipe(fit_rows=64), tmp_path), load_multiplier("mul8s_1L12")
    first = bank.get("conv", multiplier)

    def never(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("axdnn.evaluation.bank.fit_coding", never)
    assert bank.get("conv", multiplier) is first
    CodingBank(calibration, Recipe(fit_rows=64), tmp_path).get("conv", multiplier)


@pytest.mark.parametrize("harm", ["empty", "cut", "longer", "flipped", "garbage"])
def test_a_damaged_coding_is_fitted_again(calibration: Calibration, tmp_path: Path, harm: str) -> None:
    multiplier = load_multiplier("mul8u_QKX")
    fresh = CodingBank(calibration, Recipe(fit_rows=64), tmp_path).get("fc1", multiplier)
    (file,) = tmp_path.iterdir()
    damage(file, harm)
    bank = CodingBank(calibration, Recipe(fit_rows=64), tmp_path)
    found = bank.get("fc1", multiplier)
    assert torch.equal(found.w_codes, fresh.w_codes)
    assert found.noise == fresh.noise
