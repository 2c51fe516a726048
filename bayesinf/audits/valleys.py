"""Draws of a curve's posterior where its valley is bent: population Monte Carlo along its floor."""

from __future__ import annotations

import numpy as np
import scipy

from bayesinf.audits.claims import climbed
from bayesinf.inference import population as monte_carlo
from bayesinf.models import curve
from bayesinf.models.curve.edges import beyond, box_shift
from bayesinf.models.curve.maximum import walked
from bayesinf.models.problem import Sample
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

__all__ = ["population"]

NODES = (3.0, 6.0, 12.0, 25.0, 50.0, 90.0)  # sd from the mode, where valleys are looked at
FAR = -12.0  # log density below the top's, where nobody goes farther
WIDER = 3.0  # than the curvature says: the component of a proposal that stays


def population(problem: curve.NonlinearRegression, settings: Settings) -> Sample:
    """Run independence Metropolis chains with a proposal fitted to the density.

    In standard deviations around the optimum, where a valley is bent the quickest of the ways.
    """
    theta, log_density = walked(problem)
    best = problem.optimum
    centre, root = best.theta, scipy.linalg.cholesky(best.covariance, lower=True) * best.scale
    if problem.inferred:
        centre = np.append(centre, np.log(best.scale))
        root = scipy.linalg.block_diag(root, 1 / np.sqrt(2 * best.dof))
    size = len(centre)

    def standardised(z):
        return log_density(centre + z @ root.T)

    found = monte_carlo.sample(
        standardised,
        *_along_valleys(standardised, size),
        [settings.generator("proposal"), *_chains(settings)],
        settings.draws,
        base=(np.zeros(size), WIDER**2 * np.eye(size)),
    )
    draws = theta(centre + found.draws @ root.T)
    flat = draws.reshape(-1, size)
    evidence = dataset(
        {
            "acceptance_rate": found.acceptance_rate,
            "efficiency": found.efficiency,
            "beyond": beyond(problem, flat),
            "box_shift": box_shift(problem, flat),
            "stated_shift": box_shift(problem, flat, stated=True),
        },
        {"acceptance_rate": ("chain",)}
        | dict.fromkeys(("beyond", "box_shift", "stated_shift"), ("fitted",)),
        {"chain": np.arange(settings.chains), "fitted": problem.free},
        sampled=False,
    )
    return Sample(problem.draws(draws), evidence)


def _along_valleys(log_density, size):
    """Centres and covariances of a first proposal: the top, and the floors of valleys around it.

    Along each axis, where all other coordinates follow, as far as there is density.
    """
    centres, covariances = [np.zeros(size)], [np.eye(size)]
    top = float(log_density(centres[0][None])[0])
    for i in range(size):
        for side in (-1.0, 1.0):
            at = np.zeros(size)
            for node in NODES:
                start = at.copy()
                start[i] = side * node
                if not np.isfinite(log_density(start[None])[0]):
                    break
                end, height = climbed(log_density, start, np.eye(size), held=i)
                if not height > top + FAR:
                    break
                half = (end - at) / 2
                centres.append(end)
                covariances.append(np.eye(size) + np.outer(half, half))
                at = end
    return centres, covariances


def _chains(settings):
    return [settings.generator("chain", chain) for chain in range(settings.chains)]
