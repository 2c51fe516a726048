"""Linear models whose widths are known, and inferred."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayesinf import priors
from bayesinf.models import linear
from posteriors.marginals import by_grid, by_weights, of_distribution
from posteriors.registry import reference


@reference("three weights under a normal prior, all widths known", "closed form: normal")
class Weights:
    def make(rng):
        X = rng.standard_normal((20, 3))
        return {"X": X, "y": X @ [1.0, 0.5, 0.0] + 0.5 * rng.standard_normal(20)}

    def stated(data):
        return linear.regression(data["X"], data["y"], linear.Gaussian(1.0), noise=0.5)

    def known(data, rng):
        X, y = data["X"], data["y"]
        covariance = np.linalg.inv(X.T @ X / 0.25 + np.eye(3))
        mean, sds = covariance @ X.T @ y / 0.25, np.sqrt(np.diag(covariance))
        pairs = enumerate(zip(mean, sds, strict=True))
        return {f"beta[{k}]": of_distribution(stats.norm(m, s)) for k, (m, s) in pairs}


@reference("three weights whose noise and width are inferred", "quadrature over the two widths")
class Shrunk:
    def make(rng):
        return Weights.make(rng)

    def stated(data):
        prior = linear.Gaussian(priors.LogNormal(1.0, 0.7))
        return linear.regression(data["X"], data["y"], prior, noise=priors.LogNormal(0.5, 0.7))

    def known(data, rng):
        X, y = data["X"], data["y"]
        values, axes_ = np.linalg.eigh(X @ X.T)
        rotated = axes_.T @ y

        def log_density(log_scale, log_sigma):
            variance = np.exp(2 * log_scale)[..., None] * values + np.exp(2 * log_sigma)[..., None]
            fit = -0.5 * np.sum(np.log(variance) + rotated**2 / variance, axis=-1)
            prior = (log_scale / 0.7) ** 2 + ((log_sigma - np.log(0.5)) / 0.7) ** 2
            return fit - 0.5 * prior

        grid = {
            "log_scale": np.linspace(-3.5, 4.5, 401),
            "log_sigma": np.log(0.5) + np.linspace(-1.5, 2, 401),
        }
        at = np.meshgrid(*grid.values(), indexing="ij")
        weight = np.exp(log_density(*at) - log_density(*at).max())
        sigma = np.exp(at[1])
        found = {"sigma": by_weights(sigma, weight), "scale": by_weights(np.exp(at[0]), weight)}
        return {"sigma": found["sigma"]} | _mixed(X, y, *map(np.ravel, (at[0], at[1], weight)))


def _mixed(X, y, log_scale, log_sigma, weight):
    """Marginals of weights that are normal given the widths."""
    keep = weight > 1e-9 * weight.max()
    weight = weight[keep] / weight[keep].sum()
    scale, sigma = np.exp(log_scale[keep]), np.exp(log_sigma[keep])
    precision = X.T @ X / sigma[:, None, None] ** 2 + np.eye(3) / scale[:, None, None] ** 2
    covariance = np.linalg.inv(precision)
    means = np.einsum("kij,j->ki", covariance, X.T @ y) / sigma[:, None] ** 2
    found = {}
    for k in range(3):
        m, s = means[:, k], np.sqrt(covariance[:, k, k])
        middle = weight @ m
        spread = np.sqrt(weight @ (s**2 + (m - middle) ** 2))
        grid = np.linspace(middle - 8 * spread, middle + 8 * spread, 1201)
        height = sum(
            w @ stats.norm.pdf(grid, mean[:, None], sd[:, None])
            for w, mean, sd in zip(*(np.array_split(a, 60) for a in (weight, m, s)), strict=True)
        )
        found[f"beta[{k}]"] = by_grid(lambda x, h=height: np.log(h), {"x": grid})["x"]
    return found
