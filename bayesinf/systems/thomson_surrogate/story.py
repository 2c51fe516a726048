"""The story of the report: what scattered light says of a plasma, and what its features keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, quantity, short, value_with_unit
from bayesinf.systems.thomson_surrogate import figures
from bayesinf.systems.thomson_surrogate.figures import CALLED
from bayesinf.systems.thomson_surrogate.plasma import UNITS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

NOTHING = 0.9  # of the prior's sd, from which on nothing was learnt
CLOSE = 0.9  # correlation that is told


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the plasma by all channels, what three features keep of it, and how good they are."""
    shown = {name: fit for name, fit in fits.items() if name in CALLED}
    fit = shown["spectrum"] if "spectrum" in shown else next(iter(fits.values()))
    shown = shown or {"spectrum": fit}
    return Story(
        title="Thomson scattering by ion-acoustic waves",
        question="What does the spectrum of scattered light say of a plasma, and what do three "
        "features of it say?",
        answer=_answer(fit, shown),
        classical=_classical(fit),
        extra=(_unknown(shown), *_features(shown), *_judged(shown)),
        best="spectrum" if "spectrum" in fits else None,
    )


def _answer(fit, shown):
    posterior = fit["posterior"]
    electrons, ions = (posterior[f"{side}_temperature"] for side in ("electron", "ion"))
    said = f"T_e = {quantity(electrons)} and T_i = {quantity(ions)}"
    words = [
        f"All channels together say {said}; the ions flow at {quantity(posterior['ion_flow'])} "
        f"and the electrons drift against them at {quantity(posterior['electron_drift'])}."
    ]
    if "features" in shown:
        other = shown["features"]["posterior"]
        words.append(
            f"Three features of the same spectrum, by a network, say T_e = "
            f"{quantity(other['electron_temperature'])} and T_i = "
            f"{quantity(other['ion_temperature'])}, and nothing of the flow."
        )
        seconds = [float(one.attrs["elapsed_seconds"]) for one in shown.values()]
        words.append(
            f"The posterior took {short(seconds[0], 2)} s by all channels and "
            f"{short(seconds[1], 2)} s by the features, once the network was trained."
        )
    if "no_features" in fit.attrs:
        words.append(f"Features say nothing here: {fit.attrs['no_features']}.")
    return Section(
        said,
        tuple(words),
        (
            Picture(
                "spectrum",
                figures.spectrum(fit),
                "Does the plasma make such light? Points: counted photons; band: where 95 % of "
                "new ones would lie. Below: residuals in units of the photons' noise.",
                "The counted spectrum with its two peaks, the posterior band, and residuals.",
            ),
            Picture(
                "plasmas",
                figures.plasmas(shown),
                "What is known of each parameter, before and after? The grey line is the prior; "
                "where a posterior lies on it, the light says nothing.",
                "Densities of seven parameters: prior, and posterior by either way.",
            ),
        ),
    )


def _classical(fit):
    found = noted(fit, "classical")
    if found is None or not np.isfinite(float(found["electron_temperature"])):
        return None
    hand = value_with_unit(
        float(found["electron_temperature"]), float(found["electron_temperature_error"]), "eV"
    )
    return Section(
        "By hand",
        (
            f"Read off the distance of the peaks by the formula of a fluid, with all else at the "
            f"prior's medians, T_e is {hand}; the posterior says "
            f"{quantity(fit['posterior']['electron_temperature'])}. The error by hand is that of "
            "the distance alone: it takes density, mass, charge and T_i as known, which they are "
            "not, and the wave as undamped.",
        ),
    )


def _unknown(shown):
    rows, words = {}, []
    for label, fit in shown.items():
        found = noted(fit, "known")
        ratio = (found["sd"] / found["prior_sd"]).values
        for name, value, sd in zip(
            found["quantity"].values, ratio, found["sd"].values, strict=True
        ):
            unit = "relative sd" if UNITS.get(str(name)) != "km/s" else "sd (km/s)"
            row = rows.setdefault(str(name), {})
            row["sd of"] = unit
            row[f"sd, {CALLED[label]}"] = f"{sd:.2g}"
            row[f"over the prior's, {CALLED[label]}"] = f"{value:.2g}"
        nothing = [n for n, v in zip(UNITS, ratio, strict=False) if v > NOTHING]
        if nothing:
            said = ", ".join(n.replace("_", " ") for n in nothing)
            words.append(f"Of {said}, {CALLED[label]} say next to nothing that the prior did not.")
        pairs = _pairs(found["r"].values)
        if pairs:
            words.append(f"By {CALLED[label]} hardly to be told apart: {', '.join(pairs)}.")
    words.append(
        "The peaks stand where the acoustic speed puts them, and their widths and the dip between "
        "them depend on Z T_e / T_i: the light knows such combinations, and what tells the "
        "parameters in them apart is mostly the prior, above all of density, mass and charge."
    )
    setups = [one["constant_data"] for one in shown.values() if "angle" in one["constant_data"]]
    words += [_angled(float(one["angle"])) for one in setups[:1]]
    return Section(
        "What the light does not determine",
        tuple(words),
        (
            Picture(
                "known",
                figures.known(shown),
                "What has been learnt? A point at 1 is a quantity of which nothing has; below the "
                "line, combinations of the parameters above it.",
                "Ratio of posterior to prior width for parameters and combinations.",
            ),
        ),
        (Table.of(rows, "quantity", "Posterior sd, and that sd over the prior's."),),
    )


