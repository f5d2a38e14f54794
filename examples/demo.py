"""The whole way on real data: LeNet-5 on MNIST, four strategies within 1 point of accuracy, one comparison page.

Each strategy is one `axdnn generate` in a process of its own, two at a time. Interrupt it with Ctrl-C and run it
again: finished strategies are kept and the others resume.

    python examples/demo.py --out runs/demo
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, NamedTuple

STRATEGIES = ("integer", "greedy", "uniform", "random")
AT_ONCE = 2
GRACE_S = 15.0
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
STOPPING = threading.Event()  # set by Ctrl-C and looked at where no child can be forgotten
AXDNN = (sys.executable, "-m", "axdnn.cli.main")


class Run(NamedTuple):
    """A strategy at work: its process, its output folder, the threads that read what it prints, its errors."""

    strategy: str
    process: subprocess.Popen[str]
    folder: Path
    readers: tuple[threading.Thread, ...]
    errors: list[str]


def main() -> int:
    """Run the demo and return an exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="output folder")
    out: Path = parser.parse_args().out
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: STOPPING.set())
    began = time.monotonic()
    try:
        return demo(out, began)
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is finished is in {out}. Run the same command again to resume.", file=sys.stderr)
        return 130


def demo(out: Path, began: float) -> int:
    """Get the data, run every strategy, compare."""
    print("MNIST, LeNet-5, tpu_v4, every EvoApprox8b multiplier, at most 1 point of accuracy loss", flush=True)
    code = _run_alone("data", "get", "mnist")
    if code:
        return code
    waiting, running, failed = list(STRATEGIES), [], []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE and not failed:
                running.append(start(waiting.pop(0), out, began))
            for run in [r for r in running if r.process.poll() is not None]:
                running.remove(run)
                for reader in run.readers:
                    reader.join()
                if run.process.returncode:
                    failed.append(run)
                    break
                say(run.strategy, f"finished: {run.folder / 'report.html'}", began)
            if failed:
                break
            _pause()
    finally:
        _end([run.process for run in running])
    if failed:
        run = failed[0]
        print(f"demo: strategy {run.strategy} failed (exit code {run.process.returncode})", file=sys.stderr)
        print("\n".join(run.errors[-20:]), file=sys.stderr)
        return run.process.returncode if run.process.returncode > 0 else 1
    code = compare(out)
    if code:
        return code
    print("\nResults, one folder a strategy:")
    for strategy in STRATEGIES:
        print(f"  {out / strategy / 'result.json'}  {out / strategy / 'report.html'}")
    print(f"Compare them in {out / 'comparison.html'}")
    print(f"The demo took {time.monotonic() - began:.0f} s.")
    return 0


def start(strategy: str, out: Path, began: float) -> Run:
    """Start one strategy in a session of its own, so that only we pass Ctrl-C on to it."""
    folder = out / strategy
    process = subprocess.Popen(
        [*AXDNN, "generate", "--model", "lenet5", "--data", "mnist", "--accelerator", "tpu_v4",
         "--multipliers", "evoapprox8b", "--max-accuracy-loss", "1", "--strategy", strategy, "--seed", "0",
         "--out", str(folder)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=_ENVIRONMENT,
    )  # fmt: skip
    errors: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=_pass_on, args=(process.stderr, strategy, errors, began), daemon=True)
    reader.start()
    say(strategy, "started", began)
    return Run(strategy, process, folder, (reader,), errors)


def compare(out: Path) -> int:
    """Write the comparison page, unless it is there and newer than every result, and print its table."""
    page, results = out / "comparison.html", [out / strategy / "result.json" for strategy in STRATEGIES]
    if not page.exists() or page.stat().st_mtime < max(result.stat().st_mtime for result in results):
        return _run_alone("report", *(str(result.parent) for result in results), "--out", str(out))
    from axdnn.records import GenerationResult, load_record
    from axdnn.report import print_comparison

    print_comparison([load_record(GenerationResult, result) for result in results])
    return 0


def say(strategy: str, message: str, began: float) -> None:
    """Print one line of progress."""
    print(f"{time.monotonic() - began:6.1f} s  {strategy:<8} {message}", flush=True)


def _pass_on(stream: IO[str], strategy: str, errors: list[str], began: float) -> None:
    for line in stream:
        errors.append(line.rstrip())
        say(strategy, line.rstrip().split("] ", 1)[-1], began)


def _run_alone(*arguments: str) -> int:
    """Run one command with our own terminal and return its exit code."""
    process = subprocess.Popen([*AXDNN, *arguments], env=_ENVIRONMENT, start_new_session=True)
    try:
        while process.poll() is None:
            _pause()
    finally:
        _end([process])
    return process.returncode


def _pause() -> None:
    time.sleep(0.05)
    if STOPPING.is_set():
        raise KeyboardInterrupt


def _end(processes: list[subprocess.Popen[str]]) -> None:
    """Interrupt what still runs, wait until it has saved its state, and end it if it does not."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
