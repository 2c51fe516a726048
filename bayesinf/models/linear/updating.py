"""More data for a fit, and fits of several data sets combined, exactly.

    p(θ | y, y') ∝ p(y' | θ) p(θ | y),   p(θ | y_1, ..., y_K) ∝ p(θ) Π_k p(y_k | θ)

A posterior under the normal prior has a closed form given its scales, whatever the data, and its
file holds the data and, in the root attribute ``stated``, the priors to the last digit. So both are
the posterior of all rows under the priors of the first fit, by the route of that fit. The defaults
of priors look at data: those of the first fit stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import problem as driver
from bayesinf.models.linear.statement import STATED, default_widths, read
from bayesinf.models.linear.stating import regression
from bayesinf.priors import Normal
from bayesinf.priors.weights import Flat, Gaussian
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["combine", "update"]


@dataclass(frozen=True)
class _Rows:
    """Data of a linear fit: features, data, columns that are not shrunk, and error bars."""

    X: np.ndarray
    y: np.ndarray
    columns: Mapping[str, np.ndarray]
    error: np.ndarray | None

    def below(self, other: _Rows) -> _Rows:
        """These rows and the other's after them."""
        if self.X.shape[1:] != other.X.shape[1:] or other.y.shape != other.X.shape[:1]:
            raise DataError(
                "the new rows do not go with the fit",
                expected=f"X (row, {self.X.shape[1]}) and y (row,)",
                found=f"shapes {other.X.shape} and {other.y.shape}",
            )
        if set(self.columns) != set(other.columns):
            raise DataError(
                "the columns are not those of the fit",
                where="unshrunk",
                expected=", ".join(sorted(self.columns)) or "none",
                found=", ".join(sorted(other.columns)) or "none",
            )
        if (self.error is None) != (other.error is None):
            due = "none, as the fit has none" if self.error is None else "some, as the fit has them"
            raise DataError("the error bars are not those of the fit", expected=due)
        if not np.isfinite(np.column_stack([other.X, other.y, *other.columns.values()])).all():
            raise DataError("a new row is not finite", expected="finite numbers in X, y, columns")
        each = self.columns
        return _Rows(
            np.vstack([self.X, other.X]),
            np.concatenate([self.y, other.y]),
            {name: np.concatenate([each[name], other.columns[name]]) for name in each},
            None if self.error is None else np.concatenate([self.error, other.error]),
        )


def _held(posterior):
    """What a fit states of its priors, and its rows.

    Raises
    ------
    FitError : it is no fit that can be extended exactly.
    """
    attrs = posterior.attrs
    if STATED not in attrs:
        family, model = attrs.get("family", "another library"), attrs.get("model", "unknown")
        raise FitError(
            f"this fit ({family}, {model}) cannot be extended exactly: that takes a linear fit "
            "under a normal or flat prior without groups, basis, means or scales of the caller's; "
            "fit all data at once"
        )
    known = posterior["constant_data"]
    columns = {
        str(name).removesuffix("_column"): known[name].values
        for name in known.data_vars
        if str(name).endswith("_column")
    }
    error = known["error"].values if "error" in known else None
    y = next(iter(posterior["observed_data"].data_vars.values()))
    return json.loads(attrs[STATED]), _Rows(known["X"].values, y.values, columns, error)


def update(
    posterior: xr.DataTree,
    X: ArrayLike,
    y: ArrayLike,
    *,
    unshrunk: Mapping[str, ArrayLike] | None = None,
    error: ArrayLike | None = None,
    settings: Settings | None = None,
) -> xr.DataTree:
    """Add data to a linear fit: the posterior of the old rows and the new under the same priors.

        p(θ | y, y') ∝ p(y' | θ) p(θ | y)

    Parameters
    ----------
    posterior : what ``fit`` returned under a normal or flat prior, or its file reloaded.
    X, y : new rows, (row, feature) in the order of the fit and (row,).
    unshrunk : name to new column, (row,), of every unshrunk coefficient but the intercept.
    error : known part of the noise, (row,) or one number, where the fit had one.
    settings : length and seed; by default those of the fit.

    Returns
    -------
    InferenceData, as of ``fit``; the old one stays as it is.

    Raises
    ------
    DataError : the rows do not go with those of the fit, or are not finite. FitError : a fit that
        cannot be extended exactly.
    """
    told, rows = _held(posterior)
    X, y = np.atleast_2d(np.asarray(X, dtype=float)), np.atleast_1d(np.asarray(y, dtype=float))
    columns = {k: np.atleast_1d(np.asarray(v, dtype=float)) for k, v in (unshrunk or {}).items()}
    bars = None if error is None else np.broadcast_to(np.asarray(error, dtype=float), y.shape)
    return _fitted(posterior, told, rows.below(_Rows(X, y, columns, bars)), settings)


