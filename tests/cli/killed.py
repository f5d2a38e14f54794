"""A server that runs `axdnn` commands in forked processes which kill themselves, without notice, at a chosen moment.

Forking saves the seconds of importing torch. What a kill leaves is what is on the disk, so the moments that differ lie
between two operations that change files: an audit hook sees each of them and sends SIGKILL right before the chosen one.

One request a line on standard input, as JSON: `arguments`, `cache` (for AXDNN_CACHE), `watched` (folders), `kill`
([operation, pattern of the path, which of those, from 1] or null), `after_s` (when to kill it from outside, or null),
`log` (file for output), `facts` (file for what the process did up to its end or the chosen moment: images through
networks, training steps, operations on watched files), `recipe` (default recipe of every network, or null). The answer
is the status at the end; a negative one is the signal.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

CHANGES = {"open", "os.rename", "os.chmod", "os.remove", "os.mkdir", "os.rmdir"}
RANDOM_PART = re.compile(r"\.[a-z0-9_]{8}\.part$")


class Watch:
    """Audit hook: notes operations that change files in some folders, and kills the process before one of them."""

    def __init__(self, folders: list[str], kill: list[Any] | None, facts: str) -> None:
        self.folders, self.seen, self.hits = [os.path.abspath(f) for f in folders], [], 0
        self.kill, self.facts = kill, facts
        self.images: list[int] = []
        self.steps = 0

    def write(self) -> None:
        """Write what was done."""
        facts = {"images": sum(self.images), "steps": self.steps, "operations": self.seen}
        Path(self.facts).write_text(json.dumps(facts))

    def step(self, *_: object) -> None:
        """Count a step of an optimiser."""
        self.steps += 1

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or isinstance(arguments[0], int):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        path = os.path.abspath(os.fsdecode(arguments[1] if event == "os.rename" else arguments[0]))
        inside = [os.path.relpath(path, os.path.dirname(f)) for f in self.folders if (path + "/").startswith(f + "/")]
        if not inside:
            return
        operation = event.removeprefix("os.")
        self.seen.append((operation, RANDOM_PART.sub(".part", inside[0])))
        if self.kill and self.kill[0] in ("any", operation) and re.search(self.kill[1], self.seen[-1][1]):
            self.hits += 1
            if self.hits == self.kill[2]:
                self.write()
                os.kill(os.getpid(), signal.SIGKILL)


def child(request: dict[str, Any]) -> int:
    """Run one command; returns its exit code if nothing kills it."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from axdnn.cli.main import run
    from axdnn.models import Recipe, loading, plan
    from axdnn.testing import counted_images

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["AXDNN_CACHE"] = request["cache"]
    if request["recipe"]:
        loading.default_recipe = plan.default_recipe = lambda name, data: Recipe(**request["recipe"])
    watch = Watch(request["watched"], request["kill"], request["facts"])
    register_optimizer_step_post_hook(watch.step)
    sys.addaudithook(watch)
    with counted_images() as watch.images:
        code = run(request["arguments"])
    watch.write()
    return code


def main() -> None:
    """Serve until standard input ends."""
    import torch

    from axdnn.models import build_model
    from axdnn.quant import capture

    for slow in ("captum.attr", "matplotlib.pyplot", "axdnn.cli.main", "axdnn.methods", "axdnn.report"):
        importlib.import_module(slow)

    capture(build_model("lenet5", 1, 10, 28).eval(), torch.zeros(2, 1, 28, 28))  # imports the exporter
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            code = 70
            try:
                code = child(request)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        if request["after_s"] is not None:
            time.sleep(request["after_s"])
            os.kill(process, signal.SIGKILL)  # without effect on one that has ended: it is ours until waited for
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
