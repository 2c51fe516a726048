"""Every draw of a posterior goes its own way: the predictive distribution as draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.posterior import SAMPLE_DIMS, dataset
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["forecast"]

State = np.ndarray | Mapping[str, np.ndarray]


def forecast(
    posterior: xr.DataTree | xr.Dataset,
    step: Callable[[State, Mapping[str, np.ndarray], np.random.Generator], State],
    state: State | xr.DataArray | Callable,
    horizon: int,
    *,
    observe: Callable | None = None,
    density: Callable | None = None,
    observed: ArrayLike | Mapping[str, ArrayLike] | None = None,
    name: str = "y",
    spacing: float = 1.0,
    units: Mapping[str, str] | None = None,
    most: int | None = None,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Iterate every draw of a posterior from its own state.

        s_{h+1} = step(s_h, θ, noise),   y_h = observe(s_h, θ, noise),   θ a draw of the posterior

    All functions take and return all draws at once: the first axis of states and of parameters is
    (draw,).

    Parameters
    ----------
    posterior : InferenceData, or a Dataset of draws (chain, draw, ...).
    step : (state, parameters, generator) to the next state; parameters map names to arrays
        (draw, ...). Noise that is drawn from the generator is the draw's own.
    state : where all draws begin: an array (...), or name to array, if it is common to all; a
        DataArray with chain and draw if it is not; or a function (parameters, generator) to the
        states (draw, ...).
    horizon : number of steps.
    observe : (state, parameters, generator) to what is measured, an array (draw, ...) or name to
        array; None for the state itself. Its noise has a stream of its own, so that the states are
        the same with and without.
    density : (state, parameters, value) to log p(value | the state one step before, θ), (draw,),
        where that is known.
    observed : what came, at which ``density`` is evaluated: (horizon, ...), or name to such.
    name : of what is measured, where that is one array.
    spacing : of the steps, for the coordinate ``horizon``.
    units : variable, or ``horizon``, to unit.
    most : draws of the posterior that are followed, taken evenly; None for all.
    settings : its seed.

    Returns
    -------
    a Dataset of draws (chain, draw, horizon, ...), and ``log_density`` (chain, draw, horizon) where
    ``density`` is given. The attribute ``diverged`` is the share of draws that are not finite at
    the last horizon.

    Raises
    ------
    DataError : there is no posterior, no step, or a function returns another number of draws.
    """
    if horizon < 1:
        raise DataError("no step to forecast", expected="a horizon of 1 at least", found=horizon)
    if density is not None and observed is None:
        raise DataError("a density is asked of nothing", expected="observed: what came")
    group = _draws(posterior, most)
    shape = tuple(group.sizes[dim] for dim in SAMPLE_DIMS)
    count = shape[0] * shape[1]
    parameters = {
        str(n): v.transpose(*SAMPLE_DIMS, ...).values.reshape(count, *v.shape[2:])
        for n, v in group.data_vars.items()
    }
    rng, seen_by = (settings.generator("forecast", what) for what in ("process", "observation"))
    now = _start(state, parameters, rng, group, count)
    found, densities = [], []
    with np.errstate(over="ignore", invalid="ignore"):  # a draw may run away, which is counted
        for h in range(horizon):
            if density is not None:
                came = density(now, parameters, _at(observed, h))
                densities.append(np.broadcast_to(came, (count,)))
            now = step(now, parameters, rng)
            seen = _named(now if observe is None else observe(now, parameters, seen_by), name)
            found.append({key: _each(values, key, count) for key, values in seen.items()})
    arrays = {key: np.stack([one[key] for one in found], axis=1) for key in found[0]}
    ends = [np.isfinite(a[:, -1].reshape(count, -1)).all(axis=1) for a in arrays.values()]
    arrays |= {"log_density": np.stack(densities, axis=1)} if densities else {}
    arrays = {key: values.reshape(*shape, *values.shape[1:]) for key, values in arrays.items()}
    unit = (units or {}).get("horizon", "1")
    coords = {dim: group[dim] for dim in SAMPLE_DIMS if dim in group.coords}
    coords["horizon"] = ("horizon", spacing * np.arange(1, horizon + 1), {"units": unit})
    dims = {
        key: ("horizon", *(f"{key}_dim_{i}" for i in range(values.ndim - 3)))
        for key, values in arrays.items()
    }
    result = dataset(arrays, dims, coords, units)
    return result.assign_attrs(diverged=1 - float(np.mean(np.all(ends, axis=0))))


def _at(observed, h):
    """What came at one horizon."""
    if isinstance(observed, Mapping):
        return {key: np.asarray(values)[h] for key, values in observed.items()}
    return np.asarray(observed)[h]


def _draws(posterior, most):
    """The posterior's draws as a Dataset, thinned evenly."""
    if hasattr(posterior, "children"):
        posterior = posterior["posterior"].to_dataset() if "posterior" in posterior.children else {}
    if not set(SAMPLE_DIMS) <= set(getattr(posterior, "dims", ())):
        raise DataError(
            "there are no draws to forecast from",
            expected="InferenceData, or a Dataset with chain and draw",
            found=type(posterior).__name__,
        )
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    thin = 1 if most is None else min(-(-total // most), posterior.sizes["draw"])
    return posterior.isel(draw=slice(thin - 1, None, thin))


def _start(state, parameters, rng, group, count):
    """States of all draws, (draw, ...)."""
    if callable(state):
        found = state(parameters, rng)
        return _mapped(found, lambda values, key: _each(values, key, count))

    def spread(values, _):
        if set(SAMPLE_DIMS) <= set(getattr(values, "dims", ())):
            values = values.sel({dim: group[dim] for dim in SAMPLE_DIMS if dim in values.coords})
            values = values.transpose(*SAMPLE_DIMS, ...).values
            return _each(values.reshape(-1, *values.shape[2:]), "state", count)
        values = np.asarray(values, dtype=float)
        return np.broadcast_to(values, (count, *values.shape)).copy()

    return _mapped(state, spread)


def _mapped(state, function):
    if isinstance(state, Mapping):
        return {key: function(values, key) for key, values in state.items()}
    return function(state, "state")


def _named(values, name):
    return values if isinstance(values, Mapping) else {name: values}


def _each(values, name, count):
    """Values as an array with one entry a draw."""
    values = np.asarray(values, dtype=float)
    if values.shape[:1] != (count,):
        raise DataError(
            f"{name} is not given for each draw",
            expected=f"a first axis of {count}",
            found=f"shape {values.shape}",
            remedy="functions of a forecast take and return all draws at once",
        )
    return values
