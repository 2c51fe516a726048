"""Many spectra: files of a folder, a table with a column that names them, a cube of a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Spectrum"]


@dataclass(frozen=True)
class Spectrum:
    """One spectrum of many.

    Parameters
    ----------
    name : what it is called.
    x, y : (point,), sorted by x; None where it could not be read.
    error : sd of the noise, (point,), where it is known.
    reason : why it cannot be fitted; "" where it can.
    """

    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    error: np.ndarray | None = None
    reason: str = ""
