"""Deconvolution: responses in closed form, Tikhonov, priors by evidence, edges, bands, files."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import erf, erfc

import bayesinf
from bayesinf.errors import DataError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import deconvolution as system
from bayesinf.systems.deconvolution.classical import RULES, Tikhonov
from bayesinf.systems.deconvolution.data import Shape
from bayesinf.systems.deconvolution.model import band, shape_of

SHIPPED = Path(__file__).parents[2] / "data" / "deconvolution"
SHORT = Settings(draws=100, tune=200, chains=4, prior_draws=20)


def of_seed(seed, points=150, **options):
    return system.simulate(points, rng=np.random.default_rng(seed), **options)


def rms(signal, blurred):
    return float(np.sqrt(np.mean((signal - noted(blurred, "truth")["signal"].values) ** 2)))


def exactly(blurred, prior, **options):
    """Posterior mean of the signal in closed form."""
    stated = system.problem(blurred, prior, **options)
    return bayesinf.models.linear.exact.Posterior(stated).moments()[0]


# --- responses and data ---------------------------------------------------------------------------

X = np.linspace(-4, 4, 400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("box:1.5", np.sqrt(np.pi) / 2 * (erf(X + 1.5) - erf(X - 1.5))),
        ("gaussian:0.5", np.sqrt(np.pi / 3) * np.exp(-2 / 3 * X**2)),
        ("gaussian:0.5:area", np.sqrt(2 / 3) * np.exp(-2 / 3 * X**2)),
        ("exponential:0.4", np.sqrt(np.pi) / 2 * np.exp(2.5**2 / 4 - 2.5 * X) * erfc(2.5 / 2 - X)),
    ],
)
def test_a_response_blurs_as_its_integral_does(text, expected):
    shape = Shape.parse(text)
    grid = shape.grid(X, "open")
    blurred = shape.matrix(X, grid) @ np.exp(-(grid**2))
    np.testing.assert_allclose(blurred, expected, atol=3e-4)
    assert str(shape) == text
    assert shape.matrix(X, grid)[200].sum() == pytest.approx(1 if shape.area else shape.size, 3e-4)
    # The grid reaches as far as the response: nothing that it sees is left out.
    wider = np.r_[grid[0] - (grid[1] - grid[0]), grid]
    assert shape.matrix(X, wider)[:, 0].max() < 2e-4 * shape.matrix(X, wider).max()


def test_a_box_does_not_jump_as_it_widens():
    grid = np.linspace(-6, 6, 600)
    areas = [Shape("box", w).matrix(X, grid).sum(axis=1)[200] for w in np.linspace(1.4, 1.5, 30)]
    np.testing.assert_allclose(areas, 2 * np.linspace(1.4, 1.5, 30), rtol=1e-12)


def test_shaw_is_the_integral_of_his_kernel():
    slit = system.shaw(40, 1e-6)
    s, A = slit["x"].values, slit["response"].values
    f = lambda t: 2 * np.exp(-6 * (t - 0.8) ** 2) + np.exp(-2 * (t + 0.5) ** 2)

    def image(at):
        u = lambda t: np.pi * (np.sin(at) + np.sin(t))
        kernel = lambda t: (np.cos(at) + np.cos(t)) ** 2 * (np.sin(u(t)) / u(t)) ** 2
        return integrate.quad(lambda t: kernel(t) * f(t), -np.pi / 2, np.pi / 2)[0]

    np.testing.assert_allclose(A @ f(s), [image(at) for at in s], atol=0.02)
    np.testing.assert_allclose(A, A.T, rtol=1e-12)
    assert np.linalg.cond(A) > 1e15


def test_files_carry_names_units_and_each_kind_of_response(tmp_path):
    one, (x, y) = of_seed(1, points=60), (of_seed(1, points=60)[v].values for v in ("x", "blurred"))
    np.savetxt(
        tmp_path / "spectrum.csv",
        np.c_[x, y],
        delimiter=",",
        comments="",
        header="wavelength (nm),counts",
    )
    step = x[1] - x[0]
    half = int(np.ceil(1.5 / step))
    lag = step * np.arange(-half, half + 1)
    np.savetxt(tmp_path / "column.csv", np.clip((1.5 - np.abs(lag)) / step + 0.5, 0, 1))
    np.savetxt(tmp_path / "matrix.csv", one["response"].values, delimiter=",")
    for response in ("box:1.5", tmp_path / "column.csv", tmp_path / "matrix.csv"):
        read = system.read(tmp_path / "spectrum.csv", response, edges="zero")
        np.testing.assert_allclose(read["response"], one["response"], atol=1e-12)
        np.testing.assert_allclose(read["position"], one["position"])
        assert read.attrs["signal_units"] == "1/nm" and noted(read, "truth") is None
    opened = system.read(tmp_path / "spectrum.csv", tmp_path / "column.csv")
    named = system.read(tmp_path / "spectrum.csv", "box:1.5")
    np.testing.assert_allclose(opened["response"], named["response"], atol=1e-12)
    assert opened.sizes["position"] == 60 + 2 * half
    fit = system.fit(named, "first_differences", settings=SHORT)
    assert fit["posterior"]["signal"].units == "1/nm" and "counts" in fit["observed_data"]
    assert noted(fit, "shape")["width"].units == "nm"
    said = system.story({"first_differences": fit}).answer.paragraphs[0]
    assert "box:1.5 is one at its peak, and its area 3: of a blur" in said
    unit = system.read(tmp_path / "spectrum.csv", "box:1.5:area")
    same = system.fit(unit, "first_differences", settings=SHORT)
    assert "at its peak" not in system.story({"first_differences": same}).answer.paragraphs[0]
    height = [float(noted(one, "shape")["height"].mean()) for one in (same, fit)]
    assert height[0] == pytest.approx(3 * height[1], rel=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Shape.parse("triangle:1"), "no such response; expected a file, or FORM:WIDTH"),
        (lambda: Shape.parse("box:-1"), "no such response"),
        (lambda: system.simulate(edges="round"), "no such edges; expected one of open, zero"),
        (lambda: system.simulate(noise=-1), "noise ≥ 0"),
        (lambda: system.shaw(noise=0), "noise > 0"),
        (lambda: system.problem(of_seed(1), "cubic"), "no such prior; expected one of first_d"),
        (lambda: system.problem(of_seed(1), positive=True), "does not go together"),
        (lambda: system.problem(system.shaw(), width_spread=0.1), "without a form"),
        (lambda: system.classical(of_seed(1), order=3), "order 1 or 2"),
        (lambda: system.read(SHIPPED / "boxcar.csv", SHIPPED / "shaw_response.csv"), "500 rows"),
        (lambda: system.read(SHIPPED / "boxcar.csv", "box.csv"), "no such file"),
    ],
)
def test_what_will_not_do_is_one_line(call, words):
    with pytest.raises(DataError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


# --- the classical side ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_tikhonov_is_the_minimum_and_its_rules_are_what_they_say(order):
    blurred = of_seed(2, points=80)
    A, y = blurred["response"].values, blurred["blurred"].values
    D = np.diff(np.eye(80), order, axis=0)
    solver = Tikhonov(A, y, order)

    def direct(penalty):
        return np.linalg.lstsq(np.vstack([A, np.sqrt(penalty) * D]), np.r_[y, np.zeros(len(D))])[0]

    for penalty in (1e-4, 1.0):
        f = direct(penalty)
        np.testing.assert_allclose(solver.signal(penalty), f, atol=1e-6)
        residual, size, freedom = solver.at(penalty)
        hat = A @ np.linalg.solve(A.T @ A + penalty * D.T @ D, A.T)
        assert residual == pytest.approx(np.sum((y - A @ f) ** 2), rel=1e-6)
        assert size == pytest.approx(np.sum((D @ f) ** 2), rel=1e-6)
        assert freedom == pytest.approx(np.trace(hat), rel=1e-6)
        score = 80 * np.sum((y - hat @ y) ** 2) / (80 - np.trace(hat)) ** 2
        assert solver.cross_validation(penalty) == pytest.approx(score, rel=1e-6)
    found = system.classical(blurred, order=order, sigma=0.01)
    chosen = dict(zip(RULES, found["penalty"].values, strict=True))
    assert chosen["fixed"] == 1e-4
    best = solver.cross_validation(chosen["cross-validation"])
    assert (solver.cross_validation(solver.trials) >= best * (1 - 1e-9)).all()
    assert solver.at(chosen["discrepancy"])[0] == pytest.approx(80 * 0.01**2, rel=1e-6)
    # The L-curve's corner, by the circle through three points of it.
    logs = [
        np.log10(np.stack(solver.at(p)[:2])) for p in chosen["L-curve"] * 10.0 ** np.arange(-6, 7)
    ]
    turn = [menger(*logs[k - 1 : k + 2]) for k in range(1, 12)]
    assert abs(int(np.argmax(turn)) - 5) <= 1


def menger(a, b, c):
    """Curvature of the circle through three points, positive where it turns left."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    sides = np.linalg.norm(a - b) * np.linalg.norm(b - c) * np.linalg.norm(c - a)
    return 2 * area / sides


