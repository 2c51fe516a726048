"""The story of the report: which couplings, how sure, and whether a model of pairs is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import interval, predictive_statistics
from bayesinf.models import binary
from bayesinf.models.binary.couplings import HELD, held_by_prior
from bayesinf.posterior import element_names, noted, true_values
from bayesinf.report import Picture, Section, Story, Table, estimates, number, sections
from bayesinf.systems.boltzmann_equilibrium import figures
from bayesinf.systems.boltzmann_equilibrium.figures import flat
from bayesinf.systems.boltzmann_equilibrium.learning import ITERATIONS, SITES
from bayesinf.systems.boltzmann_equilibrium.statistics import CONNECTED, differences

if TYPE_CHECKING:
    import xarray as xr

SHOWN = 12  # couplings or fields in a table
NAMED = 8  # cells or pairs in a sentence
TRUSTED = 0.1  # of the entropy that is to be explained, up to which its correction is small


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the states say, from the fits alone.

    Parameters
    ----------
    fits : ``posterior`` and ``mle``, as of ``fit`` and ``maximum_likelihood_fit``; the latter may
        hold ``learning`` and ``approximate``.
    """
    best, classical = fits["posterior"], fits["mle"]
    sites, samples = best["posterior"].sizes["site"], _samples(best)
    return Story(
        title="Couplings of a population in equilibrium",
        question=f"Which fields and couplings do {_grouped(samples)} states of {sites} sites "
        f"({best.attrs['case']}) speak for, and is a model of pairs enough?",
        answer=Section(
            "Every coupling, every field", tuple(answer(best)), tuple(_pictures(best, classical))
        ),
        numbers=Section(
            "Entropy, fields and couplings",
            tuple(_entropy_words(classical)),
            tables=(
                _entropies(classical),
                _parameters(best, classical, "h"),
                _parameters(best, classical, "J"),
            ),
        ),
        predictive=_predictive(best),
        classical=_classical(best, classical),
        priors=_priors(best),
        extra=tuple(_reweighting(best)),
    )


def _pictures(best, classical):
    known = noted(best, "truth") is not None
    below = (
        ". Below: the same, less that; a posterior off the line was moved by the prior, or its "
        "likelihood is skewed."
    )
    right = (
        "the same in units of its posterior sd: beyond ±2 it is clear of zero, and the darkest are "
        "so by 5 and more."
    )
    if known:
        below = (
            " and the truth (steps). Below: the same, the truth subtracted; intervals should hold "
            "the line."
        )
        right = "the truth, on the same scale."
    yield Picture(
        "parameters",
        figures.parameters(best, classical),
        "How strong, and how sure? Median and 95 % interval of each coupling (left) and each field "
        f"(right), with the {classical.attrs['classical']} (open circles){below}",
        "Couplings and fields in order of size, with intervals.",
    )
    yield Picture(
        "matrices",
        figures.matrices(best),
        f"Who is coupled to whom? Left: the posterior mean of each coupling. Right: {right}",
        "The matrix of couplings as colours.",
    )


# Words and numbers


def _grouped(count):
    return f"{count:,}".replace(",", " ")


def _rounded(value):
    return number(float(f"{value:.2g}"))


def _samples(fit):
    return int(fit["constant_data"]["samples"])


def _listed(names):
    names = [str(name) for name in names]
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _pairs(fit, which):
    group = fit["posterior"]
    return [
        f"({i}, {j})"
        for i, j in zip(group["i"].values[which], group["j"].values[which], strict=True)
    ]


