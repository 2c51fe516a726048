"""The story of the report: what a spectrum of scattered light says of the plasma."""

from __future__ import annotations

from bayesinf.report import plain_story

__all__ = ["story"]


def story(fits):
    """Tell the plasma."""
    return plain_story(fits, "Thomson", "What is the plasma?")