@pytest.mark.parametrize(("prior", "order"), [("first_differences", 1), ("second_differences", 2)])
def test_tikhonov_is_the_posterior_mean_at_its_penalty(prior, order):
    """λ = (σ / scale hᵏ)²: at fixed scales, but for the wide prior of level and slope."""
    blurred, scale, sigma = of_seed(3, points=100), 2.0, 0.01
    step = 8 / 99
    mean = exactly(blurred, prior, scale=scale, noise=sigma)
    solver = Tikhonov(blurred["response"].values, blurred["blurred"].values, order)
    penalty = (sigma / (scale * step**order)) ** 2
    np.testing.assert_allclose(mean, solver.signal(penalty), atol=2e-6)
    assert np.abs(mean - solver.signal(2 * penalty)).max() > 1e-3


# --- the posterior --------------------------------------------------------------------------------


@cache
def fitted(prior="squared_exponential", seed=1, **options):
    return system.fit(of_seed(seed), prior, settings=SHORT, **options)


@pytest.mark.slow
def test_the_smooth_prior_wins_by_evidence_and_by_its_error():
    """Over first differences by far, whatever the width of the level's prior."""
    blurred = of_seed(1)
    evidence = system.compare(blurred)["log_evidence"]
    order = evidence.argsort(axis=0).values
    assert (order == order[:, :1]).all()
    assert (
        evidence.sel(model="squared_exponential") > evidence.sel(model="first_differences") + 10
    ).all()
    mean = noted(fitted(), "band")["mean"].values
    rough = exactly(blurred, "first_differences")
    textbook = system.classical(blurred)["signal"].sel(rule="cross-validation").values
    assert rms(mean, blurred) < rms(textbook, blurred) < rms(rough, blurred)
    assert bayesinf.check(fitted()).believed


