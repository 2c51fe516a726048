"""Mackey-Glass: the delay equation, readouts without look-ahead, the equation's own numbers."""

import numpy as np
import pytest
import xarray as xr

from bayesinf.checks import check
from bayesinf.errors import DataError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import mackey_glass
from bayesinf.systems.mackey_glass import forecasting, kernel, mechanism
from bayesinf.systems.mackey_glass.data import from_values, values_of
from bayesinf.systems.mackey_glass.delay import LITERATURE, TWO, Equation, of_history, trajectory
from bayesinf.systems.mackey_glass.features import Lags, Polynomial, RandomFeatures, Reservoir
from bayesinf.systems.mackey_glass.model import Readout, readout

SETTINGS = Settings(draws=100, chains=4, prior_draws=10)
LONGER = SETTINGS.replace(draws=250)
EVERY = [
    Lags(0.9, 1.0, 7),
    Lags(0.9, 0.2, 4, 3),
    Polynomial(0.9, 0.2, 3, 2, 3),
    RandomFeatures(0.9, 0.2, 5, 1, 8),
    Reservoir(0.9, 0.2, units=12, washout=9),
]
by_kind = pytest.mark.parametrize("features", EVERY, ids=lambda each: type(each).__name__)


def series(seed=1, count=500, **options):
    return mackey_glass.simulate(count, rng=np.random.default_rng(seed), **options)


# --- the delay equation ---------------------------------------------------------------------------


@pytest.mark.parametrize("equation", [LITERATURE, TWO], ids=["17", "2"])
def test_the_first_delay_is_a_relaxation(equation):
    """From a constant history the pull is constant over one delay."""
    t = np.linspace(0, equation.tau, 37)
    rest = equation.beta / equation.gamma * 0.5 / (1 + 0.5**equation.n)
    exact = rest + (0.5 - rest) * np.exp(-equation.gamma * t)
    np.testing.assert_allclose(trajectory(equation, t, 0.5), exact, atol=1e-7)


def test_a_linear_delay_equation_by_the_method_of_steps():
    """With n tiny the pull is x / 2: its second delay is known too."""
    b, tau = 0.15, 3.0
    t = np.linspace(0, 2 * tau, 50)
    # dx/dt = b x(t − τ), γ → 0: 1 + b t, then 1 + b τ + b s + b² s² / 2 with s = t − τ.
    later = 1 + b * tau + b * (t - tau) + 0.5 * (b * (t - tau)) ** 2
    exact = np.where(t <= tau, 1 + b * t, later)
    found = trajectory(Equation(2 * b, 1e-12, 1e-12, tau), t, 1.0, steps=7)
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize("equation", [LITERATURE, TWO], ids=["17", "2"])
def test_the_integrator_is_of_fourth_order(equation):
    t = np.linspace(0, 8 * equation.tau, 211)  # not on the steps

    def history(s):
        return 0.8 + 0.3 * np.cos(s / equation.tau)

    fine = trajectory(equation, t, history, steps=1280)
    errors = [np.abs(trajectory(equation, t, history, steps=k) - fine).max() for k in (20, 40, 80)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 3.4) & (orders < 4.7)) and errors[0] < 1e-3


def test_small_changes_follow_the_tangent():
    past = of_history(lambda s: 0.9 + 0.2 * np.sin(s), 2.0, 20)
    change = np.cos(np.linspace(0, 3, len(past)))
    x, slope, steep = np.empty((3, 101)), np.empty((3, 101)), np.empty((3, 201))
    for k, size in enumerate((0.0, 1e-6, -1e-6)):
        kernel.solve(*TWO.numbers, past + size * change, x[k], slope[k], steep[k], np.empty(0))
    d, d_slope = np.empty((101, 1)), np.empty((101, 1))
    kernel.tangents(TWO.gamma, TWO.tau, steep[0], change[:, np.newaxis], d, d_slope)
    np.testing.assert_allclose(d[:, 0], (x[1] - x[2]) / 2e-6, atol=1e-7)


def test_exponents_of_what_is_known():
    """Zero on a limit cycle; where there is no pull a change decays as the equation says."""
    cycle = mackey_glass.exponent(Equation(2.0, 1.0, 7.0, 2.0), histories=3, delays=400)
    assert abs(cycle.value) < 5e-3
    # Characteristic equation of rest at 1, β = 2γ: λ = −γ + β g'(1) e^{−λτ}, g'(1) = (2 − n) / 4.
    rest = mackey_glass.exponent(Equation(0.2, 0.1, 4.0, 4.0), histories=3, delays=100)
    lam = complex(-0.05, 0.2)
    for _ in range(100):
        f = lam + 0.1 + 0.1 * np.exp(-4 * lam)
        lam -= f / (1 - 0.4 * np.exp(-4 * lam))
    assert abs(rest.value - lam.real) < 0.03 * abs(lam.real)
    chaos = mackey_glass.exponent(LITERATURE, histories=3, delays=600)
    assert 0.003 < chaos.value < 0.009  # Farmer 1982 has 0.007 ± 0.001


