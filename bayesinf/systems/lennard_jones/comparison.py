"""Which form and which kernel: by energies left out, and by the wall from the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.checks import loo
from bayesinf.errors import DataError
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.models.gp import splits
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.classical import WALLS, numbers
from bayesinf.systems.lennard_jones.data import checked, scales
from bayesinf.systems.lennard_jones.level import above, noticed
from bayesinf.systems.lennard_jones.model import FORMS, problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KERNELS", "best", "compare", "from_the_wall_inward", "stacking"]

KERNELS = ("squared_exponential", "matern52")
WALL = 0.955  # in units of σ: what lies inside is held out to see what a mean makes of the wall


def compare(
    data: xr.Dataset,
    *,
    forms: Sequence[str] = tuple(FORMS),
    kernels: Sequence[str] = KERNELS,
    fits: Mapping[str, xr.DataTree] | None = None,
    refit: bool = True,
    settings: Settings = DEFAULT,
    scheduler: str | None = None,
) -> xr.Dataset:
    """Judge forms and kernels by how they predict each observation from all others.

    Parameters
    ----------
    data : as of ``simulate`` or ``read``; all of its rows are used.
    forms : of ``FORMS``, and
    kernels : to be compared, each with each.
    fits : form to what ``fit`` made of these data with the first of the kernels, where that is done
        already; any other fit is made.
    refit : whether hyperparameters are inferred again without each observation; else the judgement
        that of ``elpd_psis`` is the judgement, and a look.
    settings : length and seed.
    scheduler : as in ``parallel.map``.

    Returns
    -------
    a Dataset over ``form`` and ``model_kernel``. Expected log predictive densities, summed over the
    observations: ``elpd_psis`` from the posterior's draws by importance sampling, with the largest
    ``pareto_k``; ``elpd_refitted`` with hyperparameters integrated over the posterior without the
    observation, where that was asked for. Of this, else of the other, the standard error ``se``,
    how far it is ``behind`` the best form with the same kernel, and the standard error
    ``behind_se`` of the difference. ``elpd_optimum`` is in closed form at the optimum of all data,
    ``weight`` the model's weight in the stack that
    predicts best. Over ``model_kernel`` alone ``worth`` and ``worth_se``: how much better
    ``falling`` predicts than ``repulsive``, where both are compared.

    References
    ----------
    Yao, Vehtari, Simpson & Gelman, Bayesian Analysis 13, 917 (2018), doi:10.1214/17-BA1091.
    """
    import xarray as xr

    data = noticed(data, settings=settings)
    known = {(form, kernels[0]): fit for form, fit in (fits or {}).items()}
    pairs = [(form, kernel, known.get((form, kernel))) for form in forms for kernel in kernels]
    call = partial(_compared, data=data, refit=refit, settings=settings)
    found = parallel.map(
        call, pairs, scheduler=scheduler, workers=settings.workers, label="Comparing"
    )
    pointwise = np.array([row.pop("pointwise") for row in found])
    shape = len(forms), len(kernels)
    each = pointwise.reshape(*shape, -1)
    first = np.argmax(each.sum(axis=-1), axis=0)
    behind = (each[first, np.arange(len(kernels))] - each).reshape(pointwise.shape)
    worth = {}
    if {"falling", "repulsive"} <= set(forms):
        better = each[list(forms).index("falling")] - each[list(forms).index("repulsive")]
        worth = {"worth": better.sum(axis=-1), "worth_se": _se(better)}
    arrays = {name: [row[name] for row in found] for name in found[0]} | {
        "behind": behind.sum(axis=1),
        "behind_se": _se(behind),
        "weight": stacking(pointwise),
    }
    return xr.Dataset(
        {
            name: (("form", "model_kernel"), np.reshape(values, shape), {"units": "1"})
            for name, values in arrays.items()
        }
        | {name: ("model_kernel", values, {"units": "1"}) for name, values in worth.items()},
        {"form": list(forms), "model_kernel": list(kernels)},
    )


def _se(pointwise):
    """Standard error of a sum over observations, the last axis."""
    return np.sqrt(pointwise.shape[-1]) * pointwise.std(axis=-1)


def best(compared: xr.Dataset) -> str:
    """Return the form that predicts best with the first kernel, as of ``compare``."""
    judged = compared.get("elpd_refitted", compared["elpd_psis"])
    return str(judged.isel(model_kernel=0).idxmax("form").item())


def _compared(one, data, refit, settings):
    form, kernel, fit = one
    state = problem(data, kernel=kernel, workers=1, **FORMS[form])
    fit = driver.fit(state, settings=settings.replace(workers=1)) if fit is None else fit
    rng = settings.generator("left out", form, kernel)
    psis, found = loo(fit), {}
    pointwise = psis["pointwise"]
    if refit:
        total = len(state.x)
        order = np.array([np.append(np.delete(np.arange(total), i), i) for i in range(total)])
        scores = splits.integrated(state, {total - 1: order}, rng, None)[total - 1]
        pointwise = scores["log_density"]
        found["elpd_refitted"] = pointwise.sum()
    summit = {n: fit["sample_stats"][f"{n}_optimum"].values.reshape(1) for n in state.names}
    closed = state.left_out(state.complete(summit), rng).log_density
    return found | {
        "elpd_psis": psis["elpd"],
        "pareto_k": psis["pareto_k"].max(),
        "se": _se(pointwise),
        "elpd_optimum": closed.sum(),
        "pointwise": pointwise,
    }


def stacking(log_density: np.ndarray, steps: int = 20_000) -> np.ndarray:
    """Weigh models so that their mixture predicts best: max Σ_i log Σ_k w_k p_k(y_i | y_{−i}).

    Parameters
    ----------
    log_density : (model, observation).
    steps : of expectation maximisation, which climbs from equal weights to the only maximum.
    """
    ratio = np.exp(log_density - log_density.max(axis=0))
    weight = np.full(len(ratio), 1 / len(ratio))
    for _ in range(steps):
        before, weight = weight, weight * np.mean(ratio / (weight @ ratio), axis=1)
        if np.abs(weight - before).max() < 1e-10:
            break
    return weight / weight.sum()


def from_the_wall_inward(
    data: xr.Dataset,
    *,
    start: float | None = None,
    kernels: Sequence[str] = ("squared_exponential",),
    settings: Settings = DEFAULT,
    scheduler: str | None = None,
) -> xr.Dataset:
    """Train outside a distance and predict the wall inside it.

    The classical recipe, with its fixed numbers and with and without its wall, comes first; then
    its two means with its kernel and every form with each of the kernels, hyperparameters inferred.
    Energies that stand on a constant are counted from there.

    Parameters
    ----------
    data : as of ``simulate`` or ``read``; all of its rows are used.
    start : least distance to train on; by default 0.955 σ.
    kernels : of the inferred processes.
    settings : length and seed.
    scheduler : as in ``parallel.map``.

    Returns
    -------
    a Dataset over ``model`` (coordinates ``form``, ``model_kernel``, ``numbers``) and
    ``inside``, the points held out: ``energy``; ``predicted`` and its 95 % interval ``low`` to
    ``high``; ``error``, the mean of |energy − predicted|; ``log_density``, the mean over the points
    of their log predictive densities, and ``log_density_joint``, that of all of them together.

    Raises
    ------
    DataError : nothing lies inside, or fewer than three points outside.
    """
    import xarray as xr

    data = above(noticed(data, settings=settings))
    r, u = data["distances"], data["energies"]
    start = WALL * scales(r, u)[0] if start is None else start
    outside = r.values >= start
    if outside.all() or outside.sum() < 3:
        raise DataError(
            "the wall cannot be held out",
            expected="points on both sides of it",
            found=f"{outside.sum()} of {len(r)} points at r ≥ {start:.4g}",
        )
    beyond, inside = data.isel(point=outside), data.isel(point=~outside)
    at, held_out = inside["distances"].values, inside["energies"].values
    known = inside["error"].values ** 2 if "error" in data else 0 * held_out
    judge = partial(_held_out, at=at, energies=held_out, known=known)
    scale = scales(beyond["distances"], beyond["energies"])  # nothing is known of the wall
    rough = gp.process(checked(beyond), "exponential", "repulsive")
    labels, rows = [(mean, "exponential", "fixed") for mean in WALLS], []
    for mean in WALLS:
        theta = numbers(*scale, wall=mean == "repulsive")
        rows.append(judge(rough, {n: np.full(1, v) for n, v in theta.items()}))
    pairs = [(wall, "exponential") for wall in WALLS]
    pairs += [(form, kernel) for kernel in kernels for form in FORMS]
    labels += [(*pair, "inferred") for pair in pairs]
    call = partial(_from_outside, data=beyond, judge=judge, settings=settings.replace(workers=1))
    rows += parallel.map(
        call,
        pairs,
        scheduler=scheduler,
        workers=settings.workers,
        label="From the wall inward",
    )
    of_u = {"units": u.units}
    found = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        units = {"units": "1"} if name.startswith("log") else of_u
        found[name] = (("model", "inside")[: values.ndim], values, units)
    columns = zip(("form", "model_kernel", "numbers"), zip(*labels, strict=True), strict=True)
    return xr.Dataset(
        found | {"energy": ("inside", held_out, of_u), "start": ((), start, r.attrs)},
        {name: ("model", list(values)) for name, values in columns}
        | {"inside": ("inside", at, r.attrs)},
    )


def _from_outside(pair, data, judge, settings):
    """Fit what lies outside, and judge its predictions of the wall."""
    form, kernel = pair
    state = problem(data, kernel=kernel, workers=1, **FORMS[form])
    chosen = gp.thinned(driver.fit(state, settings=settings), 400)
    theta = {n: v.values.ravel() for n, v in chosen.broadcast_like(chosen["noise"]).items()}
    return judge(state, theta)


def _held_out(problem, theta, at, energies, known):
    """How some hyperparameters, equally weighted, predict energies of known error variance."""
    from scipy.special import logsumexp, ndtr

    centre, root, _ = problem.conditional(theta, at)
    covariance = root @ np.swapaxes(root, 1, 2)
    covariance += (theta["noise"][:, None, None] ** 2 + known) * np.eye(len(at))
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    lower = np.linalg.cholesky(covariance + 1e-13 * np.eye(len(at)) * sd.max(1)[:, None, None] ** 2)
    z = np.linalg.solve(lower, (energies - centre)[..., None])[..., 0]
    volume = np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)), axis=1)
    joint = -0.5 * np.sum(z**2 + np.log(2 * np.pi), axis=1) - volume
    each = -0.5 * ((energies - centre) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    mean = centre.mean(axis=0)
    # Quantiles of the mixture, by bisection of its distribution function.
    edges = {}
    for name, share in (("low", 0.025), ("high", 0.975)):
        below, above = (centre - 8 * sd).min(axis=0), (centre + 8 * sd).max(axis=0)
        for _ in range(60):
            middle = 0.5 * (below + above)
            less = ndtr((middle - centre) / sd).mean(axis=0) < share
            below, above = np.where(less, middle, below), np.where(less, above, middle)
        edges[name] = middle
    count = np.log(len(centre))
    return {
        "predicted": mean,
        **edges,
        "error": np.abs(mean - energies).mean(),
        "log_density": float(np.mean(logsumexp(each, axis=0) - count)),
        "log_density_joint": float(logsumexp(joint) - count),
    }
