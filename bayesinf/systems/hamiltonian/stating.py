"""Motions to a posterior: which problem is stated, and what stands beside its fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import PREDICTIVE_P, p_values
from bayesinf.errors import DataError, FitError
from bayesinf.models import problem as driver
from bayesinf.posterior import dataset, noted
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.hamiltonian import energies
from bayesinf.systems.hamiltonian.data import Record, true_energy
from bayesinf.systems.hamiltonian.energies import Frame
from bayesinf.systems.hamiltonian.model import Motion
from bayesinf.systems.hamiltonian.results import foretold, mapped
from bayesinf.systems.hamiltonian.statistics import CAUSES, FORCE, SPEED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMS", "fit", "known", "plan", "problem"]

STATED = {"spring": energies.spring, "pendulum": energies.pendulum}
FORMS = ("smooth", *STATED)
DEGREES = ("°", "deg", "degree", "degrees", "grad", "gon")  # in which 1 − cos q is another function
DRAWS = 250  # of each chain, unless more are asked for
CLEAR = 3.0  # sds of replicas by which a statistic names the cause
PRIOR_DRAWS = 100  # whose replicas make up a large part of a file


def problem(
    motions: xr.Dataset,
    form: str = "smooth",
    *,
    treated: bool = True,
    damped: bool = False,
    kinetic: float | None = None,
    frame: Frame | None = None,
    priors: Mapping[str, Prior] | None = None,
) -> Motion:
    """State the problem, every prior included; arguments as of ``fit``.

    ``frame`` and ``priors`` replace what is taken from the extent of the data.
    """
    record = Record.of(motions)
    frame = record.frame if frame is None else frame
    if form not in FORMS:
        raise FitError(f"unknown form of the energy {form!r}: use one of {', '.join(FORMS)}")
    angle = motions["q"].attrs.get("units", "1")
    if form == "pendulum" and angle.lower() in DEGREES:
        raise DataError(
            "the form pendulum takes q in radians",
            expected="a column in rad",
            found=f"one in {angle}",
            remedy="multiply it by π/180, and p alike where it is in degrees, or leave --form out",
        )
    if form in STATED:
        if kinetic is not None:
            raise FitError(f"the form {form} has a kinetic part that is inferred: leave it out")
        energy = STATED[form](frame)
    elif kinetic is None:
        energy = energies.smooth(frame)
    else:
        energy = energies.known_kinetic(frame, kinetic)
    when = motions.attrs["time"]
    units = {n: motions[n].attrs.get("units", "1") for n in (*record.values, when)}
    return Motion(
        record, energy, frame, treated, damped, dict(priors or {}), units | {"t": units[when]}
    )


def plan(method: str | None = None, settings: Settings = DEFAULT) -> tuple[str | None, Settings]:
    """Method and length that motions can afford: draws are nearly independent, so few will do."""
    prior = min(settings.prior_draws, PRIOR_DRAWS)
    return method, settings.replace(draws=min(settings.draws, DRAWS), prior_draws=prior)


def fit(
    motions: xr.Dataset,
    form: str = "smooth",
    *,
    treated: bool = True,
    damped: bool = False,
    kinetic: float | None = None,
    held_out: xr.Dataset | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer the energy H(q, p) of motions from their states, and rates where they were measured.

        q̇ = ∂H/∂p,   ṗ = −∂H/∂q − γ p

    Parameters
    ----------
    motions : Dataset of motions, as of ``simulate`` or ``read``.
    form : ``smooth``, any function of q and p, ``spring``, c q² + k p², or ``pendulum``,
        c (1 − cos q) + k p².
    treated : whether noise in the states is treated, by following them from initial states that are
        inferred; else they are taken as they were measured, and rates are regressed on them, those
        that were not measured as differences of neighbouring states.
    damped : whether a damping γ is inferred.
    kinetic : κ of a kinetic energy κ p² that is known; None where it is not.
    held_out : further motions, which are forecast.
    method : None, the one way of each (``routes``).
    settings : length and seed.

    Returns
    -------
    InferenceData with ``energy`` (site), ``noise`` (measured), ``amplitude`` and ``length_scale``
    of the Gaussian process, ``gamma``, the ``weight`` of each term and the states at the ``start``
    of each path. H has no constant: energies are less their mean over a ring of sites.

    Raises
    ------
    DataError : motions without q or p; the form of a pendulum at angles in degrees.
    FitError : no motion near the optimum follows the data; an unknown form.
    """
    stated = problem(motions, form, treated=treated, damped=damped, kinetic=kinetic)
    names = [name for name in stated.parameters.dims if name != "weight"]
    judged = {*names, "gamma", "amplitude"} & _variables(stated)
    trials, rows = motions.sizes["repeat"], len(stated.record.states)
    found = driver.fit(
        stated,
        method,
        settings,
        system="hamiltonian",
        notes={"truth": known(stated, motions)},
        attrs={
            "data_used": f"The fit is to {rows} instants of {trials} motions.",
            "quantities": json.dumps(sorted(judged)),
            "form": form,
            "treated": int(treated),
            "damped": int(damped),
            "simulated": str(motions.attrs.get("system", "")),
        },
    )
    found = mapped(stated, found, motions)
    if held_out is not None:
        found = foretold(stated, found, held_out, settings)
    return _explained(found, kinetic is not None)


def _variables(stated):
    found = {"energy", "noise"}
    found |= {"amplitude", "length_scale"} if stated.energy.priors else set()
    return (
        found | ({"gamma"} if stated.damped else set()) | ({"start"} if stated.treated else set())
    )


def known(stated: Motion, motions: xr.Dataset) -> xr.Dataset | None:
    """What is known of simulated motions, under the names of the posterior; None of others."""
    truth, found = noted(motions, "truth"), {}
    if truth is None:
        return None
    labels = stated.parameters
    if "path" not in truth.data_vars:  # drawn from the prior, under the names of the posterior
        found = {name: truth[name].values for name in truth if name in _variables(stated)}
        return dataset(found, labels.dims, labels.coords, labels.units, sampled=False)
    if stated.treated and "noise" in truth:
        held = dict(zip(truth["measured"].values, truth["noise"].values, strict=True))
        found["noise"] = np.array([held[name] for name in stated.measured])
    if stated.damped:
        found["gamma"] = truth["gamma"].values
    energy = true_energy(motions)
    if energy is not None:
        value = energy.value(stated.sites)
        found["energy"] = value - value[:-1].mean()
    if stated.treated and stated.paths == motions.sizes["repeat"]:
        found["start"] = truth["path"].values[:, 0]
    return dataset(found, labels.dims, labels.coords, labels.units, sampled=False)


def _explained(fit, stated_kinetic):
    """Name, where replicas are not like the data, what the model is most likely to leave out."""
    p = p_values(fit)
    if min(p.values()) >= PREDICTIVE_P / len(p):
        return fit
    gap = fit["sample_stats"]["discrepancy"] - fit["sample_stats"]["discrepancy_observed"]
    sds = (abs(gap.mean(("chain", "draw"))) / gap.std(("chain", "draw"))).values
    score = {name: sd for name, sd in zip(p, sds, strict=True) if name in CAUSES}
    worst = max(score, key=score.get)
    if score[worst] > CLEAR:
        # Of a kinetic energy that is wrong the force may tell as well as the speed.
        named = SPEED if stated_kinetic and worst == FORCE else worst
        fit.attrs["cause"] = CAUSES[named]
    return fit
