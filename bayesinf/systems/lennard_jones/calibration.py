"""Calibration: a problem that is small, and whose priors do not look at the data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import gp
from bayesinf.priors import LogNormal, Uniform
from bayesinf.settings import Settings

if TYPE_CHECKING:
    from bayesinf.calibration import Machine

_DISTANCES = np.linspace(0.9, 2.0, 25)
_HELD_OUT = np.arange(2, 25, 5)  # of those, to be predicted
_CALIBRATION_PRIORS = {
    "length_scale": LogNormal(0.3, 0.4),
    "amplitude": LogNormal(1.5, 0.5),
    "noise": LogNormal(0.05, 0.5),
    "gamma": LogNormal(30.0, 0.5),
    "r0": Uniform(0.9, 1.2),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Twenty energies with a wall or (variant ``zero``) without, and five that are held out."""
    from bayesinf.calibration import Machine

    variant = variant or "repulsive"
    if variant not in gp.MEANS:
        raise DataError("unknown variant", expected=f"one of {', '.join(gp.MEANS)}", found=variant)
    return Machine(
        name="lennard_jones",
        simulate=partial(_calibration_simulate, mean=variant),
        fit=partial(_calibration_fit, mean=variant),
        settings=Settings(draws=200, chains=4, prior_draws=20),
        log_likelihood=partial(_calibration_log_likelihood, mean=variant),
    )


def _calibration_process(mean, energies=None):
    energies = np.linspace(0, 1, len(_DISTANCES)) if energies is None else energies
    wall = {} if mean == "repulsive" else {"gamma": 0, "r0": 0}
    priors = {n: p for n, p in _CALIBRATION_PRIORS.items() if n not in wall}
    seen = np.delete(np.arange(len(_DISTANCES)), _HELD_OUT)
    at = seen if len(energies) == len(seen) else slice(None)
    return gp.Regression(_DISTANCES[at], energies, "squared_exponential", mean, priors=priors)


def _calibration_simulate(rng, mean):
    import xarray as xr

    process = _calibration_process(mean)
    theta = {name: float(prior.sample(rng)) for name, prior in process.priors.items()}
    noiseless = {**theta, "noise": 1e-6}
    lower, *_ = process.factors(noiseless)
    energy = process.mean.value(process.x, theta) + lower @ rng.standard_normal(len(_DISTANCES))
    truth = {name: np.array(value) for name, value in theta.items()}
    truth["prediction"] = energy[_HELD_OUT]
    seen = np.delete(np.arange(len(_DISTANCES)), _HELD_OUT)
    y = energy[seen] + theta["noise"] * rng.standard_normal(len(seen))
    return truth, xr.Dataset({"x": ("point", _DISTANCES[seen]), "y": ("point", y)})


def _calibration_fit(data, settings, mean):
    import xarray as xr

    process = _calibration_process(mean, data["y"].values)
    found = gp.fit(data["x"].values, data["y"].values, mean=mean, priors=process.priors,
                   settings=settings)  # fmt: skip
    drawn = gp.predict(found, _DISTANCES[_HELD_OUT], most=settings.chains * settings.draws)
    draws = (
        found["posterior"]
        .to_dataset()
        .assign(prediction=(("chain", "draw", "held_out"), drawn["curve"].values, {"units": "1"}))
    )
    found["posterior"] = xr.DataTree(draws)
    return found


def _calibration_log_likelihood(truth, data, mean):
    process = _calibration_process(mean, data["y"].values)
    return float(process.log_marginal({name: np.asarray(truth[name]) for name in process.names}))
