"""The story of the report: which oscillators pull on which, how strongly, and with which lag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import (
    Picture,
    Section,
    Story,
    Table,
    interval,
    number,
    sections,
    value_with_unit,
)
from bayesinf.systems.kuramoto import figures
from bayesinf.systems.kuramoto.results import best

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

OPEN = 0.5  # share of the couplings' freedom below which the data are said to leave them open
TOGETHER = 0.95  # order parameter from which oscillators are said to move together
NAMED = 8  # couplings in a table


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell couplings and lag, what the data leave open, and how the classical answer compares."""
    name = best(fits)
    fit = fits[name]
    return Story(
        title="Couplings of oscillators",
        question="Which oscillators pull on which, how strongly, and with which lag?",
        answer=_answer(fit, fits),
        numbers=_numbers(fit, fits),
        classical=_classical(fit),
        extra=(_open(fit), *_synchrony(fit)),
        best=name,
        derived=_derived(fit),
    )


def _derived(fit):
    """Draws of what all of the network shares: the mean coupling, and the lag where it follows."""
    network = noted(fit, "network")
    follows = "alpha" not in fit["posterior"] and np.ptp(network["alpha"].values) > 0
    return {"mean coupling": network["mean_K"]} | ({"lag α": network["alpha"]} if follows else {})


def _unit(fit):
    return noted(fit, "network")["K_mean"].attrs["units"]


def _clear(fit):
    """Which couplings have an interval that leaves out zero."""
    network = noted(fit, "network")
    return (network["K_low"].values > 0) | (network["K_high"].values < 0)


def _answer(fit, fits):
    network, truth = noted(fit, "network"), noted(fit, "couplings")
    K, count = network["K_mean"].values, network.sizes["pair"]
    share, clear = float(network["decided"].mean()), int(_clear(fit).sum())
    said = (
        f"{clear} of {count} couplings are seen, their 95 % intervals leave out zero; the mean of "
        f"all is {_mean_said(fit)}{_lag_said(fit)}."
    )
    if share < OPEN:
        said = (
            f"The data leave the couplings open: of their freedom {100 * share:.0f} % is decided, "
            f"and {clear} of {count} intervals leave out zero{_lag_said(fit)}."
        )
    words = [said]
    if truth is not None and "target" in network:
        true = truth["K"].values
        inside = np.mean((network["K_low"].values <= true) & (true <= network["K_high"].values))
        error = np.sqrt(np.mean((K - true) ** 2)) / np.sqrt(np.mean(true**2))
        words.append(
            f"Of the true couplings {100 * inside:.1f} % lie in their 95 % intervals; the error is "
            f"{100 * error:.2g} % of their size (root mean squares), where the posterior expects "
            f"{100 * _expected(network, true):.2g} %."
        )
    words += _compared(fit, fits)
    return Section(
        "Couplings left open"
        if share < OPEN
        else f"{clear} of {count} couplings seen, {_mean_said(fit)} on average",
        tuple(words),
        (
            Picture(
                "couplings",
                figures.couplings(fit),
                "Coupling of each target (row) to each source (column): red pulls together, blue "
                "apart, white not at all. The forward difference takes sines at the first of two "
                "instants, the posterior along the path between them.",
                "Heat maps of the coupling matrix, target by source.",
            ),
            Picture(
                "intervals",
                figures.intervals(fit),
                "Couplings with 95 % intervals"
                + (
                    " against their true values, which they should straddle."
                    if truth is not None
                    else "; a wide one says that the data leave it open."
                ),
                "Intervals of the couplings.",
            ),
        ),
    )


def _mean_said(fit):
    network = noted(fit, "network")
    return value_with_unit(
        float(network["mean_K"].mean()), float(network["mean_K"].std()), _unit(fit)
    )


def _lag_said(fit):
    alpha = noted(fit, "network")["alpha"].values
    if np.ptp(alpha) == 0:
        return ""
    return f", and the lag α is {value_with_unit(float(alpha.mean()), float(alpha.std()), 'rad')}"


def _expected(network, true):
    """Root mean square of the posterior sds over that of the couplings: where the prior is wide,
    the Cramér-Rao bound of the relative error.
    """
    return float(np.sqrt(np.mean(network["K_sd"].values ** 2)) / np.sqrt(np.mean(true**2)))


def _compared(fit, fits):
    others = [(name, one) for name, one in fits.items() if one is not fit]
    if not others:
        return
    listed = "; ".join(f"{called(name)} {_score(one)}" for name, one in others)
    yield (
        "Of the priors tried it foretells stretches of time that are left out best: log score "
        f"{_score(fit)}, {listed}."
    )


def _score(fit):
    found = noted(fit, "left_out")
    return number(float(found["elpd"]), float(found["se"]))


