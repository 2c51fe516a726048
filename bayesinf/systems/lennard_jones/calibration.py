"""Calibration: a problem that is small, and whose priors do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.priors import LogNormal, Normal, Uniform
from bayesinf.settings import Settings

__all__ = ["calibration_problem"]

_DISTANCES = np.linspace(0.9, 2.0, 25)
_HELD_OUT = np.arange(2, 25, 5)  # of those, to be predicted
_KERNEL = {
    "length_scale": LogNormal(0.3, 0.4),
    "amplitude": LogNormal(1.5, 0.5),
    "noise": LogNormal(0.05, 0.5),
}
_WALL = {"gamma": LogNormal(30.0, 0.5), "r0": Uniform(0.9, 1.2)}
_FALLING = {"decay": LogNormal(6.0, 0.3), "constant": Normal(-20.0, 2.0)}
# Variant to the arguments of ``gp.process``.
_FORMS = {
    "repulsive": {"mean": "repulsive", "priors": _KERNEL | _WALL},
    "zero": {"mean": "zero", "priors": _KERNEL},
    "falling": {
        "mean": "constant",
        "coordinate": "log",
        "envelope": "power",
        "priors": _KERNEL | _FALLING,
    },
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Twenty energies and five that are held out: in r with a wall, with variant ``zero`` without;
    with ``falling`` in log r, the size falling off, on a constant.
    """
    form = _FORMS[variant_of(variant, tuple(_FORMS))]
    return Machine(
        name="lennard_jones",
        simulate=partial(_simulate, form=form),
        fit=partial(_fit, form=form),
        settings=Settings(draws=200, chains=4, prior_draws=20),
        log_likelihood=partial(_log_likelihood, form=form),
    )


def _process(form, distances, energies):
    """The process on some energies, with priors that do not depend on them."""
    return gp.process(curve_from_arrays(distances, energies), **form)


def _simulate(rng, form):
    import xarray as xr

    state = _process(form, _DISTANCES, np.linspace(0, 1, len(_DISTANCES)))
    theta = {name: float(prior.sample(rng)) for name, prior in state.inferred.items()}
    lower, *_ = state.factors({**theta, "noise": 1e-6})
    energy = state.mean.value(state.x, theta) + lower @ rng.standard_normal(len(_DISTANCES))
    truth = {name: np.array(value) for name, value in theta.items()}
    truth["prediction"] = energy[_HELD_OUT]
    r, u = (np.delete(values, _HELD_OUT) for values in (_DISTANCES, energy))
    u = u + theta["noise"] * rng.standard_normal(len(u))
    return truth, xr.Dataset({"distances": ("point", r), "energies": ("point", u)})


def _fit(data, settings, form):
    import xarray as xr

    fit = driver.fit(_process(form, data["distances"], data["energies"]), settings=settings)
    drawn = gp.predict(fit, _DISTANCES[_HELD_OUT], most=settings.chains * settings.draws)
    prediction = ("chain", "draw", "held_out"), drawn["curve"].values, {"units": "1"}
    fit["posterior"] = xr.DataTree(fit["posterior"].to_dataset().assign(prediction=prediction))
    return fit


def _log_likelihood(truth, data, form):
    state = _process(form, data["distances"], data["energies"])
    return float(state.log_marginal({name: np.asarray(truth[name]) for name in state.names}))
