"""XAI-NAS on LeNet-5 and real MNIST with few images: space, plan, evaluation, fronts, resuming, baselines."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from axdnn.data import get_dataset
from axdnn.evaluation import Evaluator
from axdnn.hardware import estimate
from axdnn.layers import coded
from axdnn.methods import SearchOptions, xai_nas
from axdnn.methods.xai_nas import (
    ARMS,
    Ground,
    Judged,
    Plan,
    Subject,
    XaiNasRequest,
    evaluated_images,
    ground_of,
    make_plan,
)
from axdnn.methods.xai_nas.guidance import make_guidance
from axdnn.methods.xai_nas.pods import choices_within
from axdnn.methods.xai_nas.seeds import halving
from axdnn.methods.xai_nas.trade import Trade
from axdnn.records import (
    Assignment,
    InvalidInputError,
    OutputFolderError,
    SearchResult,
    UnknownNameError,
    load_record,
    save_record,
)
from axdnn.search import Named, Run, load_history, mutate

FEW = "mul8s_1L2N,mul8u_R36,mul8u_13QR,mul8u_TD3"
REQUEST = XaiNasRequest(multipliers=FEW, search_images=60, test_images=50, skip=(0.25, 0.5), score_images=8)
SUBJECT = Subject(model="lenet5", data="mnist", multipliers=FEW, search_images=60)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this session that shares the data alone."""
    given = os.environ.get("AXDNN_CACHE")
    whole = Path(given) if given else tmp_path_factory.mktemp("cache")
    get_dataset("mnist", cache=whole)
    own = tmp_path_factory.mktemp("own")
    (own / "data").symlink_to((whole / "data").absolute())
    return own


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AXDNN_CACHE", str(cache))


@pytest.fixture
def ground() -> Ground:
    return ground_of(SUBJECT)


