"""Peak memory of one batch, in a process that does nothing else.

Linux says what a process held at most since it was last asked (`VmHWM`, reset through `clear_refs`). A tiny network is
converted, which loads the code; the network is built and run on one image; free memory is given back; the batch runs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(model: str, data: str, table: str, batch: int) -> dict[str, int] | None:
    """Return bytes of a batch in a fresh process, or None where the system does not tell.

    Args:
        model: name of a network.
        data: name of a data set.
        table: name of a circuit (see `network_circuits`), or `float32`.
        batch: images.

    Returns:
        `batch_bytes`, what the batch needs beyond the network at rest, and `peak_bytes`, with the network.
    """
    code = f"from axdnn.benchmark.memory import print_measured; print_measured{(model, data, table, batch)!r}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, int] | None = json.loads(done.stdout.splitlines()[-1])
    return found


def print_measured(model: str, data: str, table: str, batch: int) -> None:
    """Measure this process, which should be a fresh one, and print what `peak_memory` returns."""
    print(json.dumps(_measured(model, data, table, batch)))


def _measured(model: str, data: str, table: str, batch: int) -> dict[str, int] | None:
    import torch

    from axdnn.benchmark.networks import built, random_images
    from axdnn.layers import approximate

    torch.set_num_threads(1)
    if not (STATUS.exists() and RESET.exists()):
        return None
    tiny = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
    approximate(tiny, "exact", torch.rand(2, 1, 4, 4))(torch.rand(1, 1, 4, 4))  # imports what a conversion needs
    before = _at_rest()
    network, images = built(model, data, table), random_images(data, batch)
    with torch.no_grad():
        network(images[:1])
        rest = _at_rest()
        RESET.write_text("5")
        network(images)
        peak = _held("VmHWM")
    return {"batch_bytes": peak - rest, "peak_bytes": peak - before}


def _at_rest() -> int:
    """Give free memory back; return what is left, in bytes."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _held("VmRSS")


def _held(field: str) -> int:
    """Return a field of the status of this process, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
