"""How the draws came about: a picture for each way in which they are made."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures.canvas import COLORS, canvas, elements, padded, span, styled, with_units
from bayesinf.figures.posteriors import density
from bayesinf.foreign import adopted
from bayesinf.inference import kinds
from bayesinf.posterior import element_names, reported

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["representative", "trace_rank"]

_RANK_BINS = 20


_TRACE_POINTS = 500


LONG = 18  # letters to a line of a label


def representative(fit: xr.DataTree, most: int = 6, clearest: bool = False) -> list[str]:
    """Choose the elements whose draws say most about how they were made, or about the world.

    Scalars come first. Of each vector follow, for chains, the elements of largest R-hat and of
    smallest bulk effective sample size; else those that stand clearest of zero.

    Parameters
    ----------
    fit : InferenceData.
    most : how many at most.
    clearest : whether those that stand clearest of zero are chosen, however they were made.

    Returns
    -------
    labels, as ``elements`` spells them; elements that never move, and variables that are not
    among the fit's ``quantities``, are left out.
    """
    from bayesinf.diagnostics import tie_weighted_mixing

    fit, scalars, vectors = adopted(fit), [], []
    for name, array in ((name, fit["posterior"][name]) for name in reported(fit)):
        draws = array.transpose("chain", "draw", ...).values
        draws = draws.reshape(*draws.shape[:2], -1).transpose(2, 0, 1).astype(float)
        moving = np.flatnonzero(np.ptp(draws, axis=(1, 2)) > 0)
        if array.ndim == 2:
            scalars += [name] if moving.size else []
            continue
        draws = draws[moving]
        if kinds.of(fit.attrs).chains and not clearest:
            rhat, bulk, _ = tie_weighted_mixing(draws)
            rankings = np.argsort(-rhat), np.argsort(bulk)
        else:
            rankings = (np.argsort(-np.abs(draws.mean((1, 2))) / draws.std((1, 2))),)
        order = dict.fromkeys(k for turn in zip(*rankings, strict=True) for k in turn)
        labels = list(element_names(array))
        vectors.append([labels[moving[k]] for k in list(order)[:most]])
    # Round robin, so that each vector shows its worst before any shows its second worst.
    turns = [ranked[k] for k in range(most) for ranked in vectors if k < len(ranked)]
    return [*scalars, *turns][:most]


@styled
def trace_rank(fit: xr.DataTree, var_names: Sequence[str] | None = None) -> Figure:
    """Draw how the draws came about, a row for each variable, in the way their method asks for.

    Chains (nuts, gibbs, mle+mcmc): trace, and how each chain's ranks spread; an ensemble: its
    walkers, and the first half of the run against the second; laplace: the approximation against
    the same draws reweighted to the posterior, and the weights themselves; exact: independent
    draws, and their density against the closed-form mean and sd.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or elements; None takes the ``representative`` ones.

    Returns
    -------
    a Figure with two columns.
    """
    names = representative(fit) if var_names is None else var_names
    arrays = elements(fit, names)
    columns = _COLUMNS[kinds.of(fit.attrs).drawn]
    rows = len(arrays)
    each = 1.15 if columns[0][2] else 1.5
    fig, axes = canvas(rows, 2, height=0.6 + each * rows, squeeze=False, width_ratios=(1.5, 1))
    for (left, right), (label, array) in zip(axes, arrays.items(), strict=True):
        for axis, (draw, _, _) in zip((left, right), columns, strict=True):
            draw(axis, fit, label, array)
        if columns[0][2]:
            # Level, for upright ones of neighbouring rows would run into each other.
            said = with_units(label, array.units)
            if len(said) > LONG:
                unit = said.removeprefix(label).strip()
                said = "\n".join([*textwrap.wrap(label, LONG), *([unit] if unit else [])])
            left.set_ylabel(said, rotation=0, ha="right", va="center")
        else:
            left.set_xlabel(with_units(label, array.units))
    for column, (_, title, below) in zip(axes.T, columns, strict=True):
        column[0].set_title(title)
        if below:  # the rows share what they are drawn against
            column[-1].set_xlabel(below)
            for axis in column[:-1]:
                axis.tick_params(labelbottom=False)
    fig.align_ylabels(axes[:, 0])
    return fig


def _chains(count):
    """Shades of the posterior's blue, one for each chain."""
    from matplotlib.colors import to_rgb

    base = np.array(to_rgb(COLORS["posterior"]))
    shares = np.linspace(-0.45, 0.6, count) if count > 1 else [0.0]
    return [base * (1 + s) if s < 0 else base + s * (1 - base) for s in shares]


