"""Freed memory goes back to the system between fits and simulations."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from axdnn.evaluation import give_back
def resident():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) / 1024
held, small = [], []
for _ in range(3000):  # below the size from which glibc maps blocks by themselves, with something that stays between
    held.append(bytearray(b"x" * 100_000))
    small.append(bytearray(600))
full = resident()
del held
before = resident()
give_back()
print(full, before, resident())
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="memory is given back on Linux with glibc; none is installed here",
)
def test_gaps_between_small_objects_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True)
    full, before, after = map(float, done.stdout.split())
    assert before > full - 50, "the C library keeps what is freed"
    assert after < full - 250
