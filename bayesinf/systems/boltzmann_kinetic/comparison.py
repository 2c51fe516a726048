"""Symmetric or asymmetric: by transitions left out, and by the correlations that each brings about.

A model is asked twice what it makes of the delayed correlations. Running freely from the first
states of the data it must bring them about by itself; one step ahead it is given each present
state of the data. Either is asked of all the data, which the model was fitted to, and of repeats
that were held out, which is the fair question. The unit is the sampling error of the data, as the
spread between blocks shows it: a true model scores about one on data that it has not seen, and so
do two halves of the data, the null, unless the data drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel, posterior
from bayesinf.inference import kinds
from bayesinf.inference.kinds import Question
from bayesinf.models.binary import chances, logistic, logit_slope, nulls
from bayesinf.models.binary.logistic.transitions import log_odds_density
from bayesinf.posterior import annotated, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.boltzmann_kinetic.data import evolve
from bayesinf.systems.boltzmann_kinetic.model import split, thinned, transitions
from bayesinf.systems.boltzmann_kinetic.statistics import Statistics, Sums, blocks

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MODES", "better", "compared", "errors", "foretold", "reproduce", "scores"]

MODES = ("running freely", "one step ahead")
PARTINGS = {"halves": ("first half", "second half"), "even/odd": ("even", "odd")}
PARTS = ("all", "first half", "second half", "even", "odd")
SCORES = ("PSIS-LOO", "held out")
RESAMPLES = 1000
DRAWS = 100  # of the posterior, from which predictions are averaged
HELD_OUT_Z = -3.1  # of a log score, that chance falls below once in a thousand times
LARGE = 2e8  # transitions × sites², from which far fewer draws do
DIMS = {
    "mean": ("site",),
    "equal": ("site", "other"),
    "delayed": ("target", "source"),
    "population": ("active",),
}


def compared(
    fits: Mapping[str, xr.DataTree],
    dataset: xr.Dataset,
    refits: Mapping[str, xr.DataTree] | None = None,
    *,
    settings: Settings = DEFAULT,
) -> dict[str, xr.DataTree]:
    """Compare models, and put all results beside the fits, where ``noted`` finds them.

    Parameters
    ----------
    fits : name to fit, all of the same data; the first should be the special case.
    dataset : what they were fitted to.
    refits : the same models, fitted without the transitions that ``split`` holds out.
    settings : seed.

    Returns
    -------
    the fits with ``observed`` and ``predicted`` (``reproduce``), ``error`` (``errors``), and, in
    the last of them, ``comparison`` (``scores``) and ``nearer`` (``better`` than the first). Where
    transitions were held out each answers for how it foretells them (``foretold``).
    """
    steps = transitions(dataset)
    unseen = split(steps) if refits else None
    rest = None if unseen is None else steps.take(unseen)
    block = blocks(steps.repeat)
    seen = Sums.of(steps.now, steps.next, steps.encoding, block)
    label = dict.fromkeys(("site", "other", "target", "source"), steps.labels)
    parts = observations(seen).values()
    arrays = {name: np.array([getattr(part, name) for part in parts]) for name in DIMS}
    if len(seen.count) > 1:
        arrays |= {f"{name}_se": getattr(seen.errors(), name) for name in DIMS}
    dims = _leading("part") | {f"{name}_se": dims for name, dims in DIMS.items()}
    observed = posterior.dataset(arrays, dims, label | {"part": list(PARTS)}, sampled=False)
    results = {}
    for name, fit in fits.items():
        predicted = {"all data": reproduce(fit, steps, settings=settings)}
        if unseen is not None:
            predicted["held out"] = reproduce(refits[name], steps, settings=settings)
        far = None if unseen is None else np.unique(block[unseen])
        found = errors(predicted, seen, far, settings.generator("resample"))
        whole = predicted["all data"].assign_coords(label)
        if rest is not None:
            fit = kinds.asked(fit, *foretold(refits[name], rest, settings))
        results[name] = annotated(fit, observed=observed, predicted=whole, error=found)
    first, *_, last = fits
    nearer = better(*(noted(results[name], "error") for name in (last, first)))
    comparison = scores(fits, steps, refits, unseen)
    return results | {last: annotated(results[last], comparison=comparison, nearer=nearer)}


def foretold(
    refit: xr.DataTree, rest: logistic.Transitions, settings: Settings = DEFAULT
) -> tuple[Question, float]:
    """Ask whether transitions that a fit has not seen are as probable as it expects.

        z = (S − ⟨S⟩) / sd S,   S = Σ_t log P(s(t+1) | s(t)) at the posterior mean

    Expected are the scores of next states that draws of the posterior make. A model that is too
    sure of itself, by prior or by overfitting, scores below them.

    Parameters
    ----------
    refit : of one model, without the transitions.
    rest : these.
    settings : seed.

    Returns
    -------
    the question, and z.
    """
    h, J = thinned(refit, DRAWS)
    centre_h, centre_J = (
        refit["posterior"][name].mean(("chain", "draw")).values for name in ("h", "J")
    )
    odds = logit_slope(rest.encoding) * (centre_h + rest.now.astype(float) @ centre_J.T)
    rng = settings.generator("held out")
    # log P = Σ on × odds − Σ log(1 + e^odds), of which the second is that of all sites off.
    off = log_odds_density(odds, np.zeros(odds.shape, dtype=bool)).sum()

    def score(on):
        return np.vdot(on, odds) + off

    drawn = []
    for k in range(len(h)):
        chance = chances(rest.now, h[k], J[k], rest.encoding)
        drawn.append(score(rng.random(chance.shape) < chance))
    z = (score(rest.next == 1) - np.mean(drawn)) / max(np.std(drawn, ddof=1), 1e-12)
    said = (
        f"{len(rest)} transitions that were held out score {{value:.1f}} sd from what the "
        "posterior without them expects"
    )
    question = Question(
        name="held out",
        variable="held_out_score",
        worst="min",
        limit=HELD_OUT_Z,
        relation="≥",
        required=True,
        said=said,
        remedy="look for what the model leaves out, since it is surer than it may be",
    )
    return question, float(z)


def observations(seen: Sums) -> dict[str, Statistics]:
    """Return the statistics of all data, of two halves, and of even and odd blocks."""
    count = len(seen.count)
    parts = {"all": np.arange(count)}
    if count > 1:
        (first, second), (even, odd) = nulls(count).values()
        parts |= {"first half": first, "second half": second, "even": even, "odd": odd}
    chosen = {name: np.isin(np.arange(count), parts.get(name, parts["all"])) for name in PARTS}
    return {name: seen.statistics(weight) for name, weight in chosen.items()}


def reproduce(
    fit: xr.DataTree,
    steps: logistic.Transitions,
    *,
    draws: int | None = None,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Predict means, correlations and P(K) by draws of the posterior.

    Parameters
    ----------
    fit : of one model.
    steps : from whose first states the model runs on freely, through as many repeats as long, and
        from each of whose states it looks one step ahead.
    draws : how many; by default 100, for large data 12.
    settings : seed and workers.

    Returns
    -------
    a Dataset over ``mode``: ``mean``, ``equal``, ``delayed`` and ``population``, averaged over the
    draws, each with its sd over the draws and their simulations as NAME_sd. One step ahead the
    expectation given each present state takes the place of a simulation, but for the population.
    """
    if draws is None:
        draws = DRAWS if len(steps) * steps.sites**2 < LARGE else 12
    h, J = thinned(fit, draws)
    call = partial(_reproduced, steps=steps, h=h, J=J, settings=settings)
    found = parallel.map(
        call, range(len(h)), workers=settings.workers, threads=True, label="Predicting"
    )
    arrays = {}
    for name in DIMS:
        values = np.array([[getattr(part, name) for part in pair] for pair in found])
        arrays |= {name: values.mean(axis=0), f"{name}_sd": values.std(axis=0)}
    return posterior.dataset(arrays, _leading("mode"), {"mode": list(MODES)}, sampled=False)