def combine(*fits: xr.DataTree, settings: Settings | None = None) -> xr.DataTree:
    """Combine linear fits of different data under one prior into the fit of all data.

        p(θ | y_1, ..., y_K) ∝ p(θ)^(1−K) Π_k p(θ | y_k) = p(θ) Π_k p(y_k | θ)

    Parameters
    ----------
    *fits : two or more, as ``update`` takes them, with one and the same stated prior.
    settings : length and seed; by default those of the first.

    Returns
    -------
    InferenceData, as of ``fit``.

    Raises
    ------
    FitError : a fit that cannot be extended exactly; priors that differ; the same data twice.
    """
    if len(fits) < 2:
        raise FitError(f"two fits and more can be combined, not {len(fits)}")
    (told, rows), *others = map(_held, fits)
    hashes = [fit.attrs["data_sha256"] for fit in fits]
    if len(set(hashes)) < len(hashes):
        raise FitError("two of the fits are of the same data, which would count twice")
    for other, more in others:
        differ = [name for name in told if name != "first" and told[name] != other[name]]
        if told["centred"] or told["widths"]:  # these hang on the rows of the first fit
            differ += ["intercept"] * told["centred"] + ["scales"] * told["widths"]
        if differ:
            names = ", ".join(dict.fromkeys(differ))
            raise FitError(
                f"the fits have different priors ({names}), some of them defaults that look at the "
                "data: state them, or add the rows by linear.update"
            )
        rows = rows.below(more)
    return _fitted(fits[0], told, rows, settings)


def _fitted(posterior, told, rows, settings):
    """Fit all rows under the priors of the first fit, by its route."""
    import xarray as xr

    if settings is None:
        settings = Settings(**json.loads(posterior.attrs["settings"]))
    known = posterior["constant_data"]["X"]
    observed = next(iter(posterior["observed_data"].data_vars.values()))
    row = observed.dims[0]
    along = [n for n, c in observed.coords.items() if n != row or c.dtype.kind == "f"]
    if along:
        raise FitError(
            f"the rows of this fit have a place along {', '.join(map(str, along))}, which new ones "
            "do not say: fit all data at once"
        )
    features = {str(n): c for n, c in known.coords.items() if c.dims == known.dims[1:]}
    X = xr.DataArray(rows.X, dims=known.dims, coords=features)
    y = xr.DataArray(rows.y, dims=known.dims[:1], name=observed.name, attrs=dict(observed.attrs))
    own = {name: Normal(**numbers) for name, numbers in told["unshrunk"].items()}
    prior = (Flat if told["prior"] == "Flat" else Gaussian)(scale=read(told["scale"]))
    stated = regression(
        X,
        y,
        prior,
        unshrunk={name: (rows.columns[name], own[name]) for name in rows.columns},
        error=rows.error,
        noise=read(told["noise"]),
        intercept=own.get("intercept", False),
        name=told["coefficient"],
        units=told["units"],
    )
    first = rows.X[: told["first"]]
    centre = first.mean(axis=0) if told["centred"] else None
    widths = default_widths(first if centre is None else first - centre)
    stated = replace(
        stated, centre=centre, scales=widths if told["widths"] else None, first=told["first"]
    )
    return driver.fit(stated, posterior.attrs["method"], settings, system=posterior.attrs["system"])
