"""What a period leaves over: the highest peak among the residuals' frequencies.

A second period, a harmonic too few, or a period beyond the range of the search whose alias was
found instead are taken up by the jitter, and neighbours in uneven data hardly remember each other.
What shows them is that the residuals have one frequency: of 50 points a second period half as large
was caught in 4 of 8 simulated stars (without this in none of 2), a second harmonic in none of 5, of
9 right fits none was refused (``workflows/trials.py spectral_analysis``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["HighestPeak"]

MOST = 1500  # frequencies; of a record with more cycles a peak may fall between two of them
PER_CYCLE = 3.0  # steps for each cycle over the record
BEYOND = 4.0  # times the highest frequency of the search
CHUNK = 500  # draws at a time


@dataclass(frozen=True, eq=False)
class HighestPeak:
    """Largest share of the residuals' squares that one frequency takes up.

        T = max_f |Σ_j z_j exp(2πi f t_j)|² / (n/2 Σ_j z_j²),   z = (y − mean) / noise

    Parameters
    ----------
    t : times, (point,).
    highest : frequency of the search.
    """

    t: np.ndarray
    highest: float

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., point)."""
        z = (y - mean) / noise
        flat, span = z.reshape(-1, z.shape[-1]), np.ptp(self.t)
        top = BEYOND * self.highest
        frequency = np.linspace(1 / span, top, int(min(MOST, max(8, PER_CYCLE * top * span))))
        angle = 2 * np.pi * np.multiply.outer(self.t, frequency)
        cosine, sine = np.cos(angle), np.sin(angle)
        parts = np.split(flat, range(CHUNK, len(flat), CHUNK))
        peak = [np.max((part @ cosine) ** 2 + (part @ sine) ** 2, axis=-1) for part in parts]
        size = np.maximum(np.sum(flat**2, axis=-1), np.finfo(float).tiny)
        return (np.concatenate(peak) / (0.5 * z.shape[-1] * size)).reshape(z.shape[:-1])