@pytest.mark.parametrize("history", [np.nan, -0.1, lambda s: s])
def test_no_solution_starts_from_nothing(history):
    with pytest.raises(DataError, match="no history"):
        trajectory(TWO, [1.0], history)


def test_numbers_below_zero_are_refused():
    with pytest.raises(DataError, match="tau"):
        Equation(1.0, 1.0, 10.0, -1.0)


# --- features -------------------------------------------------------------------------------------


@by_kind
def test_features_go_on_as_they_were_learnt(features):
    """Rows, state and steps are three ways to the same features, for many futures at once."""
    x = values_of(series(count=60)).values
    rows = features.rows(x)
    assert rows.shape == (60 - features.reach + 1, len(features.labels))
    state = np.broadcast_to(features.state(x[:40]), (2, *features.state(x[:40]).shape))
    np.testing.assert_allclose(features.read(state)[1], rows[40 - features.reach], atol=1e-10)
    for k in range(40, 45):
        state = features.advance(state, np.array([0.0, x[k]]))
        np.testing.assert_allclose(
            features.read(state)[1], rows[k + 1 - features.reach], atol=1e-10
        )
    assert not np.allclose(features.read(state)[0], features.read(state)[1])


@by_kind
def test_features_do_not_see_what_comes(features):
    x = values_of(series(count=60)).values
    other = x.copy()
    other[40:] = 7.0
    same = 40 - features.reach + 1
    np.testing.assert_array_equal(features.rows(x)[:same], features.rows(other)[:same])


def test_products_are_those_of_the_lags():
    one = Polynomial(0.0, 1.0, 2, 1, 2)
    np.testing.assert_allclose(one.read(np.array([3.0, 5.0])), [3, 5, 9, 15, 25])
    assert list(one.labels) == ["0", "1", "0·0", "0·1", "1·1"]


def test_what_leaves_the_range_of_the_series_is_in_no_bin():
    edges = np.linspace(0.0, 1.0, 5)
    half = forecasting._density(np.array([0.1, 0.1, 7.0, 9.0]), edges)
    np.testing.assert_allclose(half, [2.0, 0.0, 0.0, 0.0])
    for none in (np.array([7.0, 9.0]), np.empty(0)):
        assert np.all(forecasting._density(none, edges) == 0)


@pytest.mark.parametrize("kind", ["polynomial", "random", "reservoir"])
def test_what_runs_away_is_not_seen(kind):
    """A value far beyond the past is seen as the end of its range."""
    x = values_of(series(count=200)).values
    one = readout(from_values(x), kind).features
    seen = [one.read(one.advance(one.state(x[:150]), np.float64(v))) for v in (5.0, 1e9)]
    np.testing.assert_array_equal(*seen)
    far = one.read(one.advance(one.state(x[:150]), np.float64(x[:160].max())))
    assert not np.array_equal(far, seen[0])


def test_a_reservoir_forgets_its_start():
    one = Reservoir(0.9, 0.2, units=40, washout=80)
    x = values_of(series(count=200)).values
    late = one.advance(one.state(x[:-1]), x[-1])
    np.testing.assert_allclose(one.state(x[60:]), late, atol=1e-4)


@pytest.mark.parametrize("ahead", [1, 5])
def test_nothing_is_learnt_from_what_is_held_out(ahead):
    data = series(count=200)
    cut = 160
    changed = data.copy(deep=True)
    changed["x"][0, cut:] = np.linspace(0, 5, 40)
    ours, theirs = (readout(each, "polynomial", ahead=ahead) for each in (data, changed))
    (X, target), (other, _) = ours.learnt(), theirs.learnt()
    np.testing.assert_array_equal(X, other)
    assert target.max() < cut and np.all(np.diff(target) == ahead)
    _, later = ours.tested()
    assert later.min() == cut


# --- forecasts ------------------------------------------------------------------------------------


def test_intervals_hold_what_comes():
    data = series(count=900, dynamical=0.01)
    fit = mackey_glass.fit(data, "random", lookback=20, count=60, horizon=40, settings=SETTINGS)
    ahead, scored = noted(fit, "ahead"), noted(fit, "scores")
    assert check(fit).believed
    assert ahead["r_squared"] > 0.99 and 0.9 < ahead["coverage"] < 0.99
    assert scored["skill"].sel(reference="climatology").mean() > 0.5
    assert 0.85 < scored["coverage"].sel(level=0.95).mean() <= 1
    assert noted(fit, "measure")["overlap"] > 0.7
    # A noise of 0.01 per √time is what a step of one leaves open.
    assert abs(fit["posterior"]["sigma"].mean() / 0.01 - 1) < 0.2
    told = mackey_glass.story({"random": mackey_glass.with_classical(fit, data, "random")})
    assert "Lyapunov times" in told.answer.paragraphs[1]


