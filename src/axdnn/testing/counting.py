"""An independent count of the images that go through networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from axdnn.layers import ApproxModel
from axdnn.quant import CapturedModel


@contextmanager
def counted_images() -> Iterator[list[int]]:
    """Record the batch sizes of every run of a captured or approximate network within the block.

    Inputs of zeros and of not-a-number, the probes that find shapes and where a batch lies, are no images and are left
    out. Backward passes belong to their forward pass and do not count again.
    """
    sizes: list[int] = []
    originals = {kind: kind.run for kind in (CapturedModel, ApproxModel)}

    def counting(kind: type) -> Any:
        def run(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
            first = x[0] if isinstance(x, tuple) else x
            if bool(torch.nan_to_num(first.detach()).any()):
                sizes.append(len(first))
            return originals[kind](self, x, *args, **kwargs)

        return run

    for kind in originals:
        kind.run = counting(kind)  # type: ignore[method-assign]
    try:
        yield sizes
    finally:
        for kind, original in originals.items():
            kind.run = original  # type: ignore[method-assign]
