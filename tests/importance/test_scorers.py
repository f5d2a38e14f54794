"""Every scorer in the table keeps the laws of the interface."""

from __future__ import annotations

import msgspec
import pytest
import torch

from axdnn.cli.model_options import SCORES
from axdnn.importance import (
    SCORERS,
    Ablation,
    Conductance,
    Context,
    DeepLift,
    ErrorPath,
    Fisher,
    GradientXActivation,
    IntegratedGradients,
    LearnedNoise,
    NoiseRanking,
    Scorer,
    load_scorer,
)
from axdnn.records import LayerScores, UnknownNameError
from axdnn.testing import ScorerLaws


class TestConductance(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Conductance(steps=4, images=8)


class TestConductanceMeanOverTwoClasses(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Conductance(classes=(3, 1), steps=3, aggregation="abs_mean", images=100)


class TestIntegratedGradients(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return IntegratedGradients(classes=(3, 1), steps=4, images=8)


class TestIntegratedGradientsFromAGreyImage(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return IntegratedGradients(steps=3, baseline=0.5, aggregation="abs_mean", images=100)


class TestGradientXActivation(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return GradientXActivation(images=100)


class TestAblation(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Ablation(panel=("mul8s_1L12", "mul8u_13QR"))


class TestDeepLift(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return DeepLift(classes=(3, 1), baseline=0.5, images=8)


class TestFisher(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Fisher(images=8)


class TestFisherWithDrawnLabels(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Fisher(images=100, most_classes=3, draws=2)


class TestNoiseRanking(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return NoiseRanking(seeds=2, images=8)


class TestLearnedNoise(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return LearnedNoise(balance=1e-4, steps=8, images=8)


class TestErrorPath(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return ErrorPath(panel=("mul8s_1L12",), steps=2, images=100)


def test_the_table_holds_the_scores_the_paper_and_the_truth_need() -> None:
    assert list(SCORERS) == [
        "conductance", "ablation", "integrated_gradients", "gradient_x_activation", "deeplift", "fisher", "noise",
        "learned_noise", "error_path",
    ]  # fmt: skip
    assert ", ".join(SCORERS) == SCORES, "the help of the commands names them all"
    for name in SCORERS:
        assert load_scorer(name).name == name


def test_an_unknown_score_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="conductance"):
        load_scorer("conductanse")


def test_scorers_know_only_their_interface() -> None:
    with pytest.raises(TypeError):
        Scorer()  # type: ignore[abstract]


class Broken(Scorer):
    """Conductance with one fault."""

    name = "conductance"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def score(self, context: Context) -> LayerScores:
        if self.fault == "hook":
            context.model.layer("first").register_forward_hook(lambda *_: None)
        if self.fault == "mode":
            context.model.train(not context.model.training)
        found = Conductance(steps=2).score(context)
        if self.fault == "count":
            return msgspec.structs.replace(found, network_images=found.network_images + 1)
        values = dict(found.values)
        if self.fault == "dead":
            values["dead"] = 2 * max(values.values())
        if self.fault == "random":
            values["last"] += float(torch.rand(()))
        if self.fault == "missing":
            del values["second"]
        if self.fault == "infinite":
            values["second"] = float("inf")
        return msgspec.structs.replace(found, values=values)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("hook", "test_the_model_is_left_as_it_was"),
        ("hook", "test_the_model_is_left_as_it_was_after_an_exception"),
        ("mode", "test_the_model_is_left_as_it_was"),
        ("count", "test_every_image_is_counted"),
        ("dead", "test_a_dead_layer_scores_lowest"),
        ("random", "test_same_context_same_scores"),
        ("random", "test_the_random_state_is_left_alone"),
        ("missing", "test_every_layer_gets_one_finite_value_in_order"),
        ("infinite", "test_every_layer_gets_one_finite_value_in_order"),
    ],
)
def test_the_kit_finds_a_fault(fault: str, check: str) -> None:
    laws = type("Laws", (ScorerLaws,), {"make_scorer": lambda self: Broken(fault)})()
    with pytest.raises(AssertionError):
        getattr(laws, check)()