def answer(fit: xr.DataTree) -> Iterator[str]:
    """Say in words what a posterior answers, and what is to be known of its data."""
    draws = flat(fit["posterior"]["J"])
    low, _, high = interval(draws)
    clear, positive = (low > 0) | (high < 0), low > 0
    encoding, read_as = fit.attrs["encoding"], fit.attrs["encoding_read"]
    said = "" if encoding == read_as else f" (the data were written in {read_as})"
    yield (
        f"Of {draws.shape[1]} couplings {clear.sum()} are clear of zero by their 95 % intervals, "
        f"{positive.sum()} positive and {clear.sum() - positive.sum()} negative. "
        f"States, fields and couplings are in the encoding {encoding}{said}."
    )
    truth = noted(fit, "truth")
    if truth is not None:
        own = interval(np.concatenate([flat(fit["posterior"]["h"]), draws], axis=1))
        true = np.concatenate([truth["h"].values, truth["J"].values])
        inside = (own[0] < true) & (true < own[2])
        yield (
            f"The truth is known here: {inside.sum()} of {inside.size} true values lie within "
            f"their 95 % intervals, {0.95 * inside.size:.0f} are expected to."
        )
    yield _enough(fit)
    if fit.attrs.get("plan"):
        yield f"By the size of the data: {fit.attrs['plan']}."
    if fit.attrs["method"] == "pseudo-likelihood":
        yield (
            "These intervals come from the pseudo-likelihood, the product of the conditional "
            "probabilities of each site, and not from the likelihood. It counts each pair twice "
            "and is surer of itself than the data allow."
        )
    yield from _cells(fit)


def _enough(fit):
    sizes = _sizes(fit)
    if "cumulant" not in sizes:
        return "With two sites there is nothing that pairs do not say."
    misfit, replica, halves, parity = sizes["cumulant"]
    null = max(halves, parity)
    off, sampling = _rounded(misfit), _rounded(null)
    if misfit <= 1.5 * max(null, replica):
        return (
            "A model of pairs is enough for what these data can tell: triplets, which it is not "
            f"told, are off by {off} (rms), where sampling alone makes {sampling}."
        )
    return (
        f"A model of pairs is not all: triplets, which it is not told, are off by {off} (rms), "
        f"{misfit / null:.1f} times what sampling makes of them ({sampling})."
    )


def _cells(fit):
    cells = noted(fit, "cell")
    mean = fit["observed_data"]["mean"].values
    constant = cells["constant"].values
    for word, at in (("never", constant & (mean <= 0)), ("always", constant & (mean > 0))):
        names = fit["posterior"]["site"].values[at]
        if names.size:
            yield (
                f"Cell {_listed(names)} {word} fires: beyond that its field and its couplings "
                "are what the prior says."
            )
    if cells["identical"].any():
        yield (
            f"Cells {_listed(_pairs(fit, cells['identical'].values))} are identical, or exact "
            "opposites: their coupling is as large as the prior lets it be."
        )
    count = mean.size * (mean.size + 1) // 2
    if _samples(fit) < count:
        yield (
            f"There are fewer states ({_samples(fit)}) than parameters ({count}): the prior "
            "has its say."
        )
    bare = held_by_prior(fit)
    if bare.any():
        yield (
            f"The data do not constrain {bare.sum()} of {bare.size} couplings, whose posterior "
            f"is hardly narrower than the prior: {_listed(_pairs(fit, bare))}."
        )


def _entropy_words(classical):
    found = noted(classical, "information")
    H1, H2 = float(found["H1"]), float(found["H2"])
    yield (
        f"Were the sites independent, a state would hold {H1:.4f} bits; with the couplings it "
        f"holds {H2:.4f}, {H1 - H2:.4f} less."
    )
    if "H_data" in found:
        data, corrected = float(found["H_data"]), float(found["H_data_corrected"])
        rest, spread = H1 - corrected, float(found["I2_sd"])
        said = ""
        if corrected - data > TRUSTED * rest:
            said = " States are too few for that correction to be relied on."
        elif rest > 10 * spread:
            said = f" Pairs account for {min((H1 - H2) / rest, 1):.1%} of that."
        yield (
            f"The data as they are hold {data:.4f} bits, {corrected:.4f} once corrected for being "
            f"finite (Miller and Madow), {rest:.4f} less than independent sites.{said}"
        )


