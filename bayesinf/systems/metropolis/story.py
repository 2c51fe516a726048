"""The story of samplers at work: the rule, its mistake, and what the checks see of each sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, number, quantity, short
from bayesinf.systems.metropolis import figures

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

SAMPLERS = {
    "metropolis": "Metropolis' rule",
    "adaptive": "adaptive Metropolis",
    "emcee": "emcee",
    "nuts": "NUTS",
}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the fits: the first carries the answer, the other samplers stand beside it."""
    name, fit = next(iter(fits.items()))
    method = SAMPLERS.get(str(fit.attrs["method"]), str(fit.attrs["method"]))
    said = ", ".join(f"{n} = {quantity(d)}" for n, d in fit["posterior"].data_vars.items())
    return Story(
        title="Samplers at work",
        question="Where is the place that was measured, what does the chain that says so have to "
        "record, and do the checks see it where a sampler fails?",
        answer=Section(
            said,
            (f"By {method} the place is at {said}.", *_answer(fit)),
            (
                Picture(
                    "place",
                    figures.place(fit),
                    "Does the chain draw from the posterior? Blue: its draws; green: the closed "
                    "form, whose regions hold 50 and 95 %, and its marginals.",
                    "Draws of the chain over the ellipses of the closed form, with marginals.",
                ),
            ),
        ),
        extra=(*_same(fits), *_mistake(fit), *_trial(fit)),
        best=name,
    )


def _answer(fit):
    found = noted(fit, "mistake")
    if found is not None:
        values, runs = found["variance"].values, found.sizes["run"]
        right, wrong = (
            number(float(values[:, k].mean()), float(values[:, k].std() / np.sqrt(runs)))
            for k in range(2)
        )
        limit = float(found["integral"][1])
        yield (
            f"A chain has to record where it is after every step, moved or not: over {runs} runs "
            f"of {int(found['steps'])} steps the variance of x is then {right}, for "
            f"{short(float(found['integral'][0]), 3)}. Recording accepted moves alone gives "
            f"{wrong}, as the integral over the chance of acceptance has it, {short(limit, 4)}."
        )
    found = noted(fit, "trial")
    if found is not None:
        believed, right = found["believed"].values, found["right"].values
        wrong = believed & ~right
        blind = {str(found["target"].values[i]) for i in np.flatnonzero(wrong.any(axis=1))}
        caught = int(np.sum(~believed & ~right))
        yield (
            f"Of {right.size} runs of four samplers on {len(right)} targets, {np.sum(~right)} are "
            f"wrong: the checks refuse {caught} of them and believe {wrong.sum()}"
            + (f", all on the target “{'”, “'.join(sorted(blind))}”" if wrong.any() else "")
            + ". A mode that every chain has missed leaves no trace in any draw, and so none in "
            "R-hat, in an autocorrelation time or in an effective sample size: no check of draws "
            "can see it. Only starts that are spread wider than the posterior do."
        )


def _same(fits):
    rows = {}
    for fit in fits.values():
        target, posterior = noted(fit, "target"), fit["posterior"]
        draws = np.stack([posterior[str(n)].values.ravel() for n in target["parameter"].values])
        covariance = np.cov(draws)
        rate = fit["sample_stats"].get("acceptance_rate")
        rows[SAMPLERS.get(str(fit.attrs["method"]), str(fit.attrs["method"]))] = {
            "mean": ", ".join(short(float(v), 4) for v in draws.mean(axis=1)),
            "variances": ", ".join(short(float(v), 3) for v in np.diag(covariance)),
            "covariance": short(float(covariance[0, 1]), 3),
            "accepted": "" if rate is None else f"{100 * float(rate.mean()):.0f} %",
            "seconds": short(float(fit.attrs["elapsed_seconds"]), 2),
        }
    target = noted(next(iter(fits.values())), "target")
    rows["closed form"] = {
        "mean": ", ".join(short(float(v), 4) for v in target["mean"].values),
        "variances": ", ".join(short(float(v), 3) for v in np.diag(target["covariance"].values)),
        "covariance": short(float(target["covariance"].values[0, 1]), 3),
    }
    yield Section(
        "The same by other samplers",
        (),
        (),
        (Table.of(rows, "sampler", "Moments of the draws, and those of the closed form."),),
    )


