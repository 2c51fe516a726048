"""Curves: straight lines, a decay, counts, NIST's data, an oscillation."""

from __future__ import annotations

import lmfit
import numpy as np
from scipy import stats

from bayesinf import priors
from bayesinf.data import curve_from_arrays
from bayesinf.models import curve
from posteriors.marginals import by_grid, by_weights, of_distribution
from posteriors.registry import reference


def _curve(f, data, flat, error=True, **options):
    """A curve with uniform priors, begun in their middle."""
    params = lmfit.Parameters()
    for name, (low, high) in flat.items():
        params.add(name, value=(low + high) / 2)
    points = curve_from_arrays(data["x"], data["y"], data["error"] if error else None)
    given = {name: priors.Uniform(*ends) for name, ends in flat.items()}
    return curve.problem(lmfit.Model(f), params, points, priors=given, **options)


def _chi_square(f, data):
    """−½ χ² of a curve on a grid of its parameters."""

    def log_density(**theta):
        total = 0.0
        for x, y, error in zip(data["x"], data["y"], data["error"], strict=True):
            total = total - 0.5 * ((y - f(x, **theta)) / error) ** 2
        return total

    return log_density


def _squares(f, data):
    """Log density of a curve whose noise, flat in its logarithm, is integrated out."""

    def log_density(**theta):
        rss = sum((y - f(x, **theta)) ** 2 for x, y in zip(data["x"], data["y"], strict=True))
        return -len(data["x"]) / 2 * np.log(rss)

    return log_density


def line(x, a, b):
    return a + b * x


WIDE = {"a": (-100.0, 100.0), "b": (-100.0, 100.0)}


@reference("a straight line with known error bars", "closed form: normal")
class Line:
    def make(rng):
        x = np.linspace(0, 5, 12)
        error = np.linspace(0.2, 0.6, 12)
        return {"x": x, "y": line(x, 1, 2) + error * rng.standard_normal(12), "error": error}

    def stated(data):
        return _curve(line, data, WIDE)

    def known(data, rng):
        design = np.stack([np.ones(12), data["x"]], axis=1) / data["error"][:, None]
        covariance = np.linalg.inv(design.T @ design)
        mean = covariance @ design.T @ (data["y"] / data["error"])
        sds = np.sqrt(np.diag(covariance))
        pairs = zip("ab", mean, sds, strict=True)
        return {name: of_distribution(stats.norm(m, s)) for name, m, s in pairs}


@reference("a straight line whose noise is inferred", "closed form: Student's t and inverse chi")
class LineNoise:
    def make(rng):
        x = np.linspace(0, 5, 12)
        return {"x": x, "y": line(x, 1, 2) + 0.4 * rng.standard_normal(12)}

    def stated(data):
        return _curve(line, data, WIDE, False, noise=priors.LogUniform(1e-5, 1e3))

    def known(data, rng):
        design = np.stack([np.ones(12), data["x"]], axis=1)
        mean, (rss,), *_ = np.linalg.lstsq(design, data["y"], rcond=None)
        sds = np.sqrt(rss / 10 * np.diag(np.linalg.inv(design.T @ design)))
        found = {
            name: of_distribution(stats.t(10, m, s))
            for name, m, s in zip("ab", mean, sds, strict=True)
        }
        # noise² = RSS / χ²₁₀, so that noise is √RSS over a chi-distributed number.
        inverse = stats.gengamma(5, -2, scale=np.sqrt(rss / 2))
        return found | {"noise": of_distribution(inverse)}


def decay(x, amplitude, lifetime):
    return amplitude * np.exp(-x / lifetime)


@reference("a decay in few points", "quadrature in two dimensions")
class Decay:
    flat = {"amplitude": (0.2, 3.0), "lifetime": (0.1, 12.0)}  # noqa: RUF012

    def make(rng):
        x = np.linspace(0.2, 4, 10)
        error = np.full(10, 0.12)
        return {"x": x, "y": decay(x, 1, 1.5) + 0.12 * rng.standard_normal(10), "error": error}

    def stated(data):
        return _curve(decay, data, Decay.flat)

    def known(data, rng):
        axes = {name: np.linspace(*ends, 1201) for name, ends in Decay.flat.items()}
        return by_grid(_chi_square(decay, data), axes)


