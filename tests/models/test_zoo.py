"""Networks have the published shape, names and sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axdnn.models import build_model, default_recipe, list_models, measure_accuracy
from axdnn.records import InvalidInputError, UnknownNameError


def weighted(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def count_macs(model: nn.Module, shape: tuple[int, int, int]) -> int:
    total = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    return total


def test_lenet5_has_three_convolutions_and_two_linear_layers():
    model = build_model("lenet5", 1, 10, 28)
    assert weighted(model) == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert sum(p.numel() for p in model.parameters()) == 61_706
    assert count_macs(model, (1, 28, 28)) == 117_600 + 240_000 + 48_000 + 10_080 + 840
    colour = build_model("lenet5", 3, 7, 32)
    assert count_macs(colour, (3, 32, 32)) == 352_800 + 240_000 + 48_000 + 10_080 + 588
    assert colour(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(("name", "layers"), [("resnet8", 8), ("resnet14", 14), ("resnet20", 20)])
def test_resnets_have_6n_plus_2_layers(name, layers):
    model = build_model(name, 3, 10, 32)
    names = weighted(model)
    assert len([n for n in names if "shortcut" not in n]) == layers
    assert [n for n in names if "shortcut" in n] == ["stage2.0.shortcut.conv", "stage3.0.shortcut.conv"]
    assert names[:3] == ["conv1", "stage1.0.conv1", "stage1.0.conv2"]
    assert names[-1] == "fc"
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert model(torch.zeros(2, 3, 28, 28)).shape == (2, 10)


def test_resnet8_size_agrees_with_an_independent_count():
    model = build_model("resnet8", 3, 10, 32)
    assert sum(p.numel() for p in model.parameters()) == 78_042
    assert count_macs(model, (3, 32, 32)) == 12_501_632


def test_a_generator_fixes_the_weights_and_the_global_one_does_not_matter():
    models = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        models.append(build_model("resnet8", 3, 10, 32, generator=torch.Generator().manual_seed(5)))
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[key], second[key]) for key in first)
    third = build_model("resnet8", 3, 10, 32, generator=torch.Generator().manual_seed(6)).state_dict()
    assert not torch.equal(first["conv1.weight"], third["conv1.weight"])


def test_bad_input_is_refused():
    with pytest.raises(UnknownNameError, match="resnet8"):
        build_model("resnet9", 3, 10, 32)
    with pytest.raises(UnknownNameError, match="lenet5"):
        default_recipe("lenet", "mnist")
    with pytest.raises(InvalidInputError, match="28 or 32, but got 64"):
        build_model("lenet5", 1, 10, 64)
    with pytest.raises(InvalidInputError, match="at least 8"):
        build_model("resnet8", 1, 10, 4)
    with pytest.raises(InvalidInputError, match="num_classes >= 2"):
        build_model("lenet5", 1, 1, 28)
    with pytest.raises(InvalidInputError, match="in_channels"):
        build_model("lenet5", True, 10, 28)
    assert list_models() == ("lenet5", "cnn_small", "resnet8", "resnet14", "resnet20")


def test_accuracy_is_the_fraction_correct_and_keeps_the_mode():
    model = nn.Flatten()
    images = torch.eye(4).reshape(4, 4, 1, 1)
    assert measure_accuracy(model.train(), images, torch.tensor([0, 1, 2, 0]), batch_size=3) == 0.75
    assert model.training
    with pytest.raises(InvalidInputError, match="3 images and 4 labels"):
        measure_accuracy(model, images[:3], torch.zeros(4, dtype=torch.int64))
    with pytest.raises(InvalidInputError):
        measure_accuracy(model, images[:0], torch.zeros(0, dtype=torch.int64))


def test_cnn_small_has_three_convolutions_and_few_parameters():
    model = build_model("cnn_small", 1, 10, 28).eval()
    kinds = [type(m).__name__ for m in model.modules() if not list(m.children())]
    assert kinds.count("Conv2d") == kinds.count("BatchNorm2d") == 3
    assert kinds.count("Linear") == 1
    by_hand = 16 * 9 + 32 * 16 * 9 + 64 * 32 * 9 + 2 * (16 + 32 + 64) + 64 * 3 * 3 * 10 + 10
    assert sum(p.numel() for p in model.parameters()) == by_hand <= 100_000
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert build_model("cnn_small", 3, 7, 33).eval()(torch.zeros(2, 3, 33, 33)).shape == (2, 7)
    with pytest.raises(InvalidInputError, match="image_size of cnn_small"):
        build_model("cnn_small", 1, 10, 7)