def _entropies(classical):
    found, encoding = noted(classical, "information"), classical.attrs["encoding"]
    exact, error = "H_data" in found, float(found["log_z_error"])
    called = classical.attrs["classical"]
    how = "sum over all states" if exact else f"annealed importance sampling, ± {error:.2g}"
    H2_error = f"± {error / np.log(2):.2g} from log Z"
    if exact:
        H2_error = f"± {float(found['H2_sd']):.2g} by sampling"
    rows = {
        "H1, independent sites": ("H1", "bit", "means of the data"),
        "H2, model of pairs": ("H2", "bit", f"{called}, {H2_error}"),
        "H, data": ("H_data", "bit", "shares of the states"),
        "H, data, corrected": ("H_data_corrected", "bit", "Miller and Madow"),
        f"log Z ({encoding})": ("log_z", "", f"{called}, {how}"),
        f"log Z ({_other(encoding)})": ("log_z_converted", "", "converted exactly"),
    }
    cells = {
        label: {"value": f"{float(found[name]):.6f}".replace("-", "−"), "unit": unit, "how": how}
        for label, (name, unit, how) in rows.items()
        if name in found
    }
    return Table.of(cells, "quantity", "Entropies and log Z.")


def _other(encoding):
    return next(name for name in binary.ENCODINGS if name != encoding)


def _parameters(best, classical, name):
    """Fields, or the couplings that stand clearest of zero, in both encodings."""
    group, encoding = best["posterior"], best.attrs["encoding"]
    other, what = _other(encoding), "fields" if name == "h" else "couplings"
    h, J = flat(group["h"]), flat(group["J"])
    converted = dict(zip("hJ", binary.convert(h, J, encoding, other), strict=False))[name]
    likely, count = noted(classical, "classical"), group[name].shape[-1]
    labels = list(element_names(group[name]))
    if name == "J" or count > SHOWN:
        found = group[name].std(("chain", "draw")).values + 1e-300
        found = np.abs(group[name].mean(("chain", "draw")).values) / found
        order = np.argsort(-found, kind="stable")[:SHOWN]
    else:
        order = np.arange(count)
    frame = estimates(best, [labels[k] for k in order], true_values(best) or None)
    columns = {"classical": (likely[name].values, likely[f"{name}_error"].values)}
    columns[f"in {other}"] = converted.mean(axis=0), converted.std(axis=0)
    for column, (centre, error) in columns.items():
        frame[column] = list(map(number, centre[order], error[order]))
    shown = f"{SHOWN} {what} of {count} that stand clearest of zero" if count > SHOWN else what
    rule = "J′ = 4 J, h′ = 2 h − 2 Σ J" if encoding == "±1" else "J′ = J / 4, h′ = h / 2 + Σ J / 4"
    return Table(
        frame.rename_axis(what[:-1]),
        f"The {shown} in the encoding {encoding}: posterior, classical estimate ± standard error, "
        f"and the posterior converted to {other} ({rule}).",
    )


# The data under the posterior


def _sizes(fit):
    """Root mean squares of misfit, replicas, halves, even/odd of each statistic."""
    rms = lambda values: float(np.sqrt(np.mean(values**2)))
    kinds = ("misfit", "replica", "halves", "even/odd")
    return {name: [rms(entry[kind]) for kind in kinds] for name, entry in differences(fit).items()}


