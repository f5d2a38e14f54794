"""Evaluating one candidate: what the evaluation is given, what it may return, and what becomes of its failures."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from axdnn.records import AxdnnError, InvalidInputError, Scalar
from axdnn.search.slots import Candidate
from axdnn.search.task import Task

LONGEST = 2000  # characters of a reason


class Stopped(Exception):
    """Raised by `Run.report` when a candidate lags behind; an evaluation lets it pass."""


class _TimedOut(BaseException):
    """Raised within an evaluation that takes too long; no `except Exception` of it holds it up."""


@dataclass
class Run:
    """What an evaluation knows of its trial, and how it speaks to it.

    Attributes:
        number: of the trial.
        key: digest of the candidate, a good name for a file with its state.
        seed: 31 bits that depend on the study's seed and the place of the candidate alone.
        parents: keys of the candidates it was made from, nearest first, whose state it may inherit; often empty.
        fidelities: rungs of the ladder, lowest first; empty without one.
        notes: what `note` wrote down.
    """

    number: int
    key: str
    seed: int
    parents: tuple[str, ...] = ()
    fidelities: tuple[int, ...] = ()
    notes: dict[str, Scalar] = field(default_factory=dict)
    _report: Callable[[int, float], bool] | None = None

    def report(self, fidelity: int, value: float) -> None:
        """Report the ladder's measure after one of its rungs.

        Raises:
            Stopped: the candidate lags behind the others there.
            InvalidInputError: there is no such rung.
        """
        if fidelity not in self.fidelities:
            raise InvalidInputError(f"a fidelity must be one of {list(self.fidelities)}, but got {fidelity}")
        if self._report is not None and self._report(fidelity, float(value)):
            raise Stopped(f"stopped at {fidelity} with {value:g}")

    def note(self, name: str, value: Scalar) -> None:
        """Write something down with the trial: text, a number or a boolean."""
        self.notes[name] = value


@dataclass(frozen=True)
class Judged:
    """What came of an evaluation: `complete`, `failed` or `stopped`, why, figures, seconds."""

    kind: str
    reason: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    wall_s: float = 0.0


def judge(task: Task, evaluate: Callable[..., Any], candidate: Candidate, run: Run) -> Judged:
    """Evaluate a candidate; whatever goes wrong in there is an outcome, but for Ctrl-C and the end of the process."""
    began = time.monotonic()
    kind, reason, values = "complete", "", dict[str, float]()
    try:
        with _deadline(task.timeout_s):
            values = _figures(task, evaluate(dict(candidate), run))
    except Stopped as stop:
        kind, reason = "stopped", str(stop)
    except _TimedOut:
        kind, reason = "failed", f"took longer than {task.timeout_s:g} s"
    except AxdnnError as error:
        kind, reason = "failed", f"{type(error).__name__}: {error}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind, reason = "failed", f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
    wall_s = time.monotonic() - began
    if kind == "complete" and task.timeout_s is not None and wall_s > task.timeout_s:  # where no alarm could be set
        kind, reason, values = "failed", f"took longer than {task.timeout_s:g} s", {}
    return Judged(kind, reason[:LONGEST], values, wall_s)


def _figures(task: Task, returned: Any) -> dict[str, float]:
    """Return the figures that objectives and constraints need, and others that are finite numbers."""
    if not isinstance(returned, Mapping):
        raise InvalidInputError(f"an evaluation must return figures by name, but got a {type(returned).__name__}")
    needed = [*(o.name for o in task.objectives), *(c.name for c in task.constraints)]
    missing = [name for name in dict.fromkeys(needed) if name not in returned]
    if missing:
        raise InvalidInputError(f"an evaluation must return {', '.join(missing)}, but got {sorted(map(str, returned))}")
    values = {str(name): float(value) for name, value in returned.items()}
    for name in needed:
        if not math.isfinite(values[name]):
            raise InvalidInputError(f"{name} must be a finite number, but got {values[name]}")
    return {name: value for name, value in values.items() if math.isfinite(value)}


@contextlib.contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """Raise in this thread after some seconds; only the main thread of a process can be interrupted so."""
    able = seconds and hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or seconds is None:
        yield
        return

    def alarm(*_: object) -> None:
        raise _TimedOut

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
