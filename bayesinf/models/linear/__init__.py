"""The linear family: y = Xβ (+ intercept) + ε with a prior on β that shrinks or selects.

``regression`` states the problem and ``fit`` its posterior, ``predict`` follows it to new features.
``definition`` holds the problem and its model in PyMC; ``routes`` lead to draws: ``exact`` (normal
prior), ``gibbs`` (Laplace, horseshoe), ``spike`` (spike and slab), and NUTS for every continuous
prior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import problem as driver
from bayesinf.models.linear.definition import Regression, regression
from bayesinf.models.linear.priors import (
    PRIORS,
    CoefficientPrior,
    Horseshoe,
    Laplace,
    Normal,
    SpikeAndSlab,
)
from bayesinf.posterior import dataset
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PRIORS", "CoefficientPrior", "Horseshoe", "Laplace", "Normal", "Regression",
           "SpikeAndSlab", "fit", "predict", "regression"]  # fmt: skip


def fit(
    X: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    prior: str | CoefficientPrior = "normal",
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options,
) -> xr.DataTree:
    """Fit a linear model; the answer is its posterior.

        y = X β (+ intercept) + ε,   ε ~ N(0, σ²)

    Parameters
    ----------
    X, y : features (observation, feature) and data (observation,), arrays or DataArrays.
    prior : ``normal``, ``laplace``, ``spike_and_slab``, ``horseshoe``, or an instance of one of the
        classes with scales of the caller's.
    method : None for the prior's own route (``exact`` or ``gibbs``), or ``nuts``.
    settings : length and seed.
    **options : as for ``regression``: ``noise``, ``intercept``, ``name``, ...

    Returns
    -------
    InferenceData with the posterior of the coefficients, ``sigma``, the prior's hyperparameters,
    and ``included`` (0/1) where there is a spike. What the caller has fixed stands in
    ``constant_data``.

    Raises
    ------
    DataError : shapes that do not fit, values that are not finite, nothing that varies.
    FitError : the prior and the method do not go together.
    """
    return driver.fit(regression(X, y, prior, **options), method, settings)


def predict(
    posterior: xr.DataTree, X: np.ndarray, *, name: str = "beta", settings: Settings = DEFAULT
) -> xr.Dataset:
    """Predict data at new features.

    Parameters
    ----------
    posterior : what ``fit`` returned.
    X : features, (observation, feature), in the order of the fit.
    name : what the coefficients are called in it.
    settings : its seed.

    Returns
    -------
    Dataset with draws of the noise-free ``mean`` and of the data, under their name in the fit,
    (chain, draw, held_out).
    """
    draws = posterior["posterior"]
    mean = draws[name].values @ np.asarray(X, dtype=float).T
    if "intercept" in draws:
        mean = mean + draws["intercept"].values[..., np.newaxis]
    source = draws if "sigma" in draws else posterior["constant_data"]
    sigma = np.broadcast_to(source["sigma"].values, mean.shape[:2])[..., np.newaxis]
    new = mean + sigma * settings.generator("predictions").standard_normal(mean.shape)
    observed = next(iter(posterior["observed_data"].data_vars.values()))
    arrays = {"mean": mean, observed.name: new}
    return dataset(
        arrays,
        dict.fromkeys(arrays, ("held_out",)),
        {"held_out": np.arange(mean.shape[-1])},
        dict.fromkeys(arrays, observed.attrs["units"]),
    )
