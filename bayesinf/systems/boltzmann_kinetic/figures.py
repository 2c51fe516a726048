"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, interval, key, styled
from bayesinf.posterior import noted
from bayesinf.systems.boltzmann_kinetic.comparison import MODES

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["classical", "couplings", "delayed", "statistics"]

LINES = {"symmetric": COLORS["second"], "asymmetric": COLORS["posterior"]}
NULL = COLORS["prior"]
MOST_POINTS = 4000  # of a scatter plot, beyond which it only grows heavier
SPREAD = 4.5  # standard errors up to which their distribution is drawn


@styled
def delayed(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw delayed correlations of data against each model, and how far each model is off."""
    fig, axes = canvas(2, len(fits) + 1, height=5.2, width_ratios=(*[1] * len(fits), 1.15))
    grid = axes[0, -1].get_gridspec()
    for axis in axes[:, -1]:
        axis.remove()
    for row, mode in zip(axes, MODES, strict=True):
        for axis, (name, fit) in zip(row, fits.items(), strict=False):
            seen = noted(fit, "observed")["delayed"]
            found = noted(fit, "predicted")["delayed"].sel(mode=mode)
            halves = (seen.sel(part=part).values.ravel() for part in ("even", "odd"))
            _scatter(axis, *halves, NULL)
            _scatter(axis, seen.sel(part="all").values.ravel(), found.values.ravel(), LINES[name])
            _diagonal(axis)
        row[0].set_ylabel(f"model {mode}")
    for axis, name in zip(axes[0], fits, strict=False):
        axis.set_title(name, color=LINES[name], loc="left")
    for axis in axes[1, :-1]:
        axis.set_xlabel("delayed correlation, data")
    key(axes[0, 0], [("even / odd blocks", NULL)], "upper left")
    _error_bars(fig.add_subplot(grid[:, -1]), fits)
    return fig


def _error_bars(axis, fits):
    """Errors of the delayed correlations, a row for each set and mode."""
    errors = {name: noted(fit, "error") for name, fit in fits.items()}
    first = next(iter(errors.values()))
    rows = [(s, m) for s in first["set"].values for m in first["mode"].values]
    ends = [1.0, *first["null"].values]
    for k, (part, mode) in enumerate(rows):
        for shift, (name, found) in zip((0.14, -0.14), errors.items(), strict=True):
            at = {"set": part, "mode": mode}
            value = float(found["error"].sel(at))
            # What resampling adds to every squared error alike is noise of the data resampled.
            squared = found["squared"].sel(at).values
            low, _, up = np.array(interval(squared)) - squared.mean() + value**2
            low, up = np.sqrt(max(low, (0.3 * value) ** 2)), np.sqrt(max(up, 0.0))
            axis.plot([low, up], [-k + shift] * 2, color=LINES[name], lw=1)
            axis.plot(value, -k + shift, "o", ms=4.5, color=LINES[name])
            ends += [low, up, value]
    ends = np.array(ends)[np.array(ends) > 0]
    axis.set_xscale("log")
    axis.set_xlim(0.7 * ends.min(), 1.4 * ends.max())
    axis.axvspan(0.7 * ends.min(), 1, color=NULL, alpha=0.18, lw=0)
    axis.axvline(1, color=NULL, lw=1)
    for parting, style in (("even/odd", (0, (1, 1))), ("halves", (0, (3, 2)))):
        axis.axvline(float(first["null"].sel(parting=parting)), color=NULL, lw=1, ls=style)
    for k in range(2, len(rows), 2):
        axis.axhline(0.5 - k, color=NULL, lw=0.5)
    axis.set_ylim(0.6 - len(rows), 0.6)
    names = [f"{part},\n{mode}" for part, mode in rows]
    axis.set_yticks(-np.arange(len(rows)), names, fontsize=7.5)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("error / sampling error")
    axis.set_title("delayed correlations", loc="left")


@styled
def statistics(fits: Mapping[str, xr.DataTree], mode: str = "running freely") -> Figure:
    """Draw means, correlations and P(K) of data and models, and their distances in errors."""
    first = next(iter(fits.values()))
    seen = noted(first, "observed")
    fig, axes = canvas(2, 4, height=4.6, height_ratios=(1, 0.85))
    titles = {
        "mean": "means",
        "equal": "correlations,\nsame time",
        "delayed": "correlations,\none step apart",
    }
    for column, (name, title) in zip(axes.T, titles.items(), strict=False):
        top, bottom = column
        parts = {
            part: _distinct(name, seen[name].sel(part=part).values) for part in seen["part"].values
        }
        whole = parts["all"]
        _scatter(top, parts["even"], parts["odd"], NULL)
        error = _distinct(name, seen[f"{name}_se"].values)
        for one, other, style in (("even", "odd", "-"), ("first half", "second half", (0, (3, 2)))):
            _spread(bottom, (parts[one] - parts[other]) / 2, error, NULL, ls=style)
        for which, fit in fits.items():
            found = noted(fit, "predicted")[name].sel(mode=mode).values
            found = _distinct(name, found)
            _scatter(top, whole, found, LINES[which])
            _spread(bottom, found - whole, error, LINES[which])
        _diagonal(top)
        top.set_title(title, loc="left")
        top.set_xlabel("data")
        bottom.set_xlabel("|model − data| / error")
        bottom.set_xlim(0, SPREAD)
        bottom.set_ylim(0, 1.02)
    key(axes[0, 0], LINES | {"even / odd": NULL}, "upper left")
    key(axes[1, 0], [("even / odd", NULL), ("dashed: halves", NULL)])
    axes[0, 0].set_ylabel("model")
    axes[1, 0].set_ylabel("share at least so far off")
    _population(axes[0, 3], axes[1, 3], fits, seen, mode)
    fig.align_ylabels(axes[:, 0])
    return fig


def _population(top, bottom, fits, seen, mode):
    """P(K), and the model's over the data's."""
    parts = seen["population"]
    whole = parts.sel(part="all").values
    last = min(int(np.flatnonzero(whole)[-1]) + 1, len(whole) - 1)
    number = np.arange(last + 1)
    floor = 0.3 * whole[whole > 0].min()

    def draw(axis, values, **look):
        axis.plot(number, np.where(values > 0, values, np.nan)[: last + 1], **look)

    for part in ("first half", "second half"):
        draw(top, parts.sel(part=part).values, color=NULL, lw=1)
    for name, fit in fits.items():
        found = noted(fit, "predicted")["population"].sel(mode=mode).values
        draw(top, found, color=LINES[name], lw=1.3)
        with np.errstate(divide="ignore", invalid="ignore"):
            draw(bottom, found / whole, color=LINES[name], lw=1.3)
    with np.errstate(divide="ignore", invalid="ignore"):
        for one, style in (("even", "-"), ("first half", (0, (3, 2)))):
            draw(bottom, parts.sel(part=one).values / whole, color=NULL, lw=1, ls=style)
    draw(top, whole, color=COLORS["data"], marker="o", ms=2.5, lw=0)
    top.set_yscale("log")
    top.set_ylim(floor, 2 * whole.max())
    top.set_title("share of times with\nK sites on", loc="left")
    bottom.set_yscale("log")
    bottom.set_ylim(0.25, 4)
    bottom.set_yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    bottom.minorticks_off()
    bottom.axhline(1, color=COLORS["data"], lw=0.7)
    for axis in (top, bottom):
        axis.set_xlim(-0.5, last + 0.5)
        axis.set_xlabel("K")
    key(bottom, {"model / data": "data"}, "upper left")


@styled
def classical(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw the classical descent against the top, and couplings against couplings."""
    name, fit = list(fits.items())[-1]
    found, truth = noted(fit, "classical"), noted(fit, "truth")
    has_top = all("top" in noted(one, "classical") for one in fits.values())
    J = {"posterior mean": fit["posterior"]["J"].mean(("chain", "draw"))}
    J |= {"maximum likelihood": found["newton_J"]} if has_top else {}
    fig, (left, *others) = canvas(1, 3 if truth is not None else 2, height=2.9)
    _descent(left, fits, has_top)
    *shown, across = J
    _against(
        others[0], J[across], {word: J[word] for word in shown} | {"descent": found["descent_J"]}
    )
    others[0].set_xlabel(f"J, {across}{' (Newton)' if has_top else ''}")
    others[0].set_ylabel(f"J, {name} model")
    if truth is not None:
        _against(others[1], truth["J"], J)
        others[1].set_xlabel("J, truth")
    return fig


def _descent(axis, fits, has_top):
    """How far the likelihood of the descent is below its top, or that of the posterior mean."""
    at_mean = noted(list(fits.values())[-1], "comparison")["at_mean"]
    for name, fit in fits.items():
        path = noted(fit, "classical")
        top = float(path["top"] if has_top else at_mean.sel(model=name))
        away = (top - path["log_likelihood"].values) / int(fit["constant_data"]["transitions"])
        axis.plot(np.arange(len(away)), away, color=LINES[name])
    axis.set_yscale("log")
    axis.set_xlabel(f"iteration of gradient descent, η = {float(path['rate']):g}")
    below = "its top" if has_top else "that of the posterior mean"
    axis.set_ylabel(f"log likelihood for each transition,\nbelow {below}")
    key(axis, {name: LINES[name] for name in fits})


def _against(axis, x, estimates):
    """Couplings by several estimates against others: the posterior's filled, the rest as rings."""
    colors = {}
    for word, y in estimates.items():
        filled = word == "posterior mean"
        colors[word] = COLORS["posterior" if filled else "classical"]
        look = {} if filled else {"mfc": "none", "mew": 0.6, "ms": 3.5}
        _scatter(axis, x.values.ravel(), y.values.ravel(), colors[word], **look)
    key(axis, colors, "lower right")
    _diagonal(axis)


@styled
def couplings(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw each coupling against the one that goes back, and the couplings with themselves."""
    fig, (left, right) = canvas(1, 2, height=3.1)
    J, truth = fits["asymmetric"]["posterior"]["J"], noted(fits["asymmetric"], "truth")
    mean, sd = (getattr(J, what)(("chain", "draw")).values for what in ("mean", "std"))
    i, j = np.triu_indices(len(mean), 1)
    pick = _picked(i.size)
    there, back = (i[pick], j[pick]), (j[pick], i[pick])
    look = {"ms": 2.2, "lw": 0.4, "color": LINES["asymmetric"], "alpha": _alpha(i.size)}
    left.errorbar(mean[there], mean[back], sd[back], sd[there], fmt="o", **look)
    if truth is not None:
        known, ring = truth["J"].values, {"ms": 4, "mfc": "none", "mew": 0.8}
        left.plot(known[i, j], known[j, i], "o", color=COLORS["truth"], **ring)
        key(left, {"posterior mean ± sd": LINES["asymmetric"], "truth": "truth"}, "upper left")
    _diagonal(left)
    left.set_xlabel("J from j to i")
    left.set_ylabel("J from i to j")
    left.set_title("asymmetric model, there and back", loc="left")
    means = {n: fit["posterior"]["J"].mean(("chain", "draw")).values for n, fit in fits.items()}
    reach = max(np.abs(matrix).max() for matrix in means.values()) or 1.0
    words = {name: LINES[name] for name in fits}
    for k, (name, matrix) in enumerate(means.items()):
        look, own = {"color": LINES[name]}, np.diag(matrix)
        off = matrix[~np.eye(len(matrix), dtype=bool)]
        bins = np.linspace(-reach, reach, 41)
        if off.size:  # one site alone has only itself
            right.hist(off, bins, density=True, histtype="step", lw=1.3, **look)
        if np.any(own != 0):
            look |= {"ms": 7, "transform": right.get_xaxis_transform()}
            right.plot(own, np.full(len(own), 0.03 * (k + 1)), "|", **look)
            words["ticks: self-couplings"] = "data"
    right.set_xlabel("J, posterior mean")
    right.set_ylabel("density, between sites")
    right.set_ylim(top=1.35 * right.get_ylim()[1])  # room for the key
    key(right, words, "upper left")
    return fig


# Parts of figures


def _picked(count):
    """Positions of at most so many points, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _alpha(count):
    return float(np.clip(40 / np.sqrt(max(count, 1)), 0.25, 1.0))


def _scatter(axis, x, y, color, **look):
    pick, look = _picked(len(x)), {"ms": 2.2, "mew": 0, "alpha": _alpha(len(x))} | look
    axis.plot(x[pick], y[pick], "o", color=color, **look)


def _diagonal(axis):
    """Make the axes equal, and draw where they agree."""
    ends = np.array([axis.get_xlim(), axis.get_ylim()])
    ends = ends[:, 0].min(), ends[:, 1].max()
    axis.plot(ends, ends, color=COLORS["data"], lw=0.6, zorder=0)
    axis.set_xlim(ends)
    axis.set_ylim(ends)
    axis.locator_params(nbins=3)


def _distinct(name, values):
    """Means as they are; of correlations at one time each pair once, one step apart all."""
    if name == "equal":
        return values[np.triu_indices(len(values), 1)]
    return values.ravel()


def _spread(axis, away, error, color, **look):
    """Draw which share of elements is at least so many errors off."""
    away = np.sort(np.abs(away[error > 0] / error[error > 0]))
    share = 1 - np.arange(len(away)) / len(away)
    axis.step(np.r_[0, away], np.r_[1, share], where="pre", color=color, lw=1.3, **look)
