"""What a target has to do with the columns of a table.

    y_i ~ p(y | mean_i),   g(mean) = offset + intercept + Σ_j x_j β_j + Σ s(x) + Σ effect of a group

Plain columns share a prior that shrinks in units of their own spread: by default β_j · sd(x_j) ~
N(0, scale²), scale ~ half-Cauchy(sd(y) / √p). Each curve s(x) has a width of its own, and so have
the intercepts of each grouping and its slopes along a column, per standard deviation of it; the
intercept and the straight part of a curve are not shrunk. With plain columns alone and normal noise
the posterior is ``linear.regression``'s; all else is ``linear.generalised``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import loo
from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.noise import residual_memory
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.regression import results
from bayesinf.systems.regression.design import Design
from bayesinf.systems.regression.doubts import Doubts
from bayesinf.systems.regression.formula import quoted

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.priors.weights import WeightPrior

__all__ = ["PRIORS", "RESPONSES", "LeftOver", "compared", "fit", "predict", "problem"]

# The Bayesian lasso is Laplace's prior in units of the noise: Park & Casella, J. Am. Stat. Assoc.
# 103, 681 (2008), doi:10.1198/016214508000000337.
PRIORS = {
    "normal": linear.Gaussian(),
    "laplace": linear.Laplace(),
    "bayesian_lasso": linear.Laplace(relative=True),
    "horseshoe": linear.Horseshoe(),
    "spike_and_slab": linear.SpikeAndSlab(),
    "flat": linear.Flat(),
}
RESPONSES = tuple(linear.RESPONSES)
MOST_PRODUCTS = 100  # of columns, for which curvature and interactions are sought


@dataclass(frozen=True, eq=False)
class LeftOver:
    """Curvature or an interaction that the residuals still show.

        T = max_k |q_k · z| / |z|,   z = (y − mean) / noise

    with q_k the squares and products of columns, less what the model's own columns have of them,
    each of length one.

    Parameters
    ----------
    products : q, (observation, product).
    """

    products: np.ndarray

    @classmethod
    def of(cls, table: xr.Dataset, design: Design) -> LeftOver | None:
        """Lay out the products of a formula's columns of numbers; None where nothing is left."""
        numbers = [n for n in design.formula.features if table[n].dtype.kind != "U"]
        z = {n: (v := table[n].values) - v.mean() for n in numbers if n not in design.levels}
        words = [n for n in design.formula.features if table[n].dtype.kind == "U"]
        few = {n: np.unique(table[n].values) for n in words if n not in design.levels}
        for name, levels in few.items():
            for level in levels[1:]:
                column = (table[name].values == level).astype(float)
                z[f"{name} {level}"] = column - column.mean()
        columns = [c / (c.std() or 1.0) for c in z.values()][: int(np.sqrt(2 * MOST_PRODUCTS))]
        pairs = [a * b for k, a in enumerate(columns) for b in columns[k:]][:MOST_PRODUCTS]
        if not pairs:
            return None
        own = np.column_stack([np.ones(len(pairs[0])), design.columns(), *design.lines().values()])
        Q = np.linalg.svd(own, full_matrices=False)
        basis = Q[0][:, Q[1] > 1e-9 * Q[1][0]]
        products = np.stack(pairs, axis=1)
        size = np.linalg.norm(products, axis=0)
        rest = products - basis @ (basis.T @ products)
        length = np.linalg.norm(rest, axis=0)
        kept = length > 0.05 * size
        return cls(rest[:, kept] / length[kept]) if kept.any() else None

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., observation)."""
        z = (y - mean) / noise
        size = np.maximum(np.linalg.norm(z, axis=-1), np.finfo(float).tiny)
        return np.max(np.abs(z @ self.products), axis=-1) / size


def problem(
    table: xr.Dataset,
    formula: str | None = None,
    *,
    response: str = "normal",
    prior: str | WeightPrior = "normal",
) -> tuple[linear.Regression, Design]:
    """State the model of a formula.

    Parameters
    ----------
    table : as of ``read``.
    formula : None for that of the table.
    response : one of ``RESPONSES``.
    prior : of the plain columns, one of ``PRIORS``, or an instance of one of ``linear``'s.

    Returns
    -------
    the problem, and the columns of the formula.

    Raises
    ------
    DataError : columns or values that do not fit the model.
    """
    import xarray as xr

    formula = formula or table.attrs.get("formula") or _all(table)
    design, own = Design(table, formula), PRIORS.get(prior, prior)
    y, error, trials = design.target, table.attrs.get("error"), table.attrs.get("trials")
    X = xr.DataArray(
        design.columns(),
        dims=("row", "feature"),
        coords={"row": table["row"].values, "feature": design.names},
    )
    if error and response in linear.LINKS:
        raise DataError(
            f"a {response} response has no error bars",
            remedy="leave --error out, or take --response normal or student",
        )
    if (trials is None) == (response == "binomial"):
        raise DataError(
            f"a {response} response has no trials" if trials else "counts of how many trials?",
            expected="--response binomial" if trials else "--trials with a column of the table",
        )
    offset = design.offset()
    if offset is not None and response not in linear.LINKS:
        raise DataError(
            f"a {response} response has no offset",
            expected=f"--response {' or '.join(linear.LINKS)}",
            found=formula,
            remedy="take what is known off the target's column",
        )
    few = LeftOver.of(table, design)
    asked = {"memory along the rows": residual_memory}
    asked |= {} if few is None else {"curvature or interaction": few}
    plain = list(design.terms) == [""]
    options = {
        "error": table[error].values if error else None,
        "intercept": design.intercept,
        "unshrunk": design.lines(),
        "discrepancies": asked,
        "constants": _kept(table, design),
        "units": _units(table, design, error),
    }
    if len(X) <= len(design.smooth) + 1:
        raise DataError("too few rows", expected="more than the formula frees", found=len(X))
    if plain and response == "normal":
        stated = linear.regression(X, y, own, scales=design.scales, **options)
        return stated, design
    if isinstance(own, linear.SpikeAndSlab):
        raise DataError(
            "spike and slab is for plain columns and a normal response",
            expected="--prior normal, laplace or horseshoe with s(x), (1|group), or another "
            "response",
            found=f"{formula}, response {response}",
        )
    terms = {
        name: ((linear.Gaussian() if name else own), len(names))
        for name, names in design.terms.items()
    }
    known = {"offset": offset, "trials": table[trials].values if trials else None}
    stated = linear.generalised(
        X, y, response, linear.Terms(terms), scales=design.scales, **known, **options
    )
    return stated, design


def _all(table):
    """The last column by all others, where nobody says more."""
    *features, target = (quoted(str(name)) for name in table.data_vars if "." not in str(name))
    return f"{target} ~ {' + '.join(features)}"


def _kept(table, design):
    """Columns of numbers of the table, which the fit keeps."""
    names = [n for n in design.formula.features if table[n].dtype.kind != "U"]
    return table[names].drop_attrs(deep=False).drop_vars("row").copy(deep=True)


def _units(table, design, error):
    """Units of what has another than the target's."""
    of_y = design.target.attrs.get("units", "1")
    units = {"sigma": "1" if error else of_y, "beta": of_y if of_y == "1" else f"{of_y} per unit"}
    for term in design.terms:
        units[f"scale_{term}" if term else "scale"] = of_y
    for name in design.smooth:
        of_x = table[name].attrs.get("units", "1")
        units[f"slope_{name}"] = of_y if of_x == "1" else f"{of_y}/{of_x}"
    return units


