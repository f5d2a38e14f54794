import io
import re
from html.parser import HTMLParser

import msgspec
import pytest
from PIL import Image

from axdnn import report
from axdnn.records import Assignment, InvalidInputError
from axdnn.report import NARROW, WIDE


def check_png(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "PNG"
    assert image.width >= 700
    assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 3, "the figure is empty"
    return image


def check_svg(svg: str) -> None:
    ids: list[str] = []
    refs: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            for key, value in attrs:
                if key == "id":
                    ids.append(value)
                if key.endswith("href"):
                    assert value.startswith(("#", "data:image/png;base64,"))
                    refs.append(value)

    Parser().feed(svg)
    assert len(ids) == len(set(ids))
    assert svg.startswith("<svg role=")
    assert svg.endswith("</svg>")
    internal = {r[1:] for r in refs if r.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", svg))
    assert internal <= set(ids)
    assert not re.search(r"[\s\",(]nan\b", svg)
    assert "<metadata" not in svg


def test_every_figure_in_both_forms(small, strategies, circuits):
    figures = report.report_figures(small, strategies[1:3], circuits)
    assert [figure.name for figure in figures] == [
        "importance", "multipliers", "energy", "tradeoff", "comparison", "error-map-1", "error-map-2",
    ]  # fmt: skip
    for figure in figures:
        check_png(figure.png())
        check_svg(figure.svg(NARROW, "narrow"))


def test_figures_without_scores_others_and_circuits(infeasible):
    assert [figure.name for figure in report.report_figures(infeasible)] == ["multipliers", "energy", "tradeoff"]


def test_same_input_gives_the_same_picture(small):
    first, second = (report.report_figures(small)[2] for _ in range(2))
    assert first.svg(WIDE, "w") == second.svg(WIDE, "w")
    assert first.png() == second.png()


def test_drawing_leaves_no_global_state(small):
    import matplotlib

    before = dict(matplotlib.rcParams)
    report.to_png(report.draw_energy(report.energy_data(small)))
    assert dict(matplotlib.rcParams) == before


def test_sixty_layers_keep_their_labels(build):
    network = build.deep_network(60)
    result = build.make_result(network, build.assign(network), count=2)
    figure = report.draw_importance(report.importance_data(result), NARROW)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == 60
    assert figure.get_size_inches()[1] / 2 / 60 > 0.15, "rows are too low to read"
    check_png(report.to_png(report.draw_chosen(report.chosen_data(result))))


def test_odd_names_are_drawn_as_they_are(small):
    odd = {"conv1": "$x_{1}$ <b>&\"'", "conv2": "_hidden", "conv3": "m" * 300, "fc1": "数", "fc2": "a\nb"}
    result = msgspec.structs.replace(small, assignment=odd)
    svg = report.to_svg(report.draw_chosen(report.chosen_data(result)), "p", 'a "label" <x>')
    check_svg(svg)
    assert "$x_{1}$ &lt;b&gt;&amp;" in svg
    assert 'aria-label="a &quot;label&quot; &lt;x&gt;"' in svg
    assert "m" * 50 not in svg


def test_losses_far_apart_bend_the_axis(small, build):
    wild = [
        build.evaluation(small.network, dict(small.assignment), loss, "random", 0.01)
        for loss in (-0.03, 0.002, 0.2, 0.8)
    ]
    data = report.tradeoff_data(msgspec.structs.replace(small, visited=tuple(wild)))
    figure = report.draw_tradeoff(data)
    low, high = figure.axes[0].get_ylim()
    shown = [v for p in data.points for v in (p.loss_points, p.bound_points)]
    assert low < min(shown)
    assert high > max(shown)
    assert "logarithmic above 2" in figure.axes[0].get_ylabel()
    check_svg(report.to_svg(figure, "p"))


def test_nothing_measured_and_nothing_spent(small):
    bare = msgspec.structs.replace(small.chosen, accuracy={}, assignment=Assignment(multipliers={}))
    layers = tuple(msgspec.structs.replace(x, energy_j=dict.fromkeys(x.energy_j, 0.0)) for x in small.cost.layers)
    free = msgspec.structs.replace(small.cost, layers=layers, energy_j=0.0, multiplier_energy_j=0.0)
    result = msgspec.structs.replace(
        small, chosen=bare, visited=(bare,), scores=(), energy_j=0.0, baseline_energy_j=0.0, multiplier_energy_j=0.0,
        baseline_multiplier_energy_j=0.0, cost=free, baseline_cost=free, ideal_cost=free, ideal_baseline_cost=free,
    )  # fmt: skip
    for figure in report.report_figures(result, [result]):
        check_svg(figure.svg(WIDE, "w"))
    assert report.render_report(result, [result])


def test_nothing_to_draw_is_said(small):
    with pytest.raises(InvalidInputError, match="no importance score"):
        report.draw_importance(report.importance_data(msgspec.structs.replace(small, scores=())))
    with pytest.raises(InvalidInputError, match="no result to compare"):
        report.draw_comparison(report.compare_data([]))


@pytest.mark.parametrize("name", ["small", "skipping"])
def test_the_exact_power_is_marked(name, request, build):
    result = request.getfixturevalue(name)
    cheap = dict.fromkeys(result.assignment, "mul8u_QKX")
    for one in (result, build.make_result(result.network, cheap)):  # also where no layer keeps an exact multiplier
        axes = report.draw_chosen(report.chosen_data(one)).axes
        power = next(a for a in axes if a.get_title(loc="left") == "power / exact")
        assert [
            (t, label.get_text()) for t, label in zip(power.get_xticks(), power.get_xticklabels(), strict=True)
        ] == [(1, "100\u00a0%")]
        assert power.get_xlim()[1] > 1
    assert ("neurons skipped" in [a.get_title(loc="left") for a in axes]) is False
    drawn = [a.get_title(loc="left") for a in report.draw_chosen(report.chosen_data(result)).axes]
    assert ("neurons skipped" in drawn) == bool(result.skipped)
