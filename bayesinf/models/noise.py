"""The measurement: y = mean + ε with normal noise, shared by every family that has it.

A family brings draws of the mean and of the noise's standard deviation; from these follow the
replicated data, the pointwise log likelihood and the discrepancies, that is the statistics T(y, θ)
of the data and of their replicas from which posterior predictive p-values are read (Gelman, Meng &
Stern 1996). They are stored beside the replicas, so a posterior can be checked from its file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

# Takes y, the mean and the noise, broadcast to (..., observation), and drops the last axis.
Discrepancy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _in_units_of_their_spread(y, mean, noise):
    """Residuals over the noise, divided by their own rms.

    So the shape of the residuals is judged and not their size, which an inferred noise follows
    anyway; with stated error bars ``chi_square`` judges the size.
    """
    z = (y - mean) / noise
    rms = np.sqrt(np.mean(z * z, axis=-1, keepdims=True))
    return z / np.maximum(rms, np.finfo(float).tiny)


def largest_residual(y, mean, noise):
    """Largest absolute residual, in units of their rms: outliers show here."""
    return np.max(np.abs(_in_units_of_their_spread(y, mean, noise)), axis=-1)


def residual_skewness(y, mean, noise):
    """Third moment of the residuals, in units of their rms: lopsided noise shows here."""
    z = _in_units_of_their_spread(y, mean, noise)
    return np.mean(z * z * z, axis=-1)


def residual_memory(y, mean, noise):
    """Mean product of neighbouring residuals over the noise: a trend left over shows here."""
    z = (y - mean) / noise
    return np.mean(z[..., 1:] * z[..., :-1], axis=-1)


def chi_square(y, mean, noise):
    """Sum of squared standardised residuals: wrongly stated error bars show here."""
    return np.sum(((y - mean) / noise) ** 2, axis=-1)


RESIDUALS: Mapping[str, Discrepancy] = {
    "largest residual": largest_residual,
    "residual skewness": residual_skewness,
}


def log_density(y, mean, noise):
    """Pointwise log density of y under N(mean, noise²), normalised."""
    return -0.5 * ((y - mean) / noise) ** 2 - np.log(noise) - 0.5 * np.log(2 * np.pi)


def predictive_groups(
    y: np.ndarray,
    mean: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
    *,
    dim: str,
    coords: Mapping[str, object] | None = None,
    units: str = "1",
    name: str = "y",
    discrepancies: Mapping[str, Discrepancy] = RESIDUALS,
) -> dict[str, object]:
    """Groups that say how the data look under the posterior.

        y_rep = mean + noise z,  z ~ N(0, 1);   log_likelihood = log N(y; mean, noise²)

    Parameters
    ----------
    y : data, (observation,).
    mean : draws of the mean, (chain, draw, observation).
    noise : draws of the noise's sd, (chain, draw) or, where it is known, (observation,).
    rng : generator of the replicas.
    dim : name of the observation's dimension.
    coords, units : coordinates of that dimension, and the unit of y.
    name : name of the variable.
    discrepancies : name to T(y, mean, noise).

    Returns
    -------
    ``posterior_predictive`` with the replicas, ``log_likelihood``, and ``sample_stats`` with, over
    the dimension ``statistic``, the discrepancies of the replicas (``discrepancy``) and of the data
    (``discrepancy_observed``).
    """
    from bayesinf.posterior import dataset

    noise = noise[..., np.newaxis] if noise.ndim == 2 else noise
    replicas = mean + noise * rng.standard_normal(mean.shape)
    evaluate = lambda data: np.stack(
        [statistic(data, mean, noise) for statistic in discrepancies.values()], axis=-1
    )
    return {
        "posterior_predictive": dataset({name: replicas}, {name: (dim,)}, coords, {name: units}),
        "log_likelihood": dataset({name: log_density(y, mean, noise)}, {name: (dim,)}, coords),
        "sample_stats": dataset(
            {"discrepancy": evaluate(replicas), "discrepancy_observed": evaluate(y)},
            {"discrepancy": ("statistic",), "discrepancy_observed": ("statistic",)},
            {"statistic": list(discrepancies)},
        ),
    }
