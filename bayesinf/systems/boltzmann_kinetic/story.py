"""The story of the report: question, answer, numbers, and what else the transitions say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import predictive_statistics
from bayesinf.models.binary.couplings import HELD, held_by_prior
from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, number, sections
from bayesinf.systems.boltzmann_kinetic import figures
from bayesinf.systems.boltzmann_kinetic.model import MODELS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story", "verdicts"]

SCORES = {"PSIS-LOO": "By leave-one-out", "held out": "On data that were held out"}
LONG = 60.0  # seconds of fitting from which the report says what was needed
SURE = 0.975  # probability from which the nearer of two models is named
TOLD = 1.0  # log probability below which no difference of two models is told
SEEN = 0.1  # sampling errors by which it must be nearer: less is nothing that data show
FAR = 5.0  # sampling errors from which the nearer of two models is no good one either


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the transitions say, from the fits alone.

    Parameters
    ----------
    fits : ``symmetric`` and ``asymmetric``, as ``compared`` returns them, with ``classical``
        beside.
    """
    fits = {name: fits[name] for name in MODELS}
    best = answering(noted(fits["asymmetric"], "comparison"))
    fit = fits[best]
    believed = (
        "All priors are proper. Where the couplings' width is inferred, the data themselves say "
        "how far couplings are drawn to zero."
    )
    return Story(
        title="Couplings out of equilibrium",
        question=f"What couplings lead {fit['posterior'].sizes['site']} sites from one state to "
        f"the next ({fit.attrs['case']}), are they symmetric, and which model captures the "
        "delayed correlations better?",
        answer=_answer(fits, best),
        numbers=_numbers(fits),
        predictive=_predictive(fits, best),
        classical=_classical(fits),
        priors=sections.priors(fits, best, (), believed, *_held(fits)),
        best=best,
    )


def answering(comparison: xr.Dataset) -> str:
    """Name the model that carries the answer.

    The asymmetric one holds the symmetric one as a special case and is right wherever that is, so
    it is asymmetric unless its freedom costs more than it brings.
    """
    at = comparison.sel(model="asymmetric", score="PSIS-LOO")
    return "symmetric" if float(at["difference"]) < -float(at["se"]) else "asymmetric"


def _answer(fits, best):
    """Whether the couplings are symmetric, and which model is nearer to delayed correlations."""
    picture = Picture(
        "delayed",
        figures.delayed(fits),
        "Left: correlations one step apart, of simulations that run freely from the first states "
        "(above) and of the model given each state of the data (below), against those of the data; "
        "grey, even against odd blocks of the data, which differ by sampling only. Right: root "
        "mean square error in units of the sampling error of the data, with the 95 % interval of a "
        "bootstrap over blocks. A true model reaches the grey band on data that it was fitted to, "
        "and its edge on data that were held out. Data against data: even against odd blocks "
        "(dotted) and the first half against the second (dashed), which lies further right where "
        "the data drift.",
        "Delayed correlations of both models against the data, and their errors.",
    )
    told = (_symmetric(fits, best), _nearer(fits), *_remarks(fits[best]))
    return Section("Are the couplings symmetric?", told, (picture,))


def _symmetric(fits, best):
    """Answer in a sentence, with the difference that decides it."""
    at = noted(fits["asymmetric"], "comparison").sel(model="asymmetric", score="PSIS-LOO")
    difference, se = float(at["difference"]), float(at["se"])
    if held_by_prior(fits[best]).all():
        return "These data say nothing of the couplings: each is what its prior says."
    by = f"{number(abs(difference), se)} in log probability"
    how = f"{SCORES[str(at['score'].values)].lower()}, {int(at['transitions'])} transitions"
    if best == "symmetric" and abs(difference) > TOLD:
        return (
            f"The couplings are symmetric as far as these data tell: to let J_ij differ from J_ji "
            f"makes predictions worse, by {by} ({how})."
        )
    alike = _alike(fits["asymmetric"])
    said = "" if alike is None else f" J_ij and J_ji are correlated by {_cell(alike)}."
    if difference > 2 * se:
        return (
            f"The couplings are not symmetric: the asymmetric model predicts better, by {by} "
            f"({how}).{said}"
        )
    return f"These data do not tell whether the couplings are symmetric ({by}, {how}).{said}"


