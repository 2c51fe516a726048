"""The recursions of ``markov``, compiled: a Kalman filter and what follows from it backwards.

Only ``markov`` imports this module, since it imports numba. States of several Matérn processes
stand one after the other; ``orders`` says how many numbers each has, ``rates`` and ``squares`` are
λ and a². An observation whose variance is not finite is missing.
"""

from __future__ import annotations

import numba
import numpy as np

TINY = 1e-14  # of the curve's variance, below which a value is known already
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
__all__ = ["backward", "forward", "innovations"]


@numba.njit(**OPTIONS)
def steady(order, square, P, at):
    """Write the stationary covariance of one process into P from row ``at``."""
    for i in range(order):
        P[at + i, at + i] = square
    if order == 3:
        P[at + 1, at + 1] = square / 3
        P[at, at + 2] = P[at + 2, at] = -square / 3


@numba.njit(**OPTIONS)
def transition(order, s, A, at):
    """Write e^{Fs} of one process, s = λΔ, into A from row ``at``."""
    e = np.exp(-s)
    if order == 1:
        A[at, at] = e
    elif order == 2:
        A[at, at], A[at, at + 1] = e * (1 + s), e * s
        A[at + 1, at], A[at + 1, at + 1] = -e * s, e * (1 - s)
    else:
        h = s * s / 2
        A[at, at], A[at, at + 1], A[at, at + 2] = e * (1 + s + h), e * (s + 2 * h), e * h
        A[at + 1, at], A[at + 1, at + 1] = -e * h, e * (1 + s - 2 * h)
        A[at + 1, at + 2] = e * (s - h)
        A[at + 2, at], A[at + 2, at + 1] = e * (h - s), e * (2 * h - 3 * s)
        A[at + 2, at + 2] = e * (1 - 2 * s + h)


@numba.njit(**OPTIONS)
def start(orders, squares, P, H):
    """Stationary covariance of all processes, and which states the curve adds up."""
    at = 0
    for b in range(orders.size):
        steady(orders[b], squares[b], P, at)
        H[at] = 1.0
        at += orders[b]


@numba.njit(**OPTIONS)
def move(orders, rates, gap, A):
    """Transition of all processes over a gap."""
    at = 0
    for b in range(orders.size):
        transition(orders[b], rates[b] * gap, A, at)
        at += orders[b]


@numba.njit(**OPTIONS)
def forward(gaps, y, variance, size, orders, rates, squares):
    """Filter: predicted curve and total variance of each datum, and P Hᵀ, (n,), (n,), (n, state).

    P is kept about the stationary covariance S: P' = S + A (P − S) Aᵀ needs no noise of the state.
    """
    n, m = y.size, orders.sum()
    S, H = np.zeros((m, m)), np.zeros(m)
    start(orders, squares, S, H)
    W, A, T, a, b = np.zeros((m, m)), np.zeros((m, m)), np.zeros((m, m)), np.zeros(m), np.zeros(m)
    told, total, share = np.empty(n), np.empty(n), np.empty((n, m))
    for t in range(n):
        if t:
            move(orders, rates, gaps[t - 1], A)
            for i in range(m):
                b[i] = 0.0
                for j in range(m):
                    b[i] += A[i, j] * a[j]
                    T[i, j] = 0.0
                    for k in range(m):
                        T[i, j] += A[i, k] * W[k, j]
            for i in range(m):
                a[i] = b[i]
                for j in range(m):
                    W[i, j] = 0.0
                    for k in range(m):
                        W[i, j] += T[i, k] * A[j, k]
        ahead, spread = 0.0, 0.0
        for i in range(m):
            ahead += H[i] * a[i]
            share[t, i] = 0.0
            for j in range(m):
                share[t, i] += (S[i, j] + W[i, j]) * H[j]
            share[t, i] *= size[t]
            spread += size[t] * H[i] * share[t, i]
        told[t] = size[t] * ahead
        total[t] = spread + variance[t]
        if np.isfinite(variance[t]) and total[t] > TINY * squares[0]:
            off = (y[t] - told[t]) / total[t]
            for i in range(m):
                a[i] += share[t, i] * off
                for j in range(m):
                    W[i, j] -= share[t, i] * share[t, j] / total[t]
    return told, total, share


@numba.njit(**OPTIONS)
def backward(gaps, off, total, share, variance, size, orders, rates):
    """From the end back to the start: α = K⁻¹ v, q = diag K⁻¹, and the curve's shift and loss of
    variance at each datum, given all data; ``off`` are the filter's residuals.
    """
    n, m = off.size, orders.sum()
    H, unused = np.zeros(m), np.zeros((m, m))
    start(orders, np.ones(orders.size), unused, H)
    A, r, w = np.zeros((m, m)), np.zeros(m), np.zeros(m)
    N, T, g = np.zeros((m, m)), np.zeros((m, m)), np.zeros(m)
    alpha, q, shift, loss = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for t in range(n - 1, -1, -1):
        if t < n - 1:
            move(orders, rates, gaps[t], A)
            for i in range(m):
                w[i] = 0.0
                for j in range(m):
                    w[i] += A[j, i] * r[j]
                    T[i, j] = 0.0
                    for k in range(m):
                        T[i, j] += A[k, i] * N[k, j]
            for i in range(m):
                r[i] = w[i]
                for j in range(m):
                    N[i, j] = 0.0
                    for k in range(m):
                        N[i, j] += T[i, k] * A[k, j]
        alpha[t], q[t] = 0.0, 0.0
        if np.isfinite(variance[t]):
            u, d = off[t] / total[t], 1 / total[t]
            for i in range(m):
                g[i] = 0.0
                for j in range(m):
                    g[i] += N[i, j] * share[t, j] / total[t]
                u -= share[t, i] / total[t] * r[i]
            for i in range(m):
                d += share[t, i] / total[t] * g[i]
            alpha[t], q[t] = u, d
            for i in range(m):
                h = size[t] * H[i]
                r[i] += h * u
                for j in range(m):
                    N[i, j] += h * size[t] * H[j] * d - h * g[j] - g[i] * size[t] * H[j]
        shift[t], loss[t] = 0.0, 0.0
        for i in range(m):
            shift[t] += share[t, i] * r[i]
            for j in range(m):
                loss[t] += share[t, i] * N[i, j] * share[t, j]
    return alpha, q, shift, loss


@numba.njit(**OPTIONS)
def innovations(gaps, z, variance, size, orders, rates, squares):
    """Data L z with L Lᵀ = K, (n,): what the filter would have met with residuals z √total."""
    n, m = z.size, orders.sum()
    _, total, share = forward(gaps, z, variance, size, orders, rates, squares)
    H, unused, A = np.zeros(m), np.zeros((m, m)), np.zeros((m, m))
    start(orders, squares, unused, H)
    a, b, y = np.zeros(m), np.zeros(m), np.empty(n)
    for t in range(n):
        if t:
            move(orders, rates, gaps[t - 1], A)
            for i in range(m):
                b[i] = 0.0
                for j in range(m):
                    b[i] += A[i, j] * a[j]
            for i in range(m):
                a[i] = b[i]
        y[t] = np.sqrt(max(total[t], 0.0)) * z[t]
        for i in range(m):
            y[t] += size[t] * H[i] * a[i]
        if total[t] > TINY * squares[0]:
            for i in range(m):
                a[i] += share[t, i] * z[t] / np.sqrt(total[t])
    return y
