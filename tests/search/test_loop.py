"""One worker: failures are outcomes, budgets hold, equal candidates are recalled, faults leave a study unharmed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest

from axdnn.records import (
    InfeasibleError,
    InvalidInputError,
    Objective,
    Scalar,
    SearchHistory,
    StorageError,
    UnknownNameError,
    from_json,
    to_json,
)
from axdnn.search import (
    Integer,
    Ladder,
    Named,
    Progress,
    Run,
    Space,
    delete_study,
    join,
    list_studies,
    load_history,
    register,
    search,
)
from axdnn.search.draft import DraftStorage
from axdnn.search.ledger import OUTCOME
from axdnn.search.loop import begin
from axdnn.search.storage import open_storage
from axdnn.search.task import Task
from axdnn.search.worker import Claim, Worker

GRID = Space((Integer(name="x", low=0, high=9), Integer(name="y", low=0, high=9)))
SUM = (Objective(name="sum", reference=20.0),)


def total(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
    return {"sum": float(candidate["x"]) + float(candidate["y"])}


def test_failures_are_recorded_with_their_reason() -> None:
    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> object:
        x = candidate["x"]
        if x == 0:
            raise ZeroDivisionError("no width")
        if x == 1:
            return {"sum": math.nan}
        if x == 2:
            return {"other": 1.0}
        if x == 3:
            return 7.0
        if x == 4:
            time.sleep(5)
        if x == 5:
            return {"sum": math.inf}
        run.note("width", x)
        return {"sum": 1.0, "accuracy": 0.5}

    began = time.monotonic()
    found = search(
        Space((Integer(name="x", low=0, high=9),)), evaluate, SUM, trials=10, sampler="random", timeout_s=0.2  # type: ignore[arg-type]
    )  # fmt: skip
    assert time.monotonic() - began < 4
    reasons = {trial.candidate["x"]: trial.reason for trial in found.trials if trial.outcome == "failed"}
    assert found.evaluations == 10
    assert found.failed == len(reasons) == 6
    assert reasons[0].startswith("ZeroDivisionError: no width (evaluate, line")
    assert "sum must be a finite number, but got nan" in reasons[1]
    assert "must return sum, but got ['other']" in reasons[2]
    assert "figures by name, but got a float" in reasons[3]
    assert reasons[4] == "took longer than 0.2 s"
    assert "got inf" in reasons[5]
    good = next(trial for trial in found.trials if trial.outcome == "complete")
    assert good.values == {"sum": 1.0, "accuracy": 0.5}
    assert good.notes == {"width": good.candidate["x"]}


def test_equal_candidates_are_recalled_and_cost_nothing() -> None:
    calls = []

    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        calls.append(run.key)
        return total(candidate, run)

    found = search(GRID, evaluate, SUM, trials=60, sampler="random")
    assert len(calls) == len(set(calls)) == found.evaluations == 60
    assert found.recalled == sum(trial.outcome == "recalled" for trial in found.trials) > 10
    for trial in found.trials:
        if trial.outcome == "recalled":
            first = found.trials[trial.recalled_from or 0]
            assert first.candidate == trial.candidate
            assert first.values == trial.values
            assert first.number < trial.number
    assert len(found.hypervolume) == 60


def test_a_raised_budget_goes_on_and_a_used_one_ends_at_once(tmp_path: Path) -> None:
    place = tmp_path / "study"
    first = search(GRID, total, SUM, trials=5, sampler="random", storage=place)
    again = search(GRID, total, SUM, trials=5, sampler="random", storage=place)
    assert again == first
    more = search(GRID, total, SUM, trials=9, sampler="random", storage=place)
    assert more.trials[:5] == first.trials
    assert more.evaluations == 9
    assert search(GRID, total, SUM, trials=7, sampler="random", storage=place).evaluations == 9  # nothing is undone


def test_an_interrupted_candidate_is_evaluated_first_when_resumed(tmp_path: Path) -> None:
    place, stop = tmp_path / "study", [True]

    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        if run.number == 4 and stop[0]:
            raise KeyboardInterrupt
        return total(candidate, run)

    with pytest.raises(KeyboardInterrupt):
        search(GRID, evaluate, SUM, trials=8, storage=place)
    stop[0] = False
    resumed = search(GRID, evaluate, SUM, trials=8, storage=place)
    whole = search(GRID, evaluate, SUM, trials=8)
    lost = [trial for trial in resumed.trials if trial.outcome == "lost"]
    assert [(trial.number, trial.reason) for trial in lost] == [(4, "interrupted")]
    assert resumed.trials[5].candidate == lost[0].candidate
    evaluated = [(trial.index, trial.candidate, trial.values) for trial in resumed.trials if trial.evaluated]
    assert evaluated == [(trial.index, trial.candidate, trial.values) for trial in whole.trials if trial.evaluated]


@pytest.mark.parametrize("stopped", range(4))
def test_a_repeated_candidate_keeps_its_parents(tmp_path: Path, stopped: int) -> None:
    """An evaluation that inherits from its parents must find the same ones after an interruption."""
    place, stop = tmp_path / "study", [True]
    asked: dict[int, list[tuple[str, ...]]] = {}

    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        place_in_order = len(asked)
        if run.parents:
            asked.setdefault(run.seed, []).append(run.parents)
            if stop[0] and place_in_order == stopped:
                raise KeyboardInterrupt
        return total(candidate, run)

    sampler = Named("guided", {"start": 2})
    with pytest.raises(KeyboardInterrupt):
        search(GRID, evaluate, SUM, trials=8, storage=place, sampler=sampler)
    stop[0] = False
    resumed = search(GRID, evaluate, SUM, trials=8, storage=place, sampler=sampler)
    twice = [parents for parents in asked.values() if len(parents) == 2]
    assert len(twice) == 1
    assert twice[0][0] == twice[0][1]
    lost = next(trial for trial in resumed.trials if trial.outcome == "lost")
    again = next(trial for trial in resumed.trials if trial.index == lost.index and trial.evaluated)
    assert again.parents == lost.parents == twice[0][0]
    whole = search(GRID, evaluate, SUM, trials=30, sampler=sampler)
    more = search(GRID, evaluate, SUM, trials=30, storage=place, sampler=sampler)
    evaluated = [(trial.index, trial.candidate, trial.parents) for trial in more.trials if trial.evaluated]
    assert evaluated == [(trial.index, trial.candidate, trial.parents) for trial in whole.trials if trial.evaluated]


def test_time_and_progress() -> None:
    seen: list[Progress] = []

    def slow(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        time.sleep(0.02)
        return total(candidate, run)

    found = search(GRID, slow, SUM, trials=90, time_s=0.3, sampler="random", progress=seen.append)
    assert found.reason == "time"
    assert not found.finished
    assert 0 < found.evaluations < 30
    assert [p.evaluations for p in seen] == list(range(1, found.evaluations + 1))
    assert seen[-1].front == found.front_trials
    assert search(GRID, slow, SUM, trials=3, time_s=0.0).evaluations == 0


def test_a_ladder_stops_what_lags_behind() -> None:
    steps: list[int] = []

    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        for fidelity in run.fidelities:
            steps.append(fidelity)
            run.report(fidelity, float(candidate["x"]) + 0.1 * fidelity)
        return {"sum": 1.0, "x": float(candidate["x"])}

    ladder = Ladder(measure="accuracy", first=1, factor=3, rungs=3)
    two = (*SUM, Objective(name="x", direction="maximize", reference=0.0))
    found = search(GRID, evaluate, two, trials=60, sampler="random", ladder=ladder)
    stopped = [trial for trial in found.trials if trial.outcome == "stopped"]
    assert ladder.fidelities == (1, 3, 9)
    assert steps.count(1) == found.evaluations == 60
    assert steps.count(9) < steps.count(3) < steps.count(1)
    assert "stopped at" in stopped[0].reason
    best = [float(trial.candidate["x"]) for trial in found.trials if trial.outcome == "complete"]
    assert sum(best) / len(best) > 1.0 + sum(float(t.candidate["x"]) for t in stopped) / len(stopped)
    assert search(GRID, evaluate, two, trials=9, ladder=Ladder(measure="a", rule="none")).failed == 0
    median = search(GRID, evaluate, SUM, trials=30, sampler="random", ladder=Ladder(measure="a", rule="median"))
    assert any(trial.outcome == "stopped" for trial in median.trials)
    with pytest.raises(InvalidInputError, match="factor >= 2"):
        Ladder(measure="a", factor=1)

    def wrong(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        run.report(2, 0.0)
        return {"sum": 0.0}

    reason = search(GRID, wrong, SUM, trials=1, ladder=ladder).trials[0].reason
    assert "a fidelity must be one of [1, 3, 9], but got 2" in reason


def test_what_cannot_work_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    place = tmp_path / "study"
    for wrong, error, message in (
        ({"trials": 0}, InvalidInputError, "trials >= 1"),
        ({"trials": 3, "workers": 0}, InvalidInputError, "workers >= 1"),
        ({"trials": 3, "seed": -1}, InvalidInputError, "seed"),
        ({"trials": 3, "sampler": "annealing"}, UnknownNameError, "unknown sampler 'annealing'"),
        ({"trials": 3, "seeds": [{"x": 1}]}, InvalidInputError, "y is missing"),
        ({"trials": 3, "timeout_s": 0.0}, InvalidInputError, "timeout_s"),
    ):
        with pytest.raises(error, match=message):
            search(GRID, total, SUM, storage=place, **wrong)  # type: ignore[arg-type]
    barren = Space(GRID.fields, check=lambda candidate: "nothing pleases")
    with pytest.raises(InfeasibleError, match="nothing pleases"):
        search(barren, total, SUM, trials=3, storage=place)
    assert not place.exists()


def test_another_search_under_the_same_name_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    place = tmp_path / "study"
    first = search(GRID, total, SUM, trials=4, storage=place)
    wider = Space((Integer(name="x", low=0, high=10), Integer(name="y", low=0, high=9)))
    for change, message in (
        ({"space": wider}, "another search space"),
        ({"sampler": "random"}, "sampler"),
        ({"seed": 3}, "seed: 0 there, 3 now"),
        ({"objectives": (Objective(name="sum", direction="maximize"),)}, "objectives"),
        ({"evaluate": Named("search_evaluations:traced", {"log": "x"})}, "evaluate"),
    ):
        asked: dict[str, object] = {"space": GRID, "evaluate": total, "objectives": SUM, "trials": 6, **change}
        with pytest.raises(StorageError, match=message):
            search(storage=place, **asked)  # type: ignore[arg-type]
    assert load_history(place, "search") == first
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    foreign = optuna.create_study(storage=open_storage(place).storage, study_name="foreign")
    foreign.optimize(lambda trial: trial.suggest_float("z", 0, 1), n_trials=1)
    with pytest.raises(StorageError, match="not made by axdnn"):
        search(GRID, total, SUM, trials=4, storage=place, name="foreign")


def test_storages_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\nworld\n")
    (tmp_path / "newer").write_text(json.dumps({"op_code": 99, "worker_id": "w"}) + "\n")
    for place, error, message in (
        (tmp_path, StorageError, "must be a file in a folder that exists"),
        (tmp_path / "no" / "study", StorageError, "folder that exists"),
        (tmp_path / "text", StorageError, "must be a journal of studies"),
        (tmp_path / "newer", StorageError, "newer version of optuna"),
        ("postgresql://nobody@127.0.0." + "1:1/none", StorageError, "must be a database that answers"),
        ("nothing://here", InvalidInputError, "kind of database"),
        ("://", InvalidInputError, "path or a URL"),
    ):
        with pytest.raises(error, match=message):
            search(GRID, total, SUM, trials=3, storage=place)
    with pytest.raises(StorageError, match="there is none"):
        list_studies(tmp_path / "absent")
    with pytest.raises(StorageError, match="there is none"):
        list_studies(f"sqlite:///{tmp_path}/absent.db")
    search(GRID, total, SUM, trials=1, storage=tmp_path / "s", name="a")
    with pytest.raises(UnknownNameError, match="unknown study 'b'"):
        load_history(tmp_path / "s", "b")


def test_studies_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "study"
    search(GRID, total, SUM, trials=2, storage=place)
    study = optuna.load_study(study_name="search", storage=open_storage(place).storage)
    study.set_user_attr("axdnn", {**study.user_attrs["axdnn"], "version": 2})
    for use in (lambda: search(GRID, total, SUM, trials=3, storage=place), lambda: load_history(place, "search")):
        with pytest.raises(StorageError, match="version 2, but this axdnn reads version 1"):
            use()
    url = f"sqlite:///{tmp_path}/study.db"
    search(GRID, total, SUM, trials=2, storage=url)
    import sqlite3

    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    database.close()
    with pytest.raises(StorageError, match="another version"):
        search(GRID, total, SUM, trials=3, storage=url)


def test_a_torn_last_line_of_a_journal_is_mended(tmp_path: Path) -> None:
    place = tmp_path / "study"
    search(GRID, total, SUM, trials=3, storage=place)
    whole = place.read_bytes()
    place.write_bytes(whole + b'{"op_code": 4, "worker')  # a writer was killed within a line
    assert search(GRID, total, SUM, trials=5, storage=place).evaluations == 5
    assert place.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in place.read_bytes().splitlines())


def test_joining_a_study_by_the_name_of_its_evaluation(tmp_path: Path) -> None:
    place, log = tmp_path / "study", str(tmp_path / "log")
    register("traced-grid", "search_evaluations:traced")
    objectives = (Objective(name="a"), Objective(name="b"))
    search(GRID, Named("traced-grid", {"log": log}), objectives, trials=9, storage=place, time_s=0.0)
    assert join(place, "search").evaluations == 9
    assert list_studies(place)[0]._replace(began="") == ("search", ("a", "b"), 9, 9, 0, 0, "", True)
    search(GRID, lambda c, run: {"sum": 1.0}, SUM, trials=9, storage=place, name="local", time_s=0.0)
    with pytest.raises(StorageError, match="lives in the process that began"):
        join(place, "local")
    delete_study(place, "local")
    assert [found.name for found in list_studies(place)] == ["search"]
    with pytest.raises(InvalidInputError, match="must be free"):
        register("traced-grid", "another:one")


def test_the_history_is_a_record(tmp_path: Path) -> None:
    found = search(GRID, total, SUM, trials=6, storage=tmp_path / "study")
    assert from_json(SearchHistory, to_json(found)) == found == load_history(tmp_path / "study", "search")
    assert found.space_size == "100"
    assert found.reference == {"sum": 20.0}
    assert found.front_trials[0].values["sum"] == min(trial.values["sum"] for trial in found.trials)
    assert list(found.hypervolume) == sorted(found.hypervolume)


def test_a_worker_that_was_thought_gone_is_refused(tmp_path: Path) -> None:
    task = Task(space=GRID, evaluate=total, objectives=SUM, sampler="random", lease_s=0.1)
    begin(open_storage(tmp_path / "study"), "s", task, 4)
    late, other = (Worker(open_storage(tmp_path / "study"), "s", task) for _ in range(2))
    claim = late.claim()
    assert isinstance(claim, Claim)
    time.sleep(0.15)  # it hangs, and does not renew its lease
    while other.step() == "again":
        pass
    late.carry_out(claim)  # too late: another worker has evaluated its candidate
    assert late.claim() == "budget"
    found = load_history(tmp_path / "study", "s")
    assert (found.evaluations, found.lost) == (4, 1)
    same = [trial for trial in found.trials if trial.candidate == claim.candidate]
    assert [(trial.outcome, trial.worker) for trial in same] == [("lost", late.worker), ("complete", other.worker)]
    for worker in (late, other):
        worker.close()


def test_a_budget_counts_what_is_running(tmp_path: Path) -> None:
    task = Task(space=GRID, evaluate=total, objectives=SUM, sampler="random")
    begin(open_storage(tmp_path / "study"), "s", task, 2)
    workers = [Worker(open_storage(tmp_path / "study"), "s", task) for _ in range(3)]
    claims = [worker.claim() for worker in workers]
    assert [isinstance(claim, Claim) for claim in claims] == [True, True, False]
    assert claims[2] == "wait"
    assert isinstance(claims[0], Claim)
    workers[0].carry_out(claims[0])
    assert workers[2].claim() == "wait"
    workers[1].close()  # its process ended: seen at once on the same machine
    last = workers[2].claim()
    assert isinstance(last, Claim)
    assert isinstance(claims[1], Claim)
    assert last.candidate == claims[1].candidate
    workers[2].carry_out(last)
    assert load_history(tmp_path / "study", "s").evaluations == 2


def test_figures_written_before_a_kill_are_not_lost(tmp_path: Path) -> None:
    task = Task(space=GRID, evaluate=total, objectives=SUM, sampler="random")
    begin(open_storage(tmp_path / "study"), "s", task, 1)
    killed, other = (Worker(open_storage(tmp_path / "study"), "s", task) for _ in range(2))
    claim = killed.claim()
    assert isinstance(claim, Claim)
    outcome = {"kind": "complete", "reason": "", "values": {"sum": 7.0}, "wall_s": 1.0, "notes": {}}
    killed.opened.storage.set_trial_user_attr(claim.trial_id, OUTCOME, outcome)
    killed.close()
    assert other.claim() == "budget"
    found = load_history(tmp_path / "study", "s")
    assert [(trial.outcome, trial.values) for trial in found.trials] == [("complete", {"sum": 7.0})]


class TestDraftStorage:
    """What a draft holds back appears whole, and everything else passes through."""

    def test_a_trial_appears_with_all_it_has(self) -> None:
        beneath = optuna.storages.InMemoryStorage()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = DraftStorage(beneath)
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("a", 1)
        assert beneath.get_n_trials(study._study_id) == 0
        storage.commit(trial._trial_id, {"b": 2})
        seen = beneath.get_all_trials(study._study_id)[0]
        assert (seen.params, seen.user_attrs, seen.state.name) == ({"x": value}, {"a": 1, "b": 2}, "RUNNING")
        study.tell(trial, 3.0)
        assert study.best_value == 3.0
        study.enqueue_trial({"x": 0.5})  # a trial that waits in the storage is no draft
        waited = study.ask()
        assert waited.suggest_float("x", 0, 1) == 0.5
        storage.commit(waited._trial_id, {"b": 3})
        study.tell(waited, 1.0)
        assert study.trials[1].user_attrs == {"b": 3}
        study.ask()  # never committed
        assert len(study.trials) == 2
