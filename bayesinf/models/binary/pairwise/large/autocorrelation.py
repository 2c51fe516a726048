"""For how long Markov chains remember: integrated autocorrelation times of chosen series.

Chains of binary states are slow in few directions: the energy, the number of sites that are on, the
strongest mode of the couplings. ``longest_time`` watches these, some random projections and some
single sites, and returns the longest autocorrelation time among them.
"""

from __future__ import annotations

import numpy as np

from bayesinf import parallel
from bayesinf.models.binary import matrix
from bayesinf.models.binary.pairwise.enumeration import unpack
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning

__all__ = ["autocorrelation_time", "longest_time", "watched_series"]


def autocorrelation_time(series: np.ndarray, tuning: Tuning = DEFAULT) -> np.ndarray:
    """Return integrated autocorrelation times of series that several chains have drawn.

        τ = 1 + 2 Σ_{t=1}^{W} ρ(t),   W the smallest with W ≥ 5 τ

    All chains share one mean, so chains that stay apart count as correlated.

    Parameters
    ----------
    series : (series, chain, draw).

    Returns
    -------
    τ in draws, (series,); 1 for a constant.

    References
    ----------
    Sokal, in: Functional Integration (Plenum, 1997), 131, doi:10.1007/978-1-4899-0319-8_6.
    """
    from scipy import fft

    length = series.shape[-1]
    centred = series - series.mean(axis=(1, 2), keepdims=True)
    padded = fft.next_fast_len(2 * length, real=True)
    spectrum = fft.rfft(centred, padded, axis=-1)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=1)
    covariance = fft.irfft(power, padded, axis=-1)[:, :length]
    variance = covariance[:, :1]
    mean_square = np.mean(series**2, axis=(1, 2))[:, None] * length
    varies = variance > 1e-20 * mean_square
    rho = np.where(varies, covariance / np.where(varies, variance, 1.0), 0.0)
    rho[:, 0] = 1.0
    times = 2 * np.cumsum(rho, axis=-1) - 1
    too_short = np.arange(length) < tuning.window_times * times
    window = np.where(too_short.all(axis=-1), length - 1, np.argmin(too_short, axis=-1))
    return times[np.arange(len(times)), window]


def longest_time(states: np.ndarray, theta: np.ndarray, tuning: Tuning = DEFAULT) -> float:
    """Return the longest autocorrelation time, in draws, of states (chain, draw, site) at θ."""
    with parallel.one_blas_thread():
        times = autocorrelation_time(watched_series(states, theta, tuning), tuning)
    return float(max(1.0, times.max()))


def watched_series(states: np.ndarray, theta: np.ndarray, tuning: Tuning = DEFAULT) -> np.ndarray:
    """Return series (series, chain, draw) of states (chain, draw, site), the energy last.

    The others are projections on: all sites alike, the leading eigenvector of the couplings, random
    directions, single sites.
    """
    chains, draws, sites = states.shape
    h, J = unpack(theta)
    J = matrix(J, sites)
    rng = np.random.default_rng(0)  # the same directions whenever there are as many sites
    some = rng.choice(sites, min(tuning.watched, sites), replace=False)
    leading = np.linalg.eigh(J)[1][:, -1]
    random = rng.standard_normal((sites, tuning.watched))
    directions = [np.ones(sites), leading, random, np.eye(sites)[:, some], h, J]
    directions = np.column_stack(directions)
    result = np.empty((directions.shape[1] - sites, chains, draws))
    for chain in range(chains):  # one by one, as doubles take eight times the memory of int8
        part = states[chain].astype(float)
        projected = part @ directions
        result[:-1, chain] = projected[:, : -sites - 1].T
        fields = projected[:, -sites - 1]
        result[-1, chain] = fields + 0.5 * np.sum(projected[:, -sites:] * part, axis=1)
    return result