def _numbers(fits):
    """Errors, scores, and what the couplings are like."""
    best = fits["asymmetric"]
    picture = Picture(
        "couplings",
        figures.couplings(fits),
        "Left: the coupling from i to j against that from j to i under the asymmetric model, "
        "posterior mean ± sd; symmetric couplings would lie on the line. Right: distribution of "
        "the couplings by model.",
        "Couplings against those that go back, and their distributions.",
    )
    tables = (_error_table(fits), _score_table(best), _width_table(fits))
    told = (*verdicts(noted(best, "comparison")), *_influence(best), *_cost(fits))
    return Section("In numbers", told, (picture,), tables)


def _predictive(fits, best):
    """The data beside what the models make of them."""
    modes = {
        "running freely": "Above: model against data. Below: share of means or pairs that are at "
        "least so many sampling errors off.",
        "one step ahead": "Given each present state of the data, the means and the correlations "
        "with it are those that the couplings were fitted to.",
    }
    pictures = [
        Picture(
            f"statistics_{mode.replace(' ', '_')}",
            figures.statistics(fits, mode),
            f"The models {mode}. {explained}",
            f"Means, correlations and P(K), models {mode} against data.",
        )
        for mode, explained in modes.items()
    ]
    (other,) = (name for name in MODELS if name != best)
    pictures.append(
        Picture(
            f"predictive_{other}",
            predictive_statistics(fits[other]),
            f"Observed and replicated statistics of the {other} model; below, of the {best}.",
            f"Predictive statistics of the {other} model.",
        )
    )
    words = (
        "Means, correlations and the number of sites on at once, of the data and of both models. "
        "Grey is data against data: even against odd blocks, and, dashed, the first half against "
        "the second. A model whose curve lies on the grey ones is off by no more than sampling."
    )
    return sections.predictive(fits[best], pictures, words)


def _nearer(fits):
    """Which model is nearer to the delayed correlations, if that is sure."""
    errors, nearer = _errors(fits)
    part = str(nearer["set"].values[-1])
    said, least = [], 0.0
    for mode, opening in (
        ("one step ahead", "Given each state of the data, "),
        ("running freely", "Running freely from the first states, "),
    ):
        at = {"set": part, "mode": mode}
        values = {name: float(found["error"].sel(at)) for name, found in errors.items()}
        chance = float(nearer["probability"].sel(at))
        winner = "asymmetric" if chance >= 0.5 else "symmetric"
        sure = max(chance, 1 - chance)
        limit = 1 - 1 / errors["asymmetric"].sizes["resample"]
        apart = abs(values["asymmetric"] - values["symmetric"])
        told = "neither of them captures these better"
        if sure >= SURE and apart >= SEEN:
            probability = f"{sure:.3f}" if sure < limit else f"above {limit:.3f}"
            told = f"the {winner} model captures them better (probability {probability})"
        said.append(
            f"{opening}the asymmetric model misses the delayed correlations by "
            f"{values['asymmetric']:.2f} sampling errors and the symmetric one by "
            f"{values['symmetric']:.2f}: {told}."
        )
        least = min(values.values())
    of = "transitions that were held out" if part == "held out" else "the data they were fitted to"
    if least > FAR:
        on = {
            f"under the {name} model": noted(fit, "predicted")["population"].sel(mode=mode)
            for name, fit in fits.items()
        }
        on["in the data"] = noted(fits["asymmetric"], "observed")["population"].sel(part="all")
        means = [f"{float(p.values @ np.arange(p.size)):.3g} {where}" for where, p in on.items()]
        said.append(
            "By itself neither brings the data about: on average there are "
            f"{', '.join(means)} sites on."
        )
    return f"Judged by {of}. " + " ".join(said)


