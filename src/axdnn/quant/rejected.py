"""Why an operator has no rule."""

from __future__ import annotations


class Rejected(Exception):
    """An operator that has no rule; the text says why."""
