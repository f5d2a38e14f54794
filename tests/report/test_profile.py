"""Importance by unit against depth, beside the paper's readings."""

import io
from itertools import combinations

import pytest
from PIL import Image

from axdnn import report
from axdnn.records import InvalidInputError, LayerScores
from axdnn.report import NARROW, PAPER_PROFILES, WIDE

LENET = {"conv1": 5.0, "conv2": 10.0, "conv3": 4.0, "fc1": 3.0, "fc2": 1.0}
DEEP = {"conv1": 2.0, "stage1.0.conv1": 1.0, "stage1.0.conv2": 3.0, "stage2.0.conv1": -1.0, "fc": 0.5}


def score(values, name="conductance"):
    return LayerScores(score=name, values=values)


def test_layers_are_summed_over_units_and_normalised():
    panel = report.profile_data({"ResNet-8": score(DEEP)}).panels[0]
    assert panel.units == ("conv1", "stage1", "stage2", "fc")
    assert panel.lines[0].values == (0.5, 1.0, -0.25, 0.125)
    assert panel.lines[0].label == "conductance"
    assert report.unit_sums(score(DEEP)) == {"conv1": 2.0, "stage1": 4.0, "stage2": -1.0, "fc": 0.5}


def test_the_papers_readings_stand_behind_its_own_networks():
    panel = report.profile_data({"LeNet-5": score(LENET), "LeNet-5, ablation": score(dict(LENET), "ablation")}).panels[
        0
    ]
    readings = PAPER_PROFILES["LeNet-5"]
    assert panel.paper.same
    assert max(panel.paper.middle) == 1.0
    top = max((r.low + r.high) / 2 for r in readings)
    assert panel.paper.low == tuple(r.low / top for r in readings)
    assert panel.paper.high == tuple(r.high / top for r in readings)
    assert [line.label for line in panel.lines] == ["conductance", "ablation"]
    values, middle = list(LENET.values()), panel.paper.middle
    signs = [(values[i] - values[j]) * (middle[i] - middle[j]) for i, j in combinations(range(5), 2)]
    assert panel.lines[0].tau == pytest.approx((sum(s > 0 for s in signs) - sum(s < 0 for s in signs)) / 10)


def test_other_networks_stand_beside_the_nearest_or_nothing():
    data = report.profile_data({"resnet20": score(DEEP), "tiny CNN": score(LENET), "my.py:ResNet18": score(DEEP)})
    near, none, own = data.panels
    assert (near.paper.network, near.paper.same, near.lines[0].tau) == ("ResNet-18", False, None)
    assert none.paper is None
    assert (own.paper.network, own.paper.same, own.lines[0].tau) == ("ResNet-18", True, None)  # other units: no tau


def test_all_zero_scores_do_not_divide_by_zero():
    panel = report.profile_data({"LeNet-5": score(dict.fromkeys(LENET, 0.0))}).panels[0]
    assert panel.lines[0].values == (0.0,) * 5
    assert panel.lines[0].tau is None


def test_bad_input():
    with pytest.raises(InvalidInputError, match="at least one LayerScores"):
        report.profile_data({})
    with pytest.raises(InvalidInputError, match=r"'LeNet-5'.*at least one layer"):
        report.profile_data({"LeNet-5": score({})})
    with pytest.raises(InvalidInputError, match="must have the units conv1, conv2"):
        report.profile_data({"LeNet-5": score(LENET), "LeNet-5, other": score(DEEP)})


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_what_is_drawn_is_the_data(width):
    data = report.profile_data({"LeNet-5": score(LENET), "ResNet-8": score(DEEP), "tiny": score(LENET, "ablation")})
    figure = report.draw_profile(data, width)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["LeNet-5", "ResNet-8", "tiny"]
    for axes, panel in zip(shown, data.panels, strict=True):
        assert [t.get_text() for t in axes.get_xticklabels()] == list(panel.units)
        drawn = [tuple(line.get_ydata()) for line in axes.lines if line.get_marker() not in ("None", None, "")]
        assert drawn == [line.values for line in panel.lines]
        bars = [c for c in axes.collections if hasattr(c, "get_segments")]
        assert len(bars) == (panel.paper is not None)
        if panel.paper:
            ends = [(float(s[0][1]), float(s[1][1])) for s in bars[0].get_segments()]
            assert ends == list(zip(panel.paper.low, panel.paper.high, strict=True))
            places = [s[0][0] for s in bars[0].get_segments()]
            assert (places[0], places[-1]) == (0, len(panel.units) - 1)
    low, high = shown[1].get_ylim()
    assert low < -0.25
    assert high > 1.12, "the band's top is cut"
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend[:2] == ["ours: conductance", "ours: ablation"]
    assert legend[2].startswith("paper:")
    Image.open(io.BytesIO(report.to_png(figure))).verify()
