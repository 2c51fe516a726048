"""The story of the report: which couplings, how sure, and whether a model of pairs is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import PREDICTIVE_P, p_values
from bayesinf.figures import interval
from bayesinf.models import binary
from bayesinf.models.binary.couplings import HELD, held_by_prior
from bayesinf.posterior import element_names, noted, true_values
from bayesinf.report import Picture, Section, Story, Table, estimates, number, sections
from bayesinf.systems.boltzmann_equilibrium import figures
from bayesinf.systems.boltzmann_equilibrium.figures import flat
from bayesinf.systems.boltzmann_equilibrium.statistics import CONNECTED, differences
from bayesinf.systems.boltzmann_equilibrium.story_classical import (
    classical_section,
    grouped,
    rounded,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["answer", "story"]

SHOWN = 12  # couplings or fields in a table
NAMED = 8  # cells or pairs in a sentence
STRONGEST = 3  # couplings in the first sentence
ENOUGH = 1.5  # sampling errors up to which a misfit of triplets is none
# Statistics that a model of pairs is not told, and what they are called.
BEYOND = {
    "all sites off": "share of states without any site on",
    "third moment of the number on": "skewness of the number of sites that are on",
    "triples beyond the pairs": "sum of triples beyond the pairs",
}
TRUSTED = 0.1  # of the entropy that is to be explained, up to which its correction is small


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the states say, from the fits alone.

    Parameters
    ----------
    fits : ``posterior`` and ``mle``, as of ``fit`` and ``maximum_likelihood_fit``; the latter may
        hold ``learning``, ``approximate`` and ``coverage``.
    """
    best, classical = fits["posterior"], fits["mle"]
    sites, samples = best["posterior"].sizes["site"], _samples(best)
    return Story(
        title="Couplings of a population in equilibrium",
        question=f"Which fields and couplings do {grouped(samples)} states of {sites} sites "
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
        classical=classical_section(best, classical),
        priors=_priors(best),
        extra=tuple(_reweighting(best)),
        best="posterior",
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


# Words


def answer(fit: xr.DataTree) -> Iterator[str]:
    """Say in words what a posterior answers, and what is to be known of its data."""
    yield f"{_couplings(fit)} {_enough(fit)}"
    encoding, read_as = fit.attrs["encoding"], fit.attrs["encoding_read"]
    said = "" if encoding == read_as else f" (the data were written in {read_as})"
    yield f"States, fields and couplings are in the encoding {encoding}{said}."
    counted = int(fit["constant_data"]["counted"])
    if counted < _samples(fit):
        yield (
            f"The {grouped(_samples(fit))} states count as {grouped(counted)} independent ones, "
            "since states that follow each other repeat what was seen before; intervals are wider "
            "by the root of that."
        )
    if fit.attrs.get("plan"):
        yield f"By the size of the data: {fit.attrs['plan']}."
    if fit.attrs["method"] == "pseudo-likelihood":
        yield (
            "These intervals come from the pseudo-likelihood, the product of the conditional "
            "probabilities of each site, and not from the likelihood. It counts each pair twice "
            "and is surer of itself than the data allow."
        )
    yield from _cells(fit)


def _couplings(fit):
    """How many couplings are clear of zero, and which are the strongest."""
    draws = flat(fit["posterior"]["J"])
    low, _, high = interval(draws)
    positive, negative = low > 0, high < 0
    clear = positive | negative
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    order = np.argsort(-np.abs(mean), kind="stable")
    strongest = [k for k in order if clear[k]][:STRONGEST]
    names = list(element_names(fit["posterior"]["J"]))
    listed = ", ".join(f"{names[k]} = {number(mean[k], sd[k])}" for k in strongest)
    if not clear.any():
        return f"None of {clear.size} couplings is clear of zero by its 95 % interval."
    return (
        f"Of {clear.size} couplings {clear.sum()} are clear of zero by their 95 % intervals, "
        f"{positive.sum()} positive and {negative.sum()} negative; the strongest: {listed}."
    )


def _enough(fit):
    """Whether triplets, which the model is not told, are off by more than sampling makes them."""
    sizes = _sizes(fit)
    if "cumulant" not in sizes:
        return "With two sites there is nothing that pairs do not say."
    misfit, replica, halves, parity = sizes["cumulant"]
    null = max(halves, parity)
    off, sampling = rounded(misfit), rounded(null)
    if misfit <= ENOUGH * max(null, replica):
        p = p_values(fit)
        refused = [said for name, said in BEYOND.items() if p.get(name, 1) < PREDICTIVE_P / len(p)]
        if refused:
            return (
                f"A model of pairs is not all: triplets are off by no more than sampling makes "
                f"({sampling}, rms), but {_all_off(fit)}; beyond chance is the "
                f"{binary.listed(refused)}."
            )
        return (
            "A model of pairs is enough for what these data can tell: triplets, which it is not "
            f"told, are off by {off} (rms), where sampling alone makes {sampling}."
        )
    return (
        f"A model of pairs is not all: triplets, which it is not told, are off by {off} (rms), "
        f"{misfit / null:.1f} times what sampling makes of them ({sampling})."
    )


def _all_off(fit):
    """How often all sites are off, in the data and in replicas."""
    seen = float(fit["observed_data"]["population"][0])
    low, middle, high = interval(flat(fit["posterior_predictive"]["population"])[:, 0])
    return (
        f"all sites are off in {seen:.2%} of the states, where it expects {middle:.2%} "
        f"({low:.2%} to {high:.2%})"
    )


def _cells(fit):
    """What the data leave to the prior."""
    cells = noted(fit, "cell")
    mean = fit["observed_data"]["mean"].values
    constant = cells["constant"].values
    for word, at in (("never", constant & (mean <= 0)), ("always", constant & (mean > 0))):
        names = fit["posterior"]["site"].values[at]
        if names.size:
            yield (
                f"Cell {binary.listed(names, NAMED)} {word} fires: beyond that its field and its "
                "couplings are what the prior says."
            )
    if cells["identical"].any():
        yield (
            f"Cells {_pairs(fit, cells['identical'].values)} are identical, or exact opposites: "
            "their coupling is as large as the prior lets it be."
        )
    count, counted = mean.size * (mean.size + 1) // 2, int(fit["constant_data"]["counted"])
    if counted < count:
        yield (
            f"There are fewer states ({counted}) than parameters ({count}): the prior has its say."
        )
    bare = held_by_prior(fit)
    if bare.any():
        yield (
            f"The data do not constrain {bare.sum()} of {bare.size} couplings, whose posterior "
            f"is hardly narrower than the prior: {_pairs(fit, bare)}."
        )


def _pairs(fit, which):
    group = fit["posterior"]
    i, j = (group[name].values[which] for name in "ij")
    return binary.listed([f"({a}, {b})" for a, b in zip(i, j, strict=True)], NAMED)


def _samples(fit):
    return int(fit["constant_data"]["samples"])


# Numbers


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
    likely, draws = noted(classical, "classical"), flat(group[name])
    count, labels = draws.shape[1], list(element_names(group[name]))
    if name == "J" or count > SHOWN:
        clear = np.abs(draws.mean(axis=0)) / np.maximum(draws.std(axis=0), 1e-300)
        order = np.argsort(-clear, kind="stable")[:SHOWN]
    else:
        order = np.arange(count)
    frame = estimates(best, [labels[k] for k in order], true_values(best) or None)
    centre, error = likely[name].values, likely[f"{name}_error"].values
    frame["classical"] = [
        number(centre[k], error[k]) if np.isfinite(centre[k]) else "no maximum" for k in order
    ]
    mean, sd = converted.mean(axis=0), converted.std(axis=0)
    frame[f"in {other}"] = [number(mean[k], sd[k]) for k in order]
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
    kinds = ("misfit", "replica", "halves", "even/odd")
    return {
        name: [float(np.sqrt(np.mean(entry[kind] ** 2))) for kind in kinds]
        for name, entry in differences(fit).items()
    }


def _predictive(fit):
    called = CONNECTED | {"population": "P(K)"}
    columns = ("data − posterior", "one replica", "halves", "even / odd")
    rows = {
        called[name]: dict(zip(columns, map(rounded, sizes), strict=True))
        for name, sizes in _sizes(fit).items()
    }
    size = int(noted(fit, "energy")["replicated"])
    short = f" (replicas of {grouped(size)} states)" if size < _samples(fit) else ""
    pictures = (
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
    )
    words = (
        "Means and pairs are what the model is fitted to; triplets, the number of sites on at "
        "once and the energies are not. Each is compared to the data, and the data to themselves: "
        "two halves, and even against odd. Where halves differ by more than even and odd do, the "
        "data drift."
    )
    told = sections.predictive(fit, pictures, words)
    table = Table.of(
        rows,
        "statistic",
        "Differences, root mean square. One replica: how much a data set that the model brings "
        "about would differ from the posterior mean. Halves, even / odd: half of their difference, "
        "which is what sampling makes of all the data.",
    )
    return Section("Misfit, or only sampling?", told.paragraphs, told.pictures, (table,))


def _priors(fit):
    bare = held_by_prior(fit)
    said = f"{bare.sum()} of {bare.size} couplings" if bare.any() else "No coupling"
    words = (
        f"All priors are proper, and stated in the encoding {fit.attrs['encoding']}. {said} "
        f"{'keep' if bare.sum() > 1 else 'keeps'} a posterior that is hardly narrower than the "
        f"prior (half of its central 68 % at least {HELD} of the prior's)."
    )
    return sections.priors({"posterior": fit}, None, (), words)


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
            f"{sites} sites have 2^{sites} = {float(2**sites):.2g} states, too many to sum over. A "
            "sample of states, drawn once at the optimum θ̂, normalises every other θ by its "
            "weights: Z(θ) / Z(θ̂) = ⟨exp((θ − θ̂)·φ)⟩, φ being the states and their products in "
            "pairs.",
            "Far from θ̂ few states carry all the weight: at the worst draw they are worth "
            f"{rounded(least)} effective states, of equal weight. Pareto k̂, which says how heavy "
            f"the tail of the weights is, {found}; up to 0.7 their mean can be relied on. The "
            f"sample's own sampling error moves the whole posterior by about {shift:.2f} sd. The "
            "diagnostics hold all three to limits.",
        ),
    )
