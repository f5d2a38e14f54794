import re
from html.parser import HTMLParser

import msgspec
import pytest
from PIL import Image

from axdnn import report
from axdnn.records import InvalidInputError

VOID = {"meta", "br", "wbr", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, collects ids, links and the text of each element that has an id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        for key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            if key in values and tag != "title":
                self.links.append(values[key])
        if "id" in values:
            self.ids.append(values["id"])
        if tag not in VOID:
            self.stack.append((tag, values.get("id")))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        for _, name in self.stack:
            if name:
                self.texts.setdefault(name, []).append(data)

    def text(self, name: str) -> str:
        return " ".join("".join(self.texts[name]).replace("\u00a0", " ").split())


def check(html: str) -> Page:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    css = " ".join(re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL))
    assert "url(" not in css
    assert "@import" not in css
    assert len(html.encode()) < 2_000_000
    return page


def numbers(text: str) -> list[float]:
    return [float(n.replace(",", "").replace("−", "-")) for n in re.findall(r"[−-]?\d[\d,]*(?:\.\d+)?", text)]


@pytest.fixture(scope="module")
def page(pages) -> Page:
    return check(pages["small"])


def test_every_section_is_there(page):
    wanted = ["importance", "multipliers", "energy", "visited", "comparison", "layers", "exact", "sources"]
    assert [i for i in page.ids if i in wanted] == wanted


def test_headline_numbers_are_those_of_the_record(page, small):
    near = lambda value: pytest.approx(value, rel=6e-3, abs=6e-3)  # noqa: E731
    r = small
    bound = r.chosen.accuracy["test"].loss_bound
    loss = 100 * (r.baseline_accuracy - r.accuracy)
    expected = {
        "loss": [loss, 1, 98.71, 100 * r.accuracy, 10000, 95, 100 * bound],
        "multiplier_energy": [
            r.baseline_multiplier_energy_j / r.multiplier_energy_j,
            r.baseline_multiplier_energy_j * 1e9,
            r.multiplier_energy_j * 1e9,
        ],
        "energy": [
            100 * (r.energy_j / r.baseline_energy_j - 1), r.baseline_energy_j * 1e9, r.energy_j * 1e9,
            100 * (r.ideal_cost.energy_j / r.ideal_baseline_cost.energy_j - 1),
        ],
        "latency": [
            r.latency_s * 1e9, 100 * (r.latency_s / r.baseline_latency_s - 1), r.baseline_latency_s * 1e9,
        ],
        "area": [r.area_m2 * 1e6, 100 * (r.area_m2 / r.baseline_area_m2 - 1), r.baseline_area_m2 * 1e6],
        "memory": [r.memory_bytes / 1e3, 0, r.baseline_memory_bytes / 1e3],
        "evaluations": [r.evaluations, r.network_images],
        "wall": [3, 12, r.seed],
    }  # fmt: skip
    for key, values in expected.items():
        assert numbers(page.text(f"fact-{key}")) == near(values), key


def test_honest_notes(page, small):
    know = page.text("know")
    parts = ["Buildable (the headline)", "upper bound on the saving", "calibration 512, search 2,000, accept 5,000"]
    parts += ["Seed 7", "98.74 %", "keep an exact multiplier: fc2", "captured by torch.export"]
    for part in (*parts, *small.notes):
        assert part in know
    assert "sums are exact integers; no product" in page.text("exact")
    assert "checkpoint" in page.text("sources")
    assert "6 pJ/B, HBM2 <upper end>, https://example.org/hbm" in page.text("sources")


def test_budget_not_met_is_said(infeasible, pages):
    html = pages["infeasible"]
    page = check(html)
    assert '<span class="badge">exact</span>' in html
    assert infeasible.reason in html
    assert "No approximate multiplier was chosen" in html
    assert "No importance score was computed" in page.text("importance")
    assert "No evaluation is on record" in page.text("visited")


def test_loss_above_the_budget_and_gain_are_said(strategies):
    assert report.verdict(strategies[0]).tone == "good"
    assert "loss of 0.42 points is within the budget of 1\u00a0point." in report.verdict(strategies[0]).sentence
    assert report.verdict(strategies[3]).tone == "bad"
    assert "above the budget" in report.verdict(strategies[3]).sentence
    assert "0.04 points higher than the exact network" in report.verdict(strategies[4]).sentence


