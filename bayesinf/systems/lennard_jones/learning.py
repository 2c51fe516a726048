"""Learning curves: how the error of held-out energies falls, and whether it is known how large."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.data import curve_from_arrays
from bayesinf.errors import FitError
from bayesinf.models import curve, gp
from bayesinf.models import problem as driver
from bayesinf.models.gp import splits
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.lennard_jones.data import scales
from bayesinf.systems.lennard_jones.process import classical_numbers, default_priors

if TYPE_CHECKING:
    import xarray as xr

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of the data to train on
WALLS = ("zero", "repulsive")


def learning_curves(
    data: xr.Dataset,
    *,
    count: int = 500,
    inferred: int = 100,
    kernel: str = "exponential",
    settings: Settings = DEFAULT,
    scheduler: str | None = None,
) -> xr.Dataset:
    """Score predictions of held-out energies against the number of training points.

    Each size is met by ``count`` random splits. With fixed hyperparameters that is the classical
    recipe; with inferred ones length scale, amplitude, noise and wall of the same kernel are
    integrated over, by the posterior of each of ``inferred`` splits.

    Parameters
    ----------
    data : as of ``simulate``; all points are used.
    count, inferred : splits of each size.
    kernel : of the inferred process.
    settings : seed and workers.
    scheduler : as in ``parallel.map``.

    Returns
    -------
    a Dataset over ``wall`` (zero, repulsive), ``numbers`` (fixed, inferred) and ``size``: the means
    of the scores of ``gp.splits`` over the splits, NAME_se their standard errors, ``splits``, and
    ``effective``, the median effective number of points behind an inferred split.
    """
    import xarray as xr

    r, u = data["distances"].values, data["energies"].values
    units = data["distances"].units, data["energies"].units
    (sigma, epsilon), total = scales(r, u, units), len(r)
    sizes = sorted({round(f * total) for f in FRACTIONS} - {0, 1, 2, total})
    theta = classical_numbers(sigma, epsilon)
    form = gp.Exponential(length_scale=theta["length_scale"], amplitude=theta["amplitude"])
    options = {"error": data.get("error"), "workers": settings.workers}
    walled = gp.Repulsive(theta["gamma"], theta["r0"])
    problem = gp.Regression(r, u, form, walled, noise=theta["noise"], **options)
    both = {name: np.full(2, value) for name, value in theta.items()}
    both["gamma"] = np.array([0.0, theta["gamma"]])
    rows = {}
    for size in sizes:
        order = _orders(settings, size, count, total)
        found = splits.fixed(problem, both, order, size)
        for k, wall in enumerate(WALLS):
            rows[wall, "fixed", size] = {name: value[k] for name, value in found.items()}
    if inferred:
        orders = {size: _orders(settings, size, count, total)[:inferred] for size in sizes}
        call = partial(_inferred, r=r, u=u, error=data.get("error"), scale=(sigma, epsilon),
                       kernel=kernel, orders=orders, settings=settings)  # fmt: skip
        curves = parallel.map(call, WALLS, workers=settings.workers, scheduler=scheduler,
                              label="Learning curves")  # fmt: skip
        for wall, found in zip(WALLS, curves, strict=True):
            rows |= {(wall, "inferred", size): scores for size, scores in found.items()}
    names = [*splits.SCORES, *(f"{name}_se" for name in splits.SCORES), "splits", "effective"]
    shape, coords = (2, 2, len(sizes)), {
        "wall": list(WALLS), "numbers": ["fixed", "inferred"], "size": sizes
    }  # fmt: skip
    arrays = {name: np.full(shape, np.nan) for name in names}
    for (wall, numbers, size), scores in rows.items():
        at = (coords["wall"].index(wall), coords["numbers"].index(numbers), sizes.index(size))
        for name in splits.SCORES:
            arrays[name][at] = scores[name].mean()
            arrays[f"{name}_se"][at] = scores[name].std(ddof=1) / np.sqrt(len(scores[name]))
        arrays["splits"][at] = len(scores["error"])
        if "effective" in scores:
            arrays["effective"][at] = np.median(scores["effective"])
    of_u = {name: units[1] for name in ("error", "crps", "error_se", "crps_se")}
    return xr.Dataset(
        {n: (tuple(coords), a, {"units": of_u.get(n, "1")}) for n, a in arrays.items()}, coords
    )


def _inferred(wall, r, u, error, scale, kernel, orders, settings):
    """One curve with inferred hyperparameters: size to scores."""
    problem = gp.Regression(r, u, kernel, wall, error, priors=default_priors(wall, *scale))
    return splits.integrated(problem, orders, settings.generator("splits", wall))


def _orders(settings, size, count, total):
    return splits.orders(settings.generator("splits", size), count, total)


def power_laws(x, beta_1, nu_1, beta_2, nu_2):
    """Return log β + ν log N of two curves: N is |x|, and a negative x belongs to the second."""
    n = np.log(np.abs(x))
    return np.where(x > 0, np.log(beta_1) + nu_1 * n, np.log(beta_2) + nu_2 * n)


def learning_rates(scores: xr.Dataset, settings: Settings = DEFAULT) -> xr.DataTree:
    """Fit power laws E = β N^ν to the two classical learning curves.

        log E_i = log β + ν log N_i + ε_i,  ε_i ~ N(0, noise²)

    The noise is the scatter about the laws, which no curve follows to its standard errors.

    Parameters
    ----------
    scores : what ``learning_curves`` returned; it joins ``constant_data``.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``beta`` and ``nu`` over ``wall`` (zero, repulsive), and ``noise``. In
    ``constant_data`` x is N, with a minus sign for the curves of the repulsive mean.
    """
    import lmfit

    sizes = scores["size"].values.astype(float)
    if len(sizes) < 3:
        raise FitError(f"a power law needs three sizes of training sets, not {len(sizes)}: "
                       "give more data")  # fmt: skip
    errors = scores["error"].sel(numbers="fixed")
    y = [np.log(errors.sel(wall=wall).values) for wall in WALLS]
    model = lmfit.Model(power_laws)
    params = model.make_params()
    for k, values in enumerate(y, 1):
        nu, log_beta = np.polyfit(np.log(sizes), values, 1)
        params[f"nu_{k}"].set(value=nu)
        params[f"beta_{k}"].set(value=np.exp(log_beta), min=0)
    walls = {name: ("wall", dict(zip(WALLS, (f"{name}_1", f"{name}_2"), strict=True)))
             for name in ("beta", "nu")}  # fmt: skip
    data = curve_from_arrays(np.concatenate([sizes, -sizes]), np.concatenate(y))
    problem = curve.problem(model, params, data, stacked=walls, units={"beta": errors.units},
                            attrs={"case": "Learning curves", "truth": ""})  # fmt: skip
    return driver.fit(problem, settings=settings, system="lennard_jones", notes={"score": scores})
