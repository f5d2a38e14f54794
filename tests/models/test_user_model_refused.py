"""What is wrong with a user's own model is said in one line, and nothing is left behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from axdnn.data import dataset_info
from axdnn.models import resolve_model
from axdnn.models.normalising import per_channel
from axdnn.records import InvalidInputError, UnknownNameError

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


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("mean", (), "1 number or 3"), ("mean", (0.1, 0.2), "1 number or 3 .*got 2"), ("std", (1, 1, 1, 1), "got 4"),
        ("mean", (float("nan"),), "finite"), ("std", (float("inf"),), "finite"), ("std", (0.0,), "above 0"),
        ("std", (0.5, -0.5, 0.5), "above 0"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be(name: str, values: tuple[float, ...], message: str, net: Path) -> None:
    with pytest.raises(InvalidInputError, match=message):
        per_channel(name, values, dataset_info("cifar10").image_shape[0])
    with pytest.raises(InvalidInputError, match=message):
        resolve_model("net.py:Net", "cifar10", **{name: values})


BROKEN = (
    NET
    + """
CONSTANT, shared = 3, Net()
def raises(): raise KeyError("deep inside")
def leaves(): raise SystemExit("bye")
def nothing(): return None
def needs(width): return Net()
def same(): return shared
class Wrong(Net):
    def forward(self, x): return super().forward(x)[:, :7]
class Fails(Net):
    def forward(self, x): raise ValueError("two\\nlines")
class Grey(Net):
    def __init__(self):
        super().__init__()
        self.body[0] = nn.Conv2d(1, 4, 3)
"""
)


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("absent.py:Net", InvalidInputError, "absent.py does not"),
        (".:Net", InvalidInputError, "module"),
        ("net.py", InvalidInputError, "file.py:function or module:function"),
        ("net.py:", InvalidInputError, "file.py:function or module:function"),
        (":Net", InvalidInputError, "file.py:function or module:function"),
        ("net.py:Net()", InvalidInputError, "file.py:function or module:function"),
        ("net.py:Nett", UnknownNameError, "nearest: Net"),
        ("no_such_module:Net", InvalidInputError, "no module 'no_such_module'"),
        ("torch.no_such:Net", InvalidInputError, "no module 'torch.no_such'"),
        ("no.such.module:Net", InvalidInputError, "ModuleNotFoundError"),
        ("net.py:raises", InvalidInputError, "KeyError: 'deep inside'"),
        ("net.py:leaves", InvalidInputError, "SystemExit: bye"),
        ("net.py:nothing", InvalidInputError, "returned NoneType"),
        ("net.py:needs", InvalidInputError, "missing 1 required positional argument"),
        ("net.py:CONSTANT", InvalidInputError, "function or class.* int"),
        ("net.py:shared", InvalidInputError, "a module already"),
        ("net.py:Wrong", InvalidInputError, r"logits \(n, 10\).*\(2, 7\)"),
        ("net.py:Fails", InvalidInputError, "ValueError: two lines"),
        ("net.py:Grey", InvalidInputError, r"\(n, 3, 32, 32\).*RuntimeError"),
    ],
)
def test_what_is_wrong_is_said(spec: str, kind: type[Exception], message: str, net: Path) -> None:
    net.write_text(BROKEN)
    with pytest.raises(kind, match=message) as caught:
        resolve_model(spec, "cifar10")
    assert "\n" not in str(caught.value)
    assert [file.name for file in net.parent.iterdir()] == ["net.py"]


@pytest.mark.parametrize("text", ["import no_such_thing", "def f(:", "raise SystemExit(3)", "\x00", "1 / 0"])
def test_a_file_that_cannot_be_imported(text: str, net: Path) -> None:
    net.write_text(text)
    with pytest.raises(InvalidInputError, match=r"importing the model from net.py raised \w+"):
        resolve_model("net.py:Net", "cifar10")


def test_one_object_cannot_be_two_models(net: Path) -> None:
    """Weights and normalisation are put into what the function returns: twice would be wrong without a sign."""
    name = f"shared_{random.getrandbits(64):x}"
    (net.parent / f"{name}.py").write_text(BROKEN)
    resolve_model(f"{name}:same", "cifar10", mean=(0.5,))
    with pytest.raises(InvalidInputError, match="new one at each call"):
        resolve_model(f"{name}:same", "cifar10", mean=(0.5,))
