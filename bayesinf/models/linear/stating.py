"""From the caller's arrays to a ``Regression``: data refused or accepted, every prior stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.linear.basis import Basis
from bayesinf.models.linear.definition import Groups, Names, Regression
from bayesinf.models.linear.statement import default_widths
from bayesinf.priors import LogNormal, Normal, Prior
from bayesinf.priors.weights import (
    Flat,
    Gaussian,
    Horseshoe,
    Laplace,
    SpikeAndSlab,
    Student,
    WeightPrior,
)

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.noise import Discrepancy

__all__ = ["PRIORS", "regression"]

PRIORS: dict[str, type[WeightPrior]] = {
    "normal": Gaussian,
    "flat": Flat,
    "laplace": Laplace,
    "student": Student,
    "spike_and_slab": SpikeAndSlab,
    "horseshoe": Horseshoe,
}

# The default noise prior has its median at a hundredth of the data's spread, and a standard
# deviation of three decades: data whose noise is a billionth of their spread pull against a third
# of one observation, and data without noise still have a posterior.
NOISE_FRACTION, NOISE_DECADES = 0.01, 3.0

# The default prior of a coefficient that is not shrunk lets it alone make data this many times
# wider than those seen.
UNSHRUNK_WIDTH = 10.0


def regression(
    X: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    prior: str | WeightPrior = "normal",
    *,
    basis: Basis | np.ndarray | None = None,
    unshrunk: Mapping[str, np.ndarray | tuple[np.ndarray, Normal | None]] | None = None,
    means: float | np.ndarray | None = None,
    scales: float | np.ndarray | None = None,
    error: float | np.ndarray | xr.DataArray | None = None,
    noise: float | Prior | None = None,
    groups: np.ndarray | xr.DataArray | None = None,
    intercept: bool | Normal = False,
    name: str = "beta",
    units: Mapping[str, str] | None = None,
    constants: xr.Dataset | None = None,
    discrepancies: Mapping[str, Discrepancy] | None = None,
    weights_read: bool = True,
) -> Regression:
    """Check the data and state every prior.

        y = X f + Σ_k z_k α_k + ε,   f = means + C (scales · β) + N γ,   ε_i ~ N(0, (σ error_i)²)

    Parameters
    ----------
    X : features, (observation, feature): an array, or a DataArray whose dimensions and coordinates
        then label the result.
    y : data, (observation,): an array or a DataArray, whose name and ``units`` are kept.
    prior : of the weights β: a name of ``PRIORS`` or an instance.
    basis : C, (feature, weight), or a ``Basis``, as of ``differences``, ``covariance`` or
        ``precision``; None where f are the weights themselves.
    unshrunk : name to a column z, (observation,), or to a column and its ``Normal``: coefficients
        with a prior of their own, by default N(0, (10 rms(y) / rms(z))²).
    means : prior means of f, (feature,).
    scales : widths of the weights relative to each other, (weight,). None: where the prior's scale
        is left to its default, rms(X) / rms(column), so that the unit of a column does not matter;
        where the caller states it, ones.
    error : known standard deviation of each observation; σ then multiplies it, and is 1 unless
        ``noise`` is a prior.
    noise : σ, or its prior; by default log-normal, three decades wide about sd(y) / 100.
    groups : label of each row: many regressions, each with coefficients and σ of its own, that
        share the prior and its scale. The name of a DataArray names their dimension.
    intercept : whether there is one, or its prior; by default N(mean(y), (10 sd(y))²) at the mean
        of the features.
    name : what the coefficients are called in the result.
    units : units of parameters by name, where they are not those of y.
    constants : a Dataset to keep as ``constant_data`` in place of the features.
    discrepancies : statistics T(y, mean, noise) for predictive p-values, besides those of every
        linear fit.
    weights_read : whether the weights themselves are an answer; where only predictions are, weights
        that are not like draws from their prior are a remark, and no fault.

    Raises
    ------
    DataError : shapes that do not fit, values that are not finite, y all equal, a bad scale, an
        error that is not positive, names that are taken.
    """
    labelled = X, y
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    _refuse(X, y)
    prior, by_default = _prior(prior)
    basis = _basis(basis, X.shape[1])
    columns = dict(unshrunk or {})
    if intercept:
        columns["intercept"] = np.ones(len(y)), None if intercept is True else intercept
    _free_names(columns, basis, name)
    levelled = bool(columns) or bool(basis is not None and basis.null)
    spread = float(np.std(y) if levelled else np.sqrt(np.mean(y**2)))
    centre = X.mean(axis=0) if intercept is True else None
    centred = X if centre is None else X - centre
    features = centred if basis is None else centred @ basis.matrix
    size = float(np.sqrt(np.mean(features**2)))
    if spread == 0.0 or size == 0.0:
        raise DataError(
            "there is nothing to fit",
            expected="data and features that vary",
            found="y all equal" if spread == 0.0 else "X all zero",
        )
    scales = _scales(scales, features, by_default and basis is None)
    if scales is not None:
        size = float(np.sqrt(np.mean((features * scales) ** 2)))
    noise = _noise(noise, error, X, y, spread)
    prior = prior.resolve(spread / size, features.shape[1])
    for each, value in {"noise": noise, **prior.hyperparameters}.items():
        _positive(each, value)
    if basis is not None:
        null = {k: (c, _own_prior(p, centred @ c, y)) for k, (c, p) in basis.null.items()}
        basis = replace(basis, null=null)
    return Regression(
        X,
        y,
        prior,
        noise,
        {k: _column(k, column, y, spread) for k, column in columns.items()},
        basis,
        _vector(means, X.shape[1], "means", "feature"),
        scales,
        _error(error, len(y)),
        _groups(groups, len(y)),
        centre,
        _names(*labelled, name, columns, units or {}, error is not None),
        constants,
        dict(discrepancies or {}),
        weights_read=weights_read,
    )


def _prior(prior):
    """The prior, and whether its hyperparameters are left to their defaults."""
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise DataError("unknown prior", expected=f"one of {', '.join(PRIORS)}", found=prior)
        prior = PRIORS[prior]()
    return prior, prior.by_default


def _basis(basis, count):
    basis = Basis(np.asarray(basis, dtype=float)) if isinstance(basis, np.ndarray) else basis
    if basis is not None and len(basis.matrix) != count:
        raise DataError(
            "the basis does not fit the features",
            expected=f"{count} rows, one for each column of X",
            found=len(basis.matrix),
        )
    return basis


def _positive(name, value):
    """Raise DataError where a scale is fixed at no size, or its prior is of other numbers."""
    if isinstance(value, Prior):
        if value.checked().support[0] < 0:
            raise DataError(
                f"the prior of {name} reaches below zero",
                expected="a prior of positive numbers, such as HalfCauchy",
                found=value,
            )
    elif not 0 < value < np.inf and not (name == "slab" and value == np.inf):
        raise DataError(f"{name} is fixed at {value}", expected="a number above zero")


def _noise(noise, error, X, y, spread):
    """The prior of σ, by default about a hundredth of the spread of y about its mean if that is
    free.
    """
    if noise is not None:
        return noise
    if error is not None:
        return 1.0
    # A constant column frees the mean as an intercept does.
    if np.any((np.ptp(X, axis=0) == 0) & (X[0] != 0)):
        spread = float(np.std(y)) or spread
    return LogNormal(NOISE_FRACTION * spread, NOISE_DECADES * np.log(10.0))


def _scales(scales, features, by_default):
    """Widths of the weights; None for ones."""
    if scales is None and by_default:
        scales = default_widths(features)
    scales = _vector(scales, features.shape[1], "scales", "weight")
    if scales is None or np.all(np.abs(scales - 1) < 1e-12):
        return None
    if not np.all(scales > 0):
        raise DataError("a width is not positive", where=f"scales, {int(np.argmin(scales))}")
    return scales


def _vector(values, count, what, of):
    """One number for each, or None."""
    if values is None:
        return None
    values = np.asarray(values, dtype=float)
    if values.shape not in ((), (count,)) or not np.all(np.isfinite(values)):
        raise DataError(
            f"the {what} do not fit",
            expected=f"one finite number, or one for each of {count} {of}s",
            found=f"shape {values.shape}",
        )
    return np.broadcast_to(values, (count,)).copy()


def _error(error, count):
    error = _vector(error, count, "errors", "observation")
    if error is not None and not np.all(error > 0):
        row = int(np.argmin(error > 0))
        raise DataError(
            "an error bar is not positive",
            where=f"row {row}",
            expected="a standard deviation above zero",
            found=error[row],
            remedy="remove the row, or give the error that it has",
        )
    return error


def _own_prior(prior, column, y):
    """The prior of an unshrunk coefficient: ten times as wide as the data allow by default."""
    if prior is not None:
        if not isinstance(prior, Normal):
            raise DataError(
                "an unshrunk coefficient has no such prior", expected="a Normal", found=prior
            )
        return prior.checked()
    size = np.sqrt(np.mean(column**2))
    if size == 0.0:
        raise DataError("an unshrunk column is zero throughout", expected="a column that acts on y")
    return Normal(0.0, float(UNSHRUNK_WIDTH * np.sqrt(np.mean(y**2)) / size))


def _column(name, column, y, spread):
    """A column and its prior."""
    column, prior = column if isinstance(column, tuple) else (column, None)
    column = np.asarray(column, dtype=float)
    if column.shape != y.shape or not np.all(np.isfinite(column)):
        raise DataError(
            f"the unshrunk column {name} does not fit",
            expected=f"{len(y)} finite numbers",
            found=f"shape {column.shape}",
        )
    if name == "intercept" and prior is None:
        return column, Normal(float(np.mean(y)), UNSHRUNK_WIDTH * spread)
    return column, _own_prior(prior, column, y)


def _free_names(columns, basis, name):
    """Raise DataError where a name of an unshrunk column is taken."""
    null = [] if basis is None else list(basis.null)
    taken = {name, "sigma", "scale", "included", "slab", "slab_width", "inclusion_rate"}
    every = [*columns, *null]
    twice = [each for each in every if each in taken or every.count(each) > 1]
    if twice:
        raise DataError(
            f"the name {twice[0]} is taken",
            where="unshrunk",
            expected="a name that no other parameter has",
        )


def _groups(groups, count):
    if groups is None:
        return None
    dim = getattr(groups, "name", None) or "group"
    values = np.asarray(groups)
    if values.shape != (count,):
        raise DataError(
            "the groups do not fit",
            expected=f"one label for each of {count} rows",
            found=f"shape {values.shape}",
        )
    labels, codes = np.unique(values, return_inverse=True)
    return Groups(str(dim), labels, codes)


def _refuse(X, y):
    """Raise DataError where X and y are no data of a regression."""
    if X.ndim != 2 or y.shape != X.shape[:1] or min(X.shape) == 0:
        raise DataError(
            "features and data do not fit together",
            expected="X of shape (observations, features) and y of shape (observations,)",
            found=f"{X.shape} and {y.shape}",
        )
    for name, array in (("X", X), ("y", y)):
        if not np.all(np.isfinite(array)):
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(
                f"{name} has a value that is not finite",
                where=f"row {row}",
                expected="finite numbers",
                remedy="remove the row or fill the value",
            )


def _along_rows(y, row):
    """Coordinates of the data, which may tell their order where the features do not."""
    import xarray as xr

    own = getattr(y, "dims", None)
    coords = getattr(y, "coords", {}).items()
    return {n: xr.DataArray(c.values, dims=(row,)) for n, c in coords if c.dims == own}


def _names(X, y, name, columns, units, with_error):
    """Names, dimensions, coordinates and units that labelled features and data bring along."""
    dims = getattr(X, "dims", ())
    dims = dims if len(dims) == 2 else Names.dims
    coords = _along_rows(y, dims[0]) | dict(getattr(X, "coords", {}))
    for dim, count in zip(dims, np.shape(X), strict=False):
        coords.setdefault(dim, np.arange(count))
    data, of_y = getattr(y, "name", None) or "y", getattr(y, "attrs", {}).get("units", "1")
    per_x = units.get(name, of_y)
    said = dict.fromkeys((data, *columns), of_y) | {"sigma": "1" if with_error else of_y}
    said |= dict.fromkeys((name, "level", "scale", "slab", "slab_width"), per_x)
    return Names(name, data, dims, coords, said | units)
