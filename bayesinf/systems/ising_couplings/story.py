"""The story of the report: which spins are coupled, how sure that is, and what the classics say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import elements, interval, prior_posterior, with_units
from bayesinf.posterior import element_names, noted
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    described,
    estimates,
    number,
    quantity,
    sections,
    short,
)
from bayesinf.systems.ising_couplings import figures
from bayesinf.systems.ising_couplings.figures import called
from bayesinf.systems.ising_couplings.model import (
    best,
    halves,
    known,
    mean_score,
    prior_of,
    r_squared,
    scored_on_held_out,
    test_half,
    true_score,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story", "undecided"]

NAMED = 8  # pairs in a sentence
SHOWN = 12  # couplings in a table
SCARCE = 0.3  # energies a coupling below which chains may end in different answers
# A trial of Bayes-optimal message passing on rings of 40 spins, beside these chains and LassoCV.
LIMIT = (
    "So few energies are near the limit of what any method can do: on rings of 40 spins "
    "Bayes-optimal message passing found the ring in 20, 15 and 1 of 20 data sets of 200, 170 and "
    "150 energies, the forty largest of LassoCV were the ring in 5, 4 and 0 of 5, and chains under "
    "spike and slab in 160 of 160, 26 of 32 and 6 of 32. Chains that do not agree (R-hat) say that "
    "the data do not decide: more energies help, longer chains do not."
)


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the couplings are, how sure that is, and how the classical answer compares.

    Parameters
    ----------
    fits : name to InferenceData, all of the same data, as of ``with_classical``.
    """
    main = fits[best(fits)]
    textbook = noted(main, "classical")
    return Story(
        "Ising couplings from states and energies",
        "Given spin states and their energies alone, which spins are coupled, how strongly, and "
        "how sure is that?",
        _answer(main, fits, textbook),
        _numbers(main, fits),
        _predictive(main, fits),
        _classical(fits, textbook),
        _priors(fits),
        (_gauge(fits, textbook),) if main.attrs["gauge"] == "full" else (),
        best(fits),
    )


def _answer(main, fits, textbook):
    (n, sites), p = main["constant_data"]["states"].shape, main["posterior"].sizes["pair"]
    truth = known(main)
    more = f"fewer than its {p} couplings" if n < p else f"more than its {p} couplings"
    chosen = "on validation data" if scored_on_held_out(main) else "by 5-fold cross-validation"
    pictures = [
        Picture(
            "couplings",
            figures.couplings(fits, textbook),
            "Coupling matrices: red is positive, blue negative, white none. Top: "
            + ("truth and " if truth is not None else "")
            + f"posterior means under each prior. Bottom: classical fits, λ chosen {chosen}.",
            f"Heat maps of the {sites} by {sites} coupling matrix for each prior and each "
            "classical method.",
        ),
        Picture(
            "intervals",
            figures.intervals(fits),
            "The couplings of largest posterior mean, with 95 % intervals"
            + (", and their true values (green)" if truth is not None else "")
            + (
                "; below, the probability that each pair is coupled at all."
                if any("included" in fit["posterior"] for fit in fits.values())
                else "."
            )
            + " A wide interval says that data and prior leave the coupling open. Right: the same, "
            "the posterior mean subtracted.",
            "Intervals of the strongest couplings under each prior.",
        ),
    ]
    others = [f"{called(fit)} {_left_out(fit)}" for fit in fits.values() if fit is not main]
    words = (
        f"{_coupled(main)} {undecided(main)}That is the answer under the {called(main)} prior"
        + (
            f", which foretells left-out energies best: log score {_left_out(main)}, "
            f"{', '.join(others)}."
            if others
            else "."
        ),
        f"The model knows all pairs alike. It has seen {n} states, {more}"
        + (", so that the prior has a say." if n < p else "."),
        *(
            [LIMIT]
            if n < SCARCE * p and any("included" in f["posterior"] for f in fits.values())
            else ()
        ),
    )
    return Section(f"Which of {p} pairs of {sites} spins are coupled?", words, tuple(pictures))


def _left_out(fit):
    score = noted(fit, "left_out")
    return number(float(score["elpd"]), float(score["se"]))


def _coupled(fit):
    """Name the pairs that are coupled."""
    J = fit["posterior"]["J"]
    names = [name.removeprefix("J[").removesuffix("]") for name in element_names(J)]
    strength = np.abs(J.values.mean((0, 1)))
    if "included" in fit["posterior"]:
        probability = fit["posterior"]["included"].values.mean((0, 1))
        found = probability > 0.5
        sure = int(np.sum(probability >= 0.99))
        how = f"with a probability above one half ({sure} of them at 0.99 or more)"
    else:
        low, _, high = interval(J.values, axis=(0, 1))
        found, how = (low > 0) | (high < 0), "by their 95 % intervals, which leave out zero"
    order = [k for k in np.argsort(-strength, kind="stable") if found[k]]
    if not order:
        return f"None of {len(found)} pairs is seen to be coupled."
    values = list(elements(fit, ["J"]).values())
    listed = "; ".join(f"({names[k]}) by {quantity(values[k])}" for k in order[:NAMED])
    rest = f", and {len(order) - NAMED} more" if len(order) > NAMED else ""
    size = strength[order]
    span = f", of size {size.min():.3g} to {size.max():.3g}" if len(order) > NAMED else ""
    return f"{len(order)} of {len(found)} pairs are coupled {how}{span}: {listed}{rest}."


