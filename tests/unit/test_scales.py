"""The same data in other units, and from another origin, have the same posterior."""

import lmfit
import numpy as np
import pytest

from bayesinf.data import curve_from_arrays
from bayesinf.models import curve
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as peaks

SHORT = Settings(draws=250, chains=4, prior_draws=20)
X = np.linspace(500, 510, 81)


def spectrum():
    shape = {"height": (10.0, 6.0), "center": (503.0, 506.5), "sigma": (0.8, 0.6)}
    data = peaks.simulate(X, **shape, background_level=1.0, noise=0.5)
    return data[data.attrs["y"]].values


def fitted(x, y):
    return peaks.fit(curve_from_arrays(x, y), peaks=2, settings=SHORT)["posterior"]


# x ← a x + b, y ← c y + d; the tolerance is in posterior sd. Far from their origin the data
# themselves are rounded: to 1e-7 of seconds since 1970, and of 1e9 counts.
UNITS = {
    "metres for nanometres": (1e-9, 0.0, 1.0, 0.0, 1e-6),
    "hertz": (1e14, 0.0, 1.0, 0.0, 1e-6),
    "a small signal": (1.0, 0.0, 1e-20, 0.0, 1e-6),
    "another origin": (1.0, 1e6, 1.0, 0.0, 1e-6),
    "seconds since 1970": (1.0, 1.7e9, 1.0, 0.0, 1e-3),
    "a large offset": (1.0, 0.0, 1.0, 1e9, 1e-3),
}


@pytest.mark.parametrize("unit", UNITS)
def test_peaks_are_the_same_in_any_unit_and_from_any_origin(unit):
    a, b, c, d, tolerance = UNITS[unit]
    y = spectrum()
    before, after = fitted(X, y), fitted(a * X + b, c * y + d)
    back = {
        "center": (b, a),
        "sigma": (0.0, a),
        "height": (0.0, c),
        "background_level": (d, c),
        "amplitude": (0.0, a * c),
        "noise": (0.0, c),
    }
    for name, (shift, scale) in back.items():
        p, q = before[name].values, (after[name].values - shift) / scale
        sd = p.std(axis=(0, 1))
        np.testing.assert_allclose(
            (q.mean(axis=(0, 1)) - p.mean(axis=(0, 1))) / sd, 0, atol=tolerance
        )
        np.testing.assert_allclose(q.std(axis=(0, 1)) / sd, 1, atol=tolerance)


FUNCTIONS = {
    "decay": (lambda x, b1, b2: b1 * np.exp(-b2 * x), (3.0, 0.7), lambda a, c: (c, 1 / a)),
    "Hill": (lambda x, b1, b2: b1 * x / (b2 + x), (5.0, 1.5), lambda a, c: (c, a)),
    "two decays": (
        lambda x, b1, b2, b3, b4: b1 * np.exp(-b2 * x) + b3 * np.exp(-b4 * x),
        (3.0, 0.3, 4.0, 2.0),
        lambda a, c: (c, 1 / a, c, 1 / a),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("a", "c"), [(1e-8, 1.0), (1e12, 1e-20)])
def test_any_function_is_the_same_in_any_unit(name, a, c):
    function, truth, units = FUNCTIONS[name]
    x = np.linspace(0.2, 6, 40)
    y = function(x, *truth) + 0.03 * np.random.default_rng(1).normal(size=40)
    model, factor = lmfit.Model(function), np.array(units(a, c))

    def fit(x, y, scale):
        start = {
            f"b{i + 1}": 1.2 * v * s for i, (v, s) in enumerate(zip(truth, scale, strict=True))
        }
        return curve.fit(model, model.make_params(**start), x, y, settings=SHORT)["posterior"]

    before, after = fit(x, y, np.ones(len(truth))), fit(a * x, c * y, factor)
    for i, scale in enumerate(factor):
        p, q = before[f"b{i + 1}"].values, after[f"b{i + 1}"].values / scale
        np.testing.assert_allclose((q.mean() - p.mean()) / p.std(), 0, atol=1e-6)
        np.testing.assert_allclose(q.std() / p.std(), 1, atol=1e-6)
