"""The linear family: y = Xf + Zα + ε, where f has a prior that shrinks, selects or smooths.

``regression`` (of ``stating``) states the problem and ``fit`` its posterior, ``predict`` follows it
to new features, ``evidences`` compares several. ``definition`` holds the problem and its model in
PyMC, ``basis`` the structure that a prior may give to f (differences, kernels, splines), and
``design`` the plain form t = Aβ + Zα + σε in which the routes see it: ``exact`` (normal prior),
``gibbs`` (Laplace, Student, horseshoe), ``spike`` (spike and slab), and NUTS for every continuous
prior. Where groups share the prior's scale, ``shared`` stands in for ``exact`` and ``blocks`` for
``gibbs``; ``common`` adds one angle that all of them have in common. ``generalised`` has other
responses (Student, counts, outcomes); they, and priors of several terms, are sampled by ``joint``,
whose evidence ``weighed`` estimates. ``splines`` lays the columns of a smooth curve, ``updating``
adds data to a fit and combines fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import likelihoods
from bayesinf.models import problem as driver
from bayesinf.models.linear.basis import Basis, covariance, differences, precision
from bayesinf.models.linear.definition import Regression
from bayesinf.models.linear.design import Rest, compressed
from bayesinf.models.linear.evidence import evidences
from bayesinf.models.linear.generalised import LINKS, RESPONSES, Generalised, generalised
from bayesinf.models.linear.splines import Smooth, smooth
from bayesinf.models.linear.stating import PRIORS, regression
from bayesinf.models.linear.truncated import Nonnegative, nonnegative
from bayesinf.models.linear.updating import combine, update
from bayesinf.models.linear.varying import Varying, varying
from bayesinf.models.linear.weighed import log_evidence
from bayesinf.posterior import dataset
from bayesinf.priors.terms import Terms
from bayesinf.priors.weights import (
    Flat,
    Gaussian,
    Horseshoe,
    Laplace,
    SpikeAndSlab,
    Student,
    WeightPrior,
)
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LINKS",
    "PRIORS",
    "RESPONSES",
    "Basis",
    "Flat",
    "Gaussian",
    "Generalised",
    "Horseshoe",
    "Laplace",
    "Nonnegative",
    "Regression",
    "Rest",
    "Smooth",
    "SpikeAndSlab",
    "Student",
    "Terms",
    "Varying",
    "WeightPrior",
    "combine",
    "compressed",
    "covariance",
    "differences",
    "evidences",
    "fit",
    "generalised",
    "log_evidence",
    "nonnegative",
    "precision",
    "predict",
    "regression",
    "smooth",
    "update",
    "varying",
]


def fit(
    X: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    prior: str | WeightPrior = "normal",
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options: Any,
) -> xr.DataTree:
    """Fit a linear model; the answer is its posterior.

        y = X β (+ intercept) + ε,   ε ~ N(0, σ²)

    Parameters
    ----------
    X, y : features (observation, feature) and data (observation,), arrays or DataArrays.
    prior : ``normal``, ``flat``, ``laplace``, ``student``, ``spike_and_slab``, ``horseshoe``, or an
        instance of one of the classes with scales of the caller's.
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
    posterior: xr.DataTree,
    X: np.ndarray,
    *,
    name: str = "beta",
    unshrunk: Mapping[str, np.ndarray] | None = None,
    error: np.ndarray | float = 1.0,
    groups: np.ndarray | None = None,
    trials: np.ndarray | float = 1.0,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Predict data at new features.

    Parameters
    ----------
    posterior : what ``fit`` returned.
    X : features, (observation, feature), in the order of the fit.
    name : what the coefficients are called in it.
    unshrunk : name to new column, (observation,), of every unshrunk coefficient but the intercept.
    error : known part of the noise, (observation,), where the fit had one.
    groups : label of each new row, (observation,), where the fit had groups.
    trials : of each new row, (observation,), where the response is binomial.
    settings : its seed.

    Returns
    -------
    Dataset with draws of the noise-free ``mean`` (of a rate or a chance, where the response is
    counts or yes and no) and of the data, under their name in the fit,
    (chain, draw, held_out).

    Raises
    ------
    DataError : a column is missing, or a group that the fit does not know.
    """
    draws = posterior["posterior"].to_dataset()
    known = posterior["constant_data"].to_dataset()
    columns = {k: np.asarray(v, dtype=float) for k, v in (unshrunk or {}).items()}
    held = map(str, known.data_vars)
    asked = {k.removesuffix("_column") for k in held if k.endswith("_column")}
    if name not in draws or draws[name].ndim < 3:
        raise FitError(
            f"the posterior has no coefficients {name!r} along features: it is of another model, "
            "or they have another name, which is said by name="
        )
    if set(columns) != asked:
        raise DataError(
            "the columns are not those of the fit",
            where="unshrunk",
            expected=", ".join(sorted(asked)) or "none",
            found=", ".join(sorted(columns)) or "none",
        )
    X = np.asarray(X, dtype=float)
    codes = _codes(draws[name], groups, len(X), "group_of_row" in known)
    of_rows = (lambda v: v[..., np.newaxis]) if codes is None else (lambda v: v[..., codes])
    f = draws[name].values
    mean = f @ X.T if codes is None else np.einsum("cdrf,rf->cdr", f[..., codes, :], X)
    columns |= {"intercept": np.ones(len(X))} if "intercept" in draws else {}
    for each, column in columns.items():
        mean = mean + of_rows(draws[each].values) * column
    law = RESPONSES[posterior.attrs.get("likelihood", "normal")]
    link = LINKS.get(law.name)
    mean = mean if link is None else link.inverse(mean)
    own = ("noise_dof", "noise_excess")
    scatter = {n: draws[n].values[..., np.newaxis] for n in own if n in draws}
    if law is likelihoods.Binomial:
        scatter[likelihoods.TRIALS] = np.broadcast_to(trials, len(X))
        mean = trials * mean
    if law.noisy:
        sigma = of_rows(draws["sigma"].values) if "sigma" in draws else known["sigma"].values
        scatter["noise"] = sigma * error
    observed = next(iter(posterior["observed_data"].data_vars.values()))
    kind = law.of(np.arange(observed.size), observed.values)
    new = kind.draw(mean, scatter, settings.generator("predictions"))
    arrays = {"mean": mean, str(observed.name): new}
    return dataset(
        arrays,
        dict.fromkeys(arrays, ("held_out",)),
        {"held_out": np.arange(mean.shape[-1])},
        dict.fromkeys(arrays, observed.attrs["units"]),
    )


def _codes(coefficients, groups, count, expected):
    """Position of each new row's group in the fit; None where it has no groups."""
    if (groups is not None) != expected:
        said = "one label a row", "none"
        raise DataError(
            "the groups are not those of the fit",
            expected=said[not expected],
            found=said[groups is None],
        )
    if groups is None:
        return None
    labels = coefficients[coefficients.dims[2]].values
    codes = {label: k for k, label in enumerate(labels.tolist())}
    asked = np.asarray(groups).tolist()
    unknown = [label for label in asked if label not in codes]
    if unknown or len(asked) != count:
        raise DataError(
            "the groups are not those of the fit",
            expected=f"{count} labels among {', '.join(map(str, labels[:5]))}, ...",
            found=f"{len(asked)} labels" if not unknown else unknown[0],
        )
    return np.array([codes[label] for label in asked])
