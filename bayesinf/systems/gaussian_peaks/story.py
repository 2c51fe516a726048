"""What the spectra say: their peaks, and whether the curvature would have told them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import elements, pair, prior_posterior, prior_predictive
from bayesinf.posterior import noted, prior_words
from bayesinf.report import (
    Picture,
    Section,
    Story,
    Table,
    estimates,
    number,
)
from bayesinf.systems.gaussian_peaks.classical import (
    certified_table,
    comparison,
    correlations,
    known,
    quadratic_verdict,
    scalars,
)
from bayesinf.systems.gaussian_peaks.figures import marginals, spectrum
from bayesinf.systems.gaussian_peaks.lines import Lines

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the spectra say, from the fits alone.

    Parameters
    ----------
    fits : ``laplace`` and ``emcee`` of the main spectrum; of further ones ``NAME_laplace`` and
        ``NAME_emcee``. Of each pair one will do.
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
        extra=tuple(
            Section(
                _called(_best(of)),
                _answer(of),
                tuple(_pictures(f"{name}_", of)),
                (_estimates(_best(of)), *_side_by_side(of), *_certified(_best(of))),
            )
            for name, of in others
        ),
        best=next(name for name, fit in fits.items() if fit is best),
    )


def _best(of):
    return of.get("emcee", next(iter(of.values())))


def _called(fit):
    return fit.attrs["case"] or "the spectrum"


def _answer(of):
    """The peaks, and whether the curvature would have told them, in a sentence each."""
    posterior, said = _best(of)["posterior"], []
    for k in posterior["peak"].to_numpy():
        center, width, area = (
            f"{number(float(draws.mean()), float(draws.std()))} {draws.units}".removesuffix(" 1")
            for draws in (posterior[name].sel(peak=k) for name in ("center", "fwhm", "amplitude"))
        )
        said.append(f"peak {k} at {center}, {width} wide (FWHM), of area {area}")
    text = "; ".join(said)
    answer = f"{text[0].upper()}{text[1:]} (posterior mean ± sd)."
    return (answer, quadratic_verdict(of["emcee"])[1]) if "emcee" in of else (answer,)


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
    if len(of) > 1 and not stem:  # one corner plot to a page: of the others, marginals
        shown = _corner_names(fit)
        truth = {label: truth[label] for label in elements(fit, shown) if label in truth}
        yield Picture(
            f"{stem}corner",
            pair({"emcee": of["emcee"], "Laplace": of["laplace"]}, shown, truth),
            f"{called}: regions of highest density with 50 and 90 %, sampled (filled) and in the "
            "quadratic approximation (lines). Where both coincide, errors may be read from the "
            "curvature; bent regions are what it cannot follow.",
            f"{called}: corner plot of peak parameters with emcee and Laplace overlaid.",
        )
    if "emcee" in of:
        line = "; dashed, the known value." if truth or known(fit, "certified") else "."
        yield Picture(
            f"{stem}marginals",
            marginals(of["emcee"]),
            f"{called}: posterior of each fitted parameter (filled) and its quadratic "
            f"approximation (line){line}",
            f"{called}: densities of each parameter. {quadratic_verdict(of['emcee'])[1]}",
        )


def _corner_names(fit):
    """At most six: all of one peak, or of the two peaks that are closest for their widths."""
    mean = fit["posterior"].to_dataset().mean(("chain", "draw"))
    center, sigma = mean["center"].to_numpy(), mean["sigma"].to_numpy()
    if len(center) == 1:
        noise = [name for name in ("noise",) if name in fit["posterior"]]
        return [*Lines.of(fit).fitted, *noise][:6]
    first = int(np.argmin(np.diff(center) / (sigma[1:] + sigma[:-1]))) + 1
    return [f"{name}[{k}]" for k in (first, first + 1) for name in ("height", "center", "sigma")]


def _ordered(fit):
    """Posterior variables in the order in which a reader wants them."""
    first = ["center", "height", "amplitude", "sigma", "fwhm"]
    return first + [name for name in fit["posterior"].data_vars if name not in first]


def _estimates(fit):
    table = estimates(fit, _ordered(fit), known(fit, "truth") or None)
    return Table(table, f"Posterior: {_called(fit)}.")


def _side_by_side(of):
    if "emcee" not in of:
        return
    pairs, rows = correlations(of["emcee"]), {}
    for label, row in comparison(of["emcee"]).iterrows():
        means = {m: number(row[f"{m} mean"], row[f"{m} sd"]) for m in ("Laplace", "emcee")}
        rows[label] = means | {"shift": f"{row['shift']:+.2f}", "ratio": f"{row['ratio']:.3f}"}
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
            "Against NIST's certified values, in our parameters. Under flat priors the posterior's "
            "sd is the certified one times √(ν/(ν−2)), as far as the model is linear over it.",
        )


def _classical(fit):
    noisy = "noise" in fit["posterior"]
    scale = "s² = RSS/ν." if noisy else "residuals in units of the error bars and s = 1."
    rows = {
        label: {
            "lmfit": number(best, error),
            "posterior": number(draws.mean(), draws.std()),
            "unit": "" if unit == "1" else unit,
        }
        for label, draws, best, error, unit in scalars(fit, _ordered(fit))
    }
    table = Table.of(rows, "parameter", f"Least squares and posterior: {_called(fit)}.")
    words = (
        f"The classical answer: lmfit's optimum and its standard errors, √diag(s²(JᵀJ)⁻¹), {scale}"
    )
    return Section("The classical answer", (words,), (), (table, *_certified(fit)))


def _priors(fit):
    noise = [name for name in ("noise",) if name in fit["posterior"]]
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
            prior_posterior(fit, Lines.of(fit).fitted + noise, known(fit, "truth") or None),
            "What the data add: prior and posterior of each parameter.",
            "Densities of prior and posterior of each fitted parameter.",
        ),
    )
    words = (
        "All priors are proper. By default they are flat over far more than the data leave open, "
        "the noise's is flat in its logarithm. Peaks are ordered by their centres.",
    )
    rows = {name: {"prior": said} for name, said in prior_words(fit).items()}
    table = Table.of(rows, "parameter", "Prior of each parameter.")
    return Section("Priors", words, pictures, (table,))
