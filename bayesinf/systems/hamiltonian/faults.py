"""Faults that the checks of a fit should see: pendulums, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated
from bayesinf.settings import Settings
from bayesinf.systems.hamiltonian.data import simulate, some
from bayesinf.systems.hamiltonian.stating import fit, known, problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

TRIALS = 10
SETTINGS = Settings(draws=250, chains=4, prior_draws=10, workers=1)


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _fitted,
        "none, a damped motion and a damping": partial(_fitted, damping=0.2, damped=True),
        "damping that is left out": partial(_fitted, damping=0.2),
        "an angular velocity taken for the momentum": partial(_fitted, change=_halved, kinetic=1.0),
        "noise in the states that is ignored": partial(
            _fitted, treated=False, told=True, rate_noise=0.1, trials=20
        ),
        "a spring taken for a pendulum": partial(_fitted, system="spring", form="pendulum"),
        "a state that is off": partial(_fitted, change=_outlier),
        "momenta computed from the positions": partial(_fitted, change=_differenced),
        "rates computed from the states": partial(_fitted, change=_differenced, rate_noise=0.1),
        "rates that lag behind": partial(_fitted, change=_lagging, rate_noise=0.1),
    }


def _fitted(
    rng,
    change=None,
    system="pendulum",
    trials=TRIALS,
    damping=0.0,
    rate_noise=None,
    told=False,
    **options,
):
    """A fit of motions as ``change`` leaves them, with their truth, which it was not told."""
    motions = simulate(system, trials, damping=damping, rate_noise=rate_noise, rng=rng)
    if system == "spring":  # as wide as a pendulum's; H = q² + p² stays what it is
        names = ("q", "p", "truth.path", "truth.noise")
        motions = motions.assign({name: 2.3 * motions[name] for name in names})
    half = trials // 2
    part = some(motions, slice(0, half)) if told else motions
    held_out = _bare(some(motions, slice(half, None))) if told else None
    part = part if change is None else change(part)
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    found = fit(_bare(part), held_out=held_out, settings=settings, **options)
    return annotated(found, truth=known(problem(part, **options), part))


def _bare(motions):
    """The same without the truth, so that the data alone are judged."""
    found = motions.drop_vars([v for v in motions.variables if str(v).startswith("truth.")])
    found.attrs.pop("system")
    return found


def _halved(motions):
    """Here q̇ = 2 p: what is called p becomes twice as large, and q̇ = p."""
    path, noise = motions["truth.path"].copy(), motions["truth.noise"].copy()
    path[..., 1] *= 2
    noise[1] *= 2
    found = motions.assign({"p": 2 * motions["p"], "truth.path": path, "truth.noise": noise})
    return found.assign_attrs(system="")  # whose energy is another function of this p


def _outlier(motions):
    q = motions["q"].copy()
    q[0, 20] += 1.0
    return motions.assign(q=q)


def _lagging(motions):
    """Rates of the instant before, as of a filter."""
    rates = {n: motions[n].shift(step=1).fillna(motions[n]) for n in ("dq_dt", "dp_dt")}
    return motions.assign(**rates)


def _differenced(motions):
    """Rates as differences of the states, or where there are none p as those of q, q̇ = 2 p."""
    step = float(motions["t"][0, 1] - motions["t"][0, 0])
    rates = {n: motions[n].copy(data=np.gradient(motions[n], step, axis=1)) for n in ("q", "p")}
    if "dq_dt" in motions:
        found = {f"d{n}_dt": rate for n, rate in rates.items()}
    else:
        found = {"p": rates["q"] / 2}
    # How large the noise of a difference is depends on its place: nothing is known of it.
    return motions.assign(found).drop_vars("truth.noise")
