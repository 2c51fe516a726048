"""The story of the report: which energy moves the system, and how surely it is known where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, value_with_unit
from bayesinf.systems.hamiltonian import figures
from bayesinf.systems.hamiltonian.figures import CALLED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

APART = 0.05  # share by which a trend in the energy changes a ratio, from which that is told
LEVELS = (0.5, 0.95)  # of the intervals whose coverage is told
# Energy errors of Greydanus et al. (2019), Table 1: network of an energy, and plain network.
PUBLISHED = {"spring": (3.84e-4, 0.171), "pendulum": (0.0249, 0.0415)}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the energy, what ignoring the noise in the states costs, forecasts and networks."""
    name = "paths" if "paths" in fits else next(iter(fits))
    fit = fits[name]
    ordered = {name: fit} | {other: one for other, one in fits.items() if other != name}
    return Story(
        title="The energy of a motion",
        question="Which energy H(q, p) moves this system, and how surely is it known where?",
        answer=_answer(fit, ordered),
        classical=_classical(ordered),
        extra=(*_where(ordered), *_forecasts(ordered), _unknown(fit), _steps(fit)),
        best=name,
        derived=_derived(fit),
    )


def _derived(fit):
    """Draws of the coefficients of a stated form."""
    found = {}
    if fit.attrs.get("form", "smooth") != "smooth":
        weight = fit["posterior"]["weight"]
        c, k = (weight.isel(term=i, drop=True) for i in (0, 1))
        found = {"c": c, "k": k, "ratio c/k": c / k}
        if fit.attrs["form"] == "pendulum":
            found["twice the squared frequency of small swings, 4 c k"] = 4 * c * k
    return {name: draws.assign_attrs(units="1") for name, draws in found.items()}


def _said(draws):
    return value_with_unit(float(draws.mean()), float(draws.std()), draws.attrs["units"])


def _answer(fit, fits):
    energy = fit["posterior"]["energy"]
    unit = energy.attrs["units"]
    sd = float(np.sqrt((energy.isel(site=slice(0, 8)).std(("chain", "draw")) ** 2).mean()))
    rise = float(energy.mean(("chain", "draw"))[:8].mean() - energy.mean(("chain", "draw"))[8])
    derived = _derived(fit)
    if "gamma" in fit["posterior"]:
        derived["damping γ"] = fit["posterior"]["gamma"]
    form = "; ".join(f"{name} = {_said(draws)}" for name, draws in derived.items())
    form = f" ({form})" if form else ""
    said = [
        f"From its middle to the ring of the motions H rises by {rise:.3g}"
        f"{'' if unit == '1' else ' ' + unit}, and around that ring it is known to ± {sd:.2g}"
        f"{form}."
    ]
    forecast = noted(fit, "forecast")
    if forecast is not None:
        share = ", ".join(f"{100 * v:.0f} %" for v in forecast["covered"].values[1])
        when = ", ".join(f"{h:g}" for h in forecast["horizon"].values)
        said.append(
            "Of held-out motions, forecast from their first measured state alone, "
            f"{share} of the states at {when} lie within 95 % bands."
        )
    error = noted(fit, "error")
    if error is not None:
        said.append(
            f"Along forecasts from the true initial states the true energy is off by "
            f"{_error(error)} (mean square)."
        )
    said += _ignored(fits)
    return Section(
        f"H rises by {rise:.3g} to the ring of the motions, known to ± {sd:.2g} there",
        tuple(said),
        (
            Picture(
                "portrait",
                figures.portrait(fits),
                "Does the posterior have the energy's lines where the truth or the motions have "
                "them? Lines of equal energy; motions run along them.",
                "Contours of energy over phase space, with the measured states.",
            ),
        ),
    )


def _error(error):
    return f"{float(error['energy']):.2g} ± {float(error['energy_error']):.1g}"


