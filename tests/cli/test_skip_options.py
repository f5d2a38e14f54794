"""`--skip` and `--skip-only` of `axdnn generate` and `axdnn compare`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axdnn.cli.skip_options import skip_options
from axdnn.generation import Request, SkipOptions
from axdnn.methods import compare
from axdnn.methods.xai_gen import settings_of
from axdnn.records import InvalidInputError

Command = Callable[..., Any]
RUN = ("--model", "lenet5", "--data", "mnist", "--evaluations", 6, "--quiet")


def test_options_are_read() -> None:
    assert skip_options(None, False) is None
    assert skip_options("auto", False) == SkipOptions()
    assert skip_options(" 0.5, 0.25,0", True) == SkipOptions(fractions=(0.25, 0.5), multipliers=False)
    with pytest.raises(InvalidInputError, match="--skip-only needs --skip"):
        skip_options(None, True)


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("generate", ("--skip", "many"), "--skip must be numbers with commas, but got 'many'"),
        ("generate", ("--skip", "0.5,1.5"), "fractions"), ("generate", ("--skip", ""), "fractions"),
        ("generate", ("--skip-only",), "--skip-only needs --skip"),
        ("generate", ("--skip", "0", "--skip-only"), "needs a fraction above 0"),
        ("generate", ("--skip", "auto", "--strategy", "greedy"), "`skip` is for strategy `integer`"),
        ("generate", ("--skip", "auto", "--strategy", "paper"), "PaperOptions(skip=...)"),
        ("compare", ("--skip", "many"), "--skip must be numbers"),
        ("compare", ("--skip", "auto", "--strategies", "greedy,random"), "which is not among greedy, random"),
    ],
)  # fmt: skip
def test_bad_options_are_told_in_a_line(
    axdnn: Command, tmp_path: Path, command: str, options: tuple[str, ...], said: str
) -> None:
    done = axdnn(command, *RUN, "--out", tmp_path / "out", *options)
    assert done.code != 0
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_skipping_is_part_of_the_settings() -> None:
    """Other fractions are another run."""
    plain, some, more = (
        settings_of("lenet5", "mnist", Request(skip=skip), None)
        for skip in (None, SkipOptions(fractions=(0.5,)), SkipOptions(fractions=(0.25, 0.5)))
    )
    assert len({plain["skip"], some["skip"], more["skip"]}) == 3
    assert {**plain, "skip": some["skip"]} == some


def test_only_integer_skips_in_a_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Request] = []

    def kept(model: str, data: str, request: Request, *rest: Any, **options: Any) -> Any:
        asked.append(request)
        raise InvalidInputError("enough")

    monkeypatch.setattr("axdnn.methods.comparison.xai_gen", kept)
    for strategies in (["integer"], ["greedy", "integer"]):
        with pytest.raises(InvalidInputError, match="enough"):
            compare("lenet5", "mnist", Request(skip=SkipOptions()), tmp_path, strategies=strategies)
    assert [(r.strategy, r.skip) for r in asked] == [("integer", SkipOptions()), ("greedy", None)]
