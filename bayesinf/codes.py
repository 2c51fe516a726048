"""Which numbers are no measured values: codes for a missing one, and what is too large."""

from __future__ import annotations

import numpy as np

__all__ = ["LARGEST", "coded"]

# Of nines, of many digits, or the least that a computer's whole number can be.
CODES = (*(float("9" * digits) for digits in range(3, 8)), 1e20, 1e30, 32768.0, 2147483648.0)
APART = 2.0  # ranges of the other values by which a code lies beyond them
LARGEST = 1e100  # number of which sums of squares are numbers still
FEWEST = 5  # other values that say where a measured one would lie


def coded(numbers: np.ndarray) -> np.ndarray:
    """Say which numbers are codes for a missing value.

    Only a number of that kind is taken for a code, and only where it lies further from all others
    than twice their range.

    Parameters
    ----------
    numbers : of one quantity, (row,); NaN where there is none.

    Returns
    -------
    (row,), of bool; none where too few others, or equal ones, say where a measured value would lie.
    """
    code = np.isin(np.abs(numbers), CODES)
    others = numbers[~code & np.isfinite(numbers)]
    if not code.any() or others.size < FEWEST or np.ptp(others) == 0:
        return np.zeros(len(numbers), dtype=bool)
    low, high = others.min(), others.max()
    return code & (np.maximum(low - numbers, numbers - high) > APART * (high - low))