def test_a_single_lag_is_the_regression_by_hand():
    rng = np.random.default_rng(3)
    y = np.zeros(400)
    for k in range(1, 400):
        y[k] = 0.8 * y[k - 1] + rng.standard_normal()
    fit = mackey_glass.fit(from_values(y), "lags", lookback=1, horizon=3, settings=SETTINGS)
    past = y[:320]
    slope = np.polyfit(past[:-1], past[1:], 1)[0]
    weight = fit["posterior"]["weight"].values
    assert abs(weight.mean() - slope) < 0.2 * weight.std()
    mean = noted(fit, "ahead")
    by_hand = y[320:] - np.polyval(np.polyfit(past[:-1], past[1:], 1), y[319:-1])
    assert abs(float(mean["rmse"]) - np.sqrt(np.mean(by_hand**2))) < 0.01
    # What is held out and is not as the past fails the fit, however well the past is described.
    other = y.copy()
    other[320:] *= 2
    asked = []
    for values in (y, other):
        one = mackey_glass.fit(
            from_values(values), "lags", lookback=1, horizon=0, settings=SETTINGS
        )
        asked.append({each.name: each for each in check(one).checks}["held out"])
    assert asked[0].passed and not asked[1].passed and asked[1].required
    inside = noted(one, "ahead")["coverage"].item() * 80
    assert asked[1].value == pytest.approx(inside) and "of 80 held-out values" in check(one).words


def test_ridge_stands_beside():
    found = mackey_glass.classical(series(count=300, dynamical=0.01), "lags", lookback=10)
    assert list(found["estimator"]) == ["ridge", "lasso"] and np.all(found["r_squared"] > 0.9)


# --- the equation ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy():
    return series(5, 140, step=2.0, noise=0.03, kept=0.8)


def test_windows_are_the_normal_of_a_linear_solution(noisy):
    """One observation given those before it: their sum is the density of all, histories out."""
    problem = mechanism.stated(noisy, window=90.0)
    point = {"beta": 0.2, "gamma": 0.1, "n": 10.0, "tau": 17.0, "noise": 0.03}
    many = {name: np.array([value, 1.02 * value]) for name, value in point.items()}
    cut = problem.windows
    assert len(cut.edges) > 2
    np.testing.assert_allclose(
        cut.pointwise(**many).sum(axis=1), cut.log_likelihood(**many), rtol=1e-6
    )


def test_a_window_of_history_alone_is_a_gaussian_process():
    """Before the first delay has passed, nothing but the history's prior is seen."""
    t = 0.05 * np.arange(60)
    problem = mechanism.stated(from_values(1 + 0.1 * np.sin(t), 0.05), window=3.0)
    cut = problem.windows
    point = {"beta": 2.0, "gamma": 1.0, "n": 9.0, "tau": 5.0, "noise": 0.1}
    at = np.linspace(-1, 0, len(cut.history[0]))
    B = np.stack([np.interp(t / 5.0 - 1, at, column) for column in cut.history[0].T], axis=1)
    C = B @ B.T + 0.01 * np.eye(60)
    off = cut.y - cut.mean
    by_hand = -0.5 * off @ np.linalg.solve(C, off) - 0.5 * np.linalg.slogdet(2 * np.pi * C)[1]
    found = cut.log_likelihood(**{name: np.array([v]) for name, v in point.items()})[0]
    assert abs(found - by_hand) < 0.05
    # Residuals about the smooth curve, each over its own standard deviation there.
    hat = B @ np.linalg.solve(B.T @ B + 0.01 * np.eye(B.shape[1]), B.T)
    z = (off - hat @ off) / (0.1 * np.sqrt(1 - np.diag(hat)))
    residuals = cut.residuals(**{name: np.array([v]) for name, v in point.items()})
    np.testing.assert_allclose(residuals[0], z, atol=0.01)


def test_the_search_finds_no_worse_history_than_that_which_made_the_data():
    """Where three observations see a delay, a search that takes all at once ends 195 below it."""
    from bayesinf.systems.mackey_glass import windows_kernel as search

    t = 0.5 * np.arange(60)
    empty = from_values(1 + 0.2 * np.sin(t), 0.5)
    cut = mechanism.stated(empty, window=16.0, history=(0.9, 0.15)).windows
    rng, numbers, noise, count = np.random.default_rng(4), (2.0, 1.0, 9.65, 2.0), 0.03, 24
    data = (*cut.history, cut.mean)
    x, J = np.empty(count), np.empty((count, mechanism.KNOTS))
    factor = np.empty((mechanism.KNOTS, mechanism.KNOTS))
    for _ in range(40):
        at = 0.5 * np.sort(rng.choice(34, count, replace=False))
        made, found = rng.standard_normal(mechanism.KNOTS), np.empty(mechanism.KNOTS)
        search.followed(numbers, at - at[0], *data, made, x)
        seen = (numbers, noise, at - at[0], x + noise * rng.standard_normal(count), *data)
        known = search.descended(*seen, 1e-7, made, x, J, factor)
        search.optimum(*seen, found, x, J, factor)
        assert 0.5 * (np.sum(((seen[3] - x) / noise) ** 2) + found @ found) < known + 0.5


