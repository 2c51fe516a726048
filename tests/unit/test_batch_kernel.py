"""The compiled loops of a batch, held to lmfit's curves, to differences, and to ArviZ's tails."""

import numpy as np
import pytest

from bayesinf.data.spectra import Spectrum
from bayesinf.diagnostics import smoothed_weights
from bayesinf.inference.derivatives import extrapolated, steps
from bayesinf.models.curve import Curve
from bayesinf.systems.gaussian_peaks.batch import Model
from bayesinf.systems.gaussian_peaks.batch.evaluation import curve as compiled
from bayesinf.systems.gaussian_peaks.batch.search import Flat, optima
from bayesinf.systems.gaussian_peaks.batch.starting import guesses as compiled_guesses
from bayesinf.systems.gaussian_peaks.batch.tails import tails
from bayesinf.systems.gaussian_peaks.batch.weighing import bends, weigh
from bayesinf.systems.gaussian_peaks.guesses import guesses

X = np.linspace(0.0, 10.0, 60)
PEAKS = {"height": 5.0, "sigma": 0.7, "fraction": 0.3, "center": 0.0}
BACKGROUND = {"level": 2.0, "slope": 0.3, "curvature": -0.02, "cubic": 0.001, "decay": 4.0}
MODELS = [
    {"peaks": 2},
    {"peaks": 2, "shape": "lorentzian", "background": "linear"},
    {"peaks": 2, "shape": "pseudo-voigt", "background": "cubic"},
    {"peaks": 2, "tied": True, "background": "exponential"},
    {"peaks": 1, "background": "spline"},
    {"peaks": 1, "shape": "pseudo-voigt", "background": "none"},
]


def point(model):
    """Some point θ."""
    found = []
    for name in model.free:
        own, _, role = name.partition("_")
        if own == "background":
            found.append(BACKGROUND.get(role, 1.5))
        else:
            found.append(
                PEAKS[role] + 0.1 * int(own[1:]) + (4.0 * int(own[1:]) - 1) * (role == "center")
            )
    return np.array(found)


def evaluated(model, theta):
    """Mean and slopes."""
    flat = Flat.of([Spectrum("one", X, X)], model)
    mean, slopes = np.empty(len(X)), np.empty((len(theta), len(X)))
    lines = flat.design, flat.exponential, flat.origin[0], flat.shape, flat.slots
    compiled(X, *lines, theta, mean, slopes)
    return mean, slopes


@pytest.mark.parametrize(
    "options", MODELS, ids=lambda options: "-".join(map(str, options.values()))
)
def test_curve_and_slopes_are_those_of_lmfit(options):
    model = Model(**options)
    theta = point(model)
    mean, slopes = evaluated(model, theta)
    lines = type(model.lines)(**options, origin=X[0], end=X[-1])
    curve = Curve(*lines.lmfit(), X)
    assert curve.free == model.free
    assert mean == pytest.approx(curve(theta), rel=1e-13, abs=1e-13)
    known = extrapolated(curve, theta, 16 * steps(curve, theta))
    assert np.transpose(slopes) == pytest.approx(known, rel=1e-7, abs=1e-8)


def test_tails_are_those_of_arviz():
    rng = np.random.default_rng(2)
    log_weight = rng.standard_t(3, (40, 128)) * rng.uniform(0.1, 3, (40, 1))
    log_weight[3] = 0.0
    log_weight[4, 10:] = -np.inf
    found = tails(log_weight)
    fine = np.arange(40) != 4
    assert found[fine] == pytest.approx(smoothed_weights(log_weight[fine])[1], rel=1e-10)
    assert found[3] == 0 and not found[4] <= 0.7
    long = rng.standard_normal((3, 1000))
    assert tails(long) == pytest.approx(smoothed_weights(long)[1], rel=1e-10)


@pytest.mark.parametrize("background", ["constant", "quadratic", "exponential", "none"])
def test_guesses_are_those_of_a_single_fit(background):
    model = Model(peaks=2, background=background)
    curve = Curve(*type(model.lines)(2, background, origin=X[0]).lmfit(), X)
    y = curve(point(model)) + 0.1 * np.random.default_rng(3).standard_normal(len(X))
    lines = type(model.lines)(2, background, origin=X[0], end=X[-1])
    known = [lines.flat(start) for start in guesses(X, y, lines)]
    starts = np.zeros((1, 4, len(model.free)))
    flat = Flat.of([Spectrum("one", X, y)], model)
    lines = flat.design, flat.exponential, flat.origin, flat.slots
    compiled_guesses(X, y, flat.at, *lines, 1.0, np.empty(0), starts)
    for start, one in zip(starts[0], known, strict=False):
        assert start == pytest.approx([one[name] for name in model.free], rel=1e-6)


def test_draws_have_the_density_that_they_are_weighed_by():
    # Under ∫ p / q dq = Z the mean weight is the evidence: here that of a normal in one height.
    model, rng = Model(peaks=1, background="none"), np.random.default_rng(4)
    theta = np.array([6.0, 5.0, 1.0])
    curve = Curve(*type(model.lines)(1, "none").lmfit(), X)
    y = curve(theta) + 0.8 * rng.standard_normal(len(X))
    flat = Flat.of([Spectrum("one", X, y, np.full(len(X), 0.8))], model)
    best = optima(flat, model, False)
    size, root = 40_000, np.linalg.cholesky(best["covariance"])
    points, squared = np.empty((1, size, 3)), np.empty((1, size))
    log_weight, bend = np.empty((1, size)), np.empty((1, 3, 3, 3))
    bends(*flat.curves, best["theta"], root, np.ones(1), bend)
    bend = (bend + np.swapaxes(bend, 2, 3)) / 2
    weigh(
        *flat.curves,
        flat.lower,
        flat.upper,
        best["theta"],
        root,
        bend,
        best["rss"],
        False,
        rng.standard_normal((1, size, 3)),
        np.ones((1, size)),
        points,
        squared,
        log_weight,
    )
    root, shift = root[0], -np.einsum("sab,sbcc->sa", root, bend) / 2
    # The same integral on a grid in standard errors around the optimum.
    u = np.linspace(-6, 6, 61)
    grid = np.stack(np.meshgrid(u, u, u, indexing="ij"), axis=-1).reshape(-1, 3)
    chi = np.sum(((y - curve(best["theta"][0] + grid @ root.T)) / 0.8) ** 2, axis=1)
    density = np.exp(-0.5 * (chi - best["rss"][0]))
    whole = density.sum() * (u[1] - u[0]) ** 3 / (2 * np.pi) ** 1.5
    weight = np.exp(log_weight[0])
    assert weight.mean() == pytest.approx(whole, abs=5 * weight.std() / np.sqrt(size) + 1e-4)
    mean = (density[:, None] * grid).sum(axis=0) / density.sum() @ root.T
    moved = shift[0] + (weight @ points[0] / weight.sum() - points[0].mean(axis=0))
    assert moved == pytest.approx(mean, abs=0.02 * np.sqrt(np.diag(best["covariance"][0])).max())
