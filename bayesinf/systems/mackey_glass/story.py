"""The story of the report: how far the series is foretold, and which equation made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, number, short
from bayesinf.systems.mackey_glass import figures
from bayesinf.systems.mackey_glass.model import best

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

SHOWN = (1, 10, 30, 100)  # horizons in a table


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the forecast, what the lags weigh, where free runs go, and the equation."""
    readouts = {name: fit for name, fit in fits.items() if "features" in fit.attrs}
    free = {name: fit for name, fit in readouts.items() if noted(fit, "scores") is not None}
    equations = {name: fit for name, fit in fits.items() if name not in readouts}
    if not readouts:
        from bayesinf.systems.mackey_glass.story_mechanism import alone

        return alone(equations)
    name = best(readouts)
    fit = readouts[name]
    return Story(
        title="A chaotic series with a delay",
        question="How far can this series be foretold, and which delay equation made it?",
        answer=_answer(name, fit, readouts, free, equations),
        numbers=_numbers(readouts, free),
        classical=_classical(readouts),
        extra=tuple(_extra(fit, readouts, free, equations)),
        best=name,
    )


def _unit(fit):
    return next(iter(fit["observed_data"].data_vars.values())).attrs["units"]


def _said(value, unit):
    return short(value, 3) + ("" if unit == "1" else f" {unit}")


def _answer(name, fit, readouts, free, equations):
    ahead = noted(fit, "ahead")
    steps = int(fit.attrs["steps_ahead"])
    what = "one step" if steps == 1 else f"{steps} steps"
    said = (
        f"its error is {_said(float(ahead['rmse']), _unit(fit))} (root mean square, R² = "
        f"{_share(float(ahead['r_squared']))}), and its 95 % intervals hold "
        f"{100 * float(ahead['coverage']):.1f} % of {ahead.sizes['target']} held-out values."
    )
    rivals = len(free) or len(readouts)
    words = [
        f"Of {rivals} readouts {called(name)} foretells this series best, by its log score over "
        f"all horizons: {what} ahead {said}"
        if rivals > 1
        else f"The readout is {called(name)}: {what} ahead {said}"
    ]
    pictures = ()
    if noted(fit, "scores") is not None:
        words.append(_reach(fit))
        pictures = (
            Picture(
                "fan",
                figures.fan(fit),
                "Above: the forecast from the first origin, each draw with noise of its own, and "
                "what came (dots). Below, over all origins: CRPS beside that of forecasts without "
                "a model, and how often intervals hold what came, less what they say.",
                "A fan of forecasts against time, with what came, CRPS and coverage.",
            ),
        )
    else:
        pictures = (_one_step_picture(fit),)
    for one in equations.values():
        from bayesinf.systems.mackey_glass.story_mechanism import sentence

        words.append(sentence(one))
    return Section(
        f"{called(name).capitalize()}: R² = {_share(float(ahead['r_squared']))} {what} ahead",
        tuple(words),
        pictures,
    )


def _share(value):
    """R² with the digits by which it falls short of one."""
    if value >= 1:
        return "1"
    digits = int(np.clip(np.ceil(-np.log10(1 - value)) + 1, 3, 12))
    return f"{value:.{digits}f}".replace("-", "−")


def called(name: str) -> str:
    """Return what a reader calls a readout."""
    return {
        "lags": "a linear one of lags",
        "polynomial": "a polynomial of lags",
        "random": "random features of lags",
        "reservoir": "a reservoir",
    }.get(name, name.replace("_", " "))


def _reach(fit):
    reach, scored, truth = noted(fit, "reach"), noted(fit, "scores"), noted(fit, "truth")
    steps, longest = reach["steps"].values, scored.sizes["horizon"]
    stayed = int(np.sum(steps == longest))
    held = 100 * float(scored["coverage"].sel(level=0.95).mean())
    text = (
        f"Left to itself its median stays within 0.4 spreads of the series for "
        f"{np.median(steps):.0f} steps"
    )
    if truth is not None and "exponent" in truth and float(truth["exponent"]) > 0:
        rate, error = float(truth["exponent"]), float(truth["exponent_error"])
        times = float(np.median(reach["times"].values)) * rate
        text += (
            f" or {short(times, 2)} Lyapunov times, the largest exponent of the equation being "
            f"{number(rate, error)}"
        )
    text += (
        f" (median of {len(steps)} origins"
        + (f", {stayed} of them to the last of {longest} steps" if stayed else "")
        + f"), and over {longest} steps its 95 % intervals hold {held:.1f} % of what came"
    )
    return f"{text}."


def _numbers(readouts, free):
    rows = {}
    for name, fit in readouts.items():
        ahead, scored = noted(fit, "ahead"), noted(fit, "scores")
        row = {
            "features": str(fit["posterior"].sizes["feature"]),
            "prior": fit.attrs["weight_prior"].replace("_", " "),
            "steps ahead": str(fit.attrs["steps_ahead"]),
            "RMSE": short(float(ahead["rmse"]), 3),
            "R²": _share(float(ahead["r_squared"])),
            "held by 95 %": f"{100 * float(ahead['coverage']):.1f} %",
            "log score": f"{float(ahead['log_score']):.3f}".replace("-", "−"),
        }
        if scored is not None:
            row["valid steps"] = f"{np.median(noted(fit, 'reach')['steps'].values):.0f}"
        rows[name] = row
    tables = [
        Table.of(
            rows,
            "readout",
            "Held-out targets (leave-future-out): errors of the posterior mean, how often 95 % "
            "intervals hold what came, mean log density of what came; steps of a free run until "
            "its median is 0.4 spreads off (median over origins).",
        )
    ]
    if free:
        tables.append(
            Table.of(
                _by_horizon(free),
                "readout",
                "CRPS by horizon (steps), and log score "
                "averaged over all horizons, of free-running forecasts.",
            )
        )
    pictures = ()
    if free:
        pictures = (
            Picture(
                "horizons",
                figures.horizons(free),
                "Left: CRPS of free-running forecasts by horizon, small is good. Right: how often "
                "95 % intervals hold what came, up to each horizon.",
                "CRPS and coverage against horizon, a line a readout.",
            ),
        )
    return Section("Readouts compared", (), pictures, tuple(tables))