def fit(
    table: xr.Dataset,
    formula: str | None = None,
    *,
    response: str = "normal",
    prior: str | WeightPrior = "normal",
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer coefficients, curves, group effects and noise.

    Parameters
    ----------
    table, formula, response, prior : as of ``problem``.
    method : None for the route of the model (``exact``, ``gibbs``), or ``nuts``.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``beta`` (feature), all columns of the formula, curves and groups among them,
    ``intercept``, ``sigma``, widths (``scale``, ``scale_s(x)``, ``scale_site``) and what else the
    response has. Beside it stand ``effects`` (coefficients, per standard deviation of each column,
    with classical ones), ``explained`` (Bayesian R² of each draw), ``curves`` (partial dependence),
    ``groups``, and the ``truth`` where the data know it.
    """
    stated, design = problem(table, formula, response=response, prior=prior)
    doubts = Doubts.of(design)
    found = driver.fit(
        stated,
        method,
        settings,
        system="regression",
        notes={"truth": noted(table, "truth")},
        attrs={"formula": design.text, "response": response, "target": design.formula.target},
    )
    found = doubts.asked(found, response)
    return annotated(found, **results.beside(found, stated, design))


def predict(
    found: xr.DataTree,
    table: xr.Dataset,
    new: xr.Dataset,
    *,
    settings: Settings = DEFAULT,
    **options,
) -> xr.DataTree:
    """Predict new rows: the mean, and data.

    Parameters
    ----------
    found : what ``fit`` returned.
    table, **options : what it was fitted to, and how: formula, response, prior.
    new : rows, as of ``new_rows``.
    settings : its seed.

    Returns
    -------
    the fit with the group ``predictions``: draws of ``mean`` and of the target, (chain, draw,
    new_row). A group that the fit does not know is drawn from those that there may be.
    """
    stated, design = problem(table, **options)
    return results.predicted(found, stated, design, new, settings)


def compared(
    found: xr.DataTree,
    table: xr.Dataset,
    others: Sequence[str],
    *,
    response: str = "normal",
    prior: str = "normal",
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Compare the formula of a fit with others, by leave-one-out and, where there is one, evidence.

    Parameters
    ----------
    found : what ``fit`` returned.
    table, response, prior, settings : what it was fitted to, and how.
    others : formulas of the same target.

    Returns
    -------
    the fit with the note ``comparison`` over ``formula``: ``elpd`` (log score of each row by all
    others), ``elpd_behind`` the best and its standard error ``behind_se``, ``log_evidence`` and
    ``evidence_se``, NaN where there is none.

    Raises
    ------
    DataError : a formula of another target.
    """
    own = found.attrs["formula"]
    fits, evidence = {own: found}, {}
    for formula in dict.fromkeys((own, *others)):
        stated, design = problem(table, formula, response=response, prior=prior)
        if design.formula.target != found.attrs["target"]:
            raise DataError(
                "formulas of different targets cannot be compared",
                expected=f"a formula of {found.attrs['target']}",
                found=formula,
            )
        if formula != own:
            fits[formula] = driver.fit(stated, None, settings, system="regression")
        evidence[formula] = _evidence(stated, fits[formula], settings)
    scores = {name: loo(one) for name, one in fits.items()}
    best = max(scores.values(), key=lambda one: one["elpd"])
    behind = [one["pointwise"] - best["pointwise"] for one in scores.values()]
    arrays = {
        "elpd": [one["elpd"] for one in scores.values()],
        "elpd_se": [one["se"] for one in scores.values()],
        "elpd_behind": [float(one.sum()) for one in behind],
        "behind_se": [float(np.sqrt(one.size) * one.std()) for one in behind],
        "log_evidence": [value for value, _ in evidence.values()],
        "evidence_se": [error for _, error in evidence.values()],
    }
    dims = dict.fromkeys(arrays, ("formula",))
    arrays = {name: np.array(values) for name, values in arrays.items()}
    note = dataset(arrays, dims, {"formula": list(fits)}, sampled=False)
    return annotated(found, comparison=note)


def _evidence(stated, found, settings):
    """Log evidence and its error; NaN where there is none."""
    own = found["sample_stats"].get("log_evidence")
    if own is not None:
        return float(own), 0.0
    try:
        return linear.log_evidence(stated, found["posterior"], settings)
    except FitError:
        return np.nan, np.nan
