"""What outlives a process on a machine: the cache folder, and which processor it is."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path


def cache_root(cache: str | os.PathLike[str] | None = None) -> Path:
    """Return the cache folder: `cache`, else `$AXDNN_CACHE`, else `$XDG_CACHE_HOME/axdnn`, else `~/.cache/axdnn`.

    The folder is not created.
    """
    if cache is not None:
        return Path(cache).expanduser()
    if own := os.environ.get("AXDNN_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "axdnn"
    return Path.home() / ".cache" / "axdnn"


def processor_name() -> str:
    """Return architecture and model of the processor, as far as the operating system says."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()} {model}".strip()