def counted(x, height, center):
    return height * np.exp(-0.5 * ((x - center) / 0.5) ** 2) + 1.0


@reference("a line of a spectrum in few counts, Poisson", "quadrature in two dimensions")
class Counts:
    flat = {"height": (0.0, 30.0), "center": (-2.0, 2.0)}  # noqa: RUF012

    def make(rng):
        x = np.linspace(-2, 2, 25)
        return {"x": x, "y": rng.poisson(counted(x, 6, 0.3)).astype(float)}

    def stated(data):
        return _curve(counted, data, Counts.flat, False, likelihood="poisson")

    def known(data, rng):
        def log_density(height, center):
            rates = (counted(x, height, center) for x in data["x"])
            return sum(y * np.log(r) - r for r, y in zip(rates, data["y"], strict=True))

        axes = {name: np.linspace(*ends, 1201) for name, ends in Counts.flat.items()}
        return by_grid(log_density, axes)


def saturating(x, b1, b2):
    return b1 * (1 - np.exp(-b2 * x))


@reference("Misra1a of NIST StRD: volume adsorbed at a pressure", "quadrature, mode certified")
class Misra:
    flat = {"b1": (190.0, 310.0), "b2": (3.6e-4, 7.4e-4)}  # noqa: RUF012
    certified = (238.94212918, 5.5015643181e-4)  # where the log density is largest

    def make(rng):
        x = [77.6, 114.9, 141.1, 190.8, 239.9, 289, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1]
        x += [689.1, 760]
        y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.4]
        return {"x": np.array(x), "y": np.array([*y, 75.47, 81.78])}

    def stated(data):
        return _curve(saturating, data, Misra.flat, False, noise=priors.LogUniform(1e-4, 1e3))

    def known(data, rng):
        # Along the valley b1 b2 hardly varies: the grid is one in b1 and in b1 b2.
        b1 = np.linspace(*Misra.flat["b1"], 2401)
        product = np.linspace(0.1295, 0.1335, 1601)

        def log_density(b1, product):
            return _squares(saturating, data)(b1=b1, b2=product / b1) - np.log(b1)

        found = by_grid(log_density, {"b1": b1, "product": product})
        height = log_density(b1[:, None], product)
        at = np.unravel_index(np.argmax(height + np.log(b1)[:, None]), height.shape)
        top = b1[at[0]], product[at[1]] / b1[at[0]]
        np.testing.assert_allclose(top, Misra.certified, rtol=1e-3)
        weight = np.exp(height - height.max())
        return {"b1": found["b1"], "b2": by_weights(product / b1[:, None], weight)}


@reference("BoxBOD of NIST StRD: oxygen demand, in a stated box", "quadrature in two dimensions")
class BoxBod:
    flat = {"b1": (100.0, 400.0), "b2": (0.05, 3.0)}  # noqa: RUF012

    def make(rng):
        y = [109.0, 149, 149, 191, 213, 224]
        return {"x": np.array([1.0, 2, 3, 5, 7, 10]), "y": np.array(y)}

    def stated(data):
        return _curve(saturating, data, BoxBod.flat, False, noise=priors.LogUniform(1e-3, 1e5))

    def known(data, rng):
        axes = {name: np.linspace(*ends, 1801) for name, ends in BoxBod.flat.items()}
        return by_grid(_squares(saturating, data), axes)


def wave(x, frequency, cosine, sine):
    phase = 2 * np.pi * frequency * x
    return cosine * np.cos(phase) + sine * np.sin(phase)


@reference("the frequency of an oscillation", "quadrature in three dimensions")
class Oscillation:
    flat = {"frequency": (0.35, 0.65), "cosine": (-2.5, 2.5), "sine": (-2.5, 2.5)}  # noqa: RUF012

    def make(rng):
        x = np.sort(10 * rng.random(30))
        error = np.full(30, 0.5)
        return {"x": x, "y": wave(x, 0.5, 0.8, 0.6) + 0.5 * rng.standard_normal(30), "error": error}

    def stated(data):
        return _curve(wave, data, Oscillation.flat)

    def known(data, rng):
        axes = {name: np.linspace(*ends, 181) for name, ends in Oscillation.flat.items()}
        return by_grid(_chi_square(wave, data), axes)
