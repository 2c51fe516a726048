"""Densities of a user's own: conjugate ones, scattering laboratories, shapes that are hard."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayesinf import priors
from bayesinf.data import curve_from_arrays
from bayesinf.models import density
from bayesinf.systems import metropolis
from posteriors.marginals import by_grid, by_weights, of_distribution
from posteriors.registry import reference


def _density(prior, log_likelihood):
    return density.problem(density.LogDensity(prior, log_likelihood, vectorised=True))


@reference("the rate of counts", "closed form: gamma")
class Rate:
    def make(rng):
        return {"counts": rng.poisson(3.0, 6)}

    def stated(data):
        n, k = len(data["counts"]), data["counts"].sum()
        return _density({"rate": priors.Gamma(2.0, 1.0)}, lambda rate: k * np.log(rate) - n * rate)

    def known(data, rng):
        n, k = len(data["counts"]), data["counts"].sum()
        return {"rate": of_distribution(stats.gamma(2.0 + k, scale=1 / (1.0 + n)))}


@reference("the efficiency of a detector, nine of ten seen", "closed form: beta")
class Efficiency:
    def make(rng):
        return {"seen": np.array(9), "of": np.array(10)}

    def stated(data):
        k, n = float(data["seen"]), float(data["of"])

        def log_likelihood(share):
            return k * np.log(share) + (n - k) * np.log1p(-share)

        return _density({"share": priors.Beta(1.0, 1.0)}, log_likelihood)

    def known(data, rng):
        k, n = float(data["seen"]), float(data["of"])
        return {"share": of_distribution(stats.beta(1 + k, 1 + n - k))}


@reference("a lifetime from eight decays", "closed form: inverse gamma")
class Lifetime:
    def make(rng):
        return {"times": rng.exponential(2.0, 8)}

    def stated(data):
        n, total = len(data["times"]), data["times"].sum()
        prior = {"lifetime": priors.InverseGamma(2.0, 2.0)}
        return _density(prior, lambda lifetime: -n * np.log(lifetime) - total / lifetime)

    def known(data, rng):
        n, total = len(data["times"]), data["times"].sum()
        return {"lifetime": of_distribution(stats.invgamma(2.0 + n, scale=2.0 + total))}


@reference("a constant of eight laboratories that scatter", "quadrature in two dimensions")
class Laboratories:
    def make(rng):
        error = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
        return {"y": 5 + np.hypot(error, 6.0) * rng.standard_normal(8), "error": error}

    def stated(data):
        prior = {"mu": priors.Normal(0.0, 50.0), "excess": priors.HalfNormal(10.0)}

        def log_likelihood(mu, excess):
            variance = data["error"] ** 2 + np.asarray(excess)[..., None] ** 2
            off = data["y"] - np.asarray(mu)[..., None]
            return -0.5 * np.sum(np.log(variance) + off**2 / variance, axis=-1)

        return _density(prior, log_likelihood)

    def known(data, rng):
        def log_density(mu, excess):
            found = -0.5 * (mu / 50) ** 2 - 0.5 * (excess / 10) ** 2
            for y, error in zip(data["y"], data["error"], strict=True):
                variance = error**2 + excess**2
                found = found - 0.5 * (np.log(variance) + (y - mu) ** 2 / variance)
            return found

        half = (np.arange(1500) + 0.5) * 60 / 1500  # midpoints, for the density is not zero at 0
        return by_grid(log_density, {"mu": np.linspace(-45, 60, 1501), "excess": half})


def _target(name):
    """A target of the system metropolis, in a flat box."""
    target = metropolis.TARGETS[name]
    box = dict.fromkeys(target.names, priors.Uniform(-60.0, 60.0))

    def log_likelihood(**values):
        return target.log_density(np.stack([values[n] for n in target.names], axis=-1))

    return _density(box, log_likelihood)


@reference("a banana: a thin bent ridge", "closed form: normal, and a square of it")
class Banana:
    def make(rng):
        return {"bend": np.array(3.0), "width": np.array(0.1)}

    def stated(data):
        return _target("banana")

    def known(data, rng):
        z = np.linspace(-9, 9, 3001)
        u = np.linspace(-6, 6, 241)
        y = data["bend"] * (z[:, None] ** 2 - 1) + data["width"] * u
        return {
            "x": of_distribution(stats.norm()),
            "y": by_weights(y, np.exp(-0.5 * z[:, None] ** 2 - 0.5 * u**2)),
        }


@reference("two modes, of 70 and 30 %", "closed form: a mixture of normals")
class TwoModes:
    def make(rng):
        return {"place": np.array(4.0), "width": np.array(0.5), "share": np.array(0.7)}

    def stated(data):
        return _target("two modes, begun at both")

    def known(data, rng):
        place, width, share = (float(data[name]) for name in ("place", "width", "share"))
        x = np.linspace(-9, 9, 20001)

        def log_density(x):
            up, down = (stats.norm(side * place, width).pdf(x) for side in (1, -1))
            return np.log(share * up + (1 - share) * down)

        return {name: by_grid(log_density, {"x": x})["x"] for name in ("x", "y")}


@reference("a place that was measured twenty times", "closed form: normal")
class Place:
    def make(rng):
        measured = metropolis.simulate(rng=rng)
        return {"x": measured["x"].values, "y": measured["y"].values}

    def stated(data):
        measured = curve_from_arrays(data["x"], data["y"], sort=False)
        return metropolis.model.problem(measured, metropolis.SCATTER)

    def known(data, rng):
        precision = 20 * np.linalg.inv([[1, 0.4], [0.4, 1]])
        covariance = np.linalg.inv(precision + np.eye(2) / 1e4)
        mean = covariance @ (precision @ [data["x"].mean(), data["y"].mean()])
        sds = np.sqrt(np.diag(covariance))
        pairs = zip(("mu_x", "mu_y"), mean, sds, strict=True)
        return {name: of_distribution(stats.norm(m, s)) for name, m, s in pairs}
