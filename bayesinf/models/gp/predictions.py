"""What follows from a posterior: curves, their slopes and new data, at any places."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.models.gp import kernels
from bayesinf.models.gp.coordinates import COORDINATES, Coordinate, Envelope
from bayesinf.models.gp.definition import NOISE, Process
from bayesinf.models.gp.means import CONSTANT, MEANS, Lifted, Mean
from bayesinf.models.gp.means import mean as named_mean
from bayesinf.models.gp.statement import process
from bayesinf.posterior import dataset, evenly
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["followed", "parts", "predict", "rebuild", "thinned"]


def predict(
    posterior: xr.DataTree,
    x: np.ndarray,
    *,
    mean: Callable | Mean | None = None,
    coordinate: Coordinate | tuple[Callable, Callable] | None = None,
    slope: bool = False,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Draw curves, their slopes and new data at x from a posterior.

        f(x) + m(x) | y, θ ~ N(m + k* K⁻¹ (y − m), k** − k* K⁻¹ k*ᵀ)

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    x : (new,).
    mean, coordinate : the functions that were the mean or the coordinate, where these were
        functions: a file cannot hold them.
    slope : whether to draw the slopes, jointly with the values.
    most : draws of the posterior, taken evenly, that are followed.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over chain, draw and ``new``, with x under its name as coordinate: ``mean`` and ``sd``
    of the curve at the hyperparameters of each draw, ``curve`` and (where asked) ``slope``, drawn
    jointly over all x, and under the name of y new data, curve plus noise (without errors of
    measurement, which new data do not state).

    Raises
    ------
    FitError : the mean is missing; a slope of a process whose paths have none.
    """
    problem = rebuild(posterior, mean, coordinate)
    x, coords = problem.places(x)
    if slope and not problem.kernel.smooth:
        raise FitError(
            "the paths of an exponential kernel have no slope anywhere: use "
            "squared_exponential, matern32 or matern52"
        )
    chosen = thinned(posterior, most)
    shape, theta = followed(problem, chosen)
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("predictions")
    called = problem.slopes_called() if slope else {}
    step = max(1, 2**21 // (len(problem.y) + len(x) * (1 + len(called))) ** 2)
    taken = []
    with parallel.one_blas_thread():
        for start in range(0, np.prod(shape, dtype=int), step):
            part = {name: value[start : start + step] for name, value in theta.items()}
            taken.append(np.stack(problem.curves(part, x, slope, rng)))
    found = np.concatenate(taken, axis=1).reshape(3, *shape, -1)
    of_y = problem.unit(problem.y_name)
    arrays = dict(zip(("mean", "sd", "curve"), found[..., : len(x)], strict=True))
    if NOISE in theta:
        noise = problem.noise_at(theta, x).reshape(*shape, -1)
        noise = noise * rng.standard_normal((*shape, len(x)))
        arrays[problem.y_name] = arrays["curve"] + noise
    units = dict.fromkeys(arrays, of_y)
    for k, (name, unit) in enumerate(called.items(), 1):
        names = f"{name}_mean", f"{name}_sd", name
        arrays |= dict(zip(names, found[..., k * len(x) : (k + 1) * len(x)], strict=True))
        units |= dict.fromkeys(names, unit)
    coords = {dim: chosen[dim] for dim in ("chain", "draw")} | coords
    return dataset(arrays, dict.fromkeys(arrays, ("new",)), coords, units)


def parts(
    posterior: xr.DataTree, x: np.ndarray, *, most: int = 200, **functions: Callable | None
) -> xr.Dataset:
    """Take the curve apart: what each term of the kernel's sum, and the prior mean, has of it.

    Parameters
    ----------
    posterior, x, most : as for ``predict``.
    **functions : ``mean`` and ``coordinate``, likewise.

    Returns
    -------
    a Dataset over chain, draw, ``part`` and ``new``: ``mean`` and ``sd`` of each term given the
    data and the hyperparameters of each draw, and ``drawn``, a draw of it at each x by itself;
    ``trend``, the prior mean, over chain, draw and ``new``. All are less their average over x.
    """
    problem = rebuild(posterior, **functions)
    x, coords = problem.places(x)
    shape, theta = followed(problem, thinned(posterior, most))
    rng = Settings(seed=int(posterior.attrs["seed"])).generator("parts")
    step = max(1, 2**22 // (len(problem.y) + len(x)) ** 2)
    found = []
    with parallel.one_blas_thread():
        for start in range(0, np.prod(shape, dtype=int), step):
            part = {name: value[start : start + step] for name, value in theta.items()}
            found.append(problem.pointwise_parts(part, x, centred=True))
    mean, sd = (np.concatenate(one, axis=1).swapaxes(0, 1) for one in zip(*found, strict=True))
    drawn = mean + sd * rng.standard_normal(mean.shape)
    arrays = {"mean": mean, "sd": sd, "drawn": drawn}
    arrays = {name: value.reshape(*shape, *value.shape[1:]) for name, value in arrays.items()}
    level = np.broadcast_to(problem.level(theta, x)[0], (mean.shape[0], len(x)))
    arrays["trend"] = (level - level.mean(axis=-1, keepdims=True)).reshape(*shape, -1)
    dims = dict.fromkeys(("mean", "sd", "drawn"), ("part", "new")) | {"trend": ("new",)}
    units = dict.fromkeys(arrays, problem.unit(problem.y_name))
    coords["part"] = [str(k) for k in range(1, mean.shape[1] + 1)]
    return dataset(arrays, dims, coords, units)


def followed(problem: Process, chosen: xr.Dataset) -> tuple[tuple[int, int], dict[str, np.ndarray]]:
    """Return the shape (chain, draw) of draws as of ``thinned``, and them as (draw, ...)."""
    shape = (chosen.sizes["chain"], chosen.sizes["draw"])
    return shape, problem.flat({name: value.values for name, value in chosen.items()}, shape)


def rebuild(
    posterior: xr.DataTree,
    mean: Callable | Mean | None = None,
    coordinate: Coordinate | tuple[Callable, Callable] | None = None,
) -> Process:
    """Return the process and the data of a posterior; other arguments as for ``predict``."""
    named, measured = posterior.attrs["mean"], posterior.attrs.get("coordinate", "x")
    base, _, lifted = named.partition(" + ")
    functions = {"mean": (mean, base, (*MEANS, CONSTANT))}
    functions["coordinate"] = (coordinate, measured, COORDINATES)
    for role, (given, name, known) in functions.items():
        if given is None and name not in known and not name.startswith("trend("):
            raise FitError(
                f"the prior {role} of this posterior is the function {name!r}, which its file "
                f"cannot hold: pass it as {role}="
            )
    if mean is not None:
        mean = Lifted(named_mean(mean)) if lifted else mean
    origin = posterior.attrs.get("envelope")
    data = posterior["constant_data"].to_dataset()
    return process(
        data.assign(posterior["observed_data"].to_dataset().reset_coords(drop=True).data_vars),
        kernels.from_dict(json.loads(posterior.attrs["kernel"])),
        named if mean is None else mean,
        coordinate=measured if coordinate is None else coordinate,
        envelope=None if origin is None else Envelope(float(origin)),
        noise=posterior.attrs.get("noise"),
    )


def thinned(posterior: xr.DataTree, most: int) -> xr.Dataset:
    """Take draws of all parameters evenly, at most so many; fixed ones join them."""
    draws = evenly(posterior["posterior"].dataset, most)
    constants = posterior["constant_data"].dataset
    fixed = {name: constants[name] for name in json.loads(posterior.attrs["fixed"])}
    return draws.assign(fixed)
