"""What a split must not change: codes, scales and outputs of one multiplier everywhere, and multiplier energy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import torch

from axdnn.channels import ChannelBank, ChannelCalibration, coding_bank, described, noise_of
from axdnn.evaluation import CodingBank, RowMapping
from axdnn.export import export_model
from axdnn.hardware import estimate
from axdnn.layers import ApproxModel, Recipe, build
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel
from axdnn.records import Assignment, Layer, Network

Example = tuple[CapturedModel, torch.Tensor]
RECIPE = Recipe(fit_rows=128)
CIRCUITS = ("exact", "mul8s_1L2N", "mul8u_17MJ")


class Both(NamedTuple):
    """A network and the same one split."""

    whole: CodingBank
    split: ChannelBank
    images: torch.Tensor

    @property
    def networks(self) -> tuple[Network, Network]:
        return described(self.whole, "n"), described(self.split, "n")

    def models(self, circuit: str) -> tuple[ApproxModel, ApproxModel]:
        return uniform(self.whole, circuit), uniform(self.split, circuit)


def banks(example: Example, groups: int, recipe: Recipe = RECIPE, rows: RowMapping | None = None) -> Both:
    captured, images = example
    whole, split = (coding_bank(captured, images[:24], recipe, rows=rows, groups=g) for g in (1, groups))
    assert isinstance(split, ChannelBank)
    return Both(whole, split, images)


def uniform(bank: CodingBank, circuit: str) -> ApproxModel:
    network, multiplier = described(bank, "n"), load_multiplier(circuit)
    codings = {name: bank.get(name, multiplier) for name in network.layer_names}
    return build(bank.calibration, codings, network, bank.recipe)


@pytest.fixture(scope="module", params=["lenet5", "resnet8"])
def trained(request: pytest.FixtureRequest, zoo: Callable[[str], Example]) -> Both:
    return banks(zoo(request.param), 2)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_one_multiplier_everywhere_gives_the_same_bits(trained: Both, circuit: str) -> None:
    """Codes, scales and biases channel by channel, ranges, and so the outputs."""
    whole, split = trained.models(circuit)
    for name in whole.layer_names:
        layer = whole.layer(name)
        own = [(n, p) for n, p in trained.split.parts.items() if p.layer == name]
        assert own
        for part, members in own:
            index, cut = torch.tensor(members.channels), split.layer(part)
            assert cut.coding.encoding == layer.coding.encoding
            for buffer in ("w_codes", "scale", "bias", "shift"):
                assert torch.equal(getattr(cut, buffer), getattr(layer, buffer)[index]), (part, buffer)
    assert torch.equal(whole(trained.images), split(trained.images))


def test_float_outputs_are_equal_but_for_the_rounding_of_float_kernels(trained: Both) -> None:
    whole, split = trained.whole.calibration.model, trained.split.calibration.model
    torch.testing.assert_close(split(trained.images), whole(trained.images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_every_kind_of_layer_gives_the_same_bits(kinds: Example, groups: int, circuit: str) -> None:
    whole, split = banks(kinds, groups).models(circuit)
    assert torch.equal(whole(kinds[1]), split(kinds[1]))
    split.path = "reference"
    assert torch.equal(whole(kinds[1]), split(kinds[1]))


@pytest.mark.parametrize(
    "recipe", [Recipe(fit_rows=64, in_order=False), Recipe(fit_rows=64, unsigned_coding="unsigned", compensate=False)]
)
def test_other_recipes_too(kinds: Example, recipe: Recipe) -> None:
    whole, split = banks(kinds, 2, recipe).models("mul8u_17MJ")
    assert torch.equal(whole(kinds[1]), split(kinds[1]))


def test_exact_rows_of_the_array_fall_on_the_same_terms(zoo: Callable[[str], Example]) -> None:
    example = zoo("lenet5")
    whole, split = banks(example, 2, rows=RowMapping(rows=8, exact_rows=3)).models("mul8u_17MJ")
    assert any(split.layer(name).terms is not None for name in split.layer_names)
    assert torch.equal(whole(example[1]), split(example[1]))


def test_calibration_looks_at_the_images_as_often(zoo: Callable[[str], Example]) -> None:
    """But for the conductance that puts channels in order: 24 images at 21 points, and one for the outputs."""
    both = banks(zoo("lenet5"), 2)
    whole, split = (bank.calibration.network_images for bank in (both.whole, both.split))
    assert split == whole + 24 * 21 + 1
    both.models("exact")
    assert both.split.calibration.network_images - split == both.whole.calibration.network_images - whole


def test_noise_is_of_each_part_and_adds_up_to_that_of_the_layer(trained: Both) -> None:
    calibration, multiplier = trained.split.calibration, load_multiplier("mul8u_17MJ")
    assert isinstance(calibration, ChannelCalibration)
    for name in calibration.whole.model.layer_names:
        sample, coding = trained.whole.sample(name), trained.whole.get(name, multiplier)
        assert noise_of(sample, coding, RECIPE) == coding.noise
        error, spread, found = 0.0, 0.0, []
        for part in (n for n, p in trained.split.parts.items() if p.layer == name):
            target = calibration.samples[part].target.double()
            own = float((target - target.mean(1, keepdim=True)).square().mean(1).sum())
            found.append(trained.split.get(part, multiplier).noise)
            error, spread = error + found[-1] * own, spread + own
        assert error / spread == pytest.approx(coding.noise, rel=1e-6)
        assert len(set(found)) == len(found)


def test_codings_are_kept_for_the_whole_layer(zoo: Callable[[str], Example], tmp_path: Path) -> None:
    """Files of a run without a split serve one with it, and the keys of evaluations differ all the same."""
    captured, images = zoo("lenet5")
    multiplier = load_multiplier("mul8u_17MJ")
    whole = coding_bank(captured, images, RECIPE, tmp_path)
    for name in captured.layer_names:
        whole.get(name, multiplier)
    files = sorted(tmp_path.iterdir())
    keys = {whole.key}
    for groups in (2, 3):
        split = coding_bank(captured, images, RECIPE, tmp_path, groups=groups)
        for name in split.calibration.model.layer_names:
            split.get(name, multiplier)
        keys.add(split.key)
    assert sorted(tmp_path.iterdir()) == files
    assert len(keys) == 3


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_multiplier_energy_is_unchanged_and_nothing_but_layers_is_added(trained: Both, circuit: str) -> None:
    multiplier = load_multiplier(circuit)
    whole, split = trained.networks
    reports = [
        estimate(n, Assignment(multipliers=dict.fromkeys(n.layer_names, multiplier.name)), "tpu_v4",
                 multipliers={multiplier.name: multiplier}) for n in (whole, split)
    ]  # fmt: skip
    assert reports[1].multiplier_energy_j == pytest.approx(reports[0].multiplier_energy_j, rel=1e-12)
    assert reports[1].energy_j > reports[0].energy_j, "each part reads the inputs again"
    assert (split.exact_operators, split.peak_activation_words) == (whole.exact_operators, whole.peak_activation_words)
    assert split.weights == whole.weights


def test_a_part_is_priced_as_a_layer_of_so_many_channels(trained: Both) -> None:
    """The same price as if the user's network had such a layer, and all words of the input in each."""
    whole, split = trained.networks
    by_name = {layer.name: layer for layer in whole.layers}

    def own(layer: Layer) -> Layer:
        part = trained.split.parts[layer.name]
        model, size = by_name[part.layer], len(part.channels)
        shape = (size, *model.out_shape[1:])
        words = model.output_words * size // model.n
        return msgspec.structs.replace(model, name=layer.name, n=size, output_words=words, out_shape=shape)

    made = msgspec.structs.replace(split, layers=tuple(own(layer) for layer in split.layers))
    assert made == split


@pytest.mark.parametrize("to", ["onnx", "npz", "pt2"])
def test_a_split_network_is_exported_bit_for_bit(kinds: Example, tmp_path: Path, to: str) -> None:
    both = banks(kinds, 2)
    network = described(both.split, "kinds")
    names = network.layer_names
    chosen = {n: load_multiplier(CIRCUITS[i % 3]) for i, n in enumerate(names)}
    codings = {n: both.split.get(n, chosen[n]) for n in names}
    model = build(both.split.calibration, codings, network, RECIPE)
    done = export_model(model, tmp_path / f"split.{to}", to, kinds[1][:8])
    assert done.verified, done.check
