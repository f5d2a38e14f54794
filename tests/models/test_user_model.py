"""A user's own model: found, called, checked, normalised, given weights; what is wrong with it is said."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from axdnn.layers import approximate
from axdnn.models import build_model, input_text, model_identity, model_label, resolve_model
from axdnn.models.normalising import normalised
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import CheckpointError, InvalidInputError, UnknownNameError

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5))
        self.head = nn.Linear(4 * 16 * 16, 10)

    def forward(self, x):
        return self.head(self.body(x))

def make():
    print("hello from the user")
    return Net().double()
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "net.py"
    file.write_text(NET)
    return file


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("spec", ["net.py:make", "net.py:Net", "{folder}/net.py:make"])
def test_a_function_or_class_of_a_file(
    spec: str, net: Path, images: torch.Tensor, capsys: pytest.CaptureFixture
) -> None:
    state, path = torch.get_rng_state(), list(sys.path)
    found = resolve_model(spec.format(folder=net.parent), "cifar10")
    assert (found.name, found.source) == (model_label(spec), "as the function made them")
    assert found.accuracy is None
    assert found.model(images).shape == (6, 10)
    assert found.model(images).dtype == torch.float32
    assert not found.model.training
    assert torch.equal(found.model(images), found.model(images))  # no dropout
    assert torch.equal(state, torch.get_rng_state())
    assert sys.path == path
    assert capsys.readouterr().out == ""
    assert [file.name for file in net.parent.iterdir()] == ["net.py"]


def test_random_weights_are_the_same_in_another_process(net: Path, images: torch.Tensor) -> None:
    torch.manual_seed(5)
    code = (
        "import torch\nfrom axdnn.models import resolve_model\ntorch.manual_seed(9)\n"
        "print(float(resolve_model('net.py:Net', 'cifar10').model.head.weight.detach().double().sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=net.parent)
    mine = resolve_model("net.py:Net", "cifar10").model
    assert float(done.stdout) == float(mine.head.weight.detach().double().sum())


def test_a_module_of_the_current_folder_and_an_installed_one(net: Path, images: torch.Tensor) -> None:
    name = f"users_{random.getrandbits(64):x}"
    (net.parent / f"{name}.py").write_text(NET)
    assert resolve_model(f"{name}:Net", "cifar10").model(images).shape == (6, 10)
    (net.parent / f"{name}_package").mkdir()
    (net.parent / f"{name}_package" / "__init__.py").write_text("")
    (net.parent / f"{name}_package" / "inside.py").write_text(NET)
    spec = f"{name}_package.inside:make"
    assert resolve_model(spec, "cifar10").name == spec
    assert model_identity(spec).startswith(f"{spec} sha256:")
    with pytest.raises(InvalidInputError, match="without arguments"):
        resolve_model("axdnn.models.resnet:ResNet", "cifar10")


def test_a_file_imports_its_neighbours_and_is_read_anew(net: Path) -> None:
    name = f"neighbour_{random.getrandbits(64):x}"
    (net.parent / f"{name}.py").write_text("WIDTH = 7\n")
    for width in ("WIDTH", "8888 - 8880"):
        net.write_text(NET.replace("nn.Conv2d(3, 4", f"nn.Conv2d(3, {width}").replace("4 * 16", f"({width}) * 16")
                       + f"\nfrom {name} import WIDTH\n")  # fmt: skip
        model = resolve_model("net.py:Net", "cifar10").model
        assert model.body[0].out_channels == (7 if width == "WIDTH" else 8)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict"])
def test_weights(prefix: str, wrapper: str | None, net: Path) -> None:
    """A state dict, bare or wrapped, also of `torch.nn.DataParallel`."""
    source = resolve_model("net.py:Net", "cifar10").model
    for p in source.parameters():
        nn.init.uniform_(p)
    state = {prefix + key: value.double() for key, value in source.state_dict().items()}
    torch.save({wrapper: state} if wrapper else state, "w.pt")
    found = resolve_model("net.py:Net", "cifar10", weights="w.pt")
    assert found.source == "file"
    for key, value in found.model.state_dict().items():
        assert torch.equal(value, source.state_dict()[key])


def test_a_prefix_that_is_the_models_own_stays(net: Path) -> None:
    net.write_text(
        NET + "\ndef wrapped():\n    return nn.Sequential(__import__('collections').OrderedDict(module=Net()))"
    )
    torch.save(resolve_model("net.py:wrapped", "cifar10").model.state_dict(), "own.pt")
    assert resolve_model("net.py:wrapped", "cifar10", weights="own.pt").source == "file"
    torch.save(resolve_model("net.py:Net", "cifar10").model.state_dict(), "bare.pt")
    with pytest.raises(CheckpointError, match=r"missing \(module.body"):
        resolve_model("net.py:wrapped", "cifar10", weights="bare.pt")


def test_weights_of_another_model(net: Path) -> None:
    torch.save(build_model("resnet8", 3, 10, 32).state_dict(), "w.pt")
    with pytest.raises(CheckpointError, match=r"'net.py:Net'.*missing.*not expected"):
        resolve_model("net.py:Net", "cifar10", weights="w.pt")


@pytest.mark.parametrize(
    ("mean", "std"), [((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)), ((0.5,), (0.25,)), ((0.5,), None), (None, (0.1, 0.2, 0.3))]
)
def test_normalisation_is_in_front_of_the_network(
    mean: tuple[float, ...] | None, std: tuple[float, ...] | None, net: Path, images: torch.Tensor
) -> None:
    plain = resolve_model("net.py:Net", "cifar10").model
    found = resolve_model("net.py:Net", "cifar10", mean=mean, std=std)
    m, s = (torch.tensor(v or (d,)).expand(3).view(1, 3, 1, 1) for v, d in ((mean, 0.0), (std, 1.0)))
    assert torch.equal(found.model(images), plain((images - m) / s))
    captured = fold_batch_norm(capture(found.model, images))
    assert captured.layer_names == fold_batch_norm(capture(plain, images)).layer_names == ("body.0", "head")
    torch.testing.assert_close(captured(images), plain((images - m) / s), rtol=1e-4, atol=1e-5)
    assert len(found.mean or found.std) == 3


def test_pixels_enter_the_normalised_integer_network_without_loss(net: Path, images: torch.Tensor) -> None:
    """The normalisation is one rounding, that of the first layer's codes; the 256 pixel values are kept apart."""
    found = resolve_model("net.py:Net", "cifar10", mean=(0.49, 0.48, 0.45), std=(0.2,))
    pixels = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(1)).float() / 255
    pixels[0, 0, 0, 0], pixels[0, 0, 0, 1] = 0.0, 1.0
    integer = approximate(found.model, "exact", pixels)
    ((key, encoding),) = integer.operator_encodings.items()
    assert integer.nodes[key[0]].inputs == (next(n.name for n in integer.nodes.values() if n.op == "input"),)
    levels = torch.arange(256).float() / 255
    assert torch.equal(torch.round(encoding.dequantise(encoding.quantise(levels)) * 255), torch.arange(256).float())
    error = (integer(pixels) - found.model(pixels)).square().mean() / found.model(pixels).var()
    assert error < 0.01


