"""`axdnn estimate --cost-model`: two models, never in one table; presets of published designs; wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from axdnn.hardware import COMPONENTS, PAPER_COMPONENTS, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, CostReport, from_json, save_record

Command = Callable[..., Any]
PAPER = ("estimate", "--model", "lenet5", "--accelerator", "xai_gen", "--cost-model", "paper_literal")


def test_paper_literal_is_the_worked_figure(axdnn: Command) -> None:
    """LeNet-5, exact: five cycles of 1.5 ns on 8 x 65,536 elements of 0.425 mW, 1.67 uJ."""
    report = from_json(CostReport, axdnn(*PAPER, "--format", "json").out)
    assert (report.model, report.reading) == ("paper_literal", "ideal")
    assert [layer.cycles for layer in report.layers] == [1] * 5
    assert report.energy_breakdown_j["mac"] == pytest.approx(5 * 1.5e-9 * 8 * 65536 * 0.425e-3, rel=1e-6)


def test_a_multiplier_saves_its_half(axdnn: Command) -> None:
    exact, cheap = (
        from_json(CostReport, axdnn(*PAPER, "--multiplier", name, "--format", "json").out).energy_breakdown_j["mac"]
        for name in ("exact", "mul8s_1L2N")
    )
    figures = load_multiplier("mul8s_1L2N").figures
    assert figures is not None
    assert cheap / exact == pytest.approx((1 + figures.power_w / 0.425e-3) / 2, rel=1e-9)


def test_unsigned_circuits_keep_their_ratio(axdnn: Command) -> None:
    """Wired with sign and magnitude, relative to the exact unsigned circuit, as the streaming model has it."""
    power = {}
    for name in ("exact", "mul8u_QKX"):
        report = from_json(CostReport, axdnn(*PAPER, "--multiplier", name, "--format", "json").out)
        power[name] = report.energy_breakdown_j["mac"]
    figures, reference = load_multiplier("mul8u_QKX").figures, load_multiplier("mul8u_1JFF").figures
    assert figures is not None
    assert reference is not None
    expected = (1 + figures.power_w / reference.power_w) / 2
    assert power["mul8u_QKX"] / power["exact"] == pytest.approx(expected, rel=1e-9)


def test_each_table_is_of_one_model(axdnn: Command) -> None:
    """Titles name the model; the columns of energy have no component in common."""
    assert not set(COMPONENTS) & set(PAPER_COMPONENTS)
    paper, streaming = axdnn(*PAPER), axdnn(*PAPER[:-1], "streaming")
    assert (paper.code, streaming.code) == (0, 0)
    for done, own, other in ((paper, "paper_literal", "streaming"), (streaming, "streaming", "paper_literal")):
        titles = [line for line in done.out.splitlines() if " model" in line and not line.lstrip().startswith("*")]
        assert sum(own in line for line in titles) >= 2
        assert not any(f"{other} model," in line for line in titles)
    assert "utilisation" in streaming.out
    assert "utilisation" not in paper.out.split("Totals")[0]
    assert "mm2" not in paper.out
    assert "cannot be reproduced" in " ".join(paper.out.split())


def test_the_default_is_streaming(axdnn: Command) -> None:
    one, other = (axdnn("estimate", "--model", "lenet5", *more).out for more in ((), ("--cost-model", "streaming")))
    assert one == other
    assert json.loads(axdnn("estimate", "--model", "lenet5", "--format", "json").out)["model"] == "streaming"


@pytest.mark.parametrize("name", ["xai_gen", "sosa_32x32"])
def test_presets_are_priced_and_shown(name: str, axdnn: Command) -> None:
    report = from_json(
        CostReport, axdnn("estimate", "--model", "lenet5", "--accelerator", name, "--format", "json").out
    )
    assert report.accelerator == name
    assert sum(report.pods.values()) == load_accelerator(name).pods
    shown = axdnn("accelerators", "show", name)
    assert shown.code == 0
    assert ("array.exact_rows" in shown.out) == (name == "xai_gen")
    assert name in axdnn("accelerators", "list").out


def changed(path: Path, key: str, value: object) -> Path:
    """Write tpu_v4 with one more entry."""
    text = (resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    data["array"][key] = {"value": value, "unit": "1", "source": "a test"}
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cost-model", "paper_litera"), ("'paper_litera'", "nearest: paper_literal")),
        (("--cost-model", ""), ("cost model",)),
        (("--cost-model", "paper_literal", "--reading", "ideal"), ("--reading", "streaming")),
        (("--cost-model", "paper_literal", "--multiplier", "mul8u_QKY"), ("mul8u_QKX",)),
        (("--cost-model", "paper_literal", "--accelerator", "xai"), ("xai_gen",)),
        (("--reading", "idea"), ("ideal",)),
    ],
)
def test_wrong_words(arguments: tuple[str, ...], said: tuple[str, ...], axdnn: Command) -> None:
    done = axdnn("estimate", "--model", "lenet5", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert all(word in done.err for word in said)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("exact_rows", 129, ("array.exact_rows", "128", "129")),
        ("exact_rows", "half", ("array.exact_rows", "whole number")),
        ("fill", "left", ("array.fill", "top, bottom", "left")),
        ("pods_together", 3, ("array.pods_together", "divide")),
    ],
)
def test_wrong_files(key: str, value: object, said: tuple[str, ...], axdnn: Command, tmp_path: Path) -> None:
    path = changed(tmp_path / "own.yaml", key, value)
    for model in ("streaming", "paper_literal"):
        done = axdnn("estimate", "--model", "lenet5", "--accelerator", path, "--cost-model", model)
        assert done.code == 2
        assert done.out == ""
        assert done.err.count("\n") == 1
        assert all(word in done.err for word in ("own.yaml", *said))


def test_more_kinds_than_pods(axdnn: Command, result_of: Any, tmp_path: Path) -> None:
    """Three kinds on eight pods that hold the same kind by four; the printed equations know no such limit."""
    own = changed(tmp_path / "own.yaml", "pods_together", 4)
    priced = from_json(CostReport, axdnn("estimate", "--model", "lenet5", "--format", "json").out)
    kinds = ("mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2N")
    mixed = {layer.layer: kinds[i % 3] for i, layer in enumerate(priced.layers)}
    result = result_of(Assignment(multipliers=mixed), priced)
    save_record(tmp_path / "result.json", result)
    command = ("estimate", "--model", "lenet5", "--accelerator", own, "--assignment", tmp_path / "result.json")
    done = axdnn(*command)
    assert (done.code, done.out) == (2, "")
    assert "at most 2 kinds" in done.err
    assert done.err.count("\n") == 1
    assert axdnn(*command, "--reading", "ideal").code == 0
    assert axdnn(*command, "--cost-model", "paper_literal").code == 0
