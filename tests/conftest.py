"""Rules for the whole suite: one torch thread, Hypothesis without chance, and no silent skips where that is asked."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TRITON_INTERPRET", "1")  # the Triton kernel on the CPU; `make test-gpu` sets 0

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("axdnn", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("axdnn")

SHARED = Path(__file__).resolve().parents[2] / "shared"
# Reasons that stay skips everywhere: reference data that is not ours to copy, a fallback that cannot be shown here,
# a GPU.
MAY_SKIP = ("read in place", "../shared", "is installed here", "needs a GPU")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep torch to one thread, as workers do."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def shared_folder() -> Path:
    """The folder of reference data that is not ours to copy; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("read in place: reference data that cannot be copied is not beside this checkout")
    return SHARED


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse versions of pytest and pytest-xdist that do not keep the tests of a group together, in order."""
    grouped = [item for item in items if any(item.iter_markers("xdist_group"))]
    if config.getoption("loadgroup", False) and any("@" not in item.nodeid for item in grouped):
        raise pytest.UsageError("xdist groups have no effect with this pytest; install the versions in pyproject.toml")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Turn skips into failures when AXDNN_FAIL_ON_SKIP is set, but for data that is read in place."""
    outcome = yield
    report = outcome.get_result()
    counts = report.skipped and not hasattr(report, "wasxfail") and os.environ.get("AXDNN_FAIL_ON_SKIP")
    if counts and not any(reason in str(report.longrepr) for reason in MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped, which is a failure here: {report.longrepr}"
