"""Tables that have a fault which a fit should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated
from bayesinf.settings import Settings
from bayesinf.systems.regression.data import from_columns
from bayesinf.systems.regression.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=1000, tune=400, chains=4, prior_draws=20, workers=1)
ROWS, NOISE, SITES, TRIALS = 150, 0.5, 8, 10
SLOPES = {"a": 0.8, "b": -0.4}


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data, with normal noise.
    """
    return {
        "none": _fitted,
        "none, a curve and groups": partial(
            _fitted, formula="y ~ a + b + s(x) + (1|site)", curve=0.7, groups=0.5
        ),
        "none, Student noise": partial(_fitted, noise=_heavy, response="student"),
        "none, counts": partial(_fitted, response="poisson"),
        "none, counts that scatter more": partial(_fitted, response="negbinomial", excess=0.7),
        "none, outcomes": partial(_fitted, response="bernoulli"),
        "none, counts of trials": partial(_fitted, response="binomial"),
        "none, known error bars": partial(_fitted, error=1.0),
        "none, rounded values": partial(_fitted, change=_rounded),
        "a missing interaction": partial(_fitted, product=0.4),
        "a missing curvature": partial(_fitted, square=0.3),
        "heavy tails": partial(_fitted, noise=_heavy),
        "noise that grows with the signal": partial(_fitted, noise=_growing),
        "correlated rows": partial(_fitted, noise=_correlated),
        "groups that are not modelled": partial(_fitted, groups=0.5, in_order=True),
        "a count taken as normal": partial(_fitted, response="poisson", as_if="normal"),
        "counts that scatter more": partial(_fitted, response="poisson", excess=0.7),
        "trials whose chances scatter": partial(_fitted, response="binomial", excess=0.7),
        "values that are cut off": partial(_fitted, change=_cut_off),
        "rows that stand there twice": partial(_fitted, twice=ROWS // 3),
        "error bars too small by a third": partial(_fitted, error=1 / 1.5),
        "a cell in another unit": partial(_fitted, slip=1000.0),
    }


def _fitted(
    rng,
    formula="y ~ a + b + x",
    *,
    curve=0.0,
    groups=0.0,
    product=0.0,
    square=0.0,
    noise=None,
    response="normal",
    as_if=None,
    excess=0.0,
    error=None,
    in_order=False,
    change=None,
    twice=0,
    slip=1.0,
):
    """The fit of a table by a formula, as of somebody who does not know its truth."""
    a, b = rng.standard_normal((2, ROWS))
    x, site = rng.uniform(size=ROWS), rng.integers(0, SITES, ROWS)
    site = np.sort(site) if in_order else site
    eta = 0.5 + SLOPES["a"] * a + SLOPES["b"] * b + 0.5 * x + curve * np.sin(2 * np.pi * x)
    eta = eta + product * a * b + square * a**2 + groups * rng.standard_normal(SITES)[site]
    trials = rng.integers(1, 2 * TRIALS, ROWS).astype(float)
    if response in ("poisson", "negbinomial"):
        rate = np.exp(eta) * (rng.gamma(1 / excess, excess, ROWS) if excess else 1.0)
        y = rng.poisson(rate).astype(float)
    elif response == "binomial":
        y = rng.binomial(trials.astype(int), _chance(eta + excess * rng.standard_normal(ROWS)))
    elif response == "bernoulli":
        y = (rng.random(ROWS) < _chance(eta)).astype(float)
    else:
        y = eta + (_even if noise is None else noise)(eta, rng)
    columns = {"a": a, "b": b, "x": x, "site": np.array([f"s{k}" for k in site]), "y": y * 1.0}
    columns["a"][0] *= slip
    columns |= {} if error is None else {"error": np.full(ROWS, error * NOISE)}
    columns |= {"trials": trials} if response == "binomial" else {}
    columns |= {} if change is None else {"y": change(y)}
    columns = {name: np.append(column, column[:twice]) for name, column in columns.items()}
    table = from_columns(
        columns,
        formula,
        None if error is None else "error",
        trials="trials" if "trials" in columns else None,
    )
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    found = fit(table, response=as_if or response, settings=settings)
    return found if as_if else annotated(found, truth=_slopes(found["posterior"]["beta"]))


def _slopes(beta):
    """What is known of the coefficients: the columns' own, and of a curve and of groups nothing."""
    import xarray as xr

    known = [SLOPES.get(str(name), np.nan) for name in beta["feature"].values]
    return xr.Dataset({"beta": ("feature", known)})


def _rounded(y):
    return np.round(y, 1)


def _cut_off(y):
    """A tenth of the values beyond what is recorded."""
    return np.minimum(y, np.quantile(y, 0.9))


def _chance(eta):
    return 1 / (1 + np.exp(-eta))


def _even(eta, rng):
    return NOISE * rng.standard_normal(eta.size)


def _heavy(eta, rng):
    return NOISE * rng.standard_t(2.5, eta.size)


def _growing(eta, rng):
    return NOISE * np.exp(0.6 * (eta - eta.mean())) * rng.standard_normal(eta.size)


def _correlated(eta, rng):
    kicks, values = rng.standard_normal(eta.size), np.empty(eta.size)
    values[0] = kicks[0]
    for k in range(1, eta.size):
        values[k] = 0.6 * values[k - 1] + 0.8 * kicks[k]
    return NOISE * values
