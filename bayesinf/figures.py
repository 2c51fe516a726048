"""Pictures that every report has: InferenceData in, matplotlib Figure out.

The style is one file, ``bayesinf.mplstyle``, and a role keeps its colour in every picture: whoever
has learnt once that the posterior is blue and the classical fit vermilion reads all of them.
Pictures are built without pyplot, so none of them leaves global state behind.

Where a function takes ``var_names``, each entry is a variable (``"J"``, all of its elements) or one
element of it, spelt as the pictures spell it (``"J[0, 1]"``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.posterior import element_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# Told apart with any colour vision (a test simulates them); blue and vermilion are Okabe & Ito's.
COLORS = {
    "data": "#222222",
    "truth": "#00875F",
    "posterior": "#0072B2",
    "classical": "#D55E00",
    "prior": "#999999",
    "second": "#AA3377",
}

_CHAINS = ("nuts", "gibbs", "mle+mcmc")
_RANK_BINS = 20
_TRACE_POINTS = 500


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Let a function that returns a Figure draw in the style of bayesinf."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        from matplotlib import style

        with style.context(Path(__file__).with_name("bayesinf.mplstyle")):
            return draw(*args, **kwargs)

    return drawn


def canvas(rows: int = 1, columns: int = 1, height: float = 3.2, width: float = 7.2, **kwargs):
    """Open a Figure as wide as the report's page.

    Parameters
    ----------
    rows, columns : grid of axes.
    height, width : of the whole figure, in inches.
    **kwargs : passed on to ``Figure.subplots`` (``sharex``, ``squeeze``, ``width_ratios``, ...).

    Returns
    -------
    the Figure and its axes, as ``Figure.subplots`` gives them.
    """
    from matplotlib.figure import Figure

    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, columns, **kwargs)


def with_units(name: str, units: str) -> str:
    """Return the axis label ``name (units)``, or the bare name of a dimensionless quantity."""
    return name if units in ("", "1") else f"{name} ({units})"


def elements(
    fit: xr.DataTree, var_names: Sequence[str] | None = None, group: str = "posterior"
) -> dict[str, xr.DataArray]:
    """Take a group apart into scalars.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or single elements; None takes all.
    group : the group they stand in.

    Returns
    -------
    label to DataArray (chain, draw); an element is labelled by its coordinates, ``J[0, 1]``.

    Raises
    ------
    DataError : the group has no variable or element of that name.
    """
    content = fit[group]
    found = {}
    for name in content.data_vars if var_names is None else var_names:
        stem = name.split("[")[0]
        if stem not in content.data_vars:
            raise DataError(
                f"no variable {stem!r}", source=group, expected=f"one of {list(content.data_vars)}"
            )
        parts = element_names(content[stem])
        if name != stem and name not in parts:
            raise DataError(
                f"no element {name!r}",
                source=group,
                expected=f"an element such as {next(iter(parts))!r}",
            )
        chosen = parts if name == stem else {name: parts[name]}
        found |= {label: content[stem][index] for label, index in chosen.items()}
    return found


def representative(fit: xr.DataTree, most: int = 6) -> list[str]:
    """Choose the elements whose draws say most about how they were made.

    Scalars come first. Of each vector follow, for chains, the elements of largest R-hat and of
    smallest bulk effective sample size; else those that stand clearest of zero.

    Parameters
    ----------
    fit : InferenceData.
    most : how many at most.

    Returns
    -------
    labels, as ``elements`` spells them; elements that never move are left out.
    """
    from bayesinf.diagnostics import mixing

    scalars, vectors = [], []
    for name, array in fit["posterior"].data_vars.items():
        draws = array.transpose("chain", "draw", ...).values
        draws = draws.reshape(*draws.shape[:2], -1).transpose(2, 0, 1).astype(float)
        moving = np.flatnonzero(np.ptp(draws, axis=(1, 2)) > 0)
        if array.ndim == 2:
            scalars += [name] if moving.size else []
            continue
        draws = draws[moving]
        if fit.attrs["inference"] in _CHAINS:
            rhat, bulk, _ = mixing(draws)
            rankings = np.argsort(-rhat), np.argsort(bulk)
        else:
            rankings = (np.argsort(-np.abs(draws.mean((1, 2))) / draws.std((1, 2))),)
        order = dict.fromkeys(k for turn in zip(*rankings, strict=True) for k in turn)
        labels = list(element_names(array))
        vectors.append([labels[moving[k]] for k in list(order)[:most]])
    # Round robin, so that each vector shows its worst before any shows its second worst.
    turns = [ranked[k] for k in range(most) for ranked in vectors if k < len(ranked)]
    return [*scalars, *turns][:most]


def density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Estimate the density of draws by a normal kernel, robust against heavy tails.

    Parameters
    ----------
    draws : any shape; where all are positive the estimate is reflected at zero.
    grid : points, (point,).

    Returns
    -------
    density, (point,).
    """
    draws = np.ravel(draws).astype(float)
    draws = draws[:: max(1, draws.size // 20_000)]
    quartiles = np.quantile(draws, [0.25, 0.75])
    spreads = [draws.std(), (quartiles[1] - quartiles[0]) / 1.34]
    width = 1.06 * min([s for s in spreads if s > 0] or [1e-3]) * draws.size**-0.2
    width = max(width, 0.2 * (grid[1] - grid[0]))
    kernel = lambda x: np.exp(-0.5 * ((x[:, None] - draws) / width) ** 2).sum(1)
    total = kernel(grid)
    if draws.min() > 0:
        total = np.where(grid < 0, 0.0, total + kernel(-grid))
    return total / (draws.size * width * np.sqrt(2 * np.pi))


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
    columns = _COLUMNS.get(fit.attrs["inference"], _CHAIN_COLUMNS)
    rows = len(arrays)
    each = 1.15 if columns[0][2] else 1.5
    fig, axes = canvas(rows, 2, height=0.6 + each * rows, squeeze=False, width_ratios=(1.5, 1))
    for (left, right), (label, array) in zip(axes, arrays.items(), strict=True):
        for axis, (draw, _, _) in zip((left, right), columns, strict=True):
            draw(axis, fit, label, array)
        if columns[0][2]:
            left.set_ylabel(with_units(label, array.units))
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


@styled
def pair(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    var_names: Sequence[str],
    truth: Mapping[str, float] | None = None,
) -> Figure:
    """Draw every pair of parameters: regions of highest density that hold 50 and 90 %.

    Parameters
    ----------
    fits : an InferenceData, or name to InferenceData; the first is filled, the others are lines.
    var_names : variables or elements, the same in each fit.
    truth : label to known value.

    Returns
    -------
    a Figure with a triangle of axes, marginal densities on its diagonal.
    """
    fits = fits if isinstance(fits, Mapping) and not hasattr(fits, "children") else {"": fits}
    truth = truth or {}
    # The closest parallel of a third and a fourth posterior; more than that nobody tells apart.
    colors = [COLORS["posterior"], COLORS["second"], "#56B4E9", "#E69F00"]
    parts = [elements(fit, var_names) for fit in fits.values()]
    labels = list(parts[0])
    size = len(labels)
    side = min(7.2, 1.2 + 1.7 * size)
    fig, axes = canvas(size, size, height=side, squeeze=False, sharex="col")
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    ranges = {
        label: _padded(
            np.concatenate([_span(part[label].values, 0.002) for part in parts]),
            [truth[label]] if label in truth else [],
        )
        for label in labels
    }
    for i, below in enumerate(labels):
        for j, beside in enumerate(labels):
            axis = axes[i, j]
            if j > i:
                axis.set_axis_off()
                continue
            if i == j:
                grid = np.linspace(*ranges[below], 200)
                for part, color in zip(parts, colors, strict=False):
                    curve = density(part[below].values, grid)
                    axis.plot(grid, curve / curve.max(), color=color)
                axis.set_ylim(0, 1.15)
                axis.spines["left"].set_visible(False)
            else:
                for k, (part, color) in enumerate(zip(parts, colors, strict=False)):
                    _regions(axis, part[beside].values, part[below].values, color, filled=k == 0)
                axis.set_ylim(ranges[below])
                if below in truth:
                    axis.axhline(truth[below], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
            if beside in truth:
                axis.axvline(truth[beside], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
            axis.set_xlim(ranges[beside])
            _few_ticks(axis)
            if j == 0 and i > 0:
                axis.set_ylabel(with_units(below, parts[0][below].units))
            else:
                axis.tick_params(labelleft=False, left=j == 0 and i > 0)
            if i == size - 1:
                axis.set_xlabel(with_units(beside, parts[0][beside].units))
                axis.tick_params(axis="x", labelrotation=35 if size > 3 else 0)
            else:
                axis.tick_params(labelbottom=False)
            if i != j:
                axis.tick_params(left=True)
    fig.align_labels()
    words = [(name, color) for name, color in zip(fits, colors, strict=False) if name]
    words += [("truth", COLORS["truth"])] if truth else []
    corner = axes[0, -1] if size > 1 else axes[0, 0]
    for k, (word, color) in enumerate(words):
        corner.annotate(word, (1, 1), (0, -14 * k), color=color, ha="right", va="top",
                        xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    return fig


@styled
def prior_posterior(
    fit: xr.DataTree, var_names: Sequence[str], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw what was believed before the data against what is believed after them.

    Each axis spans the posterior and what of the prior lies near it, so a heavy-tailed prior does
    not squeeze the posterior into a line. Densities share the vertical scale; a mass on a single
    value (a spike at zero, an indicator) is drawn as a bar of its probability.

    Parameters
    ----------
    fit : InferenceData with the group ``prior``.
    var_names : variables or elements that both groups hold.
    truth : label to known value.

    Returns
    -------
    a Figure, three parameters to a row.
    """
    after, before = elements(fit, var_names), elements(fit, var_names, "prior")
    truth = truth or {}
    columns = min(3, len(after))
    rows = -(-len(after) // columns)
    fig, axes = canvas(rows, columns, height=0.4 + 1.9 * rows, squeeze=False)
    for axis in axes.flat[len(after) :]:
        axis.set_axis_off()
    for axis, (label, array) in zip(axes.flat, after.items(), strict=False):
        known = [truth[label]] if label in truth else []
        posterior, prior = np.ravel(array.values), np.ravel(before[label].values)
        axis.set_xlabel(with_units(label, array.units))
        axis.yaxis.set_visible(False)
        axis.spines["left"].set_visible(False)
        spikes = {"posterior": _masses(posterior), "prior": _masses(prior)}
        slab = posterior[~np.isin(posterior, list(spikes["posterior"]))]
        low, high = _span(slab if slab.size > 50 else posterior, 0.025)
        wide = 0.8 * (high - low)
        floor, ceiling = _span(prior, 0.01)
        window = min(low, max(low - wide, floor)), max(high, min(high + wide, ceiling))
        window = _padded(window, [*known, *spikes["posterior"], *spikes["prior"]])
        if posterior.min() > 0 and prior.min() > 0:
            window = max(0.0, window[0]), window[1]
        axis.set_xlim(window)
        grid = np.linspace(*window, 300)
        curves = []
        for draws, role in ((posterior, "posterior"), (prior, "prior")):
            masses = spikes[role]
            rest = draws[~np.isin(draws, list(masses))]
            if rest.size > 1:
                curve = density(rest, grid) * rest.size / draws.size
                axis.plot(grid, curve, color=COLORS[role])
                if role == "posterior":
                    axis.fill_between(grid, curve, color=COLORS[role], alpha=0.18)
                curves.append(curve)
            if masses:
                # A probability has a scale of its own, the height of the axis.
                shift = 0.006 * (window[1] - window[0]) * (1 if role == "posterior" else -1)
                heights = [0.9 * share for share in masses.values()]
                axis.vlines(
                    [value + shift for value in masses], 0, heights, color=COLORS[role], lw=3,
                    transform=axis.get_xaxis_transform(),
                )  # fmt: skip
        axis.set_ylim(0, 1.25 * max((c.max() for c in curves), default=1.0))
        for value in known:
            axis.axvline(value, color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
        _few_ticks(axis)
    for right, role in ((0, "posterior"), (48, "prior"), (78, "truth"))[: 2 + bool(truth)]:
        axes[0, 0].annotate(role, (0, 1), (right, 6), color=COLORS[role], va="bottom",
                            xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    return fig


@styled
def predictive_statistics(fit: xr.DataTree) -> Figure:
    """Draw statistics of the data against those of data replicated from the posterior.

    The posterior predictive p-value is the share of draws in which the replica's statistic is the
    larger one (Gelman, Meng & Stern, Statistica Sinica 6, 733 (1996)). A statistic that depends
    on the parameters has its own value of the data for each draw, and is shown draw by draw.

    Parameters
    ----------
    fit : InferenceData with ``discrepancy`` and ``discrepancy_observed`` in ``sample_stats``.

    Returns
    -------
    a Figure, three statistics to a row.
    """
    replicated, observed = (
        fit["sample_stats"][name].stack(sample=("chain", "draw"))
        for name in ("discrepancy", "discrepancy_observed")
    )
    names = [str(name) for name in replicated.statistic.values]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    fig, axes = canvas(rows, columns, height=0.5 + 2.3 * rows, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        replica, data = replicated.sel(statistic=name).values, observed.sel(statistic=name).values
        level = np.mean(replica > data) + np.mean(replica == data) / 2
        axis.set_title(f"{name}\np {_tail(level)}")
        if np.ptp(data) <= 1e-9 * max(1.0, np.abs(data).max()):
            bars = min(30, max(8, np.unique(replica).size))
            axis.hist(replica, bars, color=COLORS["posterior"], alpha=0.45)
            axis.axvline(data[0], color=COLORS["data"], lw=2)
            axis.annotate("data", (data[0], 1), (4, 0), xycoords=("data", "axes fraction"),
                          textcoords="offset points", va="top", color=COLORS["data"])  # fmt: skip
            axis.set_xlabel("statistic of a replica")
            axis.yaxis.set_visible(False)
            axis.spines["left"].set_visible(False)
            axis.set_xlim(_padded([*_span(replica, 0.001), data[0]]))
            axis.margins(y=0.15)
        else:
            step = max(1, replica.size // 1500)
            axis.plot(data[::step], replica[::step], ".", color=COLORS["posterior"], ms=3,
                      alpha=0.35, mec="none")  # fmt: skip
            axis.axline((data[0], data[0]), slope=1, color=COLORS["data"], lw=1)
            axis.set_xlim(_padded(_span(data, 0.002)))
            axis.set_ylim(_padded(np.concatenate([_span(replica, 0.002), _span(data, 0.002)])))
            axis.set_xlabel("of the data")
            axis.set_ylabel("of a replica")
        _few_ticks(axis)
    return fig


def _tail(level):
    """A share near 0 or 1 as a bound, since 1.00 would read as the best of agreements."""
    if 0.001 <= level <= 0.999:
        return f"= {level:.{2 if 0.1 <= level < 0.995 else 3}f}"
    return "< 0.001" if level < 0.5 else "> 0.999"


def _span(draws, tail):
    return np.quantile(draws, [tail, 1 - tail])


def _padded(values, more=(), pad=0.06):
    """The interval that holds the values with a margin, never empty."""
    low, high = min([*values, *more]), max([*values, *more])
    margin = pad * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _masses(draws):
    """Value to probability, for the values on which more than one draw in fifty falls."""
    values, counts = np.unique(draws, return_counts=True)
    heavy = counts > max(5, draws.size / 50)
    return dict(zip(values[heavy], counts[heavy] / draws.size, strict=True))


def _few_ticks(axis):
    from matplotlib.ticker import MaxNLocator

    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))


def _regions(axis, x, y, color, *, filled):
    """Regions of highest density with 50 and 90 %, from a smoothed histogram of whitened draws.

    Whitening lets one smoothing width serve the narrowest ridge.
    """
    from scipy.ndimage import gaussian_filter

    draws = np.stack([np.ravel(x), np.ravel(y)]).astype(float)
    covariance = np.cov(draws)
    if not np.linalg.det(covariance) > 1e-12 * covariance[0, 0] * covariance[1, 1]:
        axis.plot(*draws[:, :: max(1, draws.shape[1] // 500)], ".", color=color, ms=2, alpha=0.3)
        return
    centre, root = draws.mean(1, keepdims=True), np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, draws - centre)
    edges = [np.linspace(*_padded(_span(w, 0.001), pad=0.25), 81) for w in white]
    counts, *_ = np.histogram2d(*white, edges)
    smooth = [1.3 * white.shape[1] ** (-1 / 6) / (edge[1] - edge[0]) for edge in edges]
    height = gaussian_filter(counts, smooth, mode="constant")
    # The level above which a share of the draws lies, whatever the smoothing (Hyndman 1996).
    place = [np.clip(np.digitize(w, edge) - 1, 0, 79) for w, edge in zip(white, edges, strict=True)]
    levels = np.quantile(height[*place], [0.1, 0.5])
    middles = np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij")
    grid = np.tensordot(root, np.stack(middles), 1) + centre[..., None]
    if filled:
        for level, alpha in zip(levels, (0.25, 0.45), strict=True):
            axis.contourf(*grid, height, [level, height.max() * 1.01], colors=[color], alpha=alpha)
    axis.contour(*grid, height, levels, colors=[color], linewidths=1.0)


def _chains(count):
    """Shades of the posterior's blue, one for each chain."""
    from matplotlib.colors import to_rgb

    base = np.array(to_rgb(COLORS["posterior"]))
    shares = np.linspace(-0.45, 0.6, count) if count > 1 else [0.0]
    return [base * (1 + s) if s < 0 else base + s * (1 - base) for s in shares]


def _trace(axis, fit, label, array):
    draws = array.transpose("chain", "draw").values
    step = max(1, draws.shape[1] // _TRACE_POINTS)
    for chain, color in zip(draws, _chains(len(draws)), strict=True):
        axis.plot(np.arange(0, chain.size, step), chain[::step], color=color, lw=0.5, alpha=0.85)
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _ranks(axis, fit, label, array):
    from bayesinf.diagnostics import mixing
    from bayesinf.settings import Settings

    draws = array.transpose("chain", "draw").values
    # Ties (a spike at zero, an indicator) are broken at random, or they would pile up in one bin.
    ties = Settings().generator("ranks", label).random(draws.size)
    ranks = np.empty(draws.size, int)
    ranks[np.lexsort((ties, draws.ravel()))] = np.arange(draws.size)
    ranks = ranks.reshape(draws.shape)
    # Of each chain by itself: what tells the chains apart must not widen the band.
    effective = np.nan_to_num(mixing(draws[:, np.newaxis], workers=1)[1], nan=draws.shape[1])
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
    for walker in draws[:: max(1, len(draws) // 8)]:
        axis.plot(steps, walker, color=COLORS["posterior"], lw=0.35, alpha=0.35)
    axis.fill_between(steps, low, high, color=COLORS["posterior"], alpha=0.2)
    axis.plot(steps, middle, color=COLORS["posterior"], lw=1)
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _halves(axis, fit, label, array):
    draws = array.transpose("chain", "draw").values
    grid = np.linspace(*_padded(_span(draws, 0.001)), 200)
    half = draws.shape[1] // 2
    for part, style in ((draws[:, :half], "-"), (draws[:, half:], (0, (3, 1.5)))):
        axis.plot(grid, density(part, grid), color=COLORS["posterior"], ls=style, lw=1.2)
    _bare(axis)


def _reweighted(axis, fit, label, array):
    draws, weights = np.ravel(array.values), _weights(fit, array)
    edges = np.linspace(*_padded(_span(draws, 0.002)), 31)
    approximate, _ = np.histogram(draws, edges, density=True)
    exact, _ = np.histogram(draws, edges, density=True, weights=weights)
    axis.stairs(approximate, edges, color=COLORS["posterior"], alpha=0.3, fill=True)
    axis.stairs(exact, edges, color=COLORS["data"], lw=1.2)
    _bare(axis)


def _weight_cloud(axis, fit, label, array):
    draws, weights = np.ravel(array.values), _weights(fit, array)
    step = max(1, draws.size // 1500)
    axis.axhline(1, color=COLORS["prior"], lw=0.8)
    axis.plot(draws[::step], weights[::step], ".", color=COLORS["posterior"], ms=3, alpha=0.4,
              mec="none")  # fmt: skip
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
    step = max(1, draws.size // 1500)
    axis.plot(np.arange(0, draws.size, step), draws[::step], ".", color=COLORS["posterior"], ms=2.5,
              alpha=0.4, mec="none")  # fmt: skip
    axis.margins(x=0)
    axis.yaxis.get_major_locator().set_params(nbins=3)


def _closed_form(axis, fit, label, array):
    grid = np.linspace(*_padded(_span(array.values, 0.001)), 200)
    curve = density(array.values, grid)
    axis.fill_between(grid, curve, color=COLORS["posterior"], alpha=0.3)
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
    _bare(axis)


def _bare(axis):
    axis.set_ylim(0)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)


# Kind of inference to its two columns: how to draw, what to call it, and against what, where the
# rows share that.
_CHAIN_COLUMNS = (
    (_trace, "draws, a shade for each chain", "draw"),
    (_ranks, "ranks of each chain; level is good", "rank, as a share of all"),
)
_COLUMNS = {
    "ensemble": (
        (_walkers, "a few walkers; median and 90 % of all", "draw"),
        (_halves, "first half (solid), second (dashed)", None),
    ),
    "laplace": (
        (_reweighted, "approximation (filled), reweighted (outline)", None),
        (_weight_cloud, "weight of each draw", None),
    ),
    "exact": (
        (_independent, "independent draws", "draw"),
        (_closed_form, "density; closed-form mean ± sd", None),
    ),
}
