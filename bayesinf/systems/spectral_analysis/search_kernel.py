"""The compiled loop of ``search``: normal equations of many harmonics at many frequencies.

At frequency f the columns are 1, cos kφ and sin kφ, φ = 2πft and k up to H. Every product of two
of them is half a sum of a cosine and a sine of multiples up to 2H, so the weighted sums of these
are all that is gathered over the points. The frequencies of a block are f + j step, and their
sines follow from those of f by adding the angle 2π j step t, of which there is one table; those of
the multiples follow by cos (k+1)φ = 2 cos φ cos kφ − cos (k−1)φ. The innermost loop runs over the
frequencies of a block, which is what a vector unit wants. Importing this module imports numba.
"""

import numba
import numpy as np

__all__ = ["sweep"]

BLOCK = 64  # frequencies whose sums stand in the nearest cache together
LOST = 1e-13  # share of its diagonal below which a pivot is rounding: the column repeats others


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _gather(t, weight, weighted, frequency, turn, ours, data, now, before, twice):
    """Sum w cos kφ and w sin kφ, k ≤ 2H, into ``ours``; w y cos kφ and w y sin kφ into ``data``."""
    harmonics = data.shape[1]
    ours[:] = 0.0
    data[:] = 0.0
    for i in range(len(t)):
        angle = 2 * np.pi * ((frequency * t[i]) % 1.0)
        c_first, s_first, w, wy = np.cos(angle), np.sin(angle), weight[i], weighted[i]
        for j in range(BLOCK):
            c = c_first * turn[0, i, j] - s_first * turn[1, i, j]
            s = s_first * turn[0, i, j] + c_first * turn[1, i, j]
            now[0, j] = c
            now[1, j] = s
            before[0, j] = 1.0
            before[1, j] = 0.0
            twice[j] = 2 * c
        for k in range(2 * harmonics):
            if k < harmonics:
                for j in range(BLOCK):
                    data[0, k, j] += wy * now[0, j]
                    data[1, k, j] += wy * now[1, j]
            for j in range(BLOCK):
                c = now[0, j]
                s = now[1, j]
                ours[0, k, j] += w * c
                ours[1, k, j] += w * s
                now[0, j] = twice[j] * c - before[0, j]
                now[1, j] = twice[j] * s - before[1, j]
                before[0, j] = c
                before[1, j] = s


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _normal(ours, data, total, total_y, M, b):
    """Fill in the lower triangle of Σ w x xᵀ and Σ w y x for all frequencies of a block."""
    harmonics = data.shape[1]
    for j in range(BLOCK):
        M[0, 0, j], b[0, j] = total, total_y
    for k in range(1, harmonics + 1):
        for j in range(BLOCK):
            M[k, 0, j], M[harmonics + k, 0, j] = ours[0, k - 1, j], ours[1, k - 1, j]
            b[k, j], b[harmonics + k, j] = data[0, k - 1, j], data[1, k - 1, j]
        for m in range(1, harmonics + 1):
            c_sum, s_sum, apart = ours[0, k + m - 1], ours[1, k + m - 1], abs(k - m)
            cc, ss, sc = M[k, m], M[harmonics + k, harmonics + m], M[harmonics + k, m]
            if apart == 0:
                for j in range(BLOCK):
                    cc[j], ss[j] = 0.5 * (total + c_sum[j]), 0.5 * (total - c_sum[j])
                    sc[j] = 0.5 * s_sum[j]
            else:
                sign, c_apart, s_apart = np.sign(k - m), ours[0, apart - 1], ours[1, apart - 1]
                for j in range(BLOCK):
                    cc[j], ss[j] = 0.5 * (c_apart[j] + c_sum[j]), 0.5 * (c_apart[j] - c_sum[j])
                    sc[j] = 0.5 * (s_sum[j] + sign * s_apart[j])


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _solve(M, b, precision, L, z, pivot, pivots, quadratic, log_det):
    """Find bᵀ(M + P)⁻¹b and log det (M + P), P diagonal, by Cholesky factors side by side."""
    quadratic[:] = 0.0
    log_det[:] = 0.0
    pivots[:] = 1.0
    for row in range(len(b)):
        for j in range(BLOCK):
            z[row, j] = b[row, j]
            pivot[j] = M[row, row, j] + precision[row]
        for column in range(row):
            for j in range(BLOCK):
                L[row, column, j] = M[row, column, j]
            for k in range(column):
                for j in range(BLOCK):
                    L[row, column, j] -= L[row, k, j] * L[column, k, j]
            for j in range(BLOCK):
                entry = L[row, column, j] * L[column, column, j]  # the diagonal holds reciprocals
                L[row, column, j] = entry
                z[row, j] -= entry * z[column, j]
                pivot[j] -= entry * entry
        for j in range(BLOCK):
            fine = pivot[j] > LOST * (M[row, row, j] + precision[row])
            inverse = 1 / np.sqrt(pivot[j]) if fine else 0.0
            pivots[j] *= pivot[j] if fine else 1.0
            L[row, row, j] = inverse
            z[row, j] *= inverse
            quadratic[j] += z[row, j] * z[row, j]
        if row % 4 == 3 or row == len(b) - 1:  # a logarithm costs more than four rows
            for j in range(BLOCK):
                log_det[j] += np.log(pivots[j])
            pivots[:] = 1.0


@numba.njit(nogil=True, cache=True)
def sweep(t, weight, weighted, start, step, first, last, turn, precision, quadratic, log_det):
    """Fill in bᵀ(M + P)⁻¹b and log det (M + P) at the frequencies start + (first ... last) step.

    Parameters
    ----------
    t, weight, weighted : times, weights w and products w y, (point,).
    start, step : of the frequencies, those of the whole grid; ``first`` and ``last`` index it.
    turn : cosine and sine of 2π j step t, (2, point, BLOCK).
    precision : diagonals of P, (node, 1 + 2 harmonics): constant, cosines, sines.
    quadratic, log_det : results, (node, last - first).
    """
    size = precision.shape[1]
    harmonics = size // 2
    ours, data = np.empty((2, 2 * harmonics, BLOCK)), np.empty((2, harmonics, BLOCK))
    M, L = np.empty((size, size, BLOCK)), np.empty((size, size, BLOCK))
    b, z, pivot = np.empty((size, BLOCK)), np.empty((size, BLOCK)), np.empty(BLOCK)
    now, before, found = np.empty((2, BLOCK)), np.empty((2, BLOCK)), np.empty((2, BLOCK))
    spare = np.empty(BLOCK)
    total, total_y = np.sum(weight), np.sum(weighted)
    for base in range(first, last, BLOCK):
        frequency = start + base * step
        _gather(t, weight, weighted, frequency, turn, ours, data, now, before, pivot)
        _normal(ours, data, total, total_y, M, b)
        here, there = base - first, min(base + BLOCK, last) - first
        for node in range(len(precision)):
            _solve(M, b, precision[node], L, z, pivot, spare, found[0], found[1])
            for j in range(there - here):
                quadratic[node, here + j], log_det[node, here + j] = found[0, j], found[1, j]
