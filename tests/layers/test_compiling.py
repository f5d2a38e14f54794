"""`torch.compile` of an approximate network: the same bits, one warning, no compilation after the first few sizes."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from axdnn import approximate
from axdnn.layers import compiling


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        return self.last(torch.relu(y + self.second(y)).mean((2, 3)))


class Around(nn.Module):
    """A user's module with an approximate network inside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x * 0.5 + 0.1).softmax(-1)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_compiled_network_gives_the_same_bits_and_one_warning(backend) -> None:
    torch.manual_seed(0)
    images = torch.rand(48, 2, 7, 7)
    model = approximate(Small().eval(), "mul8u_QKX", images[:32])
    compiling._say_so.cache_clear()
    torch._dynamo.reset()
    counters.clear()
    counter = CompileCounterWithBackend(backend)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        compiled = torch.compile(model, backend=counter)
        for size in range(2, 40):
            assert torch.equal(compiled(images[:size]), model(images[:size]))
        around = Around(model)
        got = torch.compile(around, backend=counter)(images)
    assert torch.equal(compiled(images), model(images))
    # The float operators around it are compiled, and may round as compilers do.
    torch.testing.assert_close(got, around(images))
    said = [w for w in said if not issubclass(w.category, DeprecationWarning)]  # torch's own, of its own parts
    assert len(said) == 1
    assert "ApproxModel" in str(said[0].message)
    assert counter.frame_count <= 2, "what is around the network is compiled once, the network never"
    assert counters["frames"]["total"] <= 8, "no new compilation for each batch size"


def test_a_whole_graph_is_refused_with_the_reason() -> None:
    torch.manual_seed(0)
    images = torch.rand(32, 2, 7, 7)
    model = approximate(Small().eval(), "mul8s_1L2H", images)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="an ApproxModel runs uncompiled"):
        torch.compile(model, backend="aot_eager", fullgraph=True)(images)
