"""The laws of importance scores as tests: subclass `ScorerLaws` and say how a scorer is made."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.importance import Context, Scorer
from axdnn.layers import ApproxModel, Calibration, Recipe
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.records import LayerScores
from axdnn.testing.counting import counted_images


class _Interrupted(RuntimeError):
    pass


class LawNet(nn.Module):
    """Two paths to the output, one of which carries nothing: `dead` has zero weights and a zero bias."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Conv2d(1, 4, 3)
        self.second = nn.Linear(4 * 16, 8)
        self.dead = nn.Linear(4 * 16, 8)
        self.last = nn.Linear(8, 4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
            self.dead.weight.zero_()
            self.dead.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `(n, 1, 6, 6)` to `(n, 4)`."""
        features = torch.relu(self.first(x)).flatten(1)
        out: torch.Tensor = self.last(torch.relu(self.second(features) + self.dead(features)))
        return out


def law_context(images: int = 12, seed: int = 0) -> Context:
    """Return a small network and inputs for a scorer, the same ones for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.rand(images + 32, 1, 6, 6, generator=generator)
    captured = fold_batch_norm(capture(LawNet(seed), data[:4]))
    recipe = Recipe(fit_rows=64)

    def calibrate() -> Calibration:
        return Calibration(captured, data[images:], recipe.fit_rows, recipe.seed, recipe.activation_range)

    return Context(captured, network_of(captured, "law"), data[:images], calibrate, recipe)


class ScorerLaws:
    """Subclass as `TestMyScore` and define `make_scorer`; pytest collects the checks."""

    def make_scorer(self) -> Scorer:
        """Return the scorer under test with options fit for a network of four layers and four outputs."""
        raise NotImplementedError

    def test_every_layer_gets_one_finite_value_in_order(self) -> None:
        """The record covers the network."""
        context = law_context()
        score = self.make_scorer().score(context)
        assert isinstance(score, LayerScores)
        assert tuple(score.values) == context.network.layer_names
        assert all(math.isfinite(v) for v in score.values.values())
        assert score.score == self.make_scorer().name
        assert 1 <= score.images <= len(context.images)
        assert score.unit

    def test_a_dead_layer_scores_lowest(self) -> None:
        """A layer that carries nothing does not matter."""
        for seed in range(3):
            values = self.make_scorer().score(law_context(seed=seed)).values
            assert values["dead"] == min(values.values())
            assert values["dead"] < max(values.values())

    def test_same_context_same_scores(self) -> None:
        """Neither the global random state nor an earlier call matters."""
        torch.manual_seed(1)
        first = self.make_scorer().score(law_context())
        torch.manual_seed(2)
        scorer, context = self.make_scorer(), law_context()
        assert scorer.score(context) == first
        assert scorer.score(context) == first

    def test_the_random_state_is_left_alone(self) -> None:
        """A score draws from generators of its own."""
        context = law_context()
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
        self.make_scorer().score(context)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1] == random.getstate()
        assert np.array_equal(before[2], np.random.get_state()[1])

    def test_the_model_is_left_as_it_was(self) -> None:
        """No hooks, same mode, same gradient flags, same weights, same images."""
        for training in (False, True):
            context = law_context()
            context.model.train(training)
            context.images.requires_grad_(False)
            before, images = _state(context.model), context.images.clone()
            self.make_scorer().score(context)
            assert _state(context.model) == before
            assert torch.equal(images, context.images)
            assert not context.images.requires_grad
            assert torch.is_grad_enabled()

    def test_the_model_is_left_as_it_was_after_an_exception(self) -> None:
        """Wherever a run of the network fails, nothing stays behind."""
        whole = law_context()
        _ = whole.calibration
        with _failing(None) as done:
            self.make_scorer().score(whole)
        for share in (0.0, 0.5, 0.95):
            context = law_context()
            _ = context.calibration
            before = _state(context.model)
            with _failing(int(share * done[0])), pytest.raises(_Interrupted):
                self.make_scorer().score(context)
            assert _state(context.model) == before
            assert torch.is_grad_enabled()

    def test_every_image_is_counted(self) -> None:
        """`network_images` is what an independent counter sees."""
        for images in (1, 7, 12):
            context = law_context(images)
            _ = context.calibration
            with counted_images() as seen:
                score = self.make_scorer().score(context)
            assert score.network_images == sum(seen)


def _state(model: CapturedModel) -> list[object]:
    found: list[object] = [torch.is_grad_enabled()]
    for name, module in model.named_modules():
        hooks = [len(getattr(module, a)) for a in sorted(vars(module)) if a.endswith("_hooks")]
        found.append((name, module.training, hooks))
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found.append((name, tensor.requires_grad, tensor.grad is None, tensor.tolist()))
    return found


@contextmanager
def _failing(after: int | None) -> Iterator[list[int]]:
    """Let the networks raise after so many operators, None for never; yields how many were computed."""
    names = {CapturedModel: "apply_node", ApproxModel: "_compute"}
    originals = {kind: getattr(kind, name) for kind, name in names.items()}
    done = [0]

    def raising(kind: type) -> object:
        def call(self: object, *args: object, **kwargs: object) -> object:
            if done[0] == after:
                raise _Interrupted
            done[0] += 1
            return originals[kind](self, *args, **kwargs)

        return call

    for kind, name in names.items():
        setattr(kind, name, raising(kind))
    try:
        yield done
    finally:
        for kind, name in names.items():
            setattr(kind, name, originals[kind])