def test_a_forward_set_on_the_object_is_normalised_too(images: torch.Tensor) -> None:
    layer = nn.Conv2d(3, 2, 1)
    layer.forward = lambda x: x * 2  # type: ignore[method-assign]
    assert torch.equal(normalised(layer, (0.5,) * 3, (0.5,) * 3)(images), (images - 0.5) / 0.5 * 2)


def test_weights_of_a_known_network_may_need_normalisation(tmp_path: Path) -> None:
    model = build_model("resnet8", 3, 10, 32, generator=torch.Generator().manual_seed(0)).eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    found = resolve_model("resnet8", "cifar10", weights=tmp_path / "w.pt", mean=(0.5,), std=(0.5,))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(found.model(images), model((images - 0.5) / 0.5))
    assert found.name == "resnet8"
    with pytest.raises(InvalidInputError, match="weights of your own"):
        resolve_model("lenet5", "mnist", mean=(0.5,))


def test_identity_follows_the_content(net: Path) -> None:
    before = model_identity("net.py:Net")
    assert before == model_identity("net.py:Net") != model_identity("net.py:make")
    net.write_text(NET + "# changed")
    assert before != model_identity("net.py:Net")
    assert model_identity("lenet5") == "lenet5"
    with pytest.raises(UnknownNameError, match=r"lenet5.*file.py:function"):
        model_identity("lenet")


def test_the_input_in_words() -> None:
    assert input_text((), ()) == "pixels / 255"
    assert input_text((0.5,), ()) == "pixels / 255 - (0.5)"
    assert input_text((0.5, 0.25), (0.1, 0.2)) == "(pixels / 255 - (0.5, 0.25)) / (0.1, 0.2)"
