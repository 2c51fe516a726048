"""What the spectra say: their peaks, and whether the curvature would have told them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import check, loo
from bayesinf.figures import elements, pair, prior_posterior, prior_predictive
from bayesinf.posterior import noted, prior_words
from bayesinf.report import (
    Picture,
    Section,
    Story,
    Table,
    estimates,
    number,
    quantity,
    signed,
)
from bayesinf.systems.gaussian_peaks.classical import (
    certified_table,
    comparison,
    correlations,
    known,
    quadratic_verdict,
    scalars,
)
from bayesinf.systems.gaussian_peaks.figures import marginals, numbers_of_peaks, spectrum
from bayesinf.systems.gaussian_peaks.lines import Lines

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

METHODS = ("emcee", "laplace")  # names of the fits of the model that was asked for
COUNT = "peaks"  # with which the names of fits with other numbers of peaks begin


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the spectra say, from the fits alone.

    Parameters
    ----------
    fits : ``laplace`` and ``emcee`` of the main spectrum; of further ones ``NAME_laplace`` and
        ``NAME_emcee``. Of each pair one will do. Fits of another name are of another model, and one
        that is believed carries the answer; ``peaks3`` is one with another number of peaks.
    """
    spectra: dict[str, dict[str, xr.DataTree]] = {}
    for name, fit in fits.items():
        spectra.setdefault(name.rpartition("_")[0], {})[name.rpartition("_")[2]] = fit
    (_, main), *others = spectra.items()
    best = _best(main)
    called = _called(best)
    first, *more = _pictures("", main)
    return Story(
        title="Peaks in a spectrum",
        question=f"Which peaks does {called} hold, and may their errors be read from the curvature "
        "at the optimum?",
        answer=Section("Answer", _answer(main), (first,)),
        numbers=Section(
            "Numbers",
            ("Amplitude is the area under a peak, sigma its width as lmfit defines it.",),
            tuple(more),
            (_estimates(best), *_side_by_side(main)),
        ),
        classical=_classical(best),
        priors=_priors(best),
        extra=_counted(main)
        + tuple(
            Section(
                _called(_best(of)),
                _answer(of),
                tuple(_pictures(f"{name}_", of)),
                (
                    _estimates(_best(of)),
                    *_side_by_side(of),
                    *_certified(of.get("emcee", _best(of))),
                ),
                folded=True,
            )
            for name, of in others
        ),
        best=next(name for name, fit in fits.items() if fit is best),
    )


def _best(of):
    """The fit that carries the answer: another model where one was needed and is believed."""
    others = [name for name in of if name not in METHODS and not name.startswith(COUNT)]
    believed = [of[name] for name in others if check(of[name]).believed]
    return next(iter((*believed, *(of[name] for name in METHODS if name in of))))


def _called(fit):
    return fit.attrs["case"] or "the spectrum"


def _sampled(fit):
    return fit.attrs["inference"] == "ensemble"


def _answer(of):
    """The peaks; what was noticed of the data; whether the curvature would have told them."""
    best, said = _best(of), []
    posterior = best["posterior"]
    called = "dip" if float(posterior["height"].mean()) < 0 else "peak"
    for k in posterior["peak"].to_numpy():
        center, width, area = (
            quantity(posterior[name].sel(peak=k)) for name in ("center", "fwhm", "amplitude")
        )
        said.append(f"{called} {k} at {center}, {width} wide (FWHM), of area {area}")
    text = "; ".join(said)
    skewed = " or median and both sides of 68 %" * (" +" in text)
    opening = f"{text[0].upper()}{text[1:]} (posterior mean ± sd{skewed})."
    answer = [f"{opening} {quadratic_verdict(best)[1]}" if _sampled(best) else opening]
    if best.attrs["why"]:
        answer.append(f"Of the data: {best.attrs['why']}")
    first = of.get("emcee")
    if first is not None and first is not best and not best.attrs["why"]:
        answer.append(_instead(first, best))
    return tuple(answer)