def _ignored(fits):
    if "ignored" not in fits:
        return
    own, other = (noted(fits[name], "error") for name in ("paths", "ignored"))
    if own is not None:
        yield (
            "Where the states are taken as exact, as is usual, noise in the states is noise in the "
            f"input and H is biased: the mean squared error of the rates is "
            f"{float(other['rates']):.2g} there and {float(own['rates']):.2g} with paths followed."
        )
    forecast = noted(fits["ignored"], "forecast")
    if forecast is not None:
        share = float(forecast["covered"].values[1].mean())
        yield (
            f"Forecasts of that fit cover {100 * share:.0f} % of the held-out states where 95 % "
            "are due, since it takes their first state as exact."
        )


def _classical(fits):
    networks = noted(next(iter(fits.values())), "classical")
    rows = {}
    for name, fit in fits.items():
        error = noted(fit, "error")
        if error is not None:
            low, high = np.quantile(error["energy_draws"], [0.025, 0.975])
            rows[f"Gaussian process, {CALLED.get(name, name)}"] = {
                "energy": _error(error),
                "95 % of draws": f"{low:.2g} to {high:.2g}",
                "rates": f"{float(error['rates']):.2g}",
                "states": f"{float(error['states']):.2g}",
            }
    words = []
    if networks is not None:
        for k, name in enumerate(networks["fitted"].values):
            row = networks.isel(fitted=k)
            rows[str(name)] = (
                {
                    "energy": _error(row),
                    "rates": f"{float(row['rates']):.2g}",
                    "states": f"{float(row['states']):.2g}",
                    "true rates in 95 % bands": f"{100 * float(row['covered']):.0f} %",
                }
                if "energy" in row
                else {"residual rates": f"{100 * float(row['residual']):.1f} % of the rates"}
            )
        words.append(
            "Two layers of tanh at states as they were measured: one network is H, its rates the "
            "symplectic gradient in closed form; the plain one is the rates themselves and "
            "conserves nothing. Both are optima; bands of their rates are of what is linear in the "
            "weights around them."
        )
        words.append(_attempted(networks["attempt"].values))
    system = next(iter(fits.values())).attrs.get("simulated")
    if system in PUBLISHED:
        own, plain = PUBLISHED[system]
        rows["published: network of an energy"] = {"energy": f"{own:g}"}
        rows["published: plain network"] = {"energy": f"{plain:g}"}
        words.append(
            "Published errors (Greydanus, Dzamba & Yosinski 2019) are of motions with the same "
            "noise in the states and exact rates; here rates have noise as well."
        )
    words += _regressed(next(iter(fits.values())))
    if not rows:
        return None
    pictures = ()
    if any(noted(fit, "error") is not None for fit in fits.values()):
        pictures = (
            Picture(
                "energies",
                figures.energies(fits),
                "Which model keeps the energy? The true energy along the forecast of one held-out "
                "motion from its true initial state; a level line is right.",
                "True energy against time along forecasts of each model.",
            ),
        )
    table = Table.of(rows, "model", "Mean squared errors of true energy, rates and states.")
    return Section("Networks, with an energy and without", tuple(words), pictures, (table,))


def _regressed(fit):
    """Words of the ratio by regression, of what it leaves out, and of what paths say."""
    found = noted(fit, "regression")
    if found is None:
        return
    flat, line, bent = found["ratio"].values
    derived = _derived(fit)
    ratio, own = derived["ratio c/k"], float(derived["k"].mean())
    yield (
        "Regression of p² on 1 − cos q, motion by motion, gives a ratio c/k of "
        f"{flat:.3g} where the energy of a motion is constant, {line:.3g} where it may change "
        f"linearly in time and {bent:.3g} quadratically; followed paths give {_said(ratio)}."
    )
    if abs(line / flat - 1) > APART:
        yield (
            "The first is off since the energy is not constant: while it is large p² and 1 − cos q "
            "both swing far, so that across the record they rise together, against the exchange "
            "between them from which the ratio is read. A trend in time takes that out."
        )
    swing = derived["twice the squared frequency of small swings, 4 c k"]
    yield (
        f"The frequency of small swings is not that ratio but the product, ω² = 2 c k: twice its "
        f"square is {_said(swing)}. The two agree where k = ½, that is where p is q̇; here "
        f"k = {own:.4g}, so that what is called p is {1 / (2 * own):.3g} of q̇."
    )


