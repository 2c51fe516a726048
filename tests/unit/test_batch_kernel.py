"""The compiled loops of a batch, held to lmfit's curves, to differences, and to ArviZ's tails."""

import numpy as np
import pytest

from bayesinf.data.spectra import Spectrum
from bayesinf.diagnostics import smoothed_weights
from bayesinf.inference.derivatives import extrapolated, steps
from bayesinf.models.curve import Curve
from bayesinf.systems.gaussian_peaks.batch import Model, kernel
from bayesinf.systems.gaussian_peaks.batch.fitting import portion
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


def of_kernel(model, theta, weight):
    """Mean and weighted slopes, and lmfit's curve at the same x."""
    flat = portion([Spectrum("one", X, X, 1 / weight)], model)
    mean, slopes = np.empty(len(X)), np.empty((len(theta), len(X)))
    exponential = model.background == "exponential"
    shape = kernel.SHAPES[model.shape]
    kernel.curve(
        X, flat.design, exponential, X[0], shape, model.slots, theta, mean, slopes, weight, True
    )
    return mean, slopes, flat


@pytest.mark.parametrize(
    "options", MODELS, ids=lambda options: "-".join(map(str, options.values()))
)
def test_curve_and_slopes_are_those_of_lmfit(options):
    model = Model(**options)
    theta, weight = point(model), np.linspace(0.5, 2.0, len(X))
    mean, slopes, _ = of_kernel(model, theta, weight)
    lines = type(model.lines)(**options, origin=X[0], end=X[-1])
    curve = Curve(*lines.lmfit(), X)
    assert curve.free == model.free
    assert mean == pytest.approx(curve(theta), rel=1e-13, abs=1e-13)
    known = weight[:, None] * extrapolated(curve, theta, 16 * steps(curve, theta))
    assert np.transpose(slopes) == pytest.approx(known, rel=1e-7, abs=1e-8)


def test_bells_are_exponentials():
    found, work = np.empty(5000), np.empty(5000)
    x = np.sort(np.random.default_rng(1).uniform(-40, 40, 5000))
    kernel.bells(x, 0.3, 0.4, found, work)
    exact = np.exp(np.maximum(-0.4 * (x - 0.3) ** 2, -700.0))
    assert found == pytest.approx(exact, rel=5e-16)


def test_tails_are_those_of_arviz():
    rng = np.random.default_rng(2)
    log_weight = rng.standard_t(3, (40, 128)) * rng.uniform(0.1, 3, (40, 1))
    log_weight[3] = 0.0
    log_weight[4, 10:] = -np.inf
    found = np.empty(40)
    kernel.tails(log_weight, found)
    fine = np.arange(40) != 4
    assert found[fine] == pytest.approx(smoothed_weights(log_weight[fine])[1], rel=1e-10)
    assert found[3] == 0 and not found[4] <= 0.7
    long = rng.standard_normal((3, 1000))
    found = np.empty(3)
    kernel.tails(long, found)
    assert found == pytest.approx(smoothed_weights(long)[1], rel=1e-10)


@pytest.mark.parametrize("background", ["constant", "quadratic", "exponential", "none"])
def test_guesses_are_those_of_a_single_fit(background):
    model = Model(peaks=2, background=background)
    curve = Curve(*type(model.lines)(2, background, origin=X[0]).lmfit(), X)
    y = curve(point(model)) + 0.1 * np.random.default_rng(3).standard_normal(len(X))
    lines = type(model.lines)(2, background, origin=X[0], end=X[-1])
    known = [lines.flat(start) for start in guesses(X, y, lines)]
    starts = np.zeros((4, len(model.free)))
    flat = portion([Spectrum("one", X, y)], model)
    exponential = background == "exponential"
    count = kernel.guess(
        X, y, flat.design, exponential, X[0], model.slots, 1.0, np.empty(0), starts
    )
    assert count == 4
    for start, one in zip(starts, known, strict=False):
        assert start == pytest.approx([one[name] for name in model.free], rel=1e-6)


def test_draws_have_the_density_that_they_are_weighed_by():
    # Under ∫ p / q dq = Z the mean weight is the evidence: here that of a normal in one height.
    model, rng = Model(peaks=1, background="none"), np.random.default_rng(4)
    theta = np.array([6.0, 5.0, 1.0])
    curve = Curve(*type(model.lines)(1, "none").lmfit(), X)
    y = curve(theta) + 0.8 * rng.standard_normal(len(X))
    flat = portion([Spectrum("one", X, y, np.full(len(X), 0.8))], model)
    from bayesinf.systems.gaussian_peaks.batch.fitting import _curve, optima

    best = optima(flat, model, False)
    size = 40_000
    points, squared = np.empty((1, size, 3)), np.empty((1, size))
    log_weight, shift = np.empty((1, size)), np.empty((1, 3))
    kernel.weigh(
        *_curve(model, flat),
        flat.lower,
        flat.upper,
        best["theta"],
        best["covariance"],
        best["rss"],
        False,
        np.ones(1),
        rng.standard_normal((1, size, 3)),
        np.ones((1, size)),
        points,
        squared,
        log_weight,
        shift,
    )
    # The same integral on a grid in standard errors around the optimum.
    root = np.linalg.cholesky(best["covariance"][0])
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
