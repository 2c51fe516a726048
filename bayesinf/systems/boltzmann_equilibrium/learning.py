"""How the classical recipe learns: gradient ascent of fixed rate, and Newton's method beside it.

    θ ← θ + η (⟨φ⟩_data − ⟨φ⟩_θ),   φ = (s_i, s_i s_j),   from θ = 0

Gradient and log likelihood are exact here, by enumeration, so what is seen is the recipe alone: how
many steps a rate takes, and what is lost by stopping early. Nothing is gained by climbing further
once the log likelihood of a state is within P/2M of its top (P parameters, M states): the truth
itself lies that far below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.models import binary
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ITERATIONS", "RATES", "SITES", "gradient_ascent", "learning_study", "newton_ascent"]

SITES = 5
RATES = (0.01, 0.05, 0.1)
SIZES = (50_000, 100_000, 200_000, 500_000, 1_000_000)
ITERATIONS = 1000
NEWTON = 12  # steps, more than it takes
REPEATS = 50  # data sets of each size


def gradient_ascent(
    statistics: np.ndarray, rate: float | np.ndarray, iterations: int, encoding: str = "±1"
) -> tuple[np.ndarray, np.ndarray]:
    """Climb the log likelihood from zero by steps of a fixed rate.

    Parameters
    ----------
    statistics : means and pair moments of the data, (..., parameter).
    rate : η, a number or (...).
    iterations : how many steps.
    encoding : "±1" or "0/1".

    Returns
    -------
    parameters after the last step, (..., parameter), and the log likelihood of a state before the
    first step and after each, (..., iteration + 1).
    """
    theta = np.zeros_like(statistics, dtype=float)
    height = np.empty((*theta.shape[:-1], iterations + 1))
    rate = np.asarray(rate, dtype=float)[..., None]
    for step in range(iterations + 1):
        log_z, expected = enumeration.expectations(theta, encoding)
        height[..., step] = np.sum(theta * statistics, axis=-1) - log_z
        if step < iterations:
            theta = theta + rate * (statistics - expected)
    return theta, height


def newton_ascent(
    statistics: np.ndarray, steps: int = NEWTON, encoding: str = "±1"
) -> tuple[np.ndarray, np.ndarray]:
    """Climb the same way by Newton's steps, halved until they climb, for few sites.

        θ ← θ + t F⁻¹ (⟨φ⟩_data − ⟨φ⟩_θ)

    Parameters
    ----------
    statistics : (parameter,), of data in which every pair shows all of its four combinations.
    steps, encoding : as for ``gradient_ascent``.

    Returns
    -------
    parameters (parameter,) and log likelihoods (step + 1,).
    """
    theta, height = np.zeros_like(statistics, dtype=float), np.empty(steps + 1)

    def level(theta):
        return theta @ statistics - enumeration.log_partition(theta, encoding)

    for step in range(steps + 1):
        height[step] = level(theta)
        if step < steps:
            _, expected, fisher = enumeration.curvature(theta, encoding)
            move = np.linalg.solve(fisher, statistics - expected)
            while level(theta + move) < height[step] - 1e-12:
                move = 0.5 * move
            theta = theta + move
    return theta, height


def learning_study(settings: Settings = DEFAULT, repeats: int = REPEATS) -> xr.Dataset:
    """Learn simulated populations of known fields and couplings, h, J ~ N(0, 1/N), N = 5.

    Parameters
    ----------
    settings : for its seed.
    repeats : data sets of each size.

    Returns
    -------
    a Dataset over ``rate``, ``size``, ``step`` and ``method`` (each rate, and Newton's method) with

    ``truth`` (parameter), ``inferred`` (method, parameter) : at the largest size
    ``log_likelihood`` (rate, iteration), ``newton`` (step) : of a state, at the largest size
    ``error`` (method, size, repeat) : root mean square over the parameters
    ``expected`` (size) : the same as the Fisher information has it, √(tr F⁻¹ / P M)
    ``exponent``, ``exponent_se`` (method) : of error ∝ M^exponent, by least squares of logarithms
    """
    from bayesinf.posterior import dataset

    rng, pairs = settings.generator("learning"), SITES * (SITES - 1) // 2
    truth = SITES**-0.5 * rng.standard_normal(SITES + pairs)
    _, p = enumeration.probabilities(truth, "±1")

    def drawn(size):
        share = enumeration.sample(p, size, rng) / size
        return enumeration.statistics(enumeration.products(share, "±1"))

    seen = np.array([[drawn(size) for _ in range(repeats)] for size in SIZES])
    with parallel.one_blas_thread():
        rates = np.broadcast_to(np.reshape(RATES, (-1, 1, 1)), (len(RATES), *seen.shape[:2]))
        by_rate, height = gradient_ascent(
            np.broadcast_to(seen, (len(RATES), *seen.shape)), rates, ITERATIONS
        )
        climbs = [[newton_ascent(one) for one in row] for row in seen]
        _, _, fisher = enumeration.curvature(truth, "±1")
    found = np.concatenate([by_rate, [[[theta for theta, _ in row] for row in climbs]]])
    error = np.sqrt(np.mean((found - truth) ** 2, axis=-1))
    slopes = np.array([_slope(np.log(SIZES), np.log(of)) for of in error])
    i, j = binary.pairs(SITES)
    names = [f"h[{k}]" for k in range(SITES)]
    names += [f"J[{a}, {b}]" for a, b in zip(i, j, strict=True)]
    arrays = {
        "truth": truth,
        "inferred": found[:, -1, 0],
        "log_likelihood": height[:, -1, 0],
        "newton": climbs[-1][0][1],
        "error": error,
        "expected": np.sqrt(np.trace(np.linalg.inv(fisher)) / truth.size / np.array(SIZES)),
        "exponent": slopes[:, 0],
        "exponent_se": slopes[:, 1],
    }
    dims = {
        "truth": ("parameter",),
        "inferred": ("method", "parameter"),
        "log_likelihood": ("rate", "iteration"),
        "newton": ("step",),
        "error": ("method", "size", "repeat"),
        "expected": ("size",),
        "exponent": ("method",),
        "exponent_se": ("method",),
    }
    methods = [f"η = {rate:g}" for rate in RATES] + ["Newton"]
    coords = {"rate": list(RATES), "size": list(SIZES), "parameter": names, "method": methods}
    return dataset(arrays, dims, coords, sampled=False)


def _slope(x, y):
    """Slope and its standard error of y (size, repeat) against x (size,)."""
    x = np.repeat(x - np.mean(x), y.shape[1])
    y = y.ravel()
    slope = x @ y / (x @ x)
    rest = y - y.mean() - slope * x
    return slope, np.sqrt(rest @ rest / (y.size - 2) / (x @ x))
