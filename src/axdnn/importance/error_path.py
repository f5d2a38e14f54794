"""Error-path attribution: which layers' errors make the loss of a network that is approximate everywhere.

Let every layer use a coarse circuit and let `e_l` be what layer l then hands on less what the exact layer makes of the
same input. The float network with `t e_l` added to the outputs of each layer is the exact one at t = 0 and follows the
approximate one at t = 1: layer by layer each input is the same, so each output is. Along this straight line in the
errors the loss `L(t) = KL(p_exact || p(t))` has the derivative `sum_l <dL/de_l, e_l>`, so that

    attribution of layer l = integral over t of <dL/de_l, e_l>

sums over the layers to `L(1) - L(0) = L(1)` (completeness): integrated gradients with the errors as features. Unlike a
derivative at the exact network it sees what large errors do, and unlike ablation it sees them together.

What an addition or average pooling of the integer network requantises is left out: those are no layers.

References:
    M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from axdnn.importance.ablation import PANEL
from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Scorer
from axdnn.importance.divergence import divergence, log_probabilities
from axdnn.importance.layer_hooks import changed_outputs
from axdnn.layers import ApproxModel, Calibration, Recipe, build, fit_coding
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, Node
from axdnn.records import InvalidInputError, LayerScores, Multiplier, Network, require_finite

Errors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ErrorAttributions:
    """What each layer's errors add to the loss.

    Attributes:
        values: nats, mean over images, float64 `(circuits, layers)`; negative where a layer's errors
            make up for those of others.
        losses: `L(1)` in nats, mean over images, float64 `(circuits,)`; each row of `values` sums to it.
        network_images: images sent through networks, calibration included.
    """

    values: torch.Tensor
    losses: torch.Tensor
    network_images: int


@dataclass(frozen=True)
class ErrorPath(Scorer):
    """Nats that a layer's errors add to the loss when every layer is coarse, averaged over the circuits of a panel.

    A layer whose errors on the whole make up for those of others scores 0.

    Attributes:
        panel: circuits, each used by all layers at once.
        steps: points on the path.
        images: how many images of the context are looked at.
    """

    name: ClassVar[str] = "error_path"
    panel: Sequence[str | Multiplier] = PANEL
    steps: int = 12
    images: int = 64

    def score(self, context: Context) -> LayerScores:
        """Attribute on the first images of the context."""
        require_finite("images", self.images, 1)
        images = context.images[: self.images]
        found = error_attributions(
            context.calibration, context.network, images, panel=self.panel, steps=self.steps, recipe=context.recipe,
            progress=context.progress,
        )  # fmt: skip
        signed = found.values.mean(dim=0).tolist()
        return LayerScores(
            score=self.name, values={n: max(v, 0.0) for n, v in zip(context.model.layer_names, signed, strict=True)},
            settings={
                "panel": ",".join(c if isinstance(c, str) else c.name for c in self.panel), "steps": str(self.steps),
                "loss": f"{float(found.losses.mean()):.6g} nat", "attributed": f"{sum(signed):.6g} nat",
            },
            images=len(images), network_images=found.network_images, unit="nat",
        )  # fmt: skip


def error_attributions(
    calibration: Calibration,
    network: Network,
    images: torch.Tensor,
    *,
    panel: Sequence[str | Multiplier] = PANEL,
    steps: int = 12,
    recipe: Recipe | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ErrorAttributions:
    """Attribute the loss of a network that uses one circuit in every layer to the layers' errors.

    Args:
        calibration: of the captured model.
        network: its description.
        images: `(n, ...)`, not used for calibration.
        panel: circuits.
        steps: points of Gauss-Legendre quadrature on the path.
        recipe: as used for conversion.
        progress: called with (message, done, total).

    Raises:
        InvalidInputError: no images, no circuits or no steps.
    """
    require_finite("steps", steps, 1)
    if len(images) == 0 or not panel:
        raise InvalidInputError(
            f"error paths need images and circuits, but got {len(images)} images and {len(panel)} circuits"
        )
    circuits = [load_multiplier(c) if isinstance(c, str) else c for c in panel]
    model, recipe, images = calibration.model, recipe or Recipe(), images.detach()
    values, losses = torch.zeros(len(circuits), len(model.layer_names), dtype=torch.float64), []
    at_once = images_at_once(model, images[:1], 2)
    with torch.no_grad():
        reference = torch.cat([log_probabilities(model(part)) for part in images.split(at_once)])
    before = calibration.network_images
    for i, circuit in enumerate(circuits):
        codings = {name: fit_coding(calibration.samples[name], circuit, recipe) for name in network.layer_names}
        approximate, loss = build(calibration, codings, network, recipe), 0.0
        for part, exact in zip(images.split(at_once), reference.split(at_once), strict=True):
            errors, outputs = errors_of(model, approximate, part)
            loss += float(divergence(exact, outputs).sum()) / len(images)
            for node, weight in zip(*np.polynomial.legendre.leggauss(steps), strict=True):
                slopes = path_slopes(model, part, exact, errors, float(1 + node) / 2)
                values[i] += float(weight) / 2 * slopes / len(images)
        losses.append(loss)
        if progress is not None:
            progress("path of errors", i + 1, len(circuits))
    calibrated, calibration.network_images = calibration.network_images - before, before  # counted with this score
    spent = len(images) * (1 + len(circuits) * (1 + steps)) + calibrated
    return ErrorAttributions(values, torch.tensor(losses, dtype=torch.float64), spent)


@torch.no_grad()
def errors_of(model: CapturedModel, approximate: ApproxModel, images: torch.Tensor) -> tuple[Errors, torch.Tensor]:
    """Run the network with approximate layers between float operators.

    Returns:
        Name of a call of a layer -> its output less what the float layer makes of the same input; the outputs.
    """
    errors: Errors = {}

    def change(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        layer = approximate.layer(node.layer_name)
        codes = [form.emit(x) for form, x in zip(layer.forms, inputs, strict=True)]
        made = layer.real(layer.sums(*codes))
        errors[node.name] = made - output
        return made

    with changed_outputs(model, change):
        outputs: torch.Tensor = model(images)
    return errors, outputs


def path_slopes(
    model: CapturedModel, images: torch.Tensor, reference: torch.Tensor, errors: Errors, share: float
) -> torch.Tensor:
    """Return `<dL/de_l, e_l>` at one point of the path, summed over images, float64 `(layers,)`.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        reference: logarithms of the exact probabilities.
        errors: of the calls of layers.
        share: t, how much of the errors is added.
    """
    place = {name: i for i, name in enumerate(model.layer_names)}
    with torch.enable_grad():
        gates = torch.full((len(place),), share, dtype=images.dtype, requires_grad=True)

        def change(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            return output + gates[place[node.layer_name]] * errors[node.name]

        with changed_outputs(model, change):
            loss = divergence(reference, model(images)).sum()
    return torch.autograd.grad(loss, gates)[0].double()