def _instead(first, best):
    """Why another model than that which was asked for carries the answer."""
    gap = loo(best)["pointwise"] - loo(first)["pointwise"]
    error = np.sqrt(gap.size) * gap.std()
    failed = [one.message for one in check(first).checks if one.required and not one.passed]
    return (
        f"That is by {best.attrs['model']}. With {first.attrs['model']} it cannot be believed, for "
        f"{', and '.join(failed)}; in leave-one-out log density it is behind by "
        f"{number(float(gap.sum()), float(error))}."
    )


def _counted(of):
    """How many peaks there are, by leave-one-out, where several numbers were tried."""
    best = of.get("emcee")
    tried = {name: fit for name, fit in of.items() if name.startswith(COUNT)}
    if not tried or best is None:
        return ()
    fits = {int(fit.attrs["peaks"]): fit for fit in (best, *tried.values())}
    chosen, rows, differences = int(best.attrs["peaks"]), {}, {}
    for peaks, fit in sorted(fits.items()):
        gap = loo(fit)["pointwise"] - loo(best)["pointwise"]
        error = float(np.sqrt(gap.size) * gap.std())
        differences[peaks] = float(gap.sum()), error
        rows[str(peaks)] = {
            "elpd": f"{loo(fit)['elpd']:.1f}",
            "elpd − best": "" if fit is best else number(float(gap.sum()), error),
            "verdict": "believed" if check(fit).believed else "not believed",
        }
    table = Table.of(
        rows,
        "peaks",
        "Leave-one-out log density of each number of peaks, and its difference from the one "
        "chosen ± standard error. A peak more is taken where it is ahead by more than 4 and by "
        "more than 2 standard errors.",
    )
    picture = Picture(
        "numbers_of_peaks",
        numbers_of_peaks(differences),
        "How much worse each number of peaks predicts a point that is left out; bars: standard "
        "error of the difference.",
        f"Differences in leave-one-out log density; {chosen} peaks are chosen.",
    )
    words = f"Of {', '.join(map(str, sorted(fits)))} peaks, {chosen} predict best."
    return (Section("How many peaks", (words,), (picture,), (table,)),)


def _pictures(stem, of):
    fit = _best(of)
    truth, called = known(fit, "truth"), _called(fit)
    yield Picture(
        f"{stem}spectrum",
        spectrum(fit),
        f"{called}. Points: data; line: posterior mean; band: where 95 % of new data would lie; "
        "dashed: each peak on the background. Below, residuals in units of the noise: they should "
        "scatter evenly, 95 % of them within the band.",
        f"{called}: data with fitted curve, predictive band and components; residuals below.",
    )
    # Of further data, marginals say it, unless regions are bent.
    if _sampled(fit) and (not stem or not quadratic_verdict(fit)[0]):
        shown = _corner_names(fit)
        truth = {label: truth[label] for label in elements(fit, shown) if label in truth}
        beside = {"Laplace": of["laplace"]} if fit is of.get("emcee") and "laplace" in of else {}
        yield Picture(
            f"{stem}corner",
            pair({"emcee": fit} | beside, shown, truth),
            f"{called}: regions of highest density with 50 and 90 %, sampled (filled)"
            + " and in the quadratic approximation (lines). Where both coincide, errors may be "
            "read from the curvature; bent regions are what it cannot follow."
            * bool(beside)
            + "." * (not beside),
            f"{called}: corner plot of peak parameters.",
        )
    if _sampled(fit):
        line = "; dashed, the known value." if truth or known(fit, "certified") else "."
        yield Picture(
            f"{stem}marginals",
            marginals(fit),
            f"{called}: posterior of each fitted parameter (filled) and its quadratic "
            f"approximation (line){line}",
            f"{called}: densities of each parameter. {quadratic_verdict(fit)[1]}",
        )


def _corner_names(fit):
    """At most six: all of one peak, or of the two peaks that are closest for their widths."""
    mean = fit["posterior"].to_dataset().mean(("chain", "draw"))
    center, sigma = mean["center"].to_numpy(), mean["sigma"].to_numpy()
    if len(center) == 1:
        return [*Lines.of(fit).fitted, *_scatter(fit)][:6]
    first = int(np.argmin(np.diff(center) / (sigma[1:] + sigma[:-1]))) + 1
    return [f"{name}[{k}]" for k in (first, first + 1) for name in ("height", "center", "sigma")]