def test_evidence_at_each_width_is_that_of_the_problem_so_stated():
    from bayesinf.systems.deconvolution.model import level_prior

    blurred = of_seed(1, points=60)
    found = system.compare(blurred, ["first_differences", "squared_exponential"])["log_evidence"]
    for prior in found["model"].values:
        wide = system.problem(blurred, str(prior), level=level_prior(blurred, 10.0))
        expected = wide.log_evidence()
        assert float(found.sel(model=prior, width=10.0)) == pytest.approx(expected, abs=0.02)


def test_the_answer_holds_the_truth():
    fit = fitted()
    truth, found = noted(fit, "truth")["signal"].values, noted(fit, "band")
    away = np.abs(truth - found["mean"].values) / found["sd"].values
    assert away.max() < 1.2 * float(found["factor"])
    for name, true in noted(fit, "true_shape").items():
        draws = noted(fit, "shape")[name]
        assert abs(draws.mean() - true) < 4 * draws.std(), name
    assert fit["posterior"]["sigma"].mean() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("edges", ["zero", "open"])
def test_a_shifted_and_scaled_copy_gives_the_same_answer_shifted_and_scaled(edges, tmp_path):
    """x → 4x + 16 and y → 8y: the signal is twice as high, for its integral is over x."""
    one = of_seed(5, points=80, edges=edges)
    moved = np.c_[4 * one["x"] + 16, 8 * one["blurred"]]
    np.savetxt(tmp_path / "moved.csv", moved, "%.18g", ",", header="x,y", comments="")
    copy = system.read(tmp_path / "moved.csv", "box:6", edges=edges)
    np.testing.assert_allclose(copy["position"], 4 * one["position"] + 16, rtol=1e-12)
    for prior in ("first_differences", "second_differences"):
        here, there = exactly(one, prior), exactly(copy, prior)
        np.testing.assert_allclose(there, 2 * here, atol=1e-5)
    here, there = (system.problem(each) for each in (one, copy))
    (mean, sd), (far, wide) = (each.survey.moments() for each in (here, there))
    np.testing.assert_allclose([far[0], wide[0]], [4 * mean[0], 4 * sd[0]], rtol=1e-6)
    # Data eight times as large have a density smaller by as much in each of them.
    assert there.log_evidence() == pytest.approx(here.log_evidence() - 80 * np.log(8), abs=1e-3)
    shapes = [
        shape_of(exactly(each, "second_differences"), each["position"].values, each["x"].values)
        for each in (one, copy)
    ]
    for name, factor in (("height", 2), ("width", 4), ("area", 8)):
        assert shapes[1][name] == pytest.approx(factor * shapes[0][name], rel=1e-4), name