def undecided(fit: xr.DataTree) -> str:
    """What these states cannot tell, and the constant of the energies where there is one."""
    states, said = fit["constant_data"]["states"].values, []
    if "intercept" in fit["posterior"]:
        values = quantity(elements(fit, ["intercept"])["intercept"])
        said.append(f"The energies have a constant, {values}, which is inferred beside them.")
    still = np.ptp(states, axis=0) == 0
    if still.any():
        said.append(
            f"{_listed('Spin', np.flatnonzero(still))} the same in all states: couplings to it "
            "cannot be told from fields on the others, which this model does not have."
        )
    for alike in _twins(states, still)[:NAMED]:
        said.append(
            f"{_listed('Spin', alike)} alike, or opposite, in all states: of their couplings to "
            "any other only the sum, or the difference, is known."
        )
    return "".join(f"{one} " for one in said)


def _twins(states, still):
    """Sites that are alike or opposite in all states, a group an array."""
    moving = np.flatnonzero(~still)
    _, group = np.unique((states * states[:1])[:, moving], axis=1, return_inverse=True)
    groups = [moving[group == k] for k in np.unique(group)]
    return [one for one in groups if len(one) > 1]


def _listed(what, sites):
    names = [str(site) for site in sites[:NAMED]] + (["others"] if len(sites) > NAMED else [])
    if len(names) == 1:
        return f"{what} {names[0]} is"
    return f"{what}s {', '.join(names[:-1])} and {names[-1]} are"


def _numbers(main, fits):
    strongest = np.argsort(-np.abs(main["posterior"]["J"].values.mean((0, 1))), kind="stable")
    labels = list(element_names(main["posterior"]["J"]))
    shown = [labels[k] for k in strongest[:SHOWN]]
    words = ("The log score is that of energies left out one at a time, the higher the better.",)
    if scored_on_held_out(main):
        words += ("R² is measured on the test half of the held-out states.",)
    tables = (
        Table.of(
            _summary(fits),
            "quantity",
            f"What each prior makes of the same data; of parameters, {ESTIMATED}.",
        ),
        Table(
            estimates(main, shown),
            f"The {len(shown)} strongest couplings under the {called(main)} prior.",
        ),
    )
    return Section("Noise, couplings, and how well energies are predicted", words, tables=tables)


def _summary(fits):
    columns = {}
    for fit in fits.values():
        posterior, truth = fit["posterior"], known(fit)
        row = {"leave-one-out log score": _left_out(fit)}
        if scored_on_held_out(fit):
            observed, draws = test_half(fit)
            low, _, high = interval(r_squared(observed, draws).ravel())
            row["test R², posterior mean"] = f"{mean_score(fit):.6f}"
            row["test R² of a draw, 95 %"] = f"{low:.5f} to {high:.5f}".replace("-", "−")
        for name in _scalars(fit):
            values = posterior[name].values
            label = with_units(name, posterior[name].attrs["units"])
            row[label] = described(values)
        if truth is not None:
            if scored_on_held_out(fit):
                row["R² against true energies"] = f"{true_score(fit):.6f}"
            error = posterior["J"].values.mean((0, 1)) - truth["J"].values
            for pairs, which in (("bonds", truth["J"] != 0), ("other pairs", truth["J"] == 0)):
                label = with_units(f"rms error of {pairs}", posterior["J"].attrs["units"])
                row[label] = f"{np.sqrt(np.mean(error[which.values] ** 2)):.4f}"
        columns[called(fit)] = row
    quantities = dict.fromkeys(quantity for column in columns.values() for quantity in column)
    return {q: {prior: column.get(q, "") for prior, column in columns.items()} for q in quantities}


def _scalars(fit):
    return [name for name, v in fit["posterior"].data_vars.items() if v.ndim == 2]


def _predictive(main, fits):
    if not scored_on_held_out(main):
        return sections.predictive(main)
    picture = Picture(
        "held_out",
        figures.held_out(fits),
        "Measured energies of held-out states against their prediction, with 95 % intervals. "
        "Points should straddle the diagonal and most bars touch it; the share that does is "
        "printed. Long bars are honest where the prior cannot tell couplings apart.",
        "Scatter of measured against predicted energies for each prior.",
    )
    words = (
        "The held-out states are predicted by each posterior without having been seen: 95 % of "
        "them should lie in the 95 % band."
    )
    return sections.predictive(main, (picture,), words)


