"""Every scorer in the table keeps the laws of the interface."""

from __future__ import annotations

import pytest

from axdnn.importance import SCORERS, Ablation, Conductance, Scorer, load_scorer
from axdnn.records import UnknownNameError
from axdnn.testing import ScorerLaws


class TestConductance(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Conductance(steps=4, images=8)


class TestConductanceMeanOverTwoClasses(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Conductance(classes=(3, 1), steps=3, aggregation="abs_mean", images=100)


class TestAblation(ScorerLaws):
    def make_scorer(self) -> Scorer:
        return Ablation(panel=("mul8s_1L12", "mul8u_13QR"))


def test_the_table_holds_the_scores_the_paper_and_the_truth_need() -> None:
    assert list(SCORERS) == ["conductance", "ablation"]
    for name in SCORERS:
        assert load_scorer(name).name == name


def test_an_unknown_score_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownNameError, match="conductance"):
        load_scorer("conductanse")


def test_scorers_know_only_their_interface() -> None:
    with pytest.raises(TypeError):
        Scorer()  # type: ignore[abstract]