def _predictive(fit):
    called = CONNECTED | {"population": "P(K)"}
    columns = ("data − posterior", "one replica", "halves", "even / odd")
    rows = {
        called[name]: dict(zip(columns, map(_rounded, sizes), strict=True))
        for name, sizes in _sizes(fit).items()
    }
    silent = differences(fit)["population"]
    replica = number(float(silent["model"][0]), float(silent["replica"][0]))
    share = lambda p, samples: number(float(p), float(np.sqrt(p * (1 - p) / samples)))
    silence = {"data": share(silent["data"][0], _samples(fit)), "posterior": replica}
    silence |= {
        name: share(silent["parts"][k][0], _samples(fit) / 2)
        for k, name in enumerate(("first half", "second half", "even", "odd"))
    }
    energy = noted(fit, "energy")
    size = int(energy["replicated"])
    short = f" (replicas of {_grouped(size)} states)" if size < _samples(fit) else ""
    return Section(
        "Misfit, or only sampling?",
        (
            "Means and pairs are what the model is fitted to; triplets, the number of sites on at "
            "once, the share of silent states and the energies are not. Each is compared to the "
            "data, and the data to themselves: two halves, and even against odd. Where halves "
            "differ by more than even and odd do, the data drift.",
        ),
        (
            Picture(
                "agreement",
                figures.agreement(fit),
                "Does the model bring about the data's moments? Above: means, connected pair "
                "correlations and connected triplets of distinct sites, posterior predictive "
                "against data (blue, 95 % of replicas); crosses are one half of the data against "
                "the other (grey) and even against odd (purple). Below: histograms of the "
                "differences. Blue that is no wider than the outlines is no misfit.",
                "Scatter of statistics, data against posterior, and histograms of differences.",
            ),
            Picture(
                "distributions",
                figures.distributions(fit),
                "Are states as silent, as busy and as probable as the model says? Left: P(K), the "
                "share of states with K sites on, K = 0 being silence; right: energies at the "
                f"posterior mean{short}, the last bin with all beyond. Below: the same over the "
                "posterior mean, data (black) and parts of the data (colours), with the band of "
                "95 % of replicas. Black outside the band is a misfit; parts, of half the states, "
                "scatter √2 times as much as all. Triangles lie beyond the panel.",
                "Distribution of the number of sites on and of energies, data and posterior.",
            ),
            Picture(
                "predictive",
                predictive_statistics(fit),
                "Would replicas of the data show what the data show? p is the share of replicas "
                "whose statistic is larger than that of the data: near 0 or near 1 it is a misfit. "
                "Independent states are assumed, and states that follow each other in time are not "
                "quite that.",
                "Histograms of statistics of replicas with the data's value.",
            ),
        ),
        (
            Table.of(
                rows,
                "statistic",
                "Differences, root mean square. One replica: how much a data set that the model "
                "brings about would differ from the posterior mean. Halves, even / odd: half of "
                "their difference, which is what sampling makes of all the data.",
            ),
            Table.of(
                {"P(silence)": silence},
                "",
                "Share of the states in which no site is on, ± the sampling error of independent "
                "states.",
            ),
        ),
    )


# The classical answer


def _classical(best, classical):
    parts = [
        _optimum_told(best, classical),
        _quick_told(classical),
        _coverage_told(noted(classical, "coverage")),
        _learning_told(classical),
    ]
    words, pictures, tables = (
        tuple(one for part in kind for one in part) for kind in zip(*parts, strict=True)
    )
    return Section("Maximum likelihood, and quicker than that", words, pictures, tables)


NOTHING = (), (), ()  # paragraphs, pictures, tables


def _optimum_told(best, classical):
    """Say how far the classical answer is from the posterior, and how good an optimum it is."""
    found, J = noted(classical, "classical"), flat(best["posterior"]["J"])
    away = np.abs(found["J"].values - J.mean(axis=0)) / J.std(axis=0)
    called = classical.attrs["classical"]
    how = (
        "Newton's method matches all means and pair moments"
        if called == "maximum likelihood"
        else "The likelihood has no maximum here, since a cell never changes or two cells never "
        "show one of their four combinations; the prior Normal holds what they leave open"
    )
    words = [
        f"{how}. The {called} lies {np.median(away):.2g} posterior sd from the posterior mean in "
        f"the median coupling, {away.max():.2g} at most. Its file mle.nc holds the normal "
        "approximation with the Fisher information."
    ]
    if "h_residual" in found:
        off = np.concatenate([found["h_residual"].values, found["J_residual"].values])
        words.append(
            f"States drawn afresh there, which no fit has seen, match all {_grouped(off.size)} "
            f"means and pair moments to {np.abs(off).max():.2g} standard errors of the data; rms "
            f"{np.sqrt(np.mean(off**2)):.2g}, where their own sampling error makes "
            f"{float(found['residual_error']):.2g}."
        )
    return words, (), ()