def test_edges_are_as_open_as_they_are_said_to_be(tmp_path):
    """A signal that goes on beyond the data: open edges hold it, edges at zero cannot."""
    rng, shape = np.random.default_rng(6), Shape("gaussian", 0.5)
    x, signal = np.linspace(-2, 2, 80), lambda s: 1 + 0.3 * np.cos(s)
    grid = shape.grid(x, "open")
    y = shape.matrix(x, grid) @ signal(grid) + 0.01 * rng.standard_normal(80)
    np.savetxt(tmp_path / "on.csv", np.c_[x, y], delimiter=",")
    away = {}
    for edges in ("open", "zero"):
        blurred = system.read(tmp_path / "on.csv", "gaussian:0.5", edges=edges)
        found = noted(system.fit(blurred, "second_differences", settings=SHORT), "band")
        error = (found["mean"].values - signal(blurred["position"].values)) / found["sd"].values
        away[edges] = np.abs(error).max()
    assert away["open"] < 3 and away["zero"] > 5


def test_a_signal_above_zero_is_better_known():
    blurred = of_seed(1, points=120)
    free, cut = (
        system.fit(blurred, "second_differences", positive=p, settings=SHORT) for p in (0, 1)
    )
    assert cut["posterior"]["signal"].min() >= 0 > free["posterior"]["signal"].min()
    sd = [float(noted(fit, "band")["sd"].mean()) for fit in (free, cut)]
    assert sd[1] < 0.8 * sd[0]
    truth, found = noted(cut, "truth")["signal"].values, noted(cut, "band")
    inside = np.abs(truth - found["mean"].values) < 4 * found["sd"].values
    assert inside[40:-40].all()
    assert bayesinf.check(cut).checks[0].name == "R-hat" or cut.attrs["inference"] == "gibbs"


def test_every_prior_is_asked_for_memory_along_x():
    for options in ({}, {"prior": "first_differences"}, {"prior": "second_differences"}):
        assert "residual memory" in system.problem(of_seed(1), **options).discrepancies
    cut = system.problem(of_seed(1), "second_differences", positive=True)
    assert "residual memory" in cut.discrepancies