def _attempted(slopes):
    """Words of the first attempt, by derivatives (normalisation, start) where 1 is true."""
    said = []
    for name, row in zip(("[−1, 1]", "[0, 1]"), slopes, strict=True):
        ended = row[np.isfinite(row)]
        lost = row.size - ended.size
        middle = f"{np.median(ended):.2f}" if ended.size else "no number"
        said.append(f"{middle} with p in {name}" + (f" ({lost} starts run away)" if lost else ""))
    return (
        "A first attempt in plain NumPy, with ReLU and finite differences, ends at a derivative "
        f"where 1.0 is true of {' and '.join(said)}, the median of {slopes.shape[1]} starts. It "
        "propagates the error of the derivative back as if it were the error of H, so that what "
        "descends is not the loss that it reports, whose slope would need the second derivative of "
        "ReLU, which is zero. Normalised symmetrically, an even H is so asked for an odd shape, "
        "which such a descent cannot reach."
    )


def _where(fits):
    if noted(next(iter(fits.values())), "map") is not None:
        yield Section(
            "Where the energy is known",
            (),
            (
                Picture(
                    "errors",
                    figures.errors(fits),
                    "Where may H be believed? Posterior sd, and where the truth is known the error "
                    "of the mean, on one scale; dots are the measured states. Away from them the "
                    "sd grows, and the error with it.",
                    "Maps over phase space of the energy's error and sd.",
                ),
            ),
        )


def _forecasts(fits):
    fit = next(iter(fits.values()))
    found = noted(fit, "forecast")
    if found is None:
        return
    rows = {
        CALLED.get(name, name): {
            f"{level:.0%} at {h:g}": f"{share:.0%}"
            for level, shares in zip(
                (0.5, 0.95), noted(one, "forecast")["covered"].values, strict=True
            )
            for h, share in zip(found["horizon"].values, shares, strict=True)
        }
        for name, one in fits.items()
        if noted(one, "forecast") is not None
    }
    yield Section(
        "Forecasts of held-out motions",
        (
            "The scheme is the implicit midpoint rule, symplectic for any H(q, p); each draw of "
            "the posterior starts from its own draw of the first state, so that bands hold what is "
            "not known of state and energy.",
        ),
        (
            Picture(
                "motions",
                figures.motions(fit),
                "Do held-out motions run within their bands? Points: measured; bands: the state "
                "without the noise of a new measurement, so that single points may lie outside.",
                "Forecast bands of three motions with the measured states.",
            ),
            Picture(
                "coverage",
                figures.coverage(fits),
                "Are the bands honest at every horizon? Share of held-out states within central "
                "intervals; grey: two standard errors about what it should be.",
                "Coverage of forecast intervals against the horizon.",
            ),
        ),
        (Table.of(rows, "fit", f"Share of {int(found['count'])} held-out states by horizon."),),
    )


def _unknown(fit):
    words = [
        "No motion shows a constant in H: energies are told less their mean over a ring of sites. "
        "Where what is called p is a velocity, q̇ = p, H is the energy over the mass; the motion "
        "is the same, and the scale of H is that of q times p over t."
    ]
    drift = noted(fit, "drift")
    if drift is not None:
        slope = drift["slope"].values
        low, high = np.quantile(slope, [0.025, 0.975])
        words.append(
            "Beyond what the model says the measured states gain "
            f"{slope.mean():.2g} of energy per time (95 %: {low:.2g} to {high:.2g})"
            + ("." if low < 0 < high else ", which a damping may explain.")
        )
    return Section("What is not known, and what is left over", tuple(words))


def _steps(fit):
    found = noted(fit, "scheme")
    rows = {
        f"{step:.3g}": {"largest energy error": f"{energy:.2g}"}
        for step, energy in zip(found["step"].values, found["energy"].values, strict=True)
    }
    return Section(
        "The scheme's own error",
        (
            "Is the forecast the motion of H, or of the scheme? The error of the energy falls with "
            "the square of the step; forecasts take the smallest of these steps or less.",
        ),
        (),
        (Table.of(rows, "step", "Largest error of the energy along a motion from the ring."),),
        folded=True,
    )
