"""The classical side: least squares, ridge and lasso; maximum likelihood with a link."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import linear
from bayesinf.posterior import dataset
from bayesinf.systems.regression.design import Design

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "of_design"]

FOLDS = 5
PENALTIES = np.logspace(-4, 4, 33)  # of ridge, times the number of rows


def classical(
    table: xr.Dataset, formula: str | None = None, *, response: str = "normal"
) -> xr.Dataset:
    """Estimate the coefficients of the plain columns without a prior.

    Parameters
    ----------
    table, formula, response : as of ``fit``.

    Returns
    -------
    Dataset over ``feature``: ``ols``, ``ridge`` and ``lasso`` of standardised columns, their
    penalties by leaving out one row, and a fifth of the rows; for counts and outcomes ``ml``,
    maximum likelihood, none of outcomes with an offset; for counts that scatter more
    ``quasi_poisson``, that of Poisson's, which is right on average whatever the scatter. Curves
    enter as straight lines, groups as categories, and slopes by group not at all.
    """
    return of_design(table, Design(table, formula or table.attrs["formula"]), response)


def of_design(table: xr.Dataset, design: Design, response: str) -> xr.Dataset:
    """The same of a formula's columns."""
    lines = design.lines()
    own = design.columns()[:, : len(design.plain)]
    groups = [table[n].values[:, np.newaxis] == v[1:] for n, v in design.levels.items()]
    columns = np.column_stack([own, *lines.values(), *groups])
    spread = columns.std(axis=0)
    Z = columns / np.where(spread > 0, spread, 1.0)
    y, error = design.target.values, table.attrs.get("error")
    weight = np.ones(len(y)) if not error else table[error].values ** -2.0
    weight = weight / weight.mean()
    with (
        warnings.catch_warnings()
    ):  # of penalties at the end of the path, and of separated outcomes
        warnings.simplefilter("ignore")
        fits = (
            _linked(Z, y, response, design)
            if response in linear.LINKS
            else (_linear(Z, y, weight, design))
        )
    names = [*design.plain, *lines]
    scale = np.where(spread > 0, spread, 1.0)[: len(names)]
    arrays = {name: found[: len(names)] / scale + 0.0 for name, found in fits.items()}
    dims = dict.fromkeys(arrays, ("feature",))
    return dataset(arrays, dims, {"feature": names}, sampled=False)


def _linear(Z, y, weight, design):
    from sklearn.linear_model import LassoCV, RidgeCV

    root = np.sqrt(weight)[:, np.newaxis]
    centre = np.average(Z, axis=0, weights=weight) if design.intercept else 0.0
    middle = np.average(y, weights=weight) if design.intercept else 0.0
    least = np.linalg.lstsq((Z - centre) * root, (y - middle) * root[:, 0], rcond=None)[0]
    options = {"fit_intercept": design.intercept}
    found = {"ols": least}
    if len(y) >= 2 * FOLDS:
        ridge = RidgeCV(PENALTIES * len(y), **options).fit(Z, y, sample_weight=weight)
        lasso = LassoCV(cv=FOLDS, random_state=0, **options).fit(Z, y, sample_weight=weight)
        found |= {"ridge": ridge.coef_, "lasso": lasso.coef_}
    return found


def _linked(Z, y, response, design):
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    offset, weight, name = design.offset(), None, "ml"
    if response in ("poisson", "negbinomial"):
        name = "ml" if response == "poisson" else "quasi_poisson"
        model = PoissonRegressor(alpha=0.0, fit_intercept=design.intercept, max_iter=1000)
        if offset is not None:  # counts by exposure are rates with the exposure as their weight
            weight = np.exp(offset - np.max(offset))
            y = y / weight
    elif offset is not None:
        return {}
    else:
        model = LogisticRegression(C=np.inf, fit_intercept=design.intercept, max_iter=1000)
        if response == "binomial":  # each row as one that succeeds and one that does not, weighed
            trials = design.table[design.table.attrs["trials"]].values
            weight = np.concatenate([y, trials - y])
            Z, y = np.concatenate([Z, Z]), np.repeat([1.0, 0.0], len(y))
    return {name: np.ravel(model.fit(Z, y, sample_weight=weight).coef_)}