@pytest.fixture(scope="module")
def plan(cache: Path) -> Iterator[Plan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXDNN_CACHE", str(cache))
        yield make_plan(ground_of(SUBJECT), REQUEST)


def test_choices_within_pods_are_counted_exactly() -> None:
    for layers, kinds, most in itertools.product(range(1, 5), range(1, 5), range(1, 6)):
        every = itertools.product(range(kinds), repeat=layers)
        assert choices_within(layers, kinds, most) == sum(len(set(one)) <= most for one in every)


@pytest.mark.parametrize("pods", [2, 3, 8])
def test_the_size_of_the_space_is_what_enumeration_finds(plan: Plan, pods: int) -> None:
    import msgspec

    names = plan.layers[:3]
    small = msgspec.structs.replace(
        plan, layers=names, pods=pods, noise=plan.noise[:3], shares={n: plan.shares[n] for n in names[:2]}
    )  # fmt: skip
    assert small.space_size == sum(1 for _ in small.space().all())
    assert (small.space_size < small.space().size) == (pods < 3)


def test_too_many_kinds_are_mended_and_every_candidate_is_judged_alike(plan: Plan) -> None:
    import msgspec

    small = msgspec.structs.replace(plan, pods=2)
    space, rng = small.space(), np.random.default_rng(0)
    assert all(not space.why_invalid(space.sample(rng)) for _ in range(50))
    broken = {**plan.seeds[0], **{n + ":multiplier": m for n, m in zip(plan.layers, plan.multipliers, strict=False)}}
    assert "at most 2 kinds" in space.why_invalid(broken)
    assert not space.why_invalid(space.mend(broken, rng))
    for hook in (space.check, space.repair):  # found by name in another process
        assert isinstance(hook.named, Named)  # type: ignore[union-attr]
        assert hook.named.make() == hook  # type: ignore[union-attr]


def test_the_exact_candidate_loses_nothing_at_the_price_of_estimate(plan: Plan, ground: Ground) -> None:
    exact = {path: values[0] for path, values in plan.fields.items()}
    assert set(exact.values()) == {"mul8s_1KV6", 0.0}
    values = Judged(ground, plan.least)(exact, Run(number=0, key="", seed=0))
    wired = {ground.exact.name: coded(ground.exact, ground.evaluator.bank.recipe)}
    priced = estimate(ground.network, ground.evaluator.baseline, ground.evaluator.accelerator, multipliers=wired)
    assert values["loss"] == 0.0
    assert (values["energy_j"], values["multiplier_energy_j"]) == (priced.energy_j, priced.multiplier_energy_j)


def test_an_evaluation_is_that_of_the_evaluator(plan: Plan, ground: Ground, tmp_path: Path) -> None:
    candidate = {path: values[-1] for path, values in plan.fields.items()}
    run = Run(number=0, key="", seed=0)
    values = Judged(ground, plan.least)(candidate, run)
    assignment = Judged(ground, plan.least).assignment(candidate)
    assert assignment.skip
    other = Evaluator(
        ground.evaluator.bank, ground.network, ground.evaluator.multipliers, ground.exact.name,
        {"search": ground.search}, ground.evaluator.accelerator, 1, tmp_path, None, 0,
    )  # fmt: skip
    found = other.evaluate(assignment)
    assert values["loss"] == found.accuracy["search"].loss
    assert values["energy_j"] == found.energy_j
    assert run.notes["images"] >= len(ground.search)
    again = Run(number=1, key="", seed=0)  # from the memory of this process: counted all the same
    assert Judged(ground, plan.least)(candidate, again) == values
    assert again.notes == run.notes


def test_seeds_are_valid_distinct_and_span_the_losses(plan: Plan) -> None:
    space = plan.space()
    assert len(plan.seeds) <= REQUEST.seeds
    assert len(plan.seeds) > 10
    assert len({space.key(seed) for seed in plan.seeds}) == len(plan.seeds)
    assert all(not space.why_invalid(seed) for seed in plan.seeds)
    assert len({tuple(s[n + ":multiplier"] for n in plan.layers) for s in plan.seeds if len(set(s.values())) > 3}) > 3
    assert any(any(seed[n + ":skip"] > 0 for n in plan.shares) for seed in plan.seeds)  # type: ignore[operator]
    assert plan.images.keys() == {"calibration", "exact network", "score", "neurons", "sensitivity"}
    assert all(count > 0 for count in plan.images.values())


def test_seeds_without_xai_spend_nothing_on_it(ground: Ground) -> None:
    found = make_plan(ground, replace(REQUEST, arm="nsga2-macs"))
    assert "score" not in found.images
    assert "sensitivity" not in found.images
    assert not found.scores
    assert len(found.seeds) == 16  # four circuits everywhere, in half, a quarter and three quarters of the layers
    assert all(seed[n + ":skip"] == 0 for seed in found.seeds for n in found.shares)
    assert not make_plan(ground, replace(REQUEST, arm="alwann")).seeds


def test_plans_come_back_from_their_file(plan: Plan, tmp_path: Path) -> None:
    assert load_record(Plan, save_record(tmp_path / "plan.json", plan)) == plan


def test_guidance_never_proposes_what_is_not_valid(plan: Plan) -> None:
    guide, space, rng = plan.guidance().make(), plan.space(), np.random.default_rng(1)
    for _ in range(40):
        parent = space.sample(rng)
        guidance = guide(parent)
        for path, liked in guidance.preferences.items():
            assert set(liked) == set(plan.fields[path])
            assert sum(liked.values()) == pytest.approx(1.0)
        assert not space.why_invalid(mutate(space, parent, rng, 3, guidance))


def test_guidance_makes_unimportant_layers_coarser_and_important_ones_finer() -> None:
    energy, harm = [[4.0, 1.0], [4.0, 1.0]], [[0.0, 0.001], [0.0, 0.1]]
    fields, values = ("little", "much"), (("fine", "coarse"),) * 2
    guidance = make_guidance(fields, values, energy, harm)({"little": "fine", "much": "coarse"})
    assert guidance.preferences["little"]["coarse"] > 0.5
    wrong = make_guidance(fields, values, energy, harm)({"little": "coarse", "much": "fine"})
    assert wrong.preferences["much"]["fine"] > wrong.preferences["little"]["fine"]


def test_a_trade_finds_the_cheapest_choice_of_a_loss() -> None:
    rng = np.random.default_rng(3)
    energy, harm = np.sort(rng.random((3, 4)))[:, ::-1], np.sort(rng.random((3, 4)))
    trade = Trade(energy.tolist(), harm.tolist())
    for loss in (0.8, 1.2, 1.7):
        found = trade.best(trade.rate_for(loss))
        assert trade.loss(found) <= loss
        every = [np.array(c) for c in itertools.product(range(4), repeat=3)]
        values = [trade.scores(trade.rate_for(loss))[range(3), c].sum() for c in (found, *every)]
        assert values[0] == pytest.approx(min(values))
    assert sorted(halving(np.arange(9.0)).tolist()) == list(range(9))


def find(out: Path, trials: int, arm: str = "xai", **options: object) -> SearchResult:
    given = SearchOptions(trials=trials, **options)  # type: ignore[arg-type]
    return xai_nas("mnist", out, request=replace(REQUEST, arm=arm, seeds=6), options=given).result


def test_a_search_finds_a_front_and_files_that_run(tmp_path: Path, ground: Ground) -> None:
    result = find(tmp_path / "out", 14)
    assert (result.method, result.model, result.data, result.evaluations) == ("xai-nas", "lenet5", "mnist", 14)
    points = np.array([[m.objectives["loss"], m.objectives["multiplier_energy_j"]] for m in result.front])
    for i, point in enumerate(points):
        assert not any((other <= point).all() for j, other in enumerate(points) if j != i)
    assert result.hypervolume == result.progress[-1] > 0
    assert result.rivals[0].points[0]["loss"] == 0.0
    assert result.images["search"] == 60
    assert result.images["test"] == 50
    for member in result.front:
        assignment = load_record(Assignment, tmp_path / "out" / member.file)
        assert ground.loss(assignment)[0] == member.objectives["loss"]
        assert [layer.multiplier for layer in member.layers] == list(assignment.multipliers.values())
        priced = ground.evaluator.cost(assignment)
        assert sum(layer.energy_j or 0.0 for layer in member.layers) == pytest.approx(priced.energy_j)
        assert np.mean([layer.importance for layer in member.layers]) == pytest.approx(1.0)
    assert sum("test_accuracy" in m.figures for m in result.front) <= REQUEST.final_members
    history = load_history(tmp_path / "out" / "study.journal", "xai-nas")
    assert result.network_images >= evaluated_images(history) + sum(t.evaluated for t in history.trials)
    assert (tmp_path / "out" / "report.html").exists()


def test_a_resumed_search_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = find(tmp_path / "whole", 16)
    find(tmp_path / "parts", 5)
    part = find(tmp_path / "parts", 11)
    assert part.evaluations == 11
    parts = find(tmp_path / "parts", 16)
    for name in ("front", "progress", "hypervolume", "evaluations", "network_images", "space_size", "reference"):
        assert getattr(parts, name) == getattr(whole, name), name
    again = xai_nas(
        "mnist", tmp_path / "parts", request=replace(REQUEST, seeds=6), options=SearchOptions(trials=16)
    )  # fmt: skip
    assert again.resumed
    assert again.result == parts
    with pytest.raises(InvalidInputError, match="at least the 16 evaluations"):
        find(tmp_path / "parts", 9)


@pytest.mark.parametrize("arm", [name for name in ARMS if name != "xai"])
def test_every_baseline_runs_in_the_same_space(arm: str, plan: Plan, tmp_path: Path) -> None:
    result = find(tmp_path / arm, 9, arm)
    assert result.evaluations == 9
    assert result.failed == 0
    assert result.space_size == plan.space_size


def test_time_ends_a_search_and_resume_goes_on(tmp_path: Path) -> None:
    short = find(tmp_path / "out", 6, time_s=0.0)
    assert (short.reason, short.evaluations, short.front) == ("time", 0, ())
    assert find(tmp_path / "out", 6, time_s=0.0).reason == "time"
    assert find(tmp_path / "out", 6, resume=True).evaluations == 6


def test_other_settings_are_refused(tmp_path: Path) -> None:
    find(tmp_path / "out", 2)
    for change in ({"arm": "random"}, {"search_images": 30}, {"loss_limit": 0.2}, {"weight_codes": "alwann"}):
        with pytest.raises(OutputFolderError, match=next(iter(change))):
            xai_nas("mnist", tmp_path / "out", request=replace(REQUEST, seeds=6, **change))  # type: ignore[arg-type]
    with pytest.raises(OutputFolderError, match="seed"):
        find(tmp_path / "out", 2, seed=1)


def test_bad_input_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for given, near in (({"arm": "xia"}, "xai"), ({"objective": "energi"}, "energy"), ({"score": "none"}, "score")):
        with pytest.raises(UnknownNameError, match=near):
            XaiNasRequest(**given)  # type: ignore[arg-type]
    for options in ({"trials": 0}, {"workers": 0}, {"seed": -1}, {"time_s": -1.0}):
        with pytest.raises(InvalidInputError, match=next(iter(options))):
            SearchOptions(**options)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="mnist"):
        xai_nas("mnits", tmp_path / "out")
    with pytest.raises(UnknownNameError, match="lenet5"):
        xai_nas("mnist", tmp_path / "out", model="lenet")
    with pytest.raises(InvalidInputError, match="weight_codes"):
        XaiNasRequest(weight_codes="none")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_find_the_evaluation_by_its_name(tmp_path: Path) -> None:
    result = find(tmp_path / "out", 8, workers=2)
    assert (result.evaluations, result.failed) == (8, 0)
    history = load_history(tmp_path / "out" / "study.journal", "xai-nas")
    assert len({trial.worker for trial in history.trials}) == 2
