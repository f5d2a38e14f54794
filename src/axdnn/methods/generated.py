"""`axdnn.generate`: XAI-Gen on a model and images that are in memory already, and what can be done with the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.export import FORMATS, export_model
from axdnn.generation import Request, Run, requests_at, run_budgets
from axdnn.layers import ApproxModel
from axdnn.methods.xai_gen import SPLITS
from axdnn.records import (
    Assignment,
    Evaluation,
    GenerationResult,
    InvalidInputError,
    Multiplier,
    save_record,
    unknown_name,
)
from axdnn.report import write_comparison, write_report

Images = Split | tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Generated:
    """What a generation found.

    Attributes:
        results: one for each budget, smallest first.
        run: the network with its codings and everything that was measured.
    """

    results: tuple[GenerationResult, ...]
    run: Run = field(repr=False)

    @property
    def result(self) -> GenerationResult:
        """The result; of several budgets that of the largest."""
        return self.results[-1]

    @property
    def front(self) -> tuple[Evaluation, ...]:
        """What no other evaluation beats in loss on the search split and in what was minimised, least loss first.

        The exact network comes first unless something cheaper was at least as accurate. Only accepted ones (`accepted`)
        held on the second split as well.
        """
        seen = [(e.accuracy["search"].loss, self._price(e), e) for e in self.result.visited if "search" in e.accuracy]
        kept, least = list[Evaluation](), inf
        for _, cost, evaluation in sorted(seen, key=lambda row: row[:2]):
            if cost < least:
                kept.append(evaluation)
                least = cost
        return tuple(kept)

    def apply(self, which: Evaluation | Assignment | GenerationResult | None = None) -> ApproxModel:
        """Return the integer network of a choice, a `torch.nn.Module` that computes to the bit what the circuits would.

        Args:
            which: a result, a point of the front, or an assignment; the chosen one if omitted.
        """
        which = self.result if which is None else which
        chosen = which.chosen if isinstance(which, GenerationResult) else which
        return self.run.evaluator.model(chosen.assignment if isinstance(chosen, Evaluation) else chosen)

    def report(self, folder: str | Path) -> Path:
        """Write a page with figures to a folder; return `report.html`, for several budgets `comparison.html`."""
        folder = Path(folder)
        if len(self.results) > 1:
            return write_comparison(self.results, folder, multipliers=self._circuits())[0]
        files = write_report(self.result, folder, multipliers=self._circuits())
        return next(file for file in files if file.suffix == ".html")

    def save(self, folder: str | Path, formats: Sequence[str] = ("pt2",)) -> tuple[Path, ...]:
        """Write records, pages and the approximate networks to a folder; return what was written.

        One budget goes to the folder itself, several to a folder each, named by the budget, with a page that compares
        them. `result.json` is read by `axdnn.records.load_record`; the networks are files that other tools load.

        Args:
            folder: is made if need be.
            formats: of the network, see `axdnn.export.FORMATS`: `pt2` loads in torch without axdnn, `onnx` needs the
                extra `onnx`; none of them if empty.

        Raises:
            UnknownNameError: no such format; nothing is written.
        """
        for name in formats:
            if name not in FORMATS:
                raise unknown_name("export format", name, FORMATS)
        folder, files = Path(folder), list[Path]()
        for result in self.results:
            place = folder if len(self.results) == 1 else folder / f"{result.max_accuracy_loss:g}"
            place.mkdir(parents=True, exist_ok=True)
            model, inputs = self.apply(result), self.run.splits["search"].images
            files += [export_model(model, place / f"network.{name}", name, inputs).path for name in formats]
            files += write_report(result, place, multipliers=self._circuits())
            files.append(save_record(place / "result.json", result))
        if len(self.results) > 1:
            files += write_comparison(self.results, folder, multipliers=self._circuits())
        return tuple(files)

    def _price(self, evaluation: Evaluation) -> float:
        """What the search minimised."""
        if self.result.objective == "paper_literal":
            return self.run.evaluator.paper_cost(evaluation.assignment).energy_j
        return evaluation.energy_j if self.result.objective == "energy" else evaluation.multiplier_energy_j

    def _circuits(self) -> tuple[Multiplier, ...]:
        names = {name for result in self.results for name in result.assignment.values()}
        return tuple(self.run.evaluator.multipliers[name] for name in sorted(names))


def generate(
    model: nn.Module,
    calibration: torch.Tensor,
    splits: Mapping[str, Images],
    request: Request | None = None,
    *,
    budgets: Sequence[float] = (),
    **options: Any,
) -> Generated:
    """Choose a multiplier for each layer of a trained model, verify it bit for bit, and price it.

    Choices are searched on `splits["search"]` and accepted on `splits["accept"]` when the one-sided 95 % bound of the
    loss is within the budget; `splits["test"]` is used once a budget, after its choice. `methods.splits_of` makes all
    of them from a known data set.

    Args:
        model: trained network of one input `(n, ...)` whose result are class scores `(n, classes)`.
        calibration: images `(n, ...)`, as the model takes them.
        splits: `search`, `accept` and `test`: images and labels `(n,)`; held out from training, none shared.
        request: budget, multipliers, accelerator, strategy, seed; the defaults if omitted.
        budgets: largest losses in percentage points, searched from the smallest on with shared evaluations; that of the
            request if empty.
        options: `name`, `data`, `provenance`, `cache` (a folder: an interrupted search resumes), `codings`, `progress`,
            `checkpoint`, `shared_bytes` of `axdnn.generation.generate`.

    Raises:
        UnsupportedOperatorError: the model cannot be captured.
        InvalidInputError: unusable calibration data, splits, budgets or request.
    """
    request = request or Request()
    named = {name: split if isinstance(split, Split) else Split(name, *split) for name, split in dict(splits).items()}
    for name in SPLITS:
        if name not in named:
            raise InvalidInputError(f"`splits` must have {', '.join(SPLITS)}, but {name!r} is missing")
    asked = requests_at(request, budgets or (request.max_accuracy_loss,))
    run = Run(model, calibration, named, asked[0], **options)
    return Generated(run_budgets(run, asked), run)
