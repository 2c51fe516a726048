"""Calibration: a problem that is small, and whose priors do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.priors import LogNormal, Uniform
from bayesinf.settings import Settings

_DISTANCES = np.linspace(0.9, 2.0, 25)
_HELD_OUT = np.arange(2, 25, 5)  # of those, to be predicted
VARIANTS = ("repulsive", "zero")  # prior means
_PRIORS = {
    "length_scale": LogNormal(0.3, 0.4),
    "amplitude": LogNormal(1.5, 0.5),
    "noise": LogNormal(0.05, 0.5),
    "gamma": LogNormal(30.0, 0.5),
    "r0": Uniform(0.9, 1.2),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Twenty energies with a wall or (variant ``zero``) without, and five that are held out."""
    mean = variant_of(variant, VARIANTS)
    return Machine(
        name="lennard_jones",
        simulate=partial(_simulate, mean=mean),
        fit=partial(_fit, mean=mean),
        settings=Settings(draws=200, chains=4, prior_draws=20),
        log_likelihood=partial(_log_likelihood, mean=mean),
    )


def _process(mean, distances, energies):
    """The process on some energies, with priors that do not depend on them."""
    wall = () if mean == "repulsive" else ("gamma", "r0")
    priors = {name: prior for name, prior in _PRIORS.items() if name not in wall}
    return gp.process(curve_from_arrays(distances, energies), mean=mean, priors=priors)


def _simulate(rng, mean):
    import xarray as xr

    state = _process(mean, _DISTANCES, np.linspace(0, 1, len(_DISTANCES)))
    theta = {name: float(prior.sample(rng)) for name, prior in state.inferred.items()}
    lower, *_ = state.factors({**theta, "noise": 1e-6})
    energy = state.mean.value(state.x, theta) + lower @ rng.standard_normal(len(_DISTANCES))
    truth = {name: np.array(value) for name, value in theta.items()}
    truth["prediction"] = energy[_HELD_OUT]
    r, u = (np.delete(values, _HELD_OUT) for values in (_DISTANCES, energy))
    u = u + theta["noise"] * rng.standard_normal(len(u))
    return truth, xr.Dataset({"distances": ("point", r), "energies": ("point", u)})


def _fit(data, settings, mean):
    import xarray as xr

    found = driver.fit(_process(mean, data["distances"], data["energies"]), settings=settings)
    drawn = gp.predict(found, _DISTANCES[_HELD_OUT], most=settings.chains * settings.draws)
    prediction = ("chain", "draw", "held_out"), drawn["curve"].values, {"units": "1"}
    found["posterior"] = xr.DataTree(found["posterior"].to_dataset().assign(prediction=prediction))
    return found


def _log_likelihood(truth, data, mean):
    state = _process(mean, data["distances"], data["energies"])
    return float(state.log_marginal({name: np.asarray(truth[name]) for name in state.names}))
