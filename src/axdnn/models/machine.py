"""What of the machine decides the last bits of a training: threads and processor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from axdnn.records import processor_name


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread within the block: other numbers of threads add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def processor() -> str:
    """Return the kind of processor, on which the last bits of a training depend."""
    architecture, _, model = processor_name().partition(" ")
    return f"{architecture} {torch.backends.cpu.get_cpu_capability()} {model}".strip()