def _trace(axis, fit, label, array):
    draws = array.transpose("chain", "draw").values
    step = max(1, draws.shape[1] // _TRACE_POINTS)
    steps, draws = np.arange(0, draws.shape[1], step), draws[:, ::step]
    # Soft edges of lines that fill the panel make it a blur, and the picture three times the bytes.
    soft = steps.size < _TRACE_POINTS // 4
    for chain, color in zip(draws, _chains(len(draws)), strict=True):
        axis.plot(steps, chain, color=color, lw=0.5, antialiased=soft)
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _ranks(axis, fit, label, array):
    from bayesinf.diagnostics import tie_weighted_mixing
    from bayesinf.settings import Settings

    draws = array.transpose("chain", "draw").values
    # Ties (a spike at zero, an indicator) are broken at random, or they would pile up in one bin.
    ties = Settings().generator("ranks", label).random(draws.size)
    ranks = np.empty(draws.size, int)
    ranks[np.lexsort((ties, draws.ravel()))] = np.arange(draws.size)
    ranks = ranks.reshape(draws.shape)
    # Of each chain by itself: what tells the chains apart must not widen the band.
    effective = np.nan_to_num(
        tie_weighted_mixing(draws[:, np.newaxis], workers=1)[1], nan=draws.shape[1]
    )
    band = 1.96 * np.sqrt((_RANK_BINS - 1) / np.clip(np.median(effective), 1, draws.shape[1]))
    axis.axhspan(max(0.0, 1 - band), 1 + band, color=COLORS["prior"], alpha=0.2)
    edges = np.linspace(0, draws.size, _RANK_BINS + 1)
    for chain, color in zip(ranks, _chains(len(draws)), strict=True):
        height = np.histogram(chain, edges)[0] * _RANK_BINS / chain.size
        axis.stairs(height, edges / draws.size, color=color, lw=1.1, baseline=None)
    axis.set_ylim(0, max(2.0, 1.2 + band))
    axis.set_xlim(0, 1)
    axis.set_yticks([0, 1, 2])


def _walkers(axis, fit, label, array):
    draws = array.transpose("chain", "draw").values
    step = max(1, draws.shape[1] // _TRACE_POINTS)
    steps, draws = np.arange(0, draws.shape[1], step), draws[:, ::step]
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
    for walker in draws[:: max(1, len(draws) // 4)]:
        axis.plot(steps, walker, color=COLORS["posterior"], lw=0.35, alpha=0.35)
    axis.fill_between(steps, low, high, color=COLORS["posterior"], alpha=0.2)
    axis.plot(steps, middle, color=COLORS["posterior"], lw=1)
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _halves(axis, fit, label, array):
    draws = array.transpose("chain", "draw").values
    grid = np.linspace(*padded(span(draws, 0.001)), 200)
    half = draws.shape[1] // 2
    for part, style in ((draws[:, :half], "-"), (draws[:, half:], (0, (3, 1.5)))):
        axis.plot(grid, density(part, grid), color=COLORS["posterior"], ls=style, lw=1.2)
    _bare(axis)


def _reweighted(axis, fit, label, array):
    draws, weights = np.ravel(array.values), _weights(fit, array)
    edges = np.linspace(*padded(span(draws, 0.002)), 31)
    approximate, _ = np.histogram(draws, edges, density=True)
    exact, _ = np.histogram(draws, edges, density=True, weights=weights)
    axis.stairs(approximate, edges, color=COLORS["posterior"], alpha=0.3, fill=True)
    axis.stairs(exact, edges, color=COLORS["data"], lw=1.2)
    _bare(axis)


def _weight_cloud(axis, fit, label, array):
    draws, weights = np.ravel(array.values), _weights(fit, array)
    step = -(-draws.size // 1500)
    axis.axhline(1, color=COLORS["prior"], lw=0.8)
    axis.plot(
        draws[::step], weights[::step], ".", color=COLORS["posterior"], ms=3, alpha=0.4, mec="none"
    )
    axis.set_yscale("log")
    axis.minorticks_off()
    axis.set_ylim(1e-2, max(1e2, 2 * weights.max()))


def _weights(fit, array):
    """Weights of the draws: of the block that an element is in, or of all blocks together.

    A block that was drawn apart from others bears the first label of its elements.
    """
    log_weight = fit["sample_stats"]["log_weight"].transpose("chain", "draw", ...)
    for dim in log_weight.dims[2:]:
        first = next((c.item() for c in array.coords.values() if c.ndim == 0), None)
        labelled = log_weight.sizes[dim] > 1 and first in log_weight[dim].values
        log_weight = log_weight.sel({dim: first}) if labelled else log_weight.sum(dim)
    log_weight = np.ravel(log_weight.values)
    weights = np.exp(log_weight - log_weight.max())
    return weights / weights.mean()


def _independent(axis, fit, label, array):
    draws = np.ravel(array.transpose("chain", "draw").values)
    step = -(-draws.size // 1500)
    axis.plot(
        np.arange(0, draws.size, step),
        draws[::step],
        ".",
        color=COLORS["posterior"],
        ms=2.5,
        alpha=0.4,
        mec="none",
    )
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _density(axis, fit, label, array):
    grid = np.linspace(*padded(span(array.values, 0.001)), 200)
    curve = density(array.values, grid)
    axis.fill_between(grid, curve, color=COLORS["posterior"], alpha=0.3)
    _bare(axis)


def _closed_form(axis, fit, label, array):
    _density(axis, fit, label, array)
    stem = array.name
    if f"{stem}_closed_form_mean" in fit["sample_stats"]:
        index = element_names(fit["posterior"][stem])[label]
        mean, sd = (
            float(fit["sample_stats"][f"{stem}_closed_form_{moment}"][index])
            for moment in ("mean", "sd")
        )
        axis.axvline(mean, color=COLORS["data"], lw=1.2)
        for edge in (mean - sd, mean + sd):
            axis.axvline(edge, color=COLORS["data"], lw=0.8, ls=(0, (4, 2)))


def _bare(axis):
    axis.set_ylim(0)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)


# How draws are drawn to two columns: function, title, and against what, where the rows share that.
_COLUMNS = {
    "chains": (
        (_trace, "draws, a shade for each chain", "draw"),
        (_ranks, "ranks of each chain; level is good", "rank, as a share of all"),
    ),
    "walkers": (
        (_walkers, "a few walkers; median and 90 % of all", "draw"),
        (_halves, "first half (solid), second (dashed)", None),
    ),
    "weighted draws": (
        (_reweighted, "approximation (filled), reweighted (outline)", None),
        (_weight_cloud, "weight of each draw", None),
    ),
    "independent draws": (
        (_independent, "independent draws", "draw"),
        (_density, "density", None),
    ),
    "closed form": (
        (_independent, "independent draws", "draw"),
        (_closed_form, "density; closed-form mean ± sd", None),
    ),
}
