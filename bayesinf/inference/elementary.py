"""Exponentials and logarithms of arrays, in loops that the compiler makes vectors of.

The library's take one number at a time, and four times as long. These are right to about two units
of the last digit, a test says. For compiled loops: importing this module imports numba.
"""

import numba
import numpy as np

__all__ = ["LOWEST", "exponentials", "logarithms"]

LOWEST = -700.0  # below this exponent e^x is as good as zero; above, 2^k is an ordinary number
LOG2E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # k LN2_HIGH is exact
SHIFT = 1.5 * 2.0**52  # added to a number it leaves the nearest integer in the last bits
HALF_ROOT = 0x3FE6A09E667F3BCD  # the bits of √½
MANTISSA = (1 << 52) - 1

# Sums may not be taken in another order here: the rounding is what is worked with.
OPTIONS = {"nogil": True, "cache": True, "fastmath": {"contract"}, "error_model": "numpy"}


@numba.njit(**OPTIONS)
def exponentials(x, work):
    """Put e^x in place of x ≤ 700, (point,); below ``LOWEST`` its value there.

        e^x = 2^k e^r,   k the integer nearest to x / ln 2,   |r| ≤ ln(2) / 2

    with e^r by its series to order 13. ``work`` (point,) is for its use.
    """
    whole = work.view(np.int64)
    for i in range(len(x)):
        t = max(x[i], LOWEST)
        moved = t * LOG2E + SHIFT
        k = moved - SHIFT
        r = (t - k * LN2_HIGH) - k * LN2_LOW
        p = 1 / 6227020800.0
        p = p * r + 1 / 479001600.0
        p = p * r + 1 / 39916800.0
        p = p * r + 1 / 3628800.0
        p = p * r + 1 / 362880.0
        p = p * r + 1 / 40320.0
        p = p * r + 1 / 5040.0
        p = p * r + 1 / 720.0
        p = p * r + 1 / 120.0
        p = p * r + 1 / 24.0
        p = p * r + 1 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        x[i] = p * r + 1.0
        work[i] = moved
    for i in range(len(x)):
        whole[i] = (whole[i] << 52) + (1023 << 52)
    for i in range(len(x)):
        x[i] *= work[i]


@numba.njit(**OPTIONS)
def logarithms(x, found):
    """Fill in log x of positive numbers, (point,); ``found`` may be x itself.

        log x = k ln 2 + 2 (t + t³/3 + t⁵/5 + …),   x = 2^k m,   t = (m − 1) / (m + 1)

    with m from √½ to √2.
    """
    work = np.empty(len(x))
    whole = work.view(np.int64)
    for i in range(len(x)):
        work[i] = x[i]
    for i in range(len(x)):
        bits = whole[i] - HALF_ROOT
        found[i] = bits >> 52
        whole[i] = (bits & MANTISSA) + HALF_ROOT
    for i in range(len(x)):
        t = (work[i] - 1.0) / (work[i] + 1.0)
        square = t * t
        p = 2 / 21.0
        p = p * square + 2 / 19.0
        p = p * square + 2 / 17.0
        p = p * square + 2 / 15.0
        p = p * square + 2 / 13.0
        p = p * square + 2 / 11.0
        p = p * square + 2 / 9.0
        p = p * square + 2 / 7.0
        p = p * square + 2 / 5.0
        p = p * square + 2 / 3.0
        low = t * (p * square) + found[i] * LN2_LOW
        found[i] = found[i] * LN2_HIGH + (2.0 * t + low)
