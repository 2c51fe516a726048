"""What the report says of the classical answer: maximum likelihood, and what is quicker.

Each part returns paragraphs, pictures and tables, none where there is nothing to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Table, number
from bayesinf.systems.boltzmann_equilibrium import figures
from bayesinf.systems.boltzmann_equilibrium.learning import ITERATIONS, SITES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical_section", "grouped", "rounded"]

NOTHING = (), (), ()


def classical_section(best: xr.DataTree, classical: xr.DataTree) -> Section:
    """Tell the classical answer, from the fit that carries the answer and the classical one."""
    parts = [
        _optimum(best, classical),
        _quick_routes(classical),
        _coverage(noted(classical, "coverage")),
        _learning(classical),
    ]
    words, pictures, tables = (
        tuple(one for part in kind for one in part) for kind in zip(*parts, strict=True)
    )
    return Section("Maximum likelihood, and quicker than that", words, pictures, tables)


def grouped(count: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{count:,}".replace(",", " ")


def rounded(value: float) -> str:
    """Write a number to two digits, a last zero among them."""
    return (
        f"{value:#.2g}".rstrip(".") if 1e-3 <= abs(value) < 1e3 else number(float(f"{value:.2g}"))
    )


def _optimum(best, classical):
    """Say how far the classical answer is from the posterior, and how good an optimum it is."""
    found, J = noted(classical, "classical"), figures.flat(best["posterior"]["J"])
    known = np.isfinite(found["J"].values)
    called, lacking = classical.attrs["classical"], classical.attrs["lacking"]
    how = "Newton's method matches all means and pair moments."
    if lacking:
        how = (
            f"The likelihood has no maximum: {lacking}. It rises for ever in these directions, and "
            "what an estimate says of them is the doing of a prior. The other parameters, log Z "
            f"and the entropies are those of the {called}."
        )
    words = [how]
    if known.any():
        away = (np.abs(found["J"].values - J.mean(axis=0)) / J.std(axis=0))[known]
        words.append(
            f"The {called} lies {np.median(away):.2g} posterior sd from the posterior mean in the "
            f"median coupling, {away.max():.2g} at most. Its file mle.nc holds the normal "
            "approximation with the Fisher information."
        )
    if "h_residual" in found:
        off = np.concatenate([found["h_residual"].values, found["J_residual"].values])
        words.append(
            f"States drawn afresh there, which no fit has seen, match all {grouped(off.size)} "
            f"means and pair moments to {np.abs(off).max():.2g} standard errors of the data; rms "
            f"{np.sqrt(np.mean(off**2)):.2g}, where their own sampling error makes "
            f"{float(found['residual_error']):.2g}."
        )
    return words, (), ()


def _quick_routes(classical):
    """Say what the pseudo-likelihood and mean field cost."""
    quick, found = noted(classical, "approximate"), noted(classical, "classical")
    if quick is None:
        return NOTHING
    called = classical.attrs["classical"]
    known = np.isfinite(found["J"].values)
    if not known.any():
        return NOTHING
    shrink = np.median((quick["J_sd"].values[0] / found["J_error"].values)[known])
    off = (quick["J"].values - found["J"].values)[:, known]
    rms = np.sqrt(np.mean(off**2, axis=1))
    rows = {
        name: {f"rms difference to {called}": rounded(value)}
        for name, value in zip(quick["approximation"].values.tolist(), rms, strict=True)
        if np.isfinite(value)
    }
    words = (
        "Two quick routes beside it. The pseudo-likelihood asks of each site what it does given "
        "all others; it is not the likelihood, and claims standard errors "
        f"{shrink:.2f} times those of {called} (median). Mean field reads couplings off the "
        "inverse of the covariance and has no error at all."
    )
    picture = Picture(
        "approximate",
        figures.approximate(classical),
        f"What do quick routes cost? Left: couplings by them against {called}. Right: the standard "
        "errors that the pseudo-likelihood claims against those of the likelihood. On the line "
        "they would agree.",
        "Scatter of couplings and of their errors.",
    )
    said = "How far the couplings of the quick routes are off."
    return [words], [picture], [Table.of(rows, "route", said)]


def _coverage(covered):
    """Say how often intervals of both routes hold the truth."""
    if covered is None:
        return NOTHING
    replicas, levels = covered.sizes["replica"], covered["level"].values.tolist()
    rows = {
        route: {f"claimed {100 * level:.0f} %": _share(covered, route, level) for level in levels}
        for route in covered["route"].values.tolist()
    }
    words = (
        f"Whether such errors can be trusted was measured: of {replicas} data sets of this size, "
        "simulated at the optimum, 95 % intervals by the likelihood hold "
        f"{_share(covered, 'likelihood', 0.95)} of the true parameters, by the pseudo-likelihood "
        f"{_share(covered, 'pseudo-likelihood', 0.95)}."
    )
    said = (
        f"Share of true parameters within their intervals, over {replicas} simulated data sets; "
        "it should be what is claimed."
    )
    return [words], (), [Table.of(rows, "intervals by", said)]


def _learning(classical):
    """Say how long gradient ascent takes, and what more data bring."""
    study = noted(classical, "learning")
    if study is None:
        return NOTHING
    picture = Picture(
        "learning",
        figures.learning(classical),
        f"How long, and how much data, does learning take? {SITES} simulated sites by gradient "
        "ascent of three rates (colours) and by Newton's method (black). Left: how far the log "
        "likelihood of a state is from its top; below the dashed line the truth itself would be no "
        f"better. Middle: where each is after {ITERATIONS} steps. Right: error against the number "
        "of states, and what the Fisher information expects (line).",
        "Learning curves, inferred against true parameters, and error against data size.",
    )
    rms = study["error"].mean("repeat")[:, -1].values
    slopes = zip(study["exponent"].values, study["exponent_se"].values, rms, strict=True)
    rows = {
        str(name): {"exponent": number(*found[:2]), "error at the largest M": rounded(found[2])}
        for name, found in zip(study["method"].values, slopes, strict=True)
    }
    said = "Exponent of error ∝ M^exponent, ± standard error; 1/√M is −0.5."
    return [_learning_words(study)], [picture], [Table.of(rows, "method", said)]


def _share(covered, route, level):
    inside = covered["inside"].sel(route=route, level=level).values
    return f"{100 * inside.mean():.1f} ± {100 * inside.std() / np.sqrt(inside.size):.1f} %"


def _learning_words(study):
    count, samples = study.sizes["parameter"], int(study["size"][-1])
    near = float(study["newton"][-1]) - count / (2 * samples)

    def steps(line):
        """The first step that is as near to the top as the data can tell."""
        return int(np.argmax(line > near)) if (line > near).any() else None

    said = []
    for rate in study["rate"].values:
        taken = steps(study["log_likelihood"].sel(rate=rate).values)
        many = f"more than {ITERATIONS}" if taken is None else f"{taken} steps"
        said.append(f"{many} with η = {rate:g}")
    return (
        f"The classical way is gradient ascent of a fixed rate. On {grouped(samples)} simulated "
        f"states of {SITES} sites, to come as near to the top as the data can tell takes "
        f"{', '.join(said)}, and {steps(study['newton'].values)} by Newton's method. A climb that "
        "stops short has an error that no amount of data removes."
    )