def verdicts(comparison: xr.Dataset) -> list[str]:
    """Say in a sentence for each score which model the transitions favour.

    The asymmetric model holds the symmetric one as a special case, and should score no worse than
    it by more than the error; where it does, that is said.
    """
    said = []
    for score in comparison["score"].values:
        at = comparison.sel(model="asymmetric", score=score)
        difference, se = float(at["difference"]), float(at["se"])
        size = f"{number(abs(difference), se)} in log probability"
        by = f"{SCORES[str(score)]} ({int(at['transitions'])} transitions) the asymmetric model"
        if difference > 2 * se:
            said.append(f"{by} predicts better, by {size}.")
        elif difference < -se:
            said.append(
                f"{by} predicts worse, by {size}, although it holds the symmetric one as a special "
                "case: its freedom costs more than it brings."
            )
        else:
            said.append(f"{by} and the symmetric one are not told apart ({size}).")
    return said


def _remarks(fit):
    """What the data leave open, and how the fit was chosen."""
    plan = fit.attrs.get("plan", "")
    said = (f"How it was fitted: {plan}.",) if plan else ()
    return said + tuple(json.loads(fit.attrs["remarks"]))


def _influence(fit):
    found = noted(fit, "comparison")
    share = float(found["influential"].max())
    if not share:
        return ()
    return (f"PSIS-LOO is unsure of itself for {share:.2%} of the transitions (k̂ above 0.7).",)


def _cost(fits):
    """What the fits took, where that is worth a sentence."""
    seconds = {name: float(fit.attrs["elapsed_seconds"]) for name, fit in fits.items()}
    if sum(seconds.values()) < LONG:
        return ()
    each = " and ".join(f"the {name} model {value:.0f} s" for name, value in seconds.items())
    most = max(int(fit.attrs.get("peak_memory_bytes", 0)) for fit in fits.values())
    held = f", and no more than {most / 1e9:.1f} GB at a time" if most else ""
    return (
        f"The fits took {each}{held}. Time grows with the transitions times the squared number of "
        "sites that are in their rarer state, memory with the transitions times the sites and with "
        "the cube of the sites.",
    )


def _error_table(fits):
    errors, nearer = _errors(fits)
    rows = {}
    for part, mode in itertools.product(nearer["set"].values, nearer["mode"].values):
        at = nearer.sel(set=part, mode=mode)
        rows[f"{part}, {mode}"] = {
            **{name: f"{float(e['error'].sel(at.coords)):.2f}" for name, e in errors.items()},
            "difference of squares": number(float(at["difference"]), float(at["se"])),
            "asymmetric nearer": f"{float(at['probability']):.3f}",
        }
    null = {"halves": "first against second half", "even/odd": "even against odd blocks"}
    for name, words in null.items():
        value = f"{float(errors['asymmetric']['null'].sel(parting=name)):.2f}"
        rows[f"data: {words}"] = dict.fromkeys(MODELS, value)
    return Table.of(
        rows,
        "delayed correlations",
        "Error of the delayed correlations in units of the sampling error, and the probability "
        "that the asymmetric model is nearer to the data (bootstrap over blocks of the data).",
    )


def _errors(fits):
    """Errors of the delayed correlations by model, and which model is nearer to the data."""
    errors = {name: noted(fit, "error") for name, fit in fits.items()}
    return errors, noted(fits["asymmetric"], "nearer")


def _score_table(fit):
    found = noted(fit, "comparison")
    rows = {}
    for score in found["score"].values:
        at = found.sel(score=score)
        apart = at.sel(model="asymmetric")
        elpd = {
            str(m): f"{float(at['elpd'].sel(model=m)):.1f}".replace("-", "−")
            for m in found["model"].values
        }
        difference = number(float(apart["difference"]), float(apart["se"]))
        rows[str(score)] = {"transitions": int(at["transitions"]), **elpd, "difference": difference}
    return Table.of(
        rows,
        "score",
        "Summed log predictive densities, and the asymmetric less the symmetric model ± standard "
        "error.",
    )


