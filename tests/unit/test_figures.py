"""Figures against closed form: what is drawn is read back from the axes and held to the truth."""

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from straight_line import TRUTH, fit

from bayesinf import figures
from bayesinf.checks import element_name
from bayesinf.errors import DataError
from bayesinf.figures.predictive import _tail
from bayesinf.posterior import dataset

RNG = np.random.default_rng(7)


def with_variables(tree, group="posterior", dims=None, coords=None, **arrays):
    """A copy of a fit with more variables in a group."""
    tree = tree.copy(deep=True)
    tree[group] = tree[group].dataset.merge(dataset(arrays, dims, coords))
    return tree


def lightness_and_hue(rgb):
    """CIE L*a*b* of linear sRGB."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    f = np.cbrt(to_xyz @ rgb / to_xyz.sum(1))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira & Fernandes (2009), severity 1, doi:10.1109/TVCG.2009.113.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("vision", VISION)
def test_roles_are_told_apart_with_any_colour_vision(vision):
    from matplotlib.colors import to_rgb

    seen = {}
    for role, color in figures.COLORS.items():
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
        seen[role] = lightness_and_hue(np.clip(VISION[vision] @ linear, 0, 1))
    distances = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in combinations(seen, 2)
    }
    # A difference of about 2 can just be seen; thin lines and small points need several times that.
    assert min(distances.values()) > 12, min(distances, key=distances.get)


def test_style_holds_inside_and_leaves_nothing_behind():
    import matplotlib
    from matplotlib._pylab_helpers import Gcf

    before = dict(matplotlib.rcParams)

    @figures.styled
    def draw(height):
        """Say something."""
        assert not matplotlib.rcParams["axes.spines.top"]
        return figures.canvas(2, 1, height=height)

    fig, axes = draw(4.0)
    assert draw.__doc__ == "Say something."
    assert dict(matplotlib.rcParams) == before
    assert fig.get_size_inches() == pytest.approx([7.2, 4.0])
    assert axes.shape == (2,)
    assert not Gcf.figs


def test_elements_are_labelled_as_the_checks_label_them():
    tree = with_variables(
        fit(),
        dims={"J": ("pair",), "rate": ("time", "site"), "shift": ("run",)},
        coords={"i": ("pair", [0, 0, 1]), "j": ("pair", [1, 2, 2]), "time": [0.5, 1.0]},
        J=RNG.normal(size=(4, 500, 3)),
        rate=RNG.normal(size=(4, 500, 2, 2)),
        shift=RNG.normal(size=(4, 500, 2)),
    )
    found = figures.elements(tree)
    first = found["rate[0.5, 1]"]  # an element still knows where it stands
    assert float(first["time"]) == 0.5 and int(found["J[1, 2]"]["j"]) == 2
    for array in tree["posterior"].data_vars.values():
        draws = array.values.reshape(4, 500, -1)
        for k in range(draws.shape[2]):
            label = element_name(array, k)
            np.testing.assert_array_equal(found.pop(label).values, draws[..., k])
    assert not found
    assert list(figures.elements(tree, ["J[0, 2]", "slope"])) == ["J[0, 2]", "slope"]


@pytest.mark.parametrize("name", ["slop", "slope[0]"])
def test_unknown_element_is_named(name):
    with pytest.raises(DataError, match="slop"):
        figures.elements(fit(), [name])


def test_representative_elements_are_scalars_and_the_worst_of_each_vector():
    draws = RNG.normal(size=(4, 500, 30))
    draws[0, :, 17] += 1.0  # one chain elsewhere
    draws[..., 23] = np.cumsum(draws[..., 23], axis=1)  # a random walk
    draws[..., 5] = 2.0  # never moves
    tree = with_variables(fit(), dims={"beta": ("feature",)}, beta=draws)
    shown = figures.representative(tree)
    assert shown[:3] == ["slope", "offset", "noise"]
    assert set(shown[3:5]) == {"beta[17]", "beta[23]"}
    assert len(shown) == 6
    assert "beta[5]" not in figures.representative(tree, most=100)


def test_density_is_the_density():
    grid = np.linspace(-4, 4, 401)
    estimate = figures.density(RNG.normal(size=(4, 5000)), grid)
    np.testing.assert_allclose(estimate, stats.norm.pdf(grid), atol=0.015)
    positive = np.linspace(0, 4, 201)
    estimate = figures.density(np.abs(RNG.normal(size=20_000)), positive)
    np.testing.assert_allclose(estimate, 2 * stats.norm.pdf(positive), atol=0.03)


def test_density_survives_heavy_tails_and_constants():
    grid = np.linspace(-3, 3, 301)
    estimate = figures.density(RNG.standard_cauchy(20_000), grid)
    np.testing.assert_allclose(estimate, stats.cauchy.pdf(grid), atol=0.02)
    assert np.isfinite(figures.density(np.zeros(100), grid)).all()


@pytest.mark.parametrize("inference", ["gibbs", "ensemble", "laplace", "exact"])
def test_trace_rank_draws_a_row_a_variable_for_every_kind(inference):
    fig = figures.trace_rank(fit(inference))
    names = figures.representative(fit(inference))
    assert len(fig.axes) == 2 * len(names)
    labels = {axis.get_ylabel() for axis in fig.axes} | {axis.get_xlabel() for axis in fig.axes}
    assert {"slope (V/A)", "offset (V)"} <= labels
    fig.canvas.draw()


@pytest.mark.parametrize(("draws", "soft"), [(60, True), (1000, False)])
def test_lines_of_long_chains_have_hard_edges(draws, soft):
    """Soft ones, where draws fill the panel, are a blur and three times the bytes."""
    chains = dataset({"z": RNG.normal(size=(4, draws))})
    tree = xr.DataTree.from_dict({"posterior": chains})
    tree.attrs["inference"] = "gibbs"
    lines = figures.trace_rank(tree, ["z"]).axes[0].lines
    assert len(lines) == 4 and all(line.get_antialiased() is soft for line in lines)


def ranks(fig, row):
    axis = fig.axes[2 * row + 1]
    span, *chains = axis.patches
    return np.array([chain.get_data().values for chain in chains]), span.get_y() + span.get_height()


def test_ranks_are_level_for_good_chains_and_not_for_a_shifted_one():
    draws = RNG.normal(size=(4, 500))
    fig = figures.trace_rank(with_variables(fit(), z=draws), ["z"])
    heights, band = ranks(fig, 0)
    np.testing.assert_allclose(heights.mean(axis=1), 1.0)
    np.testing.assert_allclose(heights.mean(axis=0), 1.0)
    # Twenty bins of four chains, of which one in twenty may leave the band.
    assert np.mean(np.abs(heights - 1) > band - 1) < 0.2
    draws[2] += 1.0
    heights, band = ranks(figures.trace_rank(with_variables(fit(), z=draws), ["z"]), 0)
    assert heights[2, -1] > band


def test_ranks_break_ties_at_random():
    spike = np.where(RNG.random((4, 500)) < 0.05, RNG.normal(size=(4, 500)), 0.0)
    heights, _ = ranks(figures.trace_rank(with_variables(fit(), z=spike), ["z"]), 0)
    assert heights.max() < 2


def test_laplace_outline_is_reweighted_to_the_posterior():
    tree = fit("laplace").copy(deep=True)
    weight = tree["sample_stats"]["log_weight"]
    slope = tree["posterior"]["slope"]
    shift = 0.8  # N(m, s²) reweighted by exp(shift z) is N(m + shift s, s²)
    z = (slope - slope.mean()) / slope.std()
    tree["sample_stats"] = tree["sample_stats"].dataset.assign(
        log_weight=(weight.dims, shift * z.values, weight.attrs)
    )
    filled, outline = (patch.get_data() for patch in figures.trace_rank(tree).axes[0].patches)
    middles = (filled.edges[1:] + filled.edges[:-1]) / 2
    mean = [np.average(middles, weights=part.values) for part in (filled, outline)]
    assert mean[1] - mean[0] == pytest.approx(shift * float(slope.std()), rel=0.1)


def test_exact_draws_stand_against_their_closed_form():
    tree = fit("exact")
    axis = figures.trace_rank(tree, ["offset"]).axes[1]
    lines = sorted(line.get_xdata()[0] for line in axis.lines)
    mean, sd = (float(tree["sample_stats"][f"offset_closed_form_{m}"]) for m in ("mean", "sd"))
    assert lines == pytest.approx([mean - sd, mean, mean + sd])


@pytest.mark.parametrize("correlation", [0.0, -0.95])
def test_pair_regions_hold_half_and_nine_tenths(correlation):
    from matplotlib.contour import ContourSet

    x = RNG.normal(size=(4, 500))
    y = correlation * x + np.sqrt(1 - correlation**2) * RNG.normal(size=x.shape)
    tree = with_variables(fit(), x=x, y=1e-6 * y)
    axis = figures.pair(tree, ["x", "y"]).axes[2]
    outlines = [c for c in axis.collections if isinstance(c, ContourSet) and not c.filled][-1]
    points = np.stack([x.ravel(), 1e-6 * y.ravel()], axis=1)
    shares = [path.contains_points(points).mean() for path in outlines.get_paths()]
    assert shares == pytest.approx([0.9, 0.5], abs=0.04)


def test_pair_overlays_fits_and_truth():
    fits = {"gibbs": fit(), "laplace": fit("laplace")}
    fig = figures.pair(fits, ["slope", "offset"], TRUTH)
    assert {text.get_text(): text.get_color() for text in fig.axes[1].texts} == {
        "gibbs": figures.COLORS["posterior"],
        "laplace": figures.COLORS["second"],
        "truth": figures.COLORS["truth"],
    }
    low, high = fig.axes[0].get_xlim()
    assert low < TRUTH["slope"] < high
    assert fig.axes[2].get_xlabel() == "slope (V/A)"
    assert fig.axes[2].get_ylabel() == "offset (V)"


def test_pair_takes_a_spike_and_a_single_parameter():
    tree = with_variables(fit(), still=np.zeros((4, 500)))
    figures.pair(tree, ["slope", "still"]).canvas.draw()
    figures.pair(tree, ["slope"]).canvas.draw()


def prior_fit(posterior, prior):
    tree = with_variables(fit(), theta=posterior)
    return with_variables(tree, "prior", theta=prior)


def test_prior_window_ignores_a_heavy_tail_and_shows_a_narrow_prior():
    after = RNG.normal(size=(4, 500))
    wide = figures.prior_posterior(prior_fit(after, 1e3 * RNG.standard_cauchy((1, 500))), ["theta"])
    low, high = wide.axes[0].get_xlim()
    assert low < -2 and high > 2 and high - low < 15
    near = figures.prior_posterior(prior_fit(after, 3 + RNG.normal(size=(1, 500))), ["theta"])
    assert near.axes[0].get_xlim()[1] > 4


def test_prior_and_posterior_share_one_density_scale():
    after, before = RNG.normal(size=(4, 500)), 2 * RNG.normal(size=(1, 500))
    axis = figures.prior_posterior(prior_fit(after, before), ["theta"]).axes[0]
    peaks = {line.get_color(): line.get_ydata().max() for line in axis.lines}
    posterior, prior = (peaks[figures.COLORS[role]] for role in ("posterior", "prior"))
    assert posterior == pytest.approx(stats.norm.pdf(0), rel=0.1)
    assert prior == pytest.approx(stats.norm.pdf(0) / 2, rel=0.15)


def test_a_spike_is_a_bar_of_its_probability():
    after = np.where(RNG.random((4, 500)) < 0.3, RNG.normal(5, 1, (4, 500)), 0.0)
    fig = figures.prior_posterior(prior_fit(after, RNG.normal(size=(1, 500))), ["theta"])
    axis = fig.axes[0]
    (bars,) = [c for c in axis.collections if hasattr(c, "get_segments")]
    assert len(bars.get_segments()) == 1
    assert bars.get_segments()[0][1, 1] == pytest.approx(0.9 * np.mean(after == 0))
    assert axis.get_xlim()[0] < 0 and axis.get_xlim()[1] > 6
    slab = axis.lines[0].get_ydata()
    assert slab.max() == pytest.approx(np.mean(after != 0) * stats.norm.pdf(0), rel=0.15)


@pytest.mark.parametrize(
    ("level", "text"),
    [(0.0, "< 0.001"), (1.0, "> 0.999"), (0.0123, "= 0.012"), (0.5, "= 0.50"), (0.997, "= 0.997")],
)
def test_a_p_value_at_the_edge_is_no_round_number(level, text):
    assert _tail(level) == text


def test_predictive_statistics_give_the_p_value():
    tree = fit().copy(deep=True)
    statistics = tree["sample_stats"].dataset
    replica = RNG.normal(size=(4, 500, 2))
    data = np.stack([np.full((4, 500), 0.5), RNG.normal(size=(4, 500))], axis=-1)
    shape = ("chain", "draw", "statistic")
    tree["sample_stats"] = (
        statistics.drop_dims("statistic")
        .assign(discrepancy=(shape, replica, {"units": "1"}))
        .assign(discrepancy_observed=(shape, data, {"units": "1"}))
        .assign_coords(statistic=["fixed", "moving"])
    )
    fixed, moving = figures.predictive_statistics(tree).axes
    share = lambda k: np.mean(replica[..., k] > data[..., k])
    assert fixed.get_title(loc="left") == f"fixed\np = {share(0):.2f}"
    assert moving.get_title(loc="left") == f"moving\np = {share(1):.2f}"
    assert share(0) == pytest.approx(stats.norm.sf(0.5), abs=0.03)
    assert fixed.lines[0].get_xdata()[0] == 0.5
    assert (moving.get_xlabel(), moving.get_ylabel()) == ("of the data", "of a replica")


# --- bands, matrices, corners ---------------------------------------------------------------------


def test_an_interval_is_its_quantiles():
    draws = RNG.normal(size=(4, 5000, 3))
    low, median, high = figures.interval(draws, 0.8, axis=(0, 1))
    assert low.shape == (3,)
    np.testing.assert_allclose(high, stats.norm.ppf(0.9), atol=0.06)
    np.testing.assert_allclose(low, -high, atol=0.1)
    np.testing.assert_allclose(median, 0, atol=0.06)
    np.testing.assert_array_equal(figures.interval(draws[0])[2], np.quantile(draws[0], 0.975, 0))


@pytest.mark.parametrize("corner", ["upper left", "upper right", "lower left", "lower right"])
def test_a_key_stands_in_its_corner_one_word_below_the_other(corner):
    fig, axis = figures.canvas()
    figures.key(axis, {"prior": "prior", "other": "#123456"}, corner)
    fig.canvas.draw()
    first, second = axis.texts
    assert (first.get_color(), second.get_color()) == (figures.COLORS["prior"], "#123456")
    boxes = [text.get_window_extent().transformed(axis.transAxes.inverted()) for text in axis.texts]
    assert boxes[0].y0 > boxes[1].y0 and not boxes[0].overlaps(boxes[1])
    for box in boxes:
        middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        assert (middle[0] > 0.5) == ("right" in corner) and (middle[1] > 0.5) == ("upper" in corner)
        assert box.x0 >= 0 and box.x1 <= 1 and box.y0 >= 0 and box.y1 <= 1


def test_a_key_above_is_one_line_and_an_unknown_corner_is_refused():
    fig, axis = figures.canvas()
    figures.key(axis, [("posterior", "posterior"), ("prior", "prior")], "above")
    fig.canvas.draw()
    boxes = [text.get_window_extent().transformed(axis.transAxes.inverted()) for text in axis.texts]
    assert boxes[0].y0 > 1 and boxes[1].x0 > boxes[0].x1
    with pytest.raises(ValueError, match="middle"):
        figures.key(axis, {}, "middle")


def test_a_band_holds_its_share_of_the_draws():
    x, draws = np.arange(3.0), RNG.normal(size=(4, 5000, 3))
    _, axis = figures.canvas()
    figures.band(axis, x, draws, "posterior", level=0.9)
    heights = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(stats.norm.ppf(0.95), abs=0.06)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), draws.mean((0, 1)))


def test_data_with_an_abscissa_are_drawn_against_it_with_their_replicas():
    tree = fit()
    x, y = figures.abscissa(tree)
    assert (x.name, y.name) == ("x", "y")
    for draw in (figures.predictive_band, figures.prior_predictive):
        axis = draw(tree).axes[0]
        assert (axis.get_xlabel(), axis.get_ylabel()) == ("x (A)", "y (V)")
        data = [line for line in axis.lines if line.get_color() == figures.COLORS["data"]]
        np.testing.assert_array_equal(data[0].get_ydata(), y.values)
    inside = figures.predictive_band(tree).axes[0].collections[0].get_paths()[0]
    shares = inside.contains_points(np.stack([x.values, y.values], axis=1))[1:-1]
    assert shares.mean() > 0.8
    with pytest.raises(DataError, match="no variable 'z'"):
        figures.predictive_band(tree, "z")


def test_data_without_an_abscissa_are_told_so():
    tree = fit().copy(deep=True)
    tree["constant_data"] = tree["constant_data"].dataset.drop_vars("x")
    tree["observed_data"] = tree["observed_data"].dataset.drop_vars("point", errors="ignore")
    assert figures.abscissa(tree) is None
    with pytest.raises(DataError, match="no abscissa"):
        figures.predictive_band(tree)


def test_matrices_share_a_symmetric_scale():
    small, large = np.eye(3), -4 * np.eye(3)
    fig = figures.matrices(
        [{"truth": small}, {"a": large, "b": small}],
        label="J (K)",
        roles={"truth": "truth"},
        limit=4,
    )
    images = [image for axis in fig.axes for image in axis.images]
    assert [image.get_clim() for image in images] == [(-4, 4)] * 3
    titles = {
        t.get_text(): t.get_color() for t in fig.axes[0].get_children() if hasattr(t, "get_text")
    }
    assert titles["truth"] == figures.COLORS["truth"]
    assert any(axis.get_ylabel() == "J (K)" for axis in fig.axes)
    images = figures.matrices({"a": large}, label="J").axes[0].images
    assert images[0].get_clim() == pytest.approx((-4, 4))
    ticks = figures.matrices({"a": np.eye(10)}, label="J").axes[0].get_yticks()
    assert np.array_equal(ticks, np.round(ticks))


def test_what_is_taken_off_an_axis_stands_in_its_label():
    @figures.styled
    def drawn(low, high, label):
        fig, axis = figures.canvas()
        axis.set_xlim(low, high)
        axis.set_xlabel(label)
        return fig

    def label(*given):
        axis = drawn(*given).axes[0].xaxis
        return axis.get_label_text(), axis.get_offset_text().get_visible()

    assert label(1.81, 1.8101, "frequency (1/d)") == ("frequency − 1.81 (10⁻⁵ 1/d)", False)
    assert label(520.9, 520.902, "centre") == ("centre − 520.9 (10⁻³)", False)
    assert label(0.0, 3e9, "counts") == ("counts (10⁹)", False)
    assert label(0.0, 3.0, "time (s)") == ("time (s)", True)
