"""What every search method shares: its options, its folder that resumes, its result, page and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

import axdnn
from axdnn.methods.run_folder import RESULT_FILE, RunFolder
from axdnn.records import (
    InvalidInputError,
    Objective,
    RecordError,
    SearchHistory,
    SearchResult,
    Study,
    load_record,
    require_finite,
    save_record,
)
from axdnn.report import write_search_result
from axdnn.search import Cluster, Named, Progress, Space, search

JOURNAL, REPORT = "study.journal", "report.html"
Show = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How a search is run, whatever it searches.

    Attributes:
        trials: most evaluations, those of earlier calls included, at least 1.
        time_s: no candidate is begun after so many seconds of searching (preparation not counted); None for no limit.
        storage: path of a journal or URL of a database; empty for `study.journal` in the folder.
        study: name of the study in the storage; empty for the name of the method.
        workers: processes; None for 1, or as many as a cluster has room for.
        cluster: the Ray cluster whose nodes run the workers, see `axdnn.search.Cluster`; None for this machine.
        seed: of all chance of the search.
        resume: go on with a search that ended by its limit of time; whatever was interrupted goes on without.
    """

    trials: int = 60
    time_s: float | None = None
    storage: str = ""
    study: str = ""
    workers: int | None = None
    cluster: str | Cluster | None = None
    seed: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_finite("trials", self.trials, 1)
        if self.workers is not None:
            require_finite("workers", self.workers, 1)
        if self.time_s is not None:
            require_finite("time_s", self.time_s, 0.0)
        if not 0 <= self.seed < 2**63:
            raise InvalidInputError(f"0 <= seed < 2**63 must hold, but got seed={self.seed}")


@dataclass(frozen=True)
class Searched:
    """A search that ended.

    Attributes:
        result: what came out.
        folder: that holds it.
        files: the page and what else was drawn.
        resumed: whether the result was there already.
    """

    result: SearchResult
    folder: Path
    files: tuple[Path, ...]
    resumed: bool = False


class SearchFolder:
    """The folder of a search: belongs to one set of settings, resumes, is never half written. A context manager.

    The budget, its time and the number of workers are no settings: a search may go on with others.

    Args:
        method: name, which is that of the study too unless the options name one.
        path: made on entry if need be; gets `study.journal`, `result.json` and `report.html`.
        settings: what makes it another search, as text.
        options: how it is run.
    """

    def __init__(
        self, method: str, path: str | Path, settings: Mapping[str, str], options: SearchOptions
    ) -> None:  # fmt: skip
        self.method, self.options = method, options
        self.settings = {
            **settings, "method": method, "axdnn": axdnn.__version__, "seed": str(options.seed),
            "storage": shown_storage(options.storage), "study": options.study,
        }  # fmt: skip
        self._run = RunFolder(path, self.settings)
        self.path = self._run.path

    @property
    def storage(self) -> str:
        """Path or URL of the storage."""
        return self.options.storage or str(self.path / JOURNAL)

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.options.study or self.method

    def check(self, partial: bool = False) -> None:
        """Refuse a folder that is not ours, see `RunFolder.check`.

        Raises:
            OutputFolderError: it holds another search or other files.
        """
        self._run.check(partial)

    def finished(self) -> Searched | None:
        """Return the result if there is nothing left to do.

        Raises:
            RecordError: the file is damaged.
            InvalidInputError: it holds more evaluations than are asked for.
        """
        file = self.path / RESULT_FILE
        if not file.exists():
            return None
        try:
            result = load_record(SearchResult, file)
        except RecordError as error:
            raise RecordError(f"{error}. Delete the file to have it made again") from error
        self._require_budget(result.evaluations)
        ended = result.evaluations >= self.options.trials or result.reason == "exhausted"
        timed = result.reason == "time" and result.settings.get("trials") == str(self.options.trials)
        if not (ended or (timed and not self.options.resume)):
            return None
        page = self.path / REPORT
        files = (page,) if page.exists() else write_search_result(result, self.path)
        return Searched(result, self.path, tuple(files), True)

    def __enter__(self) -> SearchFolder:
        """Make or reopen the folder and lock it."""
        self._run.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        self._run.__exit__(kind, value, trace)

    def search(
        self, space: Space, evaluate: Named, objectives: Sequence[Objective], *, show: Show | None = None,
        told: Callable[[Progress], str] | None = None, **arguments: Any,
    ) -> SearchHistory:  # fmt: skip
        """Search, or go on searching; see `axdnn.search.search`.

        Args:
            space: what is searched.
            evaluate: by name, so that other processes find it.
            objectives: at least two.
            show: called with (message, evaluations, budget).
            told: says what is shown of the front; its size if omitted.
            arguments: sampler, seeds, guidance, constraints and others of `search`.

        Raises:
            InvalidInputError: the study holds more evaluations than are asked for.
        """
        options = self.options

        def seen(progress: Progress) -> None:
            self._run.checkpoint(Study(settings=self.settings, full_evaluations=progress.evaluations), None)
            if show is not None:
                text = told(progress) if told else f"front of {len(progress.front)}"
                show(text, progress.evaluations, progress.budget)

        history = search(
            space, evaluate, objectives, trials=options.trials, time_s=options.time_s, storage=self.storage,
            name=self.study, seed=options.seed, workers=options.workers, cluster=options.cluster,
            progress=seen, **arguments,
        )  # fmt: skip
        self._require_budget(history.evaluations)
        return history

    def finish(self, result: SearchResult) -> Searched:
        """Save a result with the seconds of all sessions, and draw its page."""
        settings = {**result.settings, **self.settings, "trials": str(self.options.trials)}
        result = msgspec.structs.replace(result, settings=settings, wall_s=self._run.wall_s)
        (self.path / REPORT).unlink(missing_ok=True)  # of a smaller budget: the page is never older than the result
        save_record(self.path / RESULT_FILE, result)
        return Searched(result, self.path, tuple(write_search_result(result, self.path)))

    def _require_budget(self, evaluations: int) -> None:
        if evaluations > self.options.trials:
            raise InvalidInputError(
                f"trials must be at least the {evaluations} evaluations that {self.path} holds already, "
                f"but got {self.options.trials}; raise it or choose another folder"
            )


def result_of(history: SearchHistory, method: str, **fields: Any) -> SearchResult:
    """Return what a history says of a result; the method adds the rest.

    Args:
        history: of the search.
        method: its name.
        fields: further fields of `SearchResult`, `front` and `space_size` among them.
    """
    return SearchResult(
        method=method, objectives=history.objectives, constraints=history.constraints,
        evaluations=history.evaluations, failed=history.failed, reason=history.reason,
        hypervolume=history.hypervolume[-1] if history.hypervolume else 0.0, reference=history.reference,
        progress=history.hypervolume, **fields,
    )  # fmt: skip


def shown_storage(storage: str) -> str:
    """Return a storage as it may be written down: a URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:...@", storage)