def _reproduced(k, steps, h, J, settings):
    """Statistics of one free run, and of one look ahead."""
    rng = settings.generator("reproduce", int(k))
    _, first, length = np.unique(steps.repeat, return_index=True, return_counts=True)
    run = evolve(h[k], J[k], steps.now[first], int(length.max()), rng, encoding=steps.encoding)
    # A repeat of the data that was cut short is one of the model's that is cut short.
    kept = np.arange(length.max()) < length[:, None]
    free = Sums.of(run[:, :-1][kept], run[:, 1:][kept], steps.encoding)
    ahead = Sums.ahead(steps.now, h[k], J[k], steps.encoding, rng)
    return free.statistics(), ahead.statistics()


def errors(
    predicted: Mapping[str, xr.Dataset],
    seen: Sums,
    unseen: np.ndarray | None,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Say how far predicted delayed correlations are off, in units of the sampling error.

        E² = mean_ij (D_ij − D_ij^data)² / unit²,   unit² = mean_ij se(D_ij^data)²

    and by bootstrap over the blocks how sure that is. Noise of the data that are predicted enters
    E² of every model alike, so that differences of E² between models, from the same generator, are
    those of the models.

    Parameters
    ----------
    predicted : name of a set of data to what ``reproduce`` returned for it.
    seen : sums over the blocks of the data.
    unseen : numbers of the blocks that are held out.
    rng : of the bootstrap; the same for each model.

    Returns
    -------
    a Dataset with ``error`` (set, mode), ``squared`` (set, mode, resample), E² under bootstrap
    samples; ``unit`` (set), in which these are; and ``null`` (parting), half the difference of two
    halves, and of even and odd blocks, in the unit of all data, which it estimates.
    """
    parts = observations(seen)
    unit = np.sqrt(np.mean(seen.errors().delayed ** 2)) if len(seen.count) > 1 else 0.0
    unit = unit if unit > 0 else 1.0
    share = {"all data": np.arange(len(seen.count)), "held out": unseen}
    arrays = {"error": [], "squared": [], "unit": []}
    for name, found in predicted.items():
        part = seen.take(share[name])
        own = unit * np.sqrt(seen.count.sum() / part.count.sum())
        apart = partial(_apart, found["delayed"].values[:, None] / own, unit=own)
        count = len(part.count)
        weight = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)
        squared = [apart(part.delayed_of(some)) for some in np.array_split(weight, RESAMPLES // 20)]
        arrays["error"].append(np.sqrt(apart(part.delayed_of(np.ones((1, count))))[:, 0]))
        arrays["squared"].append(np.concatenate(squared, axis=1))
        arrays["unit"].append(own)
    null = [parts[one].distance(parts[other]) / 2 / unit for one, other in PARTINGS.values()]
    dims = {
        "error": ("set", "mode"),
        "squared": ("set", "mode", "resample"),
        "unit": ("set",),
        "null": ("parting",),
    }
    coords = {"set": list(predicted), "mode": list(MODES), "parting": list(PARTINGS)}
    arrays = {name: np.array(values) for name, values in (arrays | {"null": null}).items()}
    return posterior.dataset(arrays, dims, coords, sampled=False)


def _apart(predicted, seen, unit):
    """Mean squared distances (mode, resample) of predictions (mode, 1, ...), in squared units."""
    return np.mean((predicted - seen / unit) ** 2, axis=(2, 3))


def better(one: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Compare the ``errors`` of two models.

    Returns
    -------
    a Dataset over set and mode: ``difference`` of E², of the other less of the one, its standard
    error ``se``, and ``probability`` that the one is nearer to the delayed correlations, the share
    of bootstrap samples in which it is.
    """
    import xarray as xr

    apart = other["squared"] - one["squared"]
    probability = (apart > 0).mean("resample") + 0.5 * (apart == 0).mean("resample")
    difference = other["error"] ** 2 - one["error"] ** 2
    found = {"difference": difference, "se": apart.std("resample"), "probability": probability}
    return xr.Dataset({name: values.assign_attrs(units="1") for name, values in found.items()})


def scores(
    fits: Mapping[str, xr.DataTree],
    steps: logistic.Transitions,
    refits: Mapping[str, xr.DataTree] | None = None,
    unseen: np.ndarray | None = None,
) -> xr.Dataset:
    """Score models by transitions that they have not seen.

    PSIS-LOO leaves out one transition of all sites at a time. Where a fit holds the log likelihood
    of a part of the transitions only, that of the rest is taken at the posterior mean and corrected
    by what the part shows (the difference estimator). The second score is exact: of each transition
    held out, the log of its probability averaged over draws of the posterior without any of them.

    Parameters
    ----------
    fits, refits : name to fit, as for ``compared``.
    steps : what they were fitted to.
    unseen : which transitions the refits have not seen, (transition,).

    Returns
    -------
    a Dataset over ``model`` and ``score``: ``elpd``, summed log predictive densities;
    ``difference`` to the first model, and its standard error ``se``, from sums over blocks, which
    include what the choice of the part adds; ``transitions``, how many are scored; and over model
    ``pareto_k``, the largest of PSIS-LOO, ``influential``, the share above 0.7, and ``at_mean``,
    the log likelihood of all data at the posterior mean.

    References
    ----------
    Vehtari, Gelman & Gabry, Stat. Comput. 27, 1413 (2017), doi:10.1007/s11222-016-9696-4;
    Magnusson, Vehtari, Jonasson & Andersen, AISTATS, PMLR 108, 341 (2020), arXiv:2001.00980.
    """
    block = blocks(steps.repeat)
    found = {name: _left_out(one, steps) for name, one in fits.items()}
    of = {key: [one[key] for one in found.values()] for key in ("surrogate", "exact", "pareto_k")}
    which = next(iter(found.values()))["which"]
    estimates = [_estimated(of["surrogate"], of["exact"], which, block)]
    counted = [len(steps)]
    if refits and unseen is not None:
        rest, far = steps.take(unseen), block[unseen]
        exact = [_predictive(refits[name], rest) for name in fits]
        estimates.append(_estimated(exact, exact, np.arange(len(rest)), far))
        counted.append(len(rest))
    elpd, difference, se = (np.array(values).T for values in zip(*estimates, strict=True))
    arrays = {
        "at_mean": np.sum(of["surrogate"], axis=1),
        "elpd": elpd,
        "difference": difference,
        "se": se,
        "transitions": np.array(counted),
        "pareto_k": np.max(of["pareto_k"], axis=1),
        "influential": np.mean(np.array(of["pareto_k"]) > 0.7, axis=1),
    }
    dims = dict.fromkeys(arrays, ("model",)) | {"transitions": ("score",)}
    dims |= dict.fromkeys(("elpd", "difference", "se"), ("model", "score"))
    coords = {"model": list(fits), "score": list(SCORES)[: len(estimates)]}
    return posterior.dataset(arrays, dims, coords, sampled=False)


def _left_out(fit, steps):
    """Pointwise PSIS-LOO of the transitions that a fit has kept, and a surrogate of all."""
    from scipy.special import logsumexp

    from bayesinf.diagnostics import smoothed_weights

    h, J = (fit["posterior"][n].mean(("chain", "draw")).values for n in ("h", "J"))
    kept = fit["log_likelihood"]["states"]
    values = kept.stack(sample=("chain", "draw")).transpose("transition", "sample").values
    weight, shape = smoothed_weights(-values)
    return {
        "surrogate": logistic.log_likelihood(steps, h, J),
        "exact": logsumexp(weight + values, axis=1),
        "pareto_k": shape,
        "which": kept["transition"].values,
    }


def _predictive(fit, steps, most=200):
    """Log of the mean probability of each transition over draws, (transition,)."""
    h, J = thinned(fit, most if len(steps) * steps.sites**2 < LARGE else 40)
    total = np.full(len(steps), -np.inf)
    for place in range(len(h)):
        np.logaddexp(total, logistic.log_likelihood(steps, h[place], J[place]), out=total)
    return total - np.log(len(h))


def _estimated(surrogate, exact, which, block):
    """Sums of pointwise scores, their differences to the first model's, and standard errors."""
    total, kept = len(block), len(which)
    elpd, difference, se = [], [], []
    for rough, fine in zip(surrogate, exact, strict=True):
        elpd.append(_sum(rough, fine - rough[which], total, kept))
        rough, fine = rough - surrogate[0], fine - exact[0]
        away = fine - rough[which]
        difference.append(_sum(rough, away, total, kept))
        # Between blocks, which need not be equal in size, and within one as dependent as they are.
        each = rough.copy()
        each[which] = fine
        sums = np.bincount(np.unique(block, return_inverse=True)[1], each - each.mean())
        spread = len(sums) / max(len(sums) - 1, 1) * np.sum(sums**2)
        part = total**2 / kept * (1 - kept / total) * np.var(away)
        se.append(np.sqrt(spread + part))
    return elpd, difference, se


def _sum(rough, away, total, kept):
    return float(rough.sum() + total / kept * away.sum())


def _leading(dim):
    names = {name: (dim, *dims) for name, dims in DIMS.items()}
    return names | {f"{name}_sd": dims for name, dims in names.items()}
