"""Search over trial frequencies, compiled: how much of the data a period and its harmonics explain.

At each frequency the model is linear, y = level + Σ_k (a_k cos 2πkft + b_k sin 2πkft) + ε, so two
numbers of its normal equations give both what least squares asks (``power``) and, with normal
priors, the log evidence (``log_evidence``). A grid of frequencies is swept by all cores.
"""

from __future__ import annotations

import numpy as np

from bayesinf import parallel

__all__ = ["log_evidence", "power", "window"]

TASK = 64 * 256  # frequencies that a thread takes at a time


def power(
    t: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    start: float,
    step: float,
    count: int,
    harmonics: int = 1,
) -> np.ndarray:
    """Least-squares power of a grid of frequencies: 1 − χ²(f) / χ²(no period), with a free mean.

    Parameters
    ----------
    t, y, error : times, values and standard deviations of their noise, (point,).
    start, step, count : the frequencies start + k step, k < count, in cycles per unit of t.
    harmonics : of the period, 1 for a sine alone.

    Returns
    -------
    the power, between 0 and 1, (count,).

    References
    ----------
    Zechmeister & Kürster, Astron. Astrophys. 496, 577 (2009), doi:10.1051/0004-6361:200811296.
    """
    weight = 1 / np.square(error)
    centred = y - np.average(y, weights=weight)
    free = np.zeros((1, 2 * harmonics + 1))
    explained, _ = _swept(t, centred, weight, (start, step, count), free)
    return explained[0] / (weight @ centred**2)


def log_evidence(
    t: np.ndarray,
    y: np.ndarray,
    noise: np.ndarray,
    start: float,
    step: float,
    count: int,
    variances: np.ndarray,
    log_weights: np.ndarray,
    *,
    scaled: bool = False,
) -> np.ndarray:
    """Log evidence of a grid of frequencies under normal priors of level and amplitudes.

        log Σ_k w_k N(y; 0, S_k),   S_k = diag(noise²) + X diag(v_k) Xᵀ

    Where the noise is known up to a factor alone, each normal is N(y; 0, σ² S_k), integrated over
    log σ, but for a constant.

    Parameters
    ----------
    t, y : times, and values less the prior mean of the level, (point,).
    noise : standard deviation of each value, (point,).
    start, step, count : the frequencies, as for ``power``.
    variances : v, prior variances of level, cosines and sines, (node, 1 + 2 harmonics).
    log_weights : of the nodes of a quadrature over them, (node,).
    scaled : whether the noise, and with it the variances, is known up to a factor alone.

    Returns
    -------
    the log evidence, (count,), normalised unless ``scaled``.
    """
    weight = 1 / np.square(noise)
    explained, log_det = _swept(t, y, weight, (start, step, count), 1 / variances)
    constant = weight @ np.square(y) + np.sum(np.log(2 * np.pi / weight))
    log_det = log_det + np.sum(np.log(variances), axis=1)[:, np.newaxis]
    if scaled:
        each = -0.5 * (len(y) * np.log(weight @ np.square(y) - explained) + log_det)
    else:
        each = 0.5 * (explained - log_det - constant)
    return np.logaddexp.reduce(each + log_weights[:, np.newaxis], axis=0)


def window(t: np.ndarray, error: np.ndarray, start: float, step: float, count: int) -> np.ndarray:
    """Spectral window of a grid of frequencies: the power of data that are one throughout.

    Where it is high, periods hide behind each other: a cycle more or less between observations.

    Parameters
    ----------
    t, error : times and standard deviations of the noise, (point,).
    start, step, count : the frequencies, as for ``power``.

    Returns
    -------
    the power, between 0 and 1, (count,).
    """
    weight = 1 / np.square(error)
    without_mean = np.array([[1e30 * weight.sum(), 0.0, 0.0]])
    explained, _ = _swept(t, np.ones(len(t)), weight, (start, step, count), without_mean)
    return explained[0] / weight.sum()


def _swept(t, y, weight, grid, precision):
    """What the kernel finds at every frequency and for every row of precisions, (node, count)."""
    from bayesinf.systems.spectral_analysis import search_kernel as kernel

    start, step, count = grid
    t = t - 0.5 * (np.min(t) + np.max(t))  # small angles keep their digits
    angle = 2 * np.pi * step * np.multiply.outer(t, np.arange(kernel.BLOCK))
    turn, weighted = np.stack([np.cos(angle), np.sin(angle)]), weight * y
    found = np.empty((2, len(precision), count))

    def run(first):
        last = min(first + TASK, count)
        part = np.empty((2, len(precision), last - first))
        kernel.sweep(t, weight, weighted, start, step, first, last, turn, precision, *part)
        found[:, :, first:last] = part

    if count <= TASK:
        run(0)
    else:
        parallel.map(run, range(0, count, TASK), threads=True, label="searching")
    return found
