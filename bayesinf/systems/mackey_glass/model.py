"""The forecast: a linear readout of what is seen of the past, with an exact posterior.

    y_{k+ahead} = intercept + w · features(y_k, y_{k−1}, ...) + σ ε,   ε ~ N(0, 1)

What is learnt from ends before the held-out part of the series begins, and what standardises the
features is of that past alone. One step ahead, each draw of the posterior goes its own way through
its own noise (``forecasts``), from origins all along the held-out part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.mackey_glass.data import even_step, values_of
from bayesinf.systems.mackey_glass.features import Features, Lags, named

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.priors.weights import WeightPrior

__all__ = ["Readout", "best", "fit"]

HELD_OUT = 0.2  # share of the series, at its end, that is forecast and not learnt from
LOOKBACK = 50
FEWEST = 20  # rows to learn from
EQUATION = (
    r"y_{k+h} = a + \sum_j w_j\,\phi_j(y_k, y_{k-1}, \ldots) + \sigma\varepsilon_k,"
    r"\quad \varepsilon_k \sim N(0, 1)"
)


@dataclass(frozen=True)
class Readout:
    """Rows to learn from, and rows held out.

    Parameters
    ----------
    series : as of ``simulate``.
    features : what is seen of the past.
    ahead : samples from the newest value that is seen to the target.
    every : rows that are taken: every so many-th, so that those taken do not overlap.
    held_out : share of the series that is not learnt from.
    """

    series: xr.Dataset
    features: Features
    ahead: int = 1
    every: int = 1
    held_out: float = HELD_OUT

    @cached_property
    def values(self) -> xr.DataArray:
        """The series, (time,)."""
        return values_of(self.series)

    @property
    def cut(self) -> int:
        """Samples of the past."""
        return past_of(len(self.values), self.held_out)

    @cached_property
    def _rows(self):
        """All features, and the position of the target of each."""
        rows = self.features.rows(self.values.values)
        rows = rows[: len(rows) - self.ahead]
        return rows, self.features.reach - 1 + self.ahead + np.arange(len(rows))

    def learnt(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (row, feature) and positions of targets, all of them in the past."""
        rows, target = self._rows
        chosen = np.flatnonzero(target < self.cut)[:: -self.every][::-1]
        return rows[chosen], target[chosen]

    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of targets in the held-out part."""
        rows, target = self._rows
        chosen = np.flatnonzero(target >= self.cut)
        return rows[chosen], target[chosen]

    def problem(self, prior: str | WeightPrior = "normal", **options) -> linear.Regression:
        """State the regression of the past.

        Raises
        ------
        DataError : too few rows, a held-out part that does not vary.
        """
        import xarray as xr

        X, target = self.learnt()
        if len(target) < FEWEST:
            raise DataError(
                "too little of the series is left to learn from",
                expected=f"at least {FEWEST} rows beyond the {self.features.reach} samples that "
                "a forecast looks back",
                found=len(target),
                remedy="look back less (--lookback), or bring a longer series",
            )
        if (held := self.values.values[self.cut :]).size and np.ptp(held) == 0:
            raise DataError(
                "the values that are held out are all equal",
                expected="a part that varies",
                found=f"{held[0]:.6g} in the last {held.size}",
                remedy="hold out another share (--held-out), or cut the series",
            )
        y = self.values[target]
        coords = {"feature": self.features.labels, "time": ("row", y["time"].values)}
        rows = xr.DataArray(X, coords, ("row", "feature"))
        y = xr.DataArray(y.values, {"time": coords["time"]}, ("row",), y.name, y.attrs)
        constants = xr.Dataset({"when": ("row", y["time"].values, self.values["time"].attrs)})
        unit = "1" if self.features.scale == 1.0 else y.attrs["units"]
        stated = {"intercept": True, "name": "weight", "units": {"weight": unit}}
        stated |= {"weights_read": type(self.features) is Lags} | options
        return linear.regression(rows, y, prior, constants=constants, **stated)


def past_of(count: int, held_out: float) -> int:
    """Samples of the past, of all samples."""
    if not 0 < held_out < 1:
        raise DataError(
            "no part of the series is held out", expected="a share in (0, 1)", found=held_out
        )
    return count - round(held_out * count)


def readout(
    series: xr.Dataset,
    features: str | Features = "lags",
    *,
    ahead: int = 1,
    every: int | None = None,
    held_out: float = HELD_OUT,
    **options,
) -> Readout:
    """State what is learnt from; the features are standardised by the past.

    Parameters
    ----------
    series : as of ``simulate``.
    features : a name of ``features.KINDS``, or features as they are.
    ahead, every, held_out : as of ``Readout``.
    **options : of the features, as ``lookback``, which of lags is 50, or a fifth of a short past.
    """
    values = values_of(series).values
    even_step(series)
    past = values[: past_of(len(values), held_out)]
    if features == "lags":
        options = {"lookback": min(LOOKBACK, len(past) // 5)} | options
    if features == "reservoir":
        options = {"washout": min(100, len(past) // 5)} | options
    return Readout(series, named(features, past, **options), ahead, every or ahead, held_out)


def fit(
    series: xr.Dataset,
    features: str | Features = "lags",
    prior: str | WeightPrior = "normal",
    *,
    ahead: int = 1,
    every: int | None = None,
    held_out: float = HELD_OUT,
    horizon: int | None = None,
    origins: int = 12,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options,
) -> xr.DataTree:
    """Infer a readout of the past of a series, and forecast what is held out.

    Parameters
    ----------
    series : as of ``simulate`` or ``read``, in even steps.
    features : ``lags``, ``polynomial``, ``random`` or ``reservoir``, or features as they are.
    prior : of the weights: ``normal``, ``laplace``, ``horseshoe``, ``spike_and_slab``, or one with
        scales of the caller's.
    ahead : samples from what is seen to the target.
    every : learn from every so many-th row only; by default ``ahead``, as errors of rows that
        overlap are not independent.
    held_out : share of the series, at its end, that is forecast and not learnt from.
    horizon : steps of the free-running forecasts, of targets one step ahead; by default 100, or
        what the held-out part allows. 0 forecasts no further than ``ahead``.
    origins : of those forecasts, evenly over the held-out part.
    method, settings : as for ``models.problem.fit``.
    **options : of the features, as ``lookback``, ``degree``, ``units``, ``washout``.

    Returns
    -------
    InferenceData with ``weight`` (feature), ``intercept``, ``sigma`` and the prior's
    hyperparameters. Beside it stand ``ahead`` (forecasts of each held-out target, with coverage,
    CRPS and log score), and of one step ahead ``scores`` by horizon, ``fan`` (draws from the first
    origin), ``reach`` (steps until each forecast is off), and the ``truth`` where it is known.

    Raises
    ------
    DataError : a series that is too short or uneven, features that are not known.
    FitError : the prior and the method do not go together.
    """
    from bayesinf.systems.mackey_glass import forecasting

    stated = readout(series, features, ahead=ahead, every=every, held_out=held_out, **options)
    problem = stated.problem(prior)
    # Weights of random features mean nothing one by one: they are stored, and not reported.
    told = [name for name in problem.priors if name not in ("weight", *problem.fixed)]
    quantities = {} if type(stated.features) is Lags else {"quantities": json.dumps(told)}
    found = driver.fit(
        problem,
        method,
        settings,
        system="mackey_glass",
        notes={"truth": noted(series, "truth")},
        attrs={
            "features": features if isinstance(features, str) else type(features).__name__,
            "weight_prior": prior if isinstance(prior, str) else type(prior).__name__,
            "steps_ahead": ahead,
            "equation": EQUATION,
            **quantities,
        },
    )
    return forecasting.beside(found, stated, horizon, origins, settings)


def best(fits: Mapping[str, xr.DataTree]) -> str:
    """Return the fit that carries the answer: the best forecast, in the mean log score over all
    horizons of the held-out part, of those that go on step by step.
    """
    scored = {name: noted(one, "scores") for name, one in fits.items()}
    free = {name: one for name, one in scored.items() if one is not None}
    if not free:
        ahead = {name: noted(one, "ahead") for name, one in fits.items()}
        known = {name: float(one["log_score"]) for name, one in ahead.items() if one is not None}
        return max(known, key=known.get) if known else next(iter(fits))
    return max(free, key=lambda name: float(free[name]["log_score"].mean()))
