"""The story of the report: which spins are coupled, how sure that is, and what the classics say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import interval, prior_posterior, with_units
from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, estimates, number, sections
from bayesinf.systems.ising_couplings import figures
from bayesinf.systems.ising_couplings.figures import called
from bayesinf.systems.ising_couplings.model import (
    best,
    halves,
    mean_score,
    prior_of,
    r_squared,
    test_half,
    true_score,
)

if TYPE_CHECKING:
    import xarray as xr


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the couplings are, how sure that is, and how the classical answer compares.

    Parameters
    ----------
    fits : name to InferenceData, all of the same data and with ``predictions``, as of
        ``with_classical``.
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
    truth = noted(main, "truth")
    more = "there are more couplings than data" if p > n else "data outnumber couplings"
    return Section(
        f"Which of {p} pairs of {sites} spins are coupled?",
        (
            _in_words(main, truth),
            f"The model knows all pairs alike; {n} states were shown to it, so {more} and the "
            "prior has a say.",
        ),
        (
            Picture(
                "couplings",
                figures.couplings(fits, textbook),
                "Coupling matrices: blue is negative, as on the ring, and white is none. Top: "
                + ("truth and " if truth is not None else "")
                + "posterior means under each prior. Bottom: classical fits, λ chosen on "
                "validation data. A prior that selects leaves the bonds and nothing else; one that "
                "only shrinks smears them over all pairs.",
                f"Heat maps of the {sites} by {sites} coupling matrix for each prior and each "
                "classical method.",
            ),
            Picture(
                "intervals",
                figures.intervals(fits),
                "The couplings of largest posterior mean, with 95 % intervals, and under spike and "
                "slab the probability that each pair is coupled at all. "
                + ("Green marks the true value. " if truth is not None else "")
                + "A wide interval says that data and prior leave the coupling open.",
                "Intervals of the strongest couplings under each prior, and inclusion probability "
                "of every pair.",
            ),
        ),
    )


def _in_words(fit, truth):
    posterior = fit["posterior"]
    if "included" not in posterior:
        low, _, high = interval(posterior["J"].values, axis=(0, 1))
        clear = int(np.sum((low > 0) | (high < 0)))
        return f"The 95 % intervals of {clear} couplings leave out zero."
    probability = posterior["included"].mean(("chain", "draw")).values
    found = probability > 0.5
    words = (
        f"{int(found.sum())} pairs are coupled with a probability above one half"
        f" ({int(np.sum(probability >= 0.99))} of them at 0.99 or more)."
    )
    if truth is not None:
        bonds = truth["J"].values != 0
        words += (
            f" Of the {int(bonds.sum())} true bonds {int(np.sum(found & bonds))} are among them,"
            f" and {int(np.sum(found & ~bonds))} pairs that are none; the least certain bond has"
            f" probability {probability[bonds].min():.3f}, the most suspect other pair"
            f" {probability[~bonds].max():.3f}."
        )
    return words


def _numbers(main, fits):
    strongest = np.argsort(-np.abs(main["posterior"]["J"].values.mean((0, 1))), kind="stable")
    i, j = (main["posterior"][name].values for name in "ij")
    shown = [f"J[{i[k]}, {j[k]}]" for k in strongest[:12]]
    return Section(
        "Noise, couplings, and how well held-out energies are predicted",
        ("R² is measured on the test half of the held-out states.",),
        tables=(
            Table.of(_summary(fits), "quantity", "What each prior makes of the same data."),
            Table(
                estimates(main, shown),
                f"The twelve strongest couplings under the {called(main)} prior.",
            ),
        ),
    )


def _summary(fits):
    columns = {}
    for fit in fits.values():
        posterior, truth = fit["posterior"], noted(fit, "truth")
        observed, draws = test_half(fit)
        low, _, high = interval(r_squared(observed, draws).ravel())
        row = {
            "test R², posterior mean": f"{mean_score(fit):.6f}",
            "test R² of a draw, 95 %": f"{low:.5f} to {high:.5f}".replace("-", "−"),
        }
        for name in _scalars(fit):
            values = posterior[name].values
            label = with_units(name, posterior[name].attrs["units"])
            row[label] = number(float(values.mean()), float(values.std()))
        if truth is not None:
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
    return Section(
        "Least squares, ridge, lasso and elastic net",
        (
            "The mode of the normal prior is ridge regression with λ = (σ/scale)², and the mode of "
            "the Laplace prior is the lasso with λ = σ²/(n scale); the table shows both equalities "
            f"on these data, to {worst:.0e}. A mode is one point of a posterior: ridge and lasso "
            "say where it is highest, the posterior says where it is.",
        ),
        (
            Picture(
                "penalty",
                figures.penalties(fits, textbook),
                "R² against λ on one split, and by 5-fold cross-validation with its standard "
                "error. The shaded band is the posterior of the λ that the inferred scale stands "
                "for: what cross-validation searches for on a grid, the posterior infers, with "
                "its uncertainty.",
                "R squared against the penalty for three classical methods, with the posterior of "
                "the equivalent penalty.",
            ),
        ),
        (
            Table.of(
                _modes(textbook),
                "prior",
                "Mode of the prior against scikit-learn's fit at the same λ.",
            ),
            Table.of(
                _scores(fits, textbook),
                "method",
                "R² on the test half of the held-out states. Classical methods chose λ on the "
                "validation half; the posteriors have not seen it.",
            ),
        ),
    )


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
    """Test R² of posterior means and of classical fits, the best first."""
    rows = {f"posterior mean, {called(fit)} prior": (mean_score(fit), "") for fit in fits.values()}
    for method in textbook["estimator"].values:
        one = textbook.sel(estimator=method)
        penalty = "" if method == "least squares" else f"{float(one['chosen']):.0e}"
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
        "energies about as large as those measured, without being sure of it. The noise is "
        "inverse-χ, worth one observation of a hundredth of sd(E), which keeps σ above zero where "
        "the data show no noise."
    )
    return sections.priors(fits, best(fits), (*scales, expected), words)


def _gauge(fits, textbook):
    """Show what the full gauge leaves open: J_ij - J_ji."""
    fit = next((f for f in fits.values() if prior_of(f) == "normal"), next(iter(fits.values())))
    split = {}
    for method in ("ridge", "lasso"):
        upper, lower = halves(fit, textbook["J"].sel(estimator=method).values)
        strong = np.argsort(-np.abs(upper + lower))[: fit["constant_data"].sizes["site"]]
        split[method] = float(np.mean(np.abs(upper - lower)[strong]))
    return Section(
        "What the full gauge leaves open",
        (
            "Every product stands there twice, so the data see J_ij + J_ji alone. Under the normal "
            "prior the posterior of J_ij − J_ji must be its prior, and is. Ridge splits each bond "
            f"evenly (mean |J_ij − J_ji| on the strongest bonds: {split['ridge']:.2g}); the lasso "
            f"puts it on one side or the other ({split['lasso']:.2g}), for no reason in the data.",
        ),
        (
            Picture(
                "gauge",
                figures.gauge(fit),
                "Posterior of J_ij − J_ji, all pairs and draws, against its prior given the same "
                "scale: the curves coincide. The sum J_ij + J_ji, which the data do see, does not "
                "look like its prior.",
                "Density of coupling differences on top of the prior, and of coupling sums.",
            ),
        ),
    )
