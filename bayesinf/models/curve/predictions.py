"""What follows from a posterior of a curve: the curve and new data, at any x."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import to_numbers
from bayesinf.errors import DataError, FitError
from bayesinf.models.curve import formula
from bayesinf.models.curve.evaluation import Curve
from bayesinf.models.likelihoods import NOISE, likelihood_of
from bayesinf.posterior import dataset, evenly
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import lmfit
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["predict"]


def predict(
    posterior: xr.DataTree,
    x: ArrayLike,
    *,
    model: lmfit.Model | None = None,
    error: ArrayLike | None = None,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Draw curves and new data at x from a posterior.

        mean(x) = f(x; θ),   new y ~ p(y | mean, noise),   θ | y

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    x : (new,).
    model : the lmfit model that was fitted; a curve that was given as an expression is in the file.
    error : sd of the noise of new data, (new,) or one number, where the fit had error bars.
    most : draws of the posterior, taken evenly, that are followed.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over chain, draw and ``new``, with x under its name as coordinate: ``mean``, and under
    the name of y new data, where their noise is known.

    Raises
    ------
    DataError : x or error are no finite numbers. FitError : the model is missing, or another one.
    """
    at = _numbers(x, "x")
    observed = next(iter(posterior["observed_data"].data_vars.values()))
    draws, loose = _draws(posterior, most)
    curve = _curve(posterior, model, loose, at)
    shape = draws.sizes["chain"], draws.sizes["draw"]
    columns = [np.broadcast_to(loose[name], shape) for name in curve.free]
    mean = curve(np.stack(columns, axis=-1))
    arrays = {"mean": mean}
    along = np.argsort(at, kind="stable")  # noise may have a memory along x
    law = _law(posterior, at[along], observed.values)
    scatter = _scatter(law, loose, error, along)
    if scatter is not None:
        seed = posterior.attrs["seed"] if settings is None else settings.seed
        rng = Settings(seed=int(seed)).generator("predictions")
        new = np.empty_like(mean)
        new[..., along] = law.draw(mean[..., along], scatter, rng)
        arrays[str(observed.name)] = new
    called = str(next(iter(observed.coords)))
    coords = {dim: draws[dim] for dim in ("chain", "draw")} | {called: ("new", at)}
    units = dict.fromkeys(arrays, observed.attrs["units"])
    return dataset(arrays, dict.fromkeys(arrays, ("new",)), coords, units)


def _numbers(values, name):
    found = np.atleast_1d(to_numbers(np.asarray(values))).astype(float)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        raise DataError(
            f"{name} is not finite", expected="finite numbers (new,)", found=str(values)
        )
    return found


def _draws(posterior, most):
    """Some draws, and their parameters by lmfit's names, those that are fixed among them."""
    draws = evenly(posterior["posterior"].to_dataset(), most)
    loose = {str(name): variable.values for name, variable in draws.data_vars.items()}
    for name, (_, parts) in json.loads(posterior.attrs.get("stacked", "{}")).items():
        loose |= zip(parts, np.moveaxis(loose.pop(name), -1, 0), strict=True)
    known = posterior["constant_data"].data_vars
    return draws, {str(n): v.values for n, v in known.items() if v.ndim == 0} | loose


def _curve(posterior, model, loose, x):
    if model is None:
        text = posterior.attrs.get("expression")
        if text is None:
            raise FitError(
                f"the curve of this posterior is the lmfit model {posterior.attrs['model']}, which "
                "its file cannot hold: pass it as model="
            )
        given = {name: 1.0 for name in formula.names(text) if name in loose}
        model, params, _ = formula.stated(
            text, params=given, independent=posterior.attrs["independent"]
        )
    else:
        params = model.make_params()
    lost = [name for name in model.param_names if name not in loose]
    if lost:
        raise FitError(f"the posterior is of another model: it has no {', '.join(lost)}")
    for name in model.param_names:
        params[name].set(value=1.0, expr="", vary=True, min=-np.inf, max=np.inf)
    return Curve(model, params, x)


def _law(posterior, x, y):
    """The likelihood of the fit, of data at x that are of the kind of y."""
    law = likelihood_of(posterior.attrs.get("likelihood", "normal"), x, np.resize(y, len(x)))
    return replace(law, unit=posterior.attrs["unit"]) if "unit" in posterior.attrs else law


def _scatter(law, loose, error, along):
    """What the likelihood needs, each (chain, draw, 1) or (new,); None where it is not known."""
    own = {name: loose[name][..., np.newaxis] for name in law.own}
    if not law.noisy:
        return own
    if error is not None:
        return own | {NOISE: np.broadcast_to(_numbers(error, "error"), along.shape)[along]}
    return (
        own | {NOISE: np.atleast_1d(loose[NOISE].T).T[..., np.newaxis]} if NOISE in loose else None
    )
