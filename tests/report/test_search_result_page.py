"""The page of a search method: every number, layer, circuit and file of the record, whatever the record leaves out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from searched_results import layered, synthetic

from axdnn import report
from axdnn.records import ChosenLayer, FrontMember, SearchResult
from axdnn.report.measures import readable

replace = msgspec.structs.replace


class Page(HTMLParser):
    """Tables by caption, headings, figures and their captions, text; complains of tags that are not closed."""

    EMPTY = {"meta", "link", "br", "wbr", "img", "path", "use", "rect", "image", "stop"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.captions: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.rows: list[list[str]] = []
            self.caption = ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "figcaption":
            self.captions.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "caption" in self.open:
            self.caption += data
        elif "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        elif "figcaption" in self.open:
            self.captions[-1] += data


@pytest.fixture(scope="module")
def lenet(build) -> SearchResult:
    return layered(build.lenet_network())


@pytest.fixture(scope="module")
def written(lenet, tmp_path_factory) -> tuple[Path, ...]:
    return report.write_search_result(lenet, tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def page(written) -> Page:
    return Page(written[0].read_text())


def test_every_number_of_every_member(lenet: SearchResult, page: Page) -> None:
    heads, *rows = page.tables["Members of the front"][1:]
    assert heads == ["network", "loss (points)", "energy (nJ)", "test accuracy (%)", "test loss (points)",
                     "multiplier energy (nJ)", "trial", "file"]  # fmt: skip
    assert len(rows) == len(lenet.front) > 5
    for i, (row, member) in enumerate(zip(rows, lenet.front, strict=True), start=1):
        f = member.figures
        wanted = [100 * member.objectives["loss"], 1e9 * member.objectives["energy_j"], 100 * f["test_accuracy"],
                  100 * f["test_loss"], 1e9 * f["multiplier_energy_j"]]  # fmt: skip
        assert row[0] == str(i)
        assert [float(cell) for cell in row[1:6]] == pytest.approx(wanted, abs=0.051)
        assert row[6:] == [str(member.trial), member.file]


def test_every_layer_of_every_member(lenet: SearchResult, page: Page) -> None:
    for number, member in enumerate(lenet.front, start=1):
        heads, *rows = page.tables[f"Layers of network {number}"]
        assert heads == ["layer", "kind", "shape", "multiplier", "neurons skipped (%)", "importance", "energy (nJ)"]
        for row, layer in zip(rows, member.layers, strict=True):
            assert row[:4] == [layer.name, layer.kind, layer.shape, layer.multiplier]
            assert float(row[4]) == pytest.approx(100 * layer.skipped)
            assert float(row[5]) == pytest.approx(layer.importance, rel=0.01)
            assert float(row[6]) == pytest.approx(1e9 * (layer.energy_j or 0), abs=0.01)


def test_figures_headline_and_effort(lenet: SearchResult, page: Page, written: tuple[Path, ...]) -> None:
    drawn = [f"network-{i + 1}" for i in report.spread_members(lenet)]
    names = [path.stem for path in written]
    assert names == ["report", "fronts", "coordinates", *drawn, "progress", "importance"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written[1:])
    told = [caption.split(":")[0] for caption in page.captions if caption.startswith("Network")]
    assert told == [name.replace("network-", "Network ") for name in drawn]
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["figures", "report.html"]
    for text in (
                 "xai-nas: LeNet-5 on MNIST", "sosa_32x32 (4 pods)", "7,962,624", "280,000\u00a0images",
                 "no candidate was",
                 "search 2,000, test 10,000", "reference point: loss\u00a030.00\u00a0points, energy\u00a0191.2\u00a0nJ",
                 "keeps loss ≤ 25.00\u00a0points", readable(lenet.hypervolume), "exact network", "lower is better",
                 ):  # fmt: skip
        assert text in page.text, text
    assert len([i for i in page.ids if i.startswith("fact-")]) == 8
    rows = page.tables["Searches compared"][1:]
    assert [row[0] for row in rows] == ["this search", "ALWANN", "random"]
    for row, rival in zip(rows[1:], lenet.rivals[1:], strict=True):
        after = next(n for n, v in enumerate(lenet.progress, start=1) if v >= rival.hypervolume[-1])
        assert row[-1] == str(after)
    assert len(page.tables["Rivals"]) == 1 + sum(len(rival.points) for rival in lenet.rivals)
    assert {row[0]: row[1] for row in page.tables["Settings"]} == {"setting": "value"} | lenet.settings
    assert ["host", "8 cores, AVX-512"] in page.tables["Provenance"]


def test_names_are_text_and_nothing_else(lenet: SearchResult) -> None:
    nasty = "<script>alert(1)</script>&$x_1$"
    layers = (ChosenLayer(name=nasty, kind=nasty, shape=nasty, multiplier=f"_{nasty}", skipped=0.5),)
    member = replace(lenet.front[0], layers=layers, file=nasty, candidate={nasty: nasty},
                     figures={nasty: 1.0, "empty": 2.0})  # fmt: skip
    result = replace(lenet, front=(member,), method=nasty, model=nasty, data=nasty, accelerator=nasty, reason=nasty,
                     settings={nasty: nasty}, provenance={nasty: nasty}, images={nasty: 3},
                     rivals=(replace(lenet.rivals[1], name=nasty), replace(lenet.rivals[2], name=nasty)))  # fmt: skip
    text = report.render_search_result(result)
    page = Page(text)
    assert "<script" not in text
    assert page.text.count(nasty) > 20
    assert [row[0] for row in page.tables["Searches compared"][1:]] == ["this search", nasty, f"{nasty} #2"]
    assert not re.findall(r'(?:src|href)="(?!#)', text)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_to_four_objectives_and_no_layers(count: int) -> None:
    result = synthetic("spheres", count)
    panels = report.front_panels(result)
    assert len(panels) == count * (count - 1) // 2
    assert [s.name for s in panels[0].series] == ["random", "this search"]
    text = report.render_search_result(result)
    page = Page(text)
    assert [f"f{i + 1}" in page.tables["Members of the front"][1] for i in range(count)] == [True] * count
    assert "The method searches no layers" in page.text
    assert "x0=" in page.tables["Candidates"][1][1]


def test_members_of_conditional_spaces_and_no_rivals() -> None:
    result = replace(synthetic("stacks"), rivals=())
    page = Page(report.render_search_result(result))
    assert "Rivals" not in page.tables
    assert "Searches compared" not in page.tables
    assert len(page.tables["Candidates"]) == 1 + len(result.front)


def test_one_member_and_an_empty_front(lenet: SearchResult) -> None:
    one = Page(report.render_search_result(replace(lenet, front=lenet.front[:1])))
    assert "One network: loss" in one.text
    assert "All networks of the front" in one.text
    none = replace(lenet, front=(), hypervolume=0.0, progress=())
    page = Page(report.render_search_result(none))
    assert "The front is empty: no candidate that keeps every constraint was evaluated to the end." in page.text
    assert "The fronts are those of the rivals." in page.text
    assert "networks" not in page.ids
    bare = Page(report.render_search_result(replace(none, rivals=(), scores=(), constraints=(), settings={}, images={},
                                                    model="", data="", accelerator="", evaluations=0)))  # fmt: skip
    assert "svg" not in bare.tags
    assert "No hypervolume above 0 is on record." in bare.text


def test_many_layers_and_members_stay_bounded(lenet: SearchResult) -> None:
    layers = tuple(ChosenLayer(name=f"layer{i}", multiplier="exact", energy_j=1e-9) for i in range(100))
    members = tuple(
        FrontMember(objectives={"loss": i / 200, "energy_j": 1e-6 / (1 + i)}, candidate={},
                    layers=layers[: 100 if i < 2 else 1])
        for i in range(130)
    )  # fmt: skip
    result = replace(lenet, front=members)
    page = Page(report.render_search_result(result))
    assert len([c for c in page.captions if c.startswith("Network")]) == 6
    assert "The first 72 of 100 layers." in page.text
    assert len(page.tables["Layers of network 1"]) == 101
    assert "30 more networks are in the saved result." in page.text