def _angled(angle):
    """Words of what an error in the scattering angle, in degrees, does unseen."""
    share = np.radians(1.0) / np.tan(np.radians(angle) / 2)
    return (
        "Nor is it known whether the scattering angle is the one stated, and no check can see it: "
        "waves shorter by a factor s make the same light in a plasma whose temperatures are lower "
        "by s², whose flow and drift are lower by s, and of the same density. At "
        f"{angle:g}° one degree of error in the angle makes {100 * share:.1f} % in T_e and T_i, "
        "which has to be added to their intervals."
    )


def _pairs(correlation):
    names = list(UNITS)
    return [
        f"{names[i].replace('_', ' ')} and {names[j].replace('_', ' ')} "
        f"(r\u00a0=\u00a0{correlation[i, j]:+.2f})".replace("-", "−")
        for i in range(len(names))
        for j in range(i)
        if abs(correlation[i, j]) > CLOSE
    ]


def _features(shown):
    if "features" not in shown:
        return
    found = noted(shown["features"], "features")
    rows = {
        str(name): {
            "measured": f"{float(found['value'][k]):.4g}",
            "sd by photons": f"{float(found['photon_sd'][k]):.2g}",
            "sd of the network": f"{float(found['network_sd'][k]):.2g}",
        }
        for k, name in enumerate(found["feature"].values)
    }
    yield Section(
        "Three features",
        (
            "Separation (nm) and asymmetry of the peaks and depth of the dip between them, as they "
            "are measured in the smoothed spectrum. Replicas of the counts say how the photons' "
            "noise scatters them together; what the network does not know is added to it.",
        ),
        (),
        (Table.of(rows, "feature", "Features of the spectrum, and how surely they are known."),),
    )


def _judged(shown):
    found = noted(shown["features"], "surrogate") if "features" in shown else None
    if found is None:
        return
    rows = {}
    for name in found["surrogate"].values:
        for region in found["region"].values:
            one = found.sel(surrogate=name, region=region)
            row = rows.setdefault(f"{name}, {region}", {})
            for feature in found["feature"].values:
                row[f"rms error, {feature}"] = f"{float(one['rms'].sel(feature=feature)):.2g}"
            for level in found["level"].values:
                share = float(one["covered"].sel(level=level).mean())
                row[f"{level:.0%} bands hold"] = f"{share:.0%}"
    slow, fast = found["microseconds"].values
    yield Section(
        "How good are the surrogates?",
        (
            "Both have learnt from spectra without noise; held out are spectra that neither has "
            "seen: of plasmas as the prior has them, of some at the edge of the range in which "
            "they were trained, and of some beyond it. There no band may be trusted, and a "
            "posterior that reaches beyond is refused.",
            "The network's errors grow from the middle of the range to its edge, by a factor that "
            "it has learnt along each input; divided by it they are as a normal has them.",
            f"A spectrum with its features takes the forward model {short(float(slow), 3)} µs, its "
            f"features alone take the network {short(float(fast), 2)} µs.",
        ),
        (
            Picture(
                "coverage",
                figures.coverage(found),
                "Are the bands honest? Share of held-out spectra inside bands of each level; on "
                "the grey line it is what it should be.",
                "Coverage of the bands of both surrogates in three regions.",
            ),
            Picture(
                "residuals",
                figures.residuals(found),
                "Where do the network's bands hold? Errors in units of the band against the "
                "distance from the middle of the prior; right of the line nothing was learnt. "
                "Errors beyond 8 are drawn at 8.",
                "Errors of the network over its bands against the radius.",
            ),
        ),
        (Table.of(rows, "surrogate", "Errors and coverage on held-out spectra."),),
    )
