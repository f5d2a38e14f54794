"""The network under attack: whoever asks it for logits or gradients is counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from axdnn.layers import ApproxModel, digest_of
from axdnn.quant import CapturedModel, Node
from axdnn.records import InvalidInputError
from axdnn.retraining import Gradient
from axdnn.robustness.network import differentiable


@dataclass
class Passes:
    """Counted images: a batch of b images counts b.

    Attributes:
        forward: images whose logits were computed.
        backward: images whose gradient was computed.
    """

    forward: int = 0
    backward: int = 0

    def since(self, before: Passes) -> Passes:
        """Return what was added after `before`."""
        return Passes(self.forward - before.forward, self.backward - before.backward)

    def copy(self) -> Passes:
        """Return the counts of now."""
        return Passes(self.forward, self.backward)


class Victim(nn.Module):
    """A classifier of one input as attacks see it. `victim(x)` returns logits, with gradients where they are enabled.

    Args:
        decide: what says whether an attack succeeded: of an approximate network its exact integers.
        differentiable: returns the same logits with a gradient to the input; `decide` itself by default.
        name: for tables.
        digest: content key of the network, for caches; empty where results are not kept.

    Attributes:
        passes: what was asked of it.
    """

    def __init__(
        self, decide: nn.Module, differentiable: nn.Module | None = None, name: str = "network", digest: str = ""
    ) -> None:
        super().__init__()
        self.decide, self.slopes = decide.eval(), (differentiable or decide).eval()
        self.name, self.digest = name, digest
        self.passes = Passes()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits `(b, classes)`; counts the images, and again for each backward pass."""
        self.passes.forward += len(x)
        if not (torch.is_grad_enabled() and x.requires_grad):
            with torch.no_grad():
                return self.decide(x)  # type: ignore[no-any-return]
        logits: torch.Tensor = self.slopes(x)
        logits.register_hook(lambda grad: self._count_backward(len(x)))  # type: ignore[no-untyped-call]
        return logits

    def _count_backward(self, images: int) -> None:
        self.passes.backward += images

    def right(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return for each image whether it is classified right, by the deciding network."""
        with torch.no_grad():
            return torch.eq(self(x).argmax(1), labels)

    def loss_gradient(
        self, x: torch.Tensor, labels: torch.Tensor, loss: str = "ce"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gradient of the loss of each image and its logits.

        Args:
            x: images `(b, ...)`.
            labels: int64 `(b,)`.
            loss: `ce`, cross entropy, or `margin`, the best other logit less that of the label.
        """
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            logits = self(x)
            wide = logits.double()  # cross entropy in float32 is flat where the network is sure
            ce = loss == "ce"
            each = functional.cross_entropy(wide, labels, reduction="none") if ce else margin(wide, labels)
            (grad,) = torch.autograd.grad(each.sum(), x)
        return grad, logits.detach()


def margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the best other logit less that of the label, `(b,)`: above 0 where the image is classified wrong."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return others.amax(1) - own


def integer_victim(
    approximate: ApproxModel, model: nn.Module, gradient: Gradient = "straight_through", name: str = "approximate"
) -> Victim:
    """Return an approximate network as a victim; its exact integers decide, gradients go by `gradient`.

    Args:
        approximate: the integer network.
        model: the float network it was made from, or its capture with batch norm folded.
        gradient: see `differentiable`.
        name: for tables.

    Raises:
        InvalidInputError: not a classifier of one input, or see `differentiable`.
    """
    if len(approximate.input_shapes) != 1 or len(approximate.outputs) != 1:
        raise InvalidInputError(
            f"attacks need a classifier of one input and one result, but the network has "
            f"{len(approximate.input_shapes)} and {len(approximate.outputs)}"
        )
    network = differentiable(approximate, model, gradient)
    return Victim(approximate, network, name, f"{network_digest(approximate)}-{gradient}")


def float_victim(model: nn.Module, name: str = "float") -> Victim:
    """Return a float network as a victim."""
    state = sorted(model.state_dict().items())
    nodes = " ".join(map(_described, model.nodes.values())) if isinstance(model, CapturedModel) else repr(model)
    text = f"{type(model).__qualname__} {nodes} {[key for key, _ in state]} {digest_of(*(value for _, value in state))}"
    return Victim(model, None, name, hashlib.sha256(text.encode()).hexdigest()[:20])


def network_digest(network: ApproxModel) -> str:
    """Return a content key of an integer network: circuits, codes, scales, biases, encodings and operators."""
    digest = hashlib.sha256()
    for name in network.layer_names:
        layer = network.layer(name)
        kinds = [t for t in (layer.terms, layer.skipped) if t is not None]
        digest.update(f"{name} {layer.multiplier.id} {layer.forms} {layer.coding.w_zero} ".encode())
        digest.update(digest_of(*(value for _, value in sorted(layer.state_dict().items())), *kinds).encode())
    digest.update(repr(sorted(map(repr, network.operator_encodings.items()))).encode())
    digest.update(" ".join(map(_described, network.nodes.values())).encode())
    return digest.hexdigest()[:20]


def _described(node: Node) -> str:
    """Return what an operator is, as a text that is the same in every process."""
    plain = {
        key: value for key, value in sorted(node.attrs.items()) if isinstance(value, int | float | str | list | tuple)
    }
    tensors = [digest_of(value) for _, value in sorted(node.attrs.items()) if isinstance(value, torch.Tensor)]
    return f"{node.name} {node.op} {node.inputs} {plain} {tensors}"