def _scatter(fit):
    """Parameters of the scatter about the curve."""
    return [name for name in fit["posterior"].data_vars if str(name).startswith("noise")]


def _ordered(fit):
    """Posterior variables in the order in which a reader wants them."""
    first = ["center", "height", "amplitude", "sigma", "fwhm"]
    return first + [name for name in fit["posterior"].data_vars if name not in first]


def _estimates(fit):
    table = estimates(fit, _ordered(fit), known(fit, "truth") or None)
    return Table(table, f"Posterior: {_called(fit)}.")


def _side_by_side(of):
    best = _best(of)
    if not _sampled(best):
        return
    pairs, rows = correlations(best), {}
    for label, row in comparison(best).iterrows():
        means = {m: number(row[f"{m} mean"], row[f"{m} sd"]) for m in ("Laplace", "emcee")}
        rows[label] = means | {"shift": signed(row["shift"], 2), "ratio": f"{row['ratio']:.3f}"}
    yield Table.of(
        rows,
        "parameter",
        "Laplace (optimum and curvature) and emcee side by side, mean ± sd; shift of the mean in "
        "posterior sd, and ratio of the sds.",
    )
    yield Table(
        pairs.head(8).map("{:.3f}".format),
        f"Correlations: the strongest {min(8, len(pairs))} of {len(pairs)} pairs.",
    )


def _certified(fit):
    if noted(fit, "certified") is not None:
        yield Table(
            certified_table(fit),
            "Against NIST's certified values, in our parameters: relative errors of the optimum "
            "and of its standard errors, the posterior mean less the certified value, and the "
            "posterior's sd over the certified one times √(ν/(ν−2)), to which it comes under flat "
            "priors as far as the model is linear over it.",
        )


def _classical(fit):
    squares = fit.attrs["likelihood"] == "normal"
    scale = "s² = RSS/ν." if _scatter(fit) else "residuals in units of the error bars and s = 1."
    words = (
        f"The classical answer: the optimum of least squares and its standard errors, "
        f"√diag(s²(JᵀJ)⁻¹), {scale}"
        if squares
        else f"The classical answer: the maximum of the {fit.attrs['likelihood']} likelihood, and "
        f"standard errors from its curvature. {_reduced(fit)}"
    )
    name = "least squares" if squares else "maximum likelihood"
    rows = {
        label: {
            name: number(best, error),
            "posterior": number(draws.mean(), draws.std()),
            "unit": "" if unit == "1" else unit,
        }
        for label, draws, best, error, unit in scalars(fit, _ordered(fit))
    }
    table = Table.of(rows, "parameter", f"{name.capitalize()} and posterior: {_called(fit)}.")
    return Section("The classical answer", (words,), (), (table, *_certified(fit)))


def _reduced(fit):
    classical = noted(fit, "classical")
    square, dof = (
        float(classical[name]) for name in ("residual_sum_of_squares", "degrees_of_freedom")
    )
    return f"Pearson's χ² per degree of freedom is {square / dof:.2f} (ν = {dof:.0f})."


def _priors(fit):
    pictures = (
        Picture(
            "prior_predictive",
            prior_predictive(fit),
            "What the priors expect before any data: median and regions of 50 and 90 % at each x. "
            "The data should lie well inside.",
            "Prior predictive bands, with the data inside them.",
        ),
        Picture(
            "prior_posterior",
            prior_posterior(fit, Lines.of(fit).fitted + _scatter(fit), known(fit, "truth") or None),
            "What the data add: prior and posterior of each parameter.",
            "Densities of prior and posterior of each fitted parameter.",
        ),
    )
    words = (
        "All priors are proper. By default they are flat over far more than the data leave open, "
        "the noise's is flat in its logarithm."
        + " Peaks are ordered by their centres."
        * (fit["posterior"].sizes["peak"] > 1),
    )
    rows = {name: {"prior": said} for name, said in prior_words(fit).items()}
    table = Table.of(rows, "parameter", "Prior of each parameter.")
    return Section("Priors", words, pictures, (table,))