def _quick_told(classical):
    """Say what the pseudo-likelihood and mean field cost."""
    quick, found = noted(classical, "approximate"), noted(classical, "classical")
    if quick is None:
        return NOTHING
    called = classical.attrs["classical"]
    shrink = np.median(quick["J_sd"].values[0] / found["J_error"].values)
    rms = np.sqrt(np.mean((quick["J"].values - found["J"].values) ** 2, axis=1))
    rows = {
        name: {f"rms difference to {called}": _rounded(value)}
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


def _coverage_told(covered):
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


def _learning_told(classical):
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
        str(name): {"exponent": number(*found[:2]), "error at the largest M": _rounded(found[2])}
        for name, found in zip(study["method"].values, slopes, strict=True)
    }
    said = "Exponent of error ∝ M^exponent, ± standard error; 1/√M is −0.5."
    return [_learning_words(study)], [picture], [Table.of(rows, "method", said)]


def _share(covered, route, level):
    inside = covered["inside"].sel(route=route, level=level).values
    return f"{100 * inside.mean():.1f} ± {100 * inside.std() / np.sqrt(inside.size):.1f} %"


def _learning_words(study):
    count, samples = study.sizes["parameter"], int(study["size"][-1])
    top, level = float(study["newton"][-1]), count / (2 * samples)
    steps = lambda line: int(np.argmax(top - line < level)) if (top - line < level).any() else None
    found = {
        f"η = {rate:g}": steps(study["log_likelihood"].sel(rate=rate).values)
        for rate in study["rate"].values
    }
    said = [
        f"{n} steps with {name}" if n is not None else f"more than {ITERATIONS} with {name}"
        for name, n in found.items()
    ]
    return (
        f"The classical way is gradient ascent of a fixed rate. On {_grouped(samples)} simulated "
        f"states of {SITES} sites, to come as near to the top as the data can tell takes "
        f"{', '.join(said)}, and {steps(study['newton'].values)} by Newton's method. A climb that "
        "stops short has an error that no amount of data removes."
    )


# Priors


def _priors(fit):
    bare = held_by_prior(fit)
    said = f"{bare.sum()} of {bare.size} couplings" if bare.any() else "No coupling"
    words = (
        f"All priors are proper, and stated in the encoding {fit.attrs['encoding']}. {said} "
        f"{'keep' if bare.sum() > 1 else 'keeps'} a posterior that is hardly narrower than the "
        f"prior (half of its central 68 % at least {HELD} of the prior's)."
    )
    return sections.priors({"posterior": fit}, None, (), words)


# Beyond enumeration


def _reweighting(fit):
    """Say what stands for the sum over all states, where that is too long."""
    stats = fit["sample_stats"]
    if "reweighting_size" not in stats:
        return
    sites, least = fit["posterior"].sizes["site"], float(stats["reweighting_size"].min())
    shape, shift = (float(stats[f"reweighting_{name}"].max()) for name in ("k", "shift"))
    found = f"is {shape:.2f}" if np.isfinite(shape) else "could not be found"
    yield Section(
        "A reweighting sample for the sum over all states",
        (
            f"{sites} sites have 2^{sites} = {float(2**sites):.2g} states, more than can be summed "
            "over again and again. So a sample of states was drawn once at the optimum θ̂, and its "
            "weights normalise every other θ: Z(θ) / Z(θ̂) = ⟨exp((θ − θ̂)·φ)⟩ over the sample, φ "
            "being the states and their products in pairs.",
            "Far from θ̂ few states carry all the weight. The effective states say how many states "
            f"of equal weight would do as well: {_rounded(least)} at the draw where they are "
            "fewest. Pareto k̂ says how heavy the tail of the weights is: up to 0.7 their mean can "
            f"be relied on, beyond 1 it does not even exist. Here it {found}. The sample's "
            "own sampling error moves the whole posterior, by the same step in all draws: about "
            f"{shift:.2f} sd. The diagnostics hold all three to limits.",
        ),
    )