def _mistake(fit):
    found = noted(fit, "mistake")
    if found is None:
        return
    values = found["variance"].values
    spread = float(values[:, 0].std())
    time = float(found["autocorrelation_time"].mean())
    steps, runs = int(found["steps"]), found.sizes["run"]
    bias = float(found["integral"][0] - found["integral"][1])
    rows = {
        "accepted": {
            "runs": f"{100 * float(found['acceptance'].mean()):.2f} %",
            "integral": f"{100 * float(found['acceptance_integral']):.2f} %",
        }
    }
    for k, rule in enumerate(found["rule"].values):
        mean, sd = float(values[:, k].mean()), float(values[:, k].std())
        rows[f"variance, {rule}"] = {
            "runs": number(mean, sd / np.sqrt(runs)),
            "integral": short(float(found["integral"][k]), 4),
            "sd of one run": short(sd, 2),
        }
    yield Section(
        "A published mistake",
        (
            "A proposal that is rejected is a step too: the chain stays, and its place counts "
            "once more. Recording accepted moves alone gives each place the weight π(x) a(x), "
            "where a is the chance that a move from there is accepted, largest around the top. "
            f"The proposal's variance is {short(float(found['proposal']), 2)} in each coordinate.",
            f"The bias, {short(bias, 2)}, is less than the sd of what one run of {steps} steps "
            f"says, {short(spread, 2)}: no single run can show it. With an autocorrelation time "
            f"of {short(time, 3)} steps such a run is worth {short(steps / time, 2)} independent "
            "draws.",
        ),
        (
            Picture(
                "rules",
                figures.rules(found),
                f"Does it matter which states are recorded? The variance of x that each of {runs} "
                "runs reports, by either rule; triangles: the mean of the runs; dashed: what each "
                "rule leads to by quadrature.",
                "Histograms of the variance by the right and by the wrong rule.",
            ),
            Picture(
                "work",
                figures.work(found),
                "How fast does the chain forget? Left: its first 2000 steps, between the ends of "
                "the 95 % interval (green); right: the autocorrelation of x.",
                "A stretch of the chain and its autocorrelation.",
            ),
        ),
        (Table.of(rows, "quantity", "Mean of the runs with its standard error, and the limit."),),
    )


def _trial(fit):
    found = noted(fit, "trial")
    if found is None:
        return
    rows = {}
    for target in found["target"].values:
        for sampler in found["sampler"].values:
            one = found.sel(target=target, sampler=sampler)
            believed, right = bool(one["believed"]), bool(one["right"])
            rows[f"{target}: {SAMPLERS[str(sampler)]}"] = {
                "mean off": f"{float(one['bias']):+.2f} sd".replace("-", "−"),
                "sd ratio": f"{float(one['ratio']):.2f}",
                "draws": "right" if right else "wrong",
                "verdict": "believed" if believed else f"not believed: {one['failed'].values}",
                "and that is": _told(believed, right),
                "seconds": short(float(one["seconds"]), 2),
            }
    traps = [f"{t}: {found['trap'].sel(target=t).values}" for t in found["target"].values]
    yield Section(
        "Four samplers on targets of known moments",
        (
            "Each target but the first is hard in its own way. Normal" + "; ".join(traps)[6:] + ".",
            "Draws are called right where no mean is off by more than 0.2 sd and no sd by more "
            "than a fifth; of the funnel only v is judged, for the others have tails too long for "
            "moments. A verdict that refuses draws whose moments happen to be right is no "
            "mistake: their effective size says that another run may not be so lucky.",
        ),
        (
            Picture(
                "trials",
                figures.trials(found),
                "Where does each sampler go? Green: the regions that hold 50 and 95 % of the "
                "target; blue: 400 draws. Below each: the verdict, in vermilion where it believes "
                "what is wrong.",
                "A grid of targets and samplers with draws over the target's regions.",
            ),
        ),
        (Table.of(rows, "target and sampler", "What came out, and what the checks said of it."),),
    )


def _told(believed, right):
    if believed and not right:
        return "WRONG: no check of draws can see it"
    if not believed and right:
        return "cautious: too few independent draws"
    return "right"