def test_names_are_escaped_and_long_ones_survive(small):
    nasty = "<script>alert('x')</script>&\"" + "n" * 200
    assignment = {**small.assignment, "conv1": nasty}
    result = msgspec.structs.replace(
        small, assignment=assignment, model=nasty, reason=nasty, strategy=nasty, provenance={nasty: nasty},
        notes=(nasty,), accelerator=nasty,
    )  # fmt: skip
    html = report.render_report(result)
    check(html)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    check(report.render_comparison([result, small]))


def test_one_layer(build):
    network = build.deep_network(1)
    check(report.render_report(build.make_result(network, {network.layer_names[0]: build.EXACT}, count=0)))


def test_thousands_of_evaluations_stay_small(small, build):
    many = [build.evaluation(small.network, dict(small.assignment), i * 1e-6, "random", 0.01) for i in range(3000)]
    html = report.render_report(msgspec.structs.replace(small, visited=tuple(many)))
    check(html)
    assert "The first 500 of 3,000 rows" in html
    assert "Everything visited (3,000 rows)" in html


def test_write_report(small, tmp_path):
    paths = report.write_report(small, tmp_path / "out", [small])
    assert [p.relative_to(tmp_path / "out").as_posix() for p in paths] == [
        "report.html", "figures/importance.png", "figures/multipliers.png", "figures/energy.png",
        "figures/tradeoff.png", "figures/comparison.png",
    ]  # fmt: skip
    assert sorted(p for p in (tmp_path / "out").rglob("*") if p.is_file()) == sorted(paths)
    for path in paths[1:]:
        with Image.open(path) as image:
            image.verify()


def test_comparison_page(strategies, tmp_path):
    paths = report.write_comparison(strategies, tmp_path)
    assert [p.name for p in paths] == ["comparison.html", "comparison.png"]
    page = check(paths[0].read_text())
    for result in strategies:
        assert result.strategy in page.text("comparison")
    with pytest.raises(InvalidInputError, match="at least one"):
        report.render_comparison([])


def test_skipping_and_objective_are_shown(pages, skipping):
    page = check(pages["skipping"])
    assert "3 of 5 layers skip neurons" in report.verdict(skipping).sentence
    assert "minimised: energy by the paper's equations (paper_literal)" in pages["skipping"].replace("&#39;", "'")
    assert "neurons skipped" in page.text("layers")
    assert "50.0" in page.text("layers")
    assert "The search minimised the energy by the paper's equations" in page.text("know")


def test_paper_prices_have_a_section_of_their_own(pages, skipping, small):
    page = check(pages["skipping"])
    section = page.text("paper-literal")
    assert "paper_literal on xai_gen" in section
    for note in (*skipping.paper_literal.notes, *report.paper_notes()):
        assert " ".join(note.split()) in section
    joules = f"{skipping.paper_literal.energy_j * 1e6:.3f}"
    assert joules in section
    assert all(joules not in page.text(name) for name in ("energy", "layers", "multipliers", "visited"))
    other = check(pages["small"]).text("paper-literal")
    assert report.paper_notes()[0] not in other
    bare = msgspec.structs.replace(small, paper_literal=None, baseline_paper_literal=None)
    assert "paper-literal" not in Page(report.render_report(bare)).ids


def test_only_the_same_task_is_compared(small, strategies, large):
    others = [
        msgspec.structs.replace(strategies[1], data="other"),
        msgspec.structs.replace(strategies[2], max_accuracy_loss=2.0),
        large,
    ]
    assert report.same_task(small, [*others, strategies[3]]) == (strategies[3],)
    assert "comparison" not in Page(report.render_report(small, others)).ids


def test_table_one_on_the_comparison_page(pages, skipping, tmp_path):
    page = check(pages["paper"])
    text = page.text("table-one")
    for part in (
        "published 3",
        "1 of 6 not printed",
        "ours: not measured",
        "violated in 9 of the 12 rows",
        "uW as printed",
    ):
        assert part in text
    assert "table-one" not in Page(pages["comparison"]).ids
    paths = report.write_comparison([skipping], tmp_path, paper_table=True)
    assert [p.name for p in paths] == ["comparison.html", "comparison.png", "profile.png"]
