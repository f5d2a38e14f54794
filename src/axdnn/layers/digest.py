"""Content keys of tensors."""

from __future__ import annotations

import hashlib

import torch


def digest_of(*tensors: torch.Tensor) -> str:
    """Return a content key of tensors: dtype, shape and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:20]
