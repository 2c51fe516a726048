"""What it costs to record accepted moves alone: over many runs, and by quadrature.

A chain that records a state only when a move was accepted has the density π(x) a(x), where a(x) is
the chance that a move from x is accepted:

    a(x) = ∫ N(d; 0, s²) min(1, π(x + d) / π(x)) dd

a is largest around the top of π, where moves lead down, so that the variance comes out too small.
One run of 50 000 steps does not show it; many do, and so does the integral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.posterior import dataset
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.metropolis.samplers import PROPOSAL, chain_of
from bayesinf.systems.metropolis.targets import Target, normal

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COVARIANCE", "MEAN", "accepted_only", "mistake"]

MEAN = np.array([1.0, 1.0])
COVARIANCE = np.array([[0.05, 0.02], [0.02, 0.05]])
RUNS, STEPS = 200, 50_000
LAGS = 1000  # of the autocorrelation that is drawn
REACH = 6.0  # sds of target and proposal, out to which is integrated
NODES = 97  # along each axis, odd


def accepted_only(
    covariance: np.ndarray = COVARIANCE, proposal: float = PROPOSAL, nodes: int = NODES
) -> tuple[np.ndarray, float]:
    """Integrate what accepted moves alone would say of a normal in two dimensions.

    Parameters
    ----------
    covariance : of the normal, (2, 2).
    proposal : variance of the proposal in each coordinate.
    nodes : along each axis of target and proposal.

    Returns
    -------
    the covariance under π a, (2, 2), and the share of moves that are accepted, ∫ π a.
    """
    root, precision = np.linalg.cholesky(covariance), np.linalg.inv(covariance)
    z = np.linspace(-REACH, REACH, nodes)
    weight = np.exp(-0.5 * z**2)
    weight /= weight.sum()
    # The trapezoidal rule is exact to rounding for a normal; the kink at a ratio of one costs
    # more, and the nodes of x and d are many enough for six digits of it.
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    share = np.multiply.outer(weight, weight).ravel()
    steps = np.sqrt(proposal) * grid
    down = 0.5 * np.einsum("di,ij,dj->d", steps, precision, steps)
    half = grid[: len(grid) // 2 + 1]  # a(−x) = a(x)
    chance = np.empty(len(grid))
    for first in range(0, len(half), 256):
        x = half[first : first + 256] @ root.T
        fall = x @ precision @ steps.T + down
        chance[first : first + len(x)] = np.exp(-np.maximum(fall, 0.0)) @ share
    chance[len(half) :] = chance[: len(grid) - len(half)][::-1]
    taken = share * chance
    accepted = float(taken.sum())
    x = grid @ root.T
    return (x * (taken / accepted)[:, None]).T @ x, accepted


def mistake(
    runs: int = RUNS,
    steps: int = STEPS,
    covariance: np.ndarray = COVARIANCE,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Run Metropolis' rule many times, and record its states rightly and wrongly.

    Parameters
    ----------
    runs, steps : how many runs, and how long each is.
    covariance : of the normal, about (1, 1).
    settings : seed, and workers.

    Returns
    -------
    Dataset over ``run``: ``variance`` of the first coordinate by each ``rule``, its ``integral``
    (what each rule leads to), the ``acceptance`` and that of the integral, and of the first run the
    autocorrelation over ``lag`` with its time, and a stretch of the chain.
    """
    target = normal(MEAN, covariance, ("x", "y"))
    rngs = [settings.generator("mistake", k) for k in range(runs)]
    jobs = [(target, steps, rng) for rng in rngs]
    found = parallel.map(
        _counted, jobs, workers=settings.workers, threads=True, label="Metropolis, many times"
    )
    values, rates, memories = zip(*found, strict=True)
    wrong, accepted = accepted_only(covariance)
    chain, _ = _begun(target, steps, settings.generator("mistake", 0))
    lags = min(LAGS, steps // 10)
    return dataset(
        {
            "variance": np.array(values),
            "integral": np.array([covariance[0, 0], wrong[0, 0]]),
            "acceptance": np.array(rates),
            "acceptance_integral": np.float64(accepted),
            "autocorrelation_time": np.array(memories),
            "autocorrelation": _autocorrelation(chain[:, 0])[:lags],
            "chain": chain[:2000],
            "steps": np.int64(steps),
            "proposal": np.float64(PROPOSAL),
            "covariance": covariance,
        },
        {
            "variance": ("run", "rule"),
            "integral": ("rule",),
            "acceptance": ("run",),
            "autocorrelation_time": ("run",),
            "autocorrelation": ("lag",),
            "chain": ("step", "coordinate"),
            "covariance": ("coordinate", "other"),
        },
        {"rule": ["every step", "accepted moves alone"], "lag": np.arange(lags)},
        {"autocorrelation_time": "steps", "lag": "steps"},
        sampled=False,
    )


def _begun(target: Target, steps: int, rng):
    """A chain that begins in its own density, so that nothing of it is thrown away."""
    covariance = np.linalg.inv(target.known[2:].reshape(2, 2))
    start = target.mean + np.linalg.cholesky(covariance) @ rng.standard_normal(2)
    return chain_of(target, start, np.sqrt(PROPOSAL) * np.eye(2), steps, rng)


def _counted(job):
    """Variance of the first coordinate by both rules, acceptance, autocorrelation time."""
    import emcee

    from bayesinf.systems.metropolis import kernel

    target, steps, rng = job
    chain, accepted = _begun(target, steps, rng)
    found = np.empty((2, 2))
    kernel.variances(chain, accepted, found)
    time = emcee.autocorr.integrated_time(chain[:, :1], tol=0, quiet=True)[0]
    return found[:, 0], accepted.mean(), time


def _autocorrelation(values):
    import emcee

    return emcee.autocorr.function_1d(values)