def called(name: str) -> str:
    """Return what a reader calls a fit."""
    return {"mean_field": "one coupling for all sources", "normal": "all couplings apart"}.get(
        name, name.replace("_", " ")
    )


def _numbers(fit, fits):
    network, truth = noted(fit, "network"), noted(fit, "couplings")
    unit, shared = _unit(fit), _derived(fit)
    common = {name: draws.values for name, draws in shared.items()}
    units = {name: draws.attrs["units"] for name, draws in shared.items()}
    for name in ("alpha", "scale", "slab_width", "inclusion_rate"):
        if name in fit["posterior"]:
            said = "lag α" if name == "alpha" else name
            common[said] = fit["posterior"][name].values
            units[said] = fit["posterior"][name].attrs["units"]
    sigma = fit["posterior"]["sigma"]
    common["noise σ, mean of all"] = sigma.mean("oscillator").values
    units["noise σ, mean of all"] = sigma.attrs["units"]
    strongest = np.argsort(-np.abs(network["K_mean"].values))[:NAMED]
    couplings = {
        str(network["pair"].values[k]): {
            "K": number(float(network["K_mean"][k]), float(network["K_sd"][k])),
            "95 % interval": interval(
                float(network["K_low"][k]), float(network["K_high"][k]), float(network["K_sd"][k])
            ),
            "unit": "" if unit == "1" else unit,
        }
        | ({} if truth is None else {"truth": f"{float(truth['K'][k]):.4g}"})
        for k in strongest
    }
    return Section(
        "Couplings, lag and noise",
        (),
        (),
        (
            sections.derived(common, units=units, caption="What all of the network has in common."),
            Table.of(couplings, "target-source", f"The {len(strongest)} strongest couplings."),
        ),
    )


def _classical(fit):
    network, K = noted(fit, "network"), noted(fit, "forward")["K"].values
    apart = float(np.median(np.abs(K - network["K_mean"].values) / network["K_sd"].values))
    words = [
        "Least squares of differences between instants on sines at the first of them is biased by "
        "what happens in between, the more the longer the interval: here its couplings are "
        f"{apart:.2g} posterior standard deviations off, in the median. Correlations and "
        "phase-locking values say which oscillators move alike, and not which pulls on which."
    ]
    recovery, tables = noted(fit, "recovery"), ()
    if recovery is not None:
        rows = {
            str(name): {"area under the ROC curve": f"{float(area):.3f}"}
            for name, area in zip(recovery["score"].values, recovery["area"].values, strict=True)
        }
        tables = (
            Table.of(
                rows,
                "score",
                "Do the pairs that are coupled more strongly score higher? 1 is always, "
                "one half is by chance.",
            ),
        )
    return Section("Differences, correlations, phase locking", tuple(words), (), tables)


def _open(fit):
    network = noted(fit, "network")
    share, order = float(network["decided"].mean()), float(network["order"].mean())
    least = np.argsort(network["decided"].values, kind="stable")[:NAMED]
    rows = {
        str(network["pair"].values[k]): {
            "decided by the data": f"{100 * float(network['decided'][k]):.1f} %"
        }
        for k in least
    }
    words = [
        f"Of the couplings' freedom the data decide {100 * share:.1f} %: one less the posterior's "
        "variance over the prior's. Phases that keep their distance, as in synchrony or between "
        "oscillators of nearly one frequency, show the sum of their pulls alone."
    ]
    if order > TOGETHER:
        words.append(
            f"The oscillators move together (order parameter {order:.3f}), so that sines hardly "
            "change, and couplings cannot be told from frequencies: drive them apart, or start "
            "runs from different phases."
        )
    return Section(
        "What the data leave open",
        tuple(words),
        (
            Picture(
                "decided",
                figures.decided(fit),
                "Share of each coupling that the data decide (black all, white none).",
                "Heat map of the share of each coupling that is decided.",
            ),
        ),
        (Table.of(rows, "target-source", "The couplings that the data decide least."),),
        folded=share > TOGETHER,
    )


def _synchrony(fit):
    yield Section(
        "Synchrony and lag",
        (),
        (
            Picture(
                "order",
                figures.order(fit),
                "Left: the order parameter r = |mean of e^{iθ}| along the instants, 1 in full "
                "synchrony. Right: the posterior of the lag, where it is inferred.",
                "Order parameter against time and a histogram of the lag.",
            ),
        ),
        folded=True,
    )
    if noted(fit, "chimera") is not None:
        yield Section(
            "A chimera",
            (
                "Two populations of alike oscillators, each pulled more by its own: started so, "
                "one stays together and the other never does (simulated, not fitted).",
            ),
            (
                Picture(
                    "chimera",
                    figures.chimera(fit),
                    "Left: order parameters of the two populations. Right: phases at the end.",
                    "Order parameters against time and phases of two populations.",
                ),
            ),
            folded=True,
        )