def _classical(fits, textbook):
    worst = float(textbook["mode_difference"].max())
    held_out = "test" in textbook["part"].values
    rows = "R² against λ on one split, and by" if held_out else "R² against λ by"
    judged = (
        "R² on the test half of the held-out states. Classical methods chose λ on the validation "
        "half; the posteriors have not seen it."
        if held_out
        else "R² by 5-fold cross-validation, at the λ that it prefers."
    )
    words = (
        "The mode of the normal prior is ridge regression with λ = (σ/scale)², and the mode of "
        "the Laplace prior is the lasso with λ = σ²/(n scale); the table shows both equalities "
        f"on these data, to {short(worst, 1)}. A mode is one point of a posterior: ridge and lasso "
        "say where it is highest, the posterior says where it is."
    )
    picture = Picture(
        "penalty",
        figures.penalties(fits, textbook),
        f"{rows} 5-fold cross-validation with its standard error. The shaded band is the posterior "
        "of the λ that the inferred scale stands for: what cross-validation searches for on a "
        "grid, the posterior infers, with its uncertainty.",
        "R squared against the penalty for three classical methods, with the posterior of the "
        "equivalent penalty.",
    )
    modes = "Mode of the prior against scikit-learn's fit at the same λ."
    tables = (
        Table.of(_modes(textbook), "prior", modes),
        Table.of(_scores(fits, textbook), "method", judged),
    )
    return Section("Least squares, ridge, lasso and elastic net", (words,), (picture,), tables)


def _modes(textbook):
    rows = {}
    for prior, counterpart in (("normal", "ridge"), ("Laplace", "lasso")):
        one = textbook.sel(mode_prior=prior)
        rows[prior] = {
            "scale": float(one["mode_scale"]),
            "classical fit": counterpart,
            "λ": float(one["mode_penalty"]),
            "largest difference in J": float(one["mode_difference"]),
        }
    return rows


def _scores(fits, textbook):
    """R² of posterior means, where states were held out, and of classical fits, best first."""
    rows = {
        f"posterior mean, {called(fit)} prior": (mean_score(fit), "")
        for fit in fits.values()
        if scored_on_held_out(fit)
    }
    for method in textbook["estimator"].values:
        one = textbook.sel(estimator=method)
        penalty = "" if method == "least squares" else short(float(one["chosen"]), 1)
        rows[str(method)] = float(one["score"]), penalty
    order = sorted(rows.items(), key=lambda row: -row[1][0])
    return {name: {"R²": f"{score:.6f}", "λ": penalty} for name, (score, penalty) in order}


def _priors(fits):
    scales = [
        Picture(
            f"prior_{name}",
            prior_posterior(fit, _scalars(fit)),
            f"Scales under the {called(fit)} prior: where the posterior is much narrower than the "
            "prior, the data have spoken.",
            f"Prior and posterior densities of the hyperparameters of {name}.",
        )
        for name, fit in fits.items()
        if _scalars(fit) and name != best(fits)
    ]
    expected = Picture(
        "prior_predictive",
        figures.prior_energies(fits),
        "Energies that each prior expects before any data (one curve a prior draw), against those "
        "measured: the priors allow the data and much else.",
        "Cumulative distributions of prior predictive energies with the measured energies.",
    )
    words = (
        "By default widths are half-Cauchy on the scale sd(E)/√p, at which a prior predicts "
        "energies about as large as those measured, without being sure of it. The noise "
        "is log-normal, three decades wide about a hundredth of sd(E), which keeps σ above zero "
        "where the data show no noise."
    )
    return sections.priors(fits, best(fits), (*scales, expected), words)


def _gauge(fits, textbook):
    """Show what the full gauge leaves open: J_ij - J_ji."""
    fit = next((f for f in fits.values() if prior_of(f) == "normal"), next(iter(fits.values())))
    apart = {}
    for method in ("ridge", "lasso"):
        upper, lower = halves(fit, textbook["J"].sel(estimator=method).values)
        strong = np.argsort(-np.abs(upper + lower))[: fit["constant_data"].sizes["site"]]
        apart[method] = float(np.mean(np.abs(upper - lower)[strong]))
    words = (
        "Every product stands there twice, so the data see J_ij + J_ji alone. Under the normal "
        "prior the posterior of J_ij − J_ji must be its prior, and is. Ridge splits each bond "
        f"evenly (mean |J_ij − J_ji| on the strongest bonds: {apart['ridge']:.2g}); the lasso "
        f"puts it on one side or the other ({apart['lasso']:.2g}), for no reason in the data."
    )
    picture = Picture(
        "gauge",
        figures.gauge(fit),
        "Posterior of J_ij − J_ji, all pairs and draws, against its prior given the same scale: "
        "the curves coincide under a normal prior. The sum J_ij + J_ji, which the data do see, "
        "does not look like its prior.",
        "Density of coupling differences on top of the prior, and of coupling sums.",
    )
    return Section("What the full gauge leaves open", (words,), (picture,))
