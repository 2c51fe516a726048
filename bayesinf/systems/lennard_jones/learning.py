"""Learning curves: how the error of held-out energies falls, and whether it is known how large."""

from __future__ import annotations

from collections.abc import Sequence
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
from bayesinf.systems.lennard_jones.classical import WALLS, numbers
from bayesinf.systems.lennard_jones.data import checked, scales
from bayesinf.systems.lennard_jones.level import above, noticed
from bayesinf.systems.lennard_jones.model import problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FRACTIONS", "learning_curves", "learning_rates", "power_laws"]

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of the data to train on


def learning_curves(
    data: xr.Dataset,
    *,
    count: int = 500,
    inferred: int = 100,
    fractions: Sequence[float] = FRACTIONS,
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
    data : as of ``simulate``; all points are used, counted from the constant that they stand on, if
        any.
    count, inferred : splits of each size.
    fractions : of the data, the sizes.
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

    data = above(noticed(data, settings=settings))
    pair, total = checked(data), data.sizes["point"]
    sizes = sorted({round(f * total) for f in fractions} - {0, 1, 2, total})
    theta = numbers(*scales(data["distances"], data["energies"]))
    form = gp.Exponential(length_scale=theta["length_scale"], amplitude=theta["amplitude"])
    walled = gp.Repulsive(theta["gamma"], theta["r0"])
    recipe = gp.process(pair, form, walled, noise=theta["noise"], workers=settings.workers)
    both = {name: np.full(2, value) for name, value in theta.items()}
    both["gamma"] = np.array([0.0, theta["gamma"]])
    rows = {}
    orders = {size: _orders(settings, size, count, total) for size in sizes}
    for size, order in orders.items():
        found = splits.fixed(recipe, both, order, size)
        for k, wall in enumerate(WALLS):
            rows[wall, "fixed", size] = {name: value[k] for name, value in found.items()}
    if inferred:
        fewer = {size: order[:inferred] for size, order in orders.items()}
        call = partial(_inferred, data=data, kernel=kernel, orders=fewer, settings=settings)
        drawn = parallel.map(
            call, WALLS, workers=settings.workers, scheduler=scheduler, label="Learning curves"
        )
        for wall, found in zip(WALLS, drawn, strict=True):
            rows |= {(wall, "inferred", size): scores for size, scores in found.items()}
    names = [*splits.SCORES, *(f"{name}_se" for name in splits.SCORES), "splits", "effective"]
    coords = {"wall": list(WALLS), "numbers": ["fixed", "inferred"], "size": sizes}
    shape = tuple(map(len, coords.values()))
    arrays = {name: np.full(shape, np.nan) for name in names}
    for labels, scores in rows.items():
        at = tuple(
            values.index(label) for values, label in zip(coords.values(), labels, strict=True)
        )
        for name in splits.SCORES:
            arrays[name][at] = scores[name].mean()
            arrays[f"{name}_se"][at] = scores[name].std(ddof=1) / np.sqrt(len(scores[name]))
        arrays["splits"][at] = len(scores["error"])
        if "effective" in scores:
            arrays["effective"][at] = np.median(scores["effective"])
    of_u = {name: pair["energies"].units for name in ("error", "crps", "error_se", "crps_se")}
    return xr.Dataset(
        {n: (tuple(coords), a, {"units": of_u.get(n, "1")}) for n, a in arrays.items()}, coords
    )


def _inferred(wall, data, kernel, orders, settings):
    """One curve with inferred hyperparameters: size to scores."""
    state = problem(data, wall, kernel)
    return splits.integrated(state, orders, settings.generator("splits", wall))


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
    InferenceData with ``beta`` and ``nu`` over ``wall`` (zero, repulsive), and ``noise``. The data
    are ``log_error``; ``signed_size`` is N, with a minus sign for the curve of the repulsive mean.
    """
    import lmfit
    import xarray as xr

    sizes = scores["size"].values.astype(float)
    if len(sizes) < 3:
        raise FitError(
            f"a power law needs three sizes of training sets, not {len(sizes)}: give more data"
        )
    errors = scores["error"].sel(numbers="fixed")
    y = [np.log(errors.sel(wall=wall).values) for wall in WALLS]
    model = lmfit.Model(power_laws)
    params = model.make_params()
    for k, values in enumerate(y, 1):
        nu, log_beta = np.polyfit(np.log(sizes), values, 1)
        params[f"nu_{k}"].set(value=nu)
        params[f"beta_{k}"].set(value=np.exp(log_beta), min=0)
    walls = {
        name: ("wall", dict(zip(WALLS, (f"{name}_1", f"{name}_2"), strict=True)))
        for name in ("beta", "nu")
    }
    laws = curve.problem(
        model,
        params,
        curve_from_arrays(
            xr.DataArray(np.concatenate([sizes, -sizes]), dims="point", name="signed_size"),
            xr.DataArray(np.concatenate(y), dims="point", name="log_error"),
        ),
        stacked=walls,
        units={"beta": errors.units},
        attrs={"case": "Learning curves"},
    )
    return driver.fit(laws, settings=settings, system="lennard_jones", notes={"score": scores})