def test_a_width_that_is_not_known_is_inferred_with_the_signal():
    blurred = of_seed(1)
    fit = system.fit(blurred, length=1.0, width_spread=0.1, settings=SHORT)
    width = fit["posterior"]["width"]
    prior = fit["prior"]["width"]
    assert abs(width.mean() - 1.5) < 4 * width.std() and width.std() < 0.5 * prior.std()
    known = system.fit(blurred, length=1.0, settings=SHORT)
    assert noted(fit, "shape")["height"].std() > noted(known, "shape")["height"].std()


def test_shaw_s_signal_is_found_from_files():
    slit = system.read(SHIPPED / "shaw.csv", SHIPPED / "shaw_response.csv")
    fit = system.fit(slit, settings=SHORT)
    t, found = slit["position"].values, noted(fit, "band")
    truth = 2 * np.exp(-6 * (t - 0.8) ** 2) + np.exp(-2 * (t + 0.5) ** 2)
    away = np.abs(truth - found["mean"].values) / found["sd"].values
    assert away.max() < float(found["factor"]) and np.abs(truth - found["mean"]).max() < 0.1
    assert "sigma" not in fit["posterior"] and fit["posterior"]["signal"].units == "1/rad"
    assert 5 < int(noted(fit, "directions")["decided"]) < 15


# --- what is read off -----------------------------------------------------------------------------


def test_shape_of_a_triangle():
    s = np.linspace(-3, 3, 601)
    found = shape_of(np.maximum(0.0, 2 - np.abs(s - 0.5)), s, s)
    expected = {"height": 2.0, "centre": 0.5, "width": 2.0, "area": 4.0}
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-3), name
    low = shape_of(-1 - s**2, s, s)
    assert [float(low[name]) for name in ("height", "centre", "width")] == [-1.0, s[300], 0.0]
    # What lies beyond the data does not count.
    inner = shape_of(np.maximum(0.0, 2 - np.abs(s - 0.5)), s, np.linspace(-1, 0, 101))
    assert float(inner["height"]) == pytest.approx(1.5, abs=1e-6)


def test_a_simultaneous_band_holds_whole_signals():
    """Of 30 independent normals P(max |z| < c) = (2 Φ(c) − 1)^30, which gives the factor."""
    import xarray as xr

    draws = np.random.default_rng(8).standard_normal((4, 5000, 30))
    signal = xr.DataArray(draws, dims=("chain", "draw", "position"), attrs={"units": "1"})
    found = band(signal.assign_coords(position=np.arange(30.0)))
    expected = stats.norm.ppf((1 + 0.95 ** (1 / 30)) / 2)
    assert float(found["factor"]) == pytest.approx(expected, rel=0.02)
    np.testing.assert_allclose(found["high"], 1.96, rtol=0.05)


def test_directions_are_known_as_well_as_they_are_said_to_be():
    """Along each direction the posterior's variance over the prior's is 1 / (1 + information)."""
    blurred = of_seed(9, points=40)
    fit = system.fit(
        blurred, "first_differences", scale=1.0, noise=0.02, settings=SHORT.replace(draws=1000)
    )
    stated = system.problem(blurred, "first_differences", scale=1.0, noise=0.02)
    weights = stated.inner({n: v.values for n, v in fit["posterior"].data_vars.items()})["beta"]
    A, Z = stated.design.A, stated.design.Z
    _, _, Vt = np.linalg.svd(A - Z @ np.linalg.lstsq(Z, A)[0])
    variance = (weights @ Vt.T).reshape(-1, len(Vt)).var(axis=0)
    found = noted(fit, "directions")
    expected = 1 / (1 + found["information"].values)
    np.testing.assert_allclose(variance, expected, rtol=0.12)
    assert int(found["decided"]) == np.sum(found["information"] > 1)
