"""Sums of products of a function of q and one of p, with derivatives: the compiled inner loops.

A coordinate's functions are of a kind: 1 and x², 1 and 1 − cos x, or 1, z, z² and sines of norm one
on |z| ≤ reach, z = (x − centre) / half, which stand behind one another in an array. Importing this
module imports numba.
"""

from __future__ import annotations

import numba
import numpy as np

from bayesinf.systems.hamiltonian.energies import SQUARE, SWING

__all__ = ["products", "sums"]

OPTIONS = {"nogil": True, "cache": True, "fastmath": {"contract", "reassoc"}}


@numba.njit(**OPTIONS)
def _functions(kind, box, x, found):
    """Write the functions of one coordinate, and two derivatives, to (order, function)."""
    found[0, 0], found[1, 0], found[2, 0] = 1.0, 0.0, 0.0
    if kind == SQUARE:
        found[0, 1], found[1, 1], found[2, 1] = x * x, 2 * x, 2.0
        return
    if kind == SWING:
        found[0, 1], found[1, 1], found[2, 1] = 1 - np.cos(x), np.sin(x), np.cos(x)
        return
    centre, half, reach = box
    z = (x - centre) / half
    found[0, 1], found[1, 1], found[2, 1] = z, 1 / half, 0.0
    found[0, 2], found[1, 2], found[2, 2] = z * z, 2 * z / half, 2 / half**2
    # sin (j + 1) φ = 2 cos φ sin j φ − sin (j − 1) φ, and so for the cosines.
    omega, norm = np.pi / (2 * reach), 1 / np.sqrt(reach * half)
    angle = omega * (z + reach)
    sine, cosine = norm * np.sin(angle), norm * np.cos(angle)
    twice, sine_before, cosine_before = 2 * np.cos(angle), 0.0, norm
    for j in range(3, found.shape[1]):
        frequency = omega * (j - 2) / half
        found[0, j], found[1, j], found[2, j] = sine, frequency * cosine, -(frequency**2) * sine
        sine, sine_before = twice * sine - sine_before, sine
        cosine, cosine_before = twice * cosine - cosine_before, cosine


@numba.njit(**OPTIONS)
def sums(kinds, boxes, pairs, orders, x, weight, found):
    """Write Σ_k w_k a_k(q) b_k(p) and what else of its derivatives is asked for.

    Parameters
    ----------
    kinds, boxes : of q and of p, (2,) and (2, 3).
    pairs : (term, 2), the function of q and that of p.
    orders : (asked, 2), of the derivatives by q and by p.
    x : states, (draw, point, 2).
    weight : (draw, term).
    found : where they are written, (draw, point, asked).
    """
    a = np.empty((3, max(3, pairs[:, 0].max() + 1)))
    b = np.empty((3, max(3, pairs[:, 1].max() + 1)))
    for draw in range(x.shape[0]):
        for point in range(x.shape[1]):
            _functions(kinds[0], boxes[0], x[draw, point, 0], a)
            _functions(kinds[1], boxes[1], x[draw, point, 1], b)
            for asked in range(len(orders)):
                of_q, of_p = a[orders[asked, 0]], b[orders[asked, 1]]
                total = 0.0
                for k in range(len(pairs)):
                    total += weight[draw, k] * of_q[pairs[k, 0]] * of_p[pairs[k, 1]]
                found[draw, point, asked] = total


@numba.njit(**OPTIONS)
def products(kinds, boxes, pairs, orders, x, found):
    """Write the products themselves; arguments as of ``sums``, x (point, 2), found (point, asked,
    term).
    """
    a = np.empty((3, max(3, pairs[:, 0].max() + 1)))
    b = np.empty((3, max(3, pairs[:, 1].max() + 1)))
    for point in range(len(x)):
        _functions(kinds[0], boxes[0], x[point, 0], a)
        _functions(kinds[1], boxes[1], x[point, 1], b)
        for asked in range(len(orders)):
            for k in range(len(pairs)):
                found[point, asked, k] = a[orders[asked, 0], pairs[k, 0]]
                found[point, asked, k] *= b[orders[asked, 1], pairs[k, 1]]
