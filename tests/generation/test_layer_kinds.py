"""From a trained network with attention and a recurrent layer to a verified choice of multipliers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import Request, generate


class Sequence(nn.Module):
    """Self-attention, then a recurrent layer whose steps come first and examples second."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.rnn, self.head = nn.GRU(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.rnn(x.transpose(0, 1))[0][-1])


@pytest.mark.parametrize("score", ["conductance", "integrated_gradients", "ablation"])
@pytest.mark.parametrize("strategy", ["integer", "paper"])
def test_attention_and_recurrent_layers_get_their_multipliers(strategy, score):
    torch.manual_seed(0)
    model = Sequence().eval()
    x = torch.randn(480, 6, 8)
    with torch.no_grad():
        labels = model(x).argmax(1)  # the float network is right by definition
    parts = dict(zip(("search", "accept", "test"), x[:450].split(150), strict=True))
    splits = {n: Split(n, part, labels[i * 150 : (i + 1) * 150]) for i, (n, part) in enumerate(parts.items())}
    request = Request(
        multipliers="mul8s_1KR6,mul8s_1KVM,mul8s_1L2N,mul8s_1KVB", max_accuracy_loss=15.0, strategy=strategy,
        score=score, evaluations=6,
    )  # fmt: skip
    result = generate(model, x[450:], splits, request, name="sequence")
    layers = set(result.assignment)
    assert layers == {
        "attention.in_proj_weight", "attention.scores", "attention.context", "attention.out_proj", "rnn.weight_ih_l0",
        "rnn.weight_hh_l0", "head",
    }  # fmt: skip
    assert set(result.scores[0].values) == layers
    assert result.status == "met"
    assert result.accuracy > 0.7
    assert result.cost.energy_j <= result.baseline_cost.energy_j
