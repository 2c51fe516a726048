"""Calibration: motions of energies drawn from the prior, under priors that do not look at data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.data import series_from_arrays
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.hamiltonian import energies
from bayesinf.systems.hamiltonian.data import STATES, Record
from bayesinf.systems.hamiltonian.energies import Frame
from bayesinf.systems.hamiltonian.model import Motion

__all__ = ["calibration_problem"]

# States of order one, energies of order one: a motion turns once or so in the time it is seen.
FRAME = Frame(np.zeros(2), np.ones(2), 1.0, 1.0)
PATHS, INSTANTS, DURATION = 6, 12, 3.0
FAR = 100.0  # half-widths, from which a motion has run away
TERMS = 3  # waves of each coordinate
PRIORS = {
    "amplitude": LogNormal(0.2, 0.4),
    "length_scale[q]": LogNormal(1.0, 0.3),
    "length_scale[p]": LogNormal(1.0, 0.3),
    "gamma": Normal(0.0, 0.2),
    **{f"noise[{name}]": LogNormal(0.05, 0.4) for name in (*STATES, "dq_dt", "dp_dt")},
}
VARIANTS = {
    "states": {"treated": True},
    "rates": {"treated": False},
    "damped": {"treated": True, "damped": True},
}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration.

    ``states``: motions followed from inferred initial states; ``damped``: the same with a damping;
    ``rates``: rates at states that are exact. The quadratic form of the energy is drawn about a
    spring, so that a motion drawn from the prior seldom runs away.
    """
    variant = variant_of(variant, VARIANTS)
    return Machine(
        name=f"hamiltonian ({variant})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
    )


def _stated(variant, motions):
    energy = energies.about_spring(FRAME, TERMS)
    return Motion(Record.of(motions), energy, FRAME, given=PRIORS, **VARIANTS[variant])


def _simulate(variant, rng):
    when = np.tile(np.linspace(0.0, DURATION, INSTANTS), (PATHS, 1))
    shape = (PATHS, INSTANTS)
    columns = {name: rng.uniform(-1, 1, shape) for name in STATES}
    if not VARIANTS[variant]["treated"]:
        columns |= {name: np.zeros(shape) for name in ("dq_dt", "dp_dt")}
    stated = _stated(variant, series_from_arrays(when, columns))
    while True:  # hardly any motion of this prior runs away
        draws = stated.sample_prior(rng, 1)
        with np.errstate(all="ignore"):
            means = stated.means(draws)
        if all(np.abs(means[n]).max() < FAR for n in STATES if n in means):
            break
    rows = stated.replicate(draws, rng)
    columns |= {name: values[0].reshape(shape) for name, values in rows.items()}
    truth = {name: value[0] for name, value in draws.items()}
    judged = {n: v for n, v in truth.items() if n not in ("weight",)}
    labels = stated.parameters
    beside = dataset(judged, labels.dims, labels.coords, labels.units, sampled=False)
    return judged, annotated(series_from_arrays(when, columns), truth=beside)


def _fit(variant, motions, settings):
    return driver.fit(_stated(variant, motions), settings=settings)
