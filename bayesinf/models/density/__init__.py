"""The density family: a model of the user's own, in PyMC or as a log density in NumPy.

``fit`` takes a ``pymc.Model`` or a ``LogDensity``. ``definition`` holds what both have in common,
``program`` the PyMC model and ``log_density`` the NumPy one as a ``Problem``; ``routes`` lead to
draws: NUTS, the Laplace approximation, an ensemble of walkers and, of few parameters, population
Monte Carlo, all but the first in unconstrained coordinates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bayesinf.errors import DataError, FitError
from bayesinf.models import problem as driver
from bayesinf.models.density import predictions
from bayesinf.models.density.definition import Density
from bayesinf.models.density.log_density import LogDensity, Target
from bayesinf.models.density.program import Program
from bayesinf.posterior import evenly
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = ["Density", "LogDensity", "Program", "Target", "fit", "predict", "problem"]


def problem(
    model: pm.Model | LogDensity,
    *,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
) -> Density:
    """State a model of the user's own as a ``Problem``.

    Parameters
    ----------
    model : a ``pymc.Model``, a ``bambi.Model`` or a ``LogDensity``.
    name : of the model, for the provenance.
    units : variable to its unit.

    Raises
    ------
    DataError : the model is neither of them, or has a unit for a variable that is not there.
    """
    model, name = _built(model, name)
    if isinstance(model, LogDensity):
        stated: Density = Target(model, name, units or {})
    elif hasattr(model, "free_RVs"):
        stated = Program(model, name, units or {})
    else:
        raise DataError(
            "no model to fit",
            expected="a pymc.Model, a bambi.Model or a bayesinf.models.density.LogDensity",
            found=type(model).__name__,
        )
    known = [*stated.variables, *stated.observed.data_vars]
    _known(units or {}, known, "units")
    return stated


def fit(
    model: pm.Model | LogDensity,
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    quantities: Sequence[str] | None = None,
    name: str | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.DataTree:
    """Fit a model of the user's own; the answer is its posterior.

    Replicas are compared with the data by general statistics: mean, standard deviation, smallest
    and largest value of each observed variable, and the memory of its residuals and steps where its
    coordinate is an order, such as time (``diagnostics.comparisons``).

    Parameters
    ----------
    model : a ``pymc.Model`` of continuous variables, a ``bambi.Model`` or a ``LogDensity``.
    method : ``nuts`` (PyMC models; their default), ``laplace`` (default of a ``LogDensity``),
        ``ensemble`` or, of a ``LogDensity``, ``population`` (few parameters).
    settings : length and seed.
    quantities : names of the variables that must mix and are reported. Others are stored and not
        judged, such as the weights of a network, which permute. None judges all, but of a bambi
        model not the mean of each observation. The run of an ensemble is judged by the parameters
        among them, or by all where there is none.
    name : of the model, for the provenance.
    units : variable to its unit.

    Returns
    -------
    InferenceData. The posterior holds the parameters, and the deterministic variables of a PyMC
    model.

    Raises
    ------
    DataError : no such model or variable.
    FitError : discrete parameters, an unknown method, a density without a maximum.
    """
    stated = problem(model, name=name, units=units)
    attrs = {}
    if quantities is None and _is_bambi(model):
        dims = stated.parameters.dims
        quantities = [n for n in stated.variables if BAMBI_ROWS not in dims.get(n, ())]
    if quantities is not None:
        _known(quantities, stated.variables, "quantities")
        attrs["quantities"] = json.dumps(list(quantities))
    return driver.fit(stated, method, settings, attrs=attrs)


def predict(
    posterior: xr.DataTree,
    model: pm.Model,
    data: Mapping[str, object] | pd.DataFrame,
    *,
    coords: Mapping[str, Sequence] | None = None,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Draw new data of a model of the user's own, at other values of its ``pm.Data``.

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    model : the ``pymc.Model`` that was fitted, which stays as it is; its observed variables need
        the ``shape`` or ``dims`` of its data. Or the ``bambi.Model``.
    data : name of a ``pm.Data`` to its new value; of a bambi model, a table of new rows.
    coords : dimension to its new coordinate, of those whose length changes.
    most : draws of the posterior, taken evenly, that are followed.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over chain and draw: new data under the names of those observed, and the
    deterministic variables that follow from the data.

    Raises
    ------
    FitError : a log density, which says nothing of new data; no such ``pm.Data``; shapes that do
        not go together.
    """
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("predictions")
    if isinstance(model, LogDensity):
        raise FitError(
            "a log density says nothing of new data: state the model in PyMC, or compute what "
            "follows from fit.posterior"
        )
    draws = evenly(posterior["posterior"].to_dataset(), most)
    if _is_bambi(model):
        return predictions.of_rows(model, draws, data, rng)
    return predictions.of_data(model, draws, dict(data), dict(coords or {}), rng)


BAMBI_ROWS = "__obs__"  # bambi's name for the dimension of observations


def _is_bambi(model):
    return type(model).__module__.split(".")[0] == "bambi"


def _built(model, name):
    """The PyMC model of a bambi model, named by its formula; any other model as it is."""
    if not _is_bambi(model):
        return model, name
    if not model.built:
        model.build()
    return model.backend.model, name or str(model.formula.main)


def _known(names, known, where):
    for name in names:
        if name not in known:
            raise DataError(
                "no such variable", where=where, expected=f"one of {', '.join(known)}", found=name
            )
