"""The leader of a study's workers: it evaluates nothing, watches, and starts new ones for those that are killed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from axdnn.records import SearchHistory, StorageError
from axdnn.search.leases import expired
from axdnn.search.ledger import Ledger
from axdnn.search.loop import Show, seen
from axdnn.search.storage import Opened, patiently, quiet
from axdnn.search.task import BUDGET, Task

LOOK_S = 0.2
LEAVE_S = 10.0  # after Ctrl-C, to give candidates back
FUTILE = 3  # workers in one place that end in a row while nothing happens in the study


class Word(NamedTuple):
    """How a worker ended: why it was done, what it gave up for, or what killed it; one of the three."""

    reason: str = ""
    error: str = ""
    fault: str = ""


@dataclass(eq=False)
class Member:
    """A worker in the eyes of its leader.

    Attributes:
        handle: what the crew knows it by.
        seen: what the study had seen when it began.
        vain: workers that ended before it in its place, in a row, while nothing happened.
    """

    handle: Any
    seen: int
    vain: int


class Crew(ABC):
    """The workers of a leader.

    Attributes:
        members: those that have not ended.
        reason: why the last one was done.
    """

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.reason = ""

    @abstractmethod
    def launch(self) -> Any:
        """Start one worker and return its handle."""

    @abstractmethod
    def ended(self) -> list[tuple[Member, Word]]:
        """Wait a moment (`LOOK_S`) and return those that ended, each once."""

    @abstractmethod
    def leave(self) -> None:
        """End all workers: ask, as Ctrl-C does, then insist."""

    def start(self, done: int, vain: int = 0) -> None:
        """Start one worker; `done` grows with all that happens in the study."""
        self.members.append(Member(self.launch(), done, vain))

    def look(self, done: int, busy: int) -> None:
        """Wait a moment, see who has ended, and start others for those that were killed.

        Args:
            done: grows with all that happens in the study.
            busy: trials that run.

        Raises:
            StorageError: a worker gave up, or workers end as soon as they start.
        """
        for member, word in self.ended():
            self.members.remove(member)
            if word.error:
                raise StorageError(f"a worker gave up: {word.error}")
            if not word.fault:
                self.reason = word.reason or self.reason
                continue
            # Many may end at once, with their machine: what counts is whether anything happened while each one lived.
            vain = member.vain + 1 if done == member.seen else 0
            if vain > FUTILE:
                raise StorageError(f"workers end as soon as they start, {word.fault}; see what they printed")
            self.start(done, vain)


def lead(opened: Opened, name: str, task: Task, crew: Crew, workers: int, progress: Show | None) -> SearchHistory:
    """Start workers, start new ones for those that are killed, and wait until the budget is used.

    Args:
        opened: the storage.
        name: of the study.
        task: of the study.
        crew: starts and watches workers.
        workers: how many at first.
        progress: called after evaluations.

    Raises:
        StorageError: a worker gave up, or workers end as soon as they start.
        KeyboardInterrupt: after the workers have given back what they ran.
    """
    import optuna

    from axdnn.search.history import history

    with quiet():
        ledger = Ledger(optuna.load_study(study_name=name, storage=opened.storage), task)
    shown = -1
    try:
        patiently(ledger.refresh, opened.place)
        for _ in range(workers):
            crew.start(_happened(ledger))
        while crew.members:
            patiently(ledger.refresh, opened.place)
            if progress is not None and ledger.evaluations != shown:
                shown = ledger.evaluations
                progress(seen(ledger, int(ledger.study.user_attrs.get(BUDGET, 0))))
            crew.look(_happened(ledger), sum(not expired(held.worker, held.expires) for held in ledger.running))
    except BaseException:
        crew.leave()
        raise
    return history(ledger.study, task, crew.reason)


def _happened(ledger: Ledger) -> int:
    return ledger.evaluations + ledger.lost + len(ledger.running)