def _by_horizon(free):
    rows = {}
    for name, fit in free.items():
        scored = noted(fit, "scores")
        count = scored.sizes["horizon"]
        row = {f"step {h}": short(float(scored["crps"][h - 1]), 3) for h in SHOWN if h <= count}
        row["log score"] = f"{float(scored['log_score'].mean()):.3f}".replace("-", "−")
        row["held by 95 %"] = f"{100 * float(scored['coverage'].sel(level=0.95).mean()):.1f} %"
        rows[name] = row
    return rows


def _classical(readouts):
    rows = {}
    for name, fit in readouts.items():
        found = noted(fit, "classical")
        if found is None:
            continue
        row = {"posterior mean": short(float(noted(fit, "ahead")["rmse"]), 3)}
        for k, side in enumerate(found["estimator"].values):
            row[str(side)] = short(float(found["rmse"][k]), 3)
            row[f"R² of {side}"] = _share(float(found["r_squared"][k]))
        rows[name] = row
    if not rows:
        return None
    return Section(
        "Ridge and lasso",
        (
            "Both learn from the same rows, with a penalty that cross-validation chooses; they "
            "give a number for each target, and no interval.",
        ),
        (),
        (Table.of(rows, "readout", "RMSE of held-out targets."),),
    )


def _one_step_picture(fit):
    return Picture(
        "one_step",
        figures.one_step(fit),
        "Held-out targets less the median of their forecast, and the 95 % intervals: one in "
        "twenty should lie outside.",
        "Errors of held-out targets against time, with intervals.",
    )


def _extra(fit, readouts, free, equations):
    lags = {
        name: one
        for name, one in readouts.items()
        if one.attrs["features"] == "lags" and (name.startswith("lags_") or len(readouts) == 1)
    } or {name: one for name, one in readouts.items() if one.attrs["features"] == "lags"}
    if noted(fit, "scores") is not None:
        yield Section("One step ahead", (), (_one_step_picture(fit),), folded=True)
    if lags:
        yield _lags(lags)
    if free:
        yield _free(free)
    for one in equations.values():
        from bayesinf.systems.mackey_glass.story_mechanism import section

        yield from section(one)


def _lags(lags):
    first = next(iter(lags.values()))
    step = _step(first)
    truth, rows = noted(first, "truth"), {}
    for name, fit in lags.items():
        weight = fit["posterior"]["weight"].values
        low, high = np.quantile(weight, [0.025, 0.975], axis=(0, 1))
        row = {"R²": _share(float(noted(fit, "ahead")["r_squared"]))}
        row["lags seen"] = f"{int(np.sum((low > 0) | (high < 0)))} of {weight.shape[-1]}"
        found = noted(fit, "classical")
        if found is not None:
            row |= {
                f"R² of {side}": _share(float(found["r_squared"].sel(estimator=side)))
                for side in found["estimator"].values
            }
        rows[name] = row
    count = int(first.attrs["steps_ahead"])
    words = [
        f"A linear forecast {count} {'step' if count == 1 else 'steps'} ahead from the last "
        f"{first['posterior'].sizes['feature']} values. Neighbouring lags say nearly the same, so "
        "that single coefficients are open where their sum is not: a prior that shrinks decides "
        "between them."
    ]
    if truth is not None and "tau" in truth:
        words.append(
            f"The delay is τ = {float(truth['tau']):g}, and a sample is {step:g}: it lies between "
            "two lags or on one; what is further back than the forecast reaches is seen through "
            "its multiples."
        )
    still = noted(first, "still")
    if still is not None:
        words.append(
            "Without the noise of the measurement ridge has R² = "
            f"{float(still['r_squared'][0]):.3f} on the held-out part."
        )
    return Section(
        "What the lags weigh",
        tuple(words),
        (
            Picture(
                "coefficients",
                figures.coefficients(lags, step),
                "Coefficient of each lag, median and 95 % interval, by how long before the target "
                "it stands; crosses are ridge or lasso, dashed lines multiples of the true delay.",
                "Coefficients against lag with intervals, a panel a prior.",
            ),
        ),
        (Table.of(rows, "prior", "Held-out R², and lags whose 95 % interval leaves out zero."),),
    )


def _step(fit):
    """Time between two samples, of a fit whose rows may be thinned."""
    steps = np.diff(noted(fit, "ahead")["target"].values)
    return float(np.median(steps))


def _free(free):
    rows = {
        name: {
            "shared": f"{100 * float(noted(fit, 'measure')['overlap']):.1f} %",
            "runs that stay": f"{100 * float(noted(fit, 'measure')['stays']):.0f} %",
        }
        for name, fit in free.items()
    }
    any_fit = noted(next(iter(free.values())), "measure")
    beside = "the equation" if "truth" in any_fit else "the series"
    return Section(
        "Where free runs go",
        (
            "A forecast that has forgotten where it began should still be where the series is, as "
            f"often: its invariant measure against that of {beside}.",
        ),
        (
            Picture(
                "measure",
                figures.measure(free),
                f"How often a long free run is where (line), and {beside} (grey area).",
                "Densities of free runs and of the series, a panel a readout.",
            ),
        ),
        (Table.of(rows, "readout", "Share of the two densities that is common to both."),),
    )