def test_a_spike_in_the_equation_stands_out(noisy):
    """Held to the truth, or to a noise that the spikes have made larger; none is ordinary."""
    values = noisy["x"].values.ravel()
    spiked = noisy.copy(deep=True)
    spiked["x"].values.ravel()[[30, 50, 70]] += 0.4
    point = {"beta": 0.2, "gamma": 0.1, "n": 10.0, "tau": 17.0}

    def chance(data, noise):
        posterior = {**point, "noise": noise}
        arrays = {name: (("chain", "draw"), [[value]]) for name, value in posterior.items()}
        fit = xr.DataTree.from_dict({"posterior": xr.Dataset(arrays)})
        return mechanism.largest_residual_p(fit, mechanism.stated(data).windows)

    assert np.ptp(spiked["x"].values.ravel() - values) == pytest.approx(0.4)
    assert chance(noisy, 0.03) > 0.05 and chance(spiked, 0.03) < 1e-9
    assert chance(spiked, 0.065) < 1e-4


def test_the_equation_is_found(noisy):
    fit = mackey_glass.fit_equation(noisy, settings=LONGER)
    assert check(fit).believed
    truth = {"beta": 0.2, "gamma": 0.1, "n": 10.0, "tau": 17.0, "noise": 0.03}
    for name, value in truth.items():
        draws = fit["posterior"][name]
        assert abs(draws.mean() - value) < 4 * draws.std() < 0.6 * value, name
    assert fit["posterior"]["tau"].std() < 0.3
    opened = noted(fit, "open")["sd"].values
    assert opened[0] > 2 * opened[-1]
    told = mackey_glass.story({"equation": fit})
    assert float(fit["sample_stats"]["largest_residual_p"]) > 0.01
    # Seven observations in a delay see the histories; two are too few.
    asked = {one.name: one for one in check(fit).checks}["history"]
    assert asked.passed and asked.value == pytest.approx(0.8 * 17 / 2, rel=0.15)
    fit["sample_stats"]["within_a_delay"] = 2.1
    assert not check(fit).believed
    assert "τ" in told.answer.title


# --- files ----------------------------------------------------------------------------------------


def written(path, columns, header):
    np.savetxt(path, np.column_stack(columns), delimiter=",", header=header, comments="")
    return path


def test_one_column_and_two_say_the_same(tmp_path):
    x = values_of(series(count=80)).values
    one = mackey_glass.read(written(tmp_path / "one.csv", [x], "level"))
    two = mackey_glass.read(written(tmp_path / "two.csv", [0.5 * np.arange(80), x], "time,level"))
    np.testing.assert_allclose(values_of(one), values_of(two))
    assert values_of(two)["time"].values[1] == 0.5 and values_of(one).name == "level"


@pytest.mark.parametrize(
    ("columns", "header", "word"),
    [
        ([np.arange(80.0) ** 1.1, np.arange(80.0)], "time,x", "not even"),
        ([np.arange(80.0), np.ones(80)], "time,x", "all equal"),
        ([np.arange(80.0), np.arange(80.0), np.arange(80.0)], "time,x,y", "several columns"),
        ([np.arange(20.0)], "x", "too few|at least"),
        ([np.where(np.arange(80) == 7, np.nan, 1.0)], "x", "x"),
    ],
)
def test_what_cannot_be_forecast_is_refused(tmp_path, columns, header, word):
    with pytest.raises(DataError, match=word):
        mackey_glass.read(written(tmp_path / "s.csv", columns, header))


def test_a_part_held_out_that_does_not_vary_is_refused():
    values = np.where(np.arange(100) < 70, np.sin(np.arange(100.0)), 2.0)
    with pytest.raises(DataError, match=r"held out are all equal.* found 2 in the last 20"):
        mackey_glass.fit(from_values(values), "lags", lookback=5)


def test_too_long_a_memory_is_refused():
    with pytest.raises(DataError, match="lookback"):
        mackey_glass.fit(series(count=100), "lags", lookback=90)


def test_a_shipped_series_knows_its_truth(tmp_path):
    data = series(count=70)
    data.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    again = mackey_glass.read(tmp_path / "s.nc")
    assert float(noted(again, "truth")["tau"]) == 17.0
    assert isinstance(readout(again), Readout)
