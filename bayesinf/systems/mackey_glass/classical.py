"""The classical side: ridge and lasso on the rows that the posterior learns from."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, dataset
from bayesinf.systems.mackey_glass.model import readout

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "with_classical"]

PENALTIES = np.logspace(-10, 2, 13)  # of ridge, per row, among which cross-validation chooses
FOLDS = 5


def classical(
    series: xr.Dataset, features: str = "lags", *, lasso: bool | None = None, **options
) -> xr.Dataset:
    """Fit ridge and lasso, their penalties by cross-validation on blocks of the past.

    Parameters
    ----------
    series, features : as of ``fit``.
    lasso : whether to; by default of lags alone, as it takes long on hundreds of features.
    **options : ``ahead``, ``every``, ``held_out`` and those of the features, as of ``fit``.

    Returns
    -------
    a Dataset over ``estimator``: ``rmse`` and ``r_squared`` of the held-out targets, and ``weight``
    (estimator, feature).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LassoCV, RidgeCV
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    stated = readout(series, features, **options)
    (X, target), (of_test, later) = stated.learnt(), stated.tested()
    y, came = (stated.values.values[places] for places in (target, later))
    folds = KFold(FOLDS)  # neighbours in time are left out together
    sides = {"ridge": RidgeCV(PENALTIES * len(y), cv=folds)}
    if lasso or (lasso is None and features == "lags"):
        sides["lasso"] = LassoCV(alphas=30, cv=folds, max_iter=1000, tol=1e-3)
    rows = []
    for side in sides.values():
        with warnings.catch_warnings():
            # The lasso stops short where neighbouring lags are nearly one, at no worse a forecast.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = make_pipeline(StandardScaler(), side).fit(X, y)
        error = found.predict(of_test) - came
        weight = side.coef_ / found[0].scale_
        rows.append((np.sqrt(np.mean(error**2)), 1 - np.mean(error**2) / np.var(came), weight))
    rmse, share, weight = (np.array(part) for part in zip(*rows, strict=True))
    unit = stated.values.attrs["units"]
    return dataset(
        {"rmse": rmse, "r_squared": share, "weight": weight},
        {
            "rmse": ("estimator",),
            "r_squared": ("estimator",),
            "weight": ("estimator", "feature"),
        },
        {"estimator": list(sides), "feature": stated.features.labels},
        {"rmse": unit, "weight": "1" if stated.features.scale == 1.0 else unit},
        sampled=False,
    )


def with_classical(
    fit: xr.DataTree,
    series: xr.Dataset,
    features: str = "lags",
    *,
    still: xr.Dataset | None = None,
    **options,
) -> xr.DataTree:
    """Put the classical answer beside a fit of the same features, and that of ridge of the same
    series without noise, where there is one.
    """
    notes = {"classical": classical(series, features, **options)}
    if still is not None:
        notes["still"] = classical(still, features, lasso=False, **options)
    return annotated(fit, **notes)