def _width_table(fits):
    """The couplings as a whole: width, how like those that go back they are, self-couplings."""
    rows = {}
    for name, fit in fits.items():
        J = fit["posterior"]["J"].transpose("chain", "draw", ...).values
        J = J.reshape(-1, *J.shape[2:])
        row = {"h, mean over sites": _cell(fit["posterior"]["h"].mean("site").values)}
        if "scale" in fit["posterior"]:
            row["width of couplings (scale)"] = _cell(fit["posterior"]["scale"].values)
        alike = _alike(fit)
        if alike is not None:
            row["correlation of J_ij and J_ji"] = "1" if name == "symmetric" else _cell(alike)
        own = np.diagonal(J, axis1=1, axis2=2)
        row["mean self-coupling"] = _cell(own.mean(axis=1)) if np.any(own) else "0, fixed"
        rows[name] = row
    return Table.of(rows, "model", "What the couplings are like: posterior mean ± sd.")


def _alike(fit):
    """Correlation of J_ij with J_ji over the pairs, of each draw; None of too few pairs."""
    J = fit["posterior"]["J"].transpose("chain", "draw", ...).values
    J = J.reshape(-1, *J.shape[2:])
    i, j = np.triu_indices(J.shape[-1], 1)
    if len(i) < 2:
        return None
    there, back = (a - a.mean(axis=1, keepdims=True) for a in (J[:, i, j], J[:, j, i]))
    size = np.sqrt(np.sum(there**2, axis=1) * np.sum(back**2, axis=1))
    return np.sum(there * back, axis=1) / size


def _cell(draws):
    return number(float(draws.mean()), float(draws.std()))


def _classical(fits):
    """What maximum likelihood says, and how far the classical descent is from it."""
    found = {name: noted(fit, "classical") for name, fit in fits.items()}
    one = found["asymmetric"]
    if "top" in one:
        away = float(one["top"] - one["log_likelihood"][-1])
        slope = float(f"{float(one['gradient']):.1g}")
        text = (
            f"Newton's method finds the top of the likelihood in {int(one['steps'])} steps (slope "
            f"for each transition at most {number(slope)}). The classical "
            f"{one.sizes['iteration'] - 1} iterations of gradient descent end {away:.4g} below it "
            "in log likelihood."
        )
    else:
        text = (
            f"Maximum likelihood has no answer here: {one['message'].values!s}. The posterior has, "
            "since its prior is proper."
        )
    known = noted(fits["asymmetric"], "truth") is not None
    picture = Picture(
        "classical",
        figures.classical(fits),
        "Left: how far the likelihood of the descent is below its top, or, where it has none, "
        "below that of the posterior mean. Then couplings of the asymmetric model, the descent "
        "against maximum likelihood or the posterior mean"
        + (", and estimates against the truth." if known else "."),
        "Gradient descent against iteration, and couplings against couplings.",
    )
    return Section("Maximum likelihood", (text,), (picture,), (_mse_table(fits),) if known else ())


def _mse_table(fits):
    rows = {}
    for name, fit in fits.items():
        truth, found = noted(fit, "truth")["J"].values, noted(fit, "classical")
        estimates = {"posterior mean": fit["posterior"]["J"].mean(("chain", "draw")).values}
        if "newton_J" in found:
            estimates["maximum likelihood"] = found["newton_J"].values
        estimates["gradient descent"] = found["descent_J"].values
        rows[name] = {n: f"{np.mean((J - truth) ** 2):.3g}" for n, J in estimates.items()}
    return Table.of(rows, "model", "Mean squared error of the couplings, by model.")


def _held(fits):
    """Say which couplings the data do not constrain."""
    said = []
    for name, fit in fits.items():
        held = held_by_prior(fit)
        if not held.any():
            continue
        label = fit["posterior"]["site"].values
        share = held.sum(axis=0) / len(held)
        worst = [str(label[k]) for k in np.argsort(-share)[:8] if share[k] > 0.5]
        most = f", most of all those from {', '.join(worst)}" if worst else ""
        said.append(
            f"Under the {name} model the data hardly constrain {held.sum()} of {held.size} "
            f"couplings (posterior width above {HELD:g} of the prior's){most}."
        )
    every = f"Every coupling is constrained by the data (posterior width below {HELD:g} of the "
    return said or [every + "prior's)."]
