"""Gaussian processes of few points, whose hyperparameters are inferred."""

from __future__ import annotations

import numpy as np

from bayesinf import priors
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from posteriors.marginals import by_weights
from posteriors.registry import reference

LENGTH, AMPLITUDE, NOISE = (0.3, 0.5), (1.0, 0.5), (0.1, 0.5)  # of log-normal priors


def _marginal(data, length, amplitude, noise):
    x, y = data["x"], data["y"]
    square = (x[:, None] - x) ** 2
    shape = np.broadcast_shapes(*(np.shape(each) for each in (length, amplitude, noise)))
    flat = [np.broadcast_to(each, shape).ravel() for each in (length, amplitude, noise)]
    found = []
    for part in zip(*(np.array_split(each, 200) for each in flat), strict=True):
        length, amplitude, noise = (each[:, None, None] for each in part)
        covariance = amplitude**2 * np.exp(-0.5 * square / length**2)
        covariance = covariance + noise**2 * np.eye(len(x))
        root = np.linalg.cholesky(covariance)
        z = np.linalg.solve(root, np.broadcast_to(y[:, None], (len(root), len(y), 1)))[..., 0]
        found.append(
            -0.5 * np.sum(z**2, axis=1)
            - np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), axis=1)
        )
    return np.concatenate(found).reshape(shape)


def _by_logs(log_density, spans, size):
    """A grid in the logarithms of what has log-normal priors; marginals of the numbers."""
    steps = np.linspace(-4.5, 4.5, size)
    axes = {name: np.exp(np.log(m) + steps * s) for name, (m, s) in spans.items()}
    at = np.meshgrid(*axes.values(), indexing="ij")
    z = np.meshgrid(*[steps] * len(spans), indexing="ij")
    height = log_density(*at) - 0.5 * sum(each**2 for each in z)
    weight = np.exp(height - height.max())
    return {name: by_weights(each, weight) for name, each in zip(axes, at, strict=True)}


def _process(data, noise):
    known = {"length_scale": LENGTH, "amplitude": AMPLITUDE} | ({} if noise else {"noise": NOISE})
    given = {name: priors.LogNormal(*ends) for name, ends in known.items()}
    points = curve_from_arrays(data["x"], data["y"])
    return gp.process(points, "se", noise=noise or None, priors=given)


@reference("a Gaussian process through seven points, its noise known", "quadrature")
class Field:
    def make(rng):
        x = np.sort(rng.random(7))
        return {"x": x, "y": np.sin(6 * x) + 0.05 * rng.standard_normal(7)}

    def stated(data):
        return _process(data, 0.05)

    def known(data, rng):
        spans = {"length_scale": LENGTH, "amplitude": AMPLITUDE}
        return _by_logs(lambda *at: _marginal(data, *at, np.array(0.05)), spans, 241)


@reference("a Gaussian process whose noise is inferred", "quadrature in three dimensions")
class NoisyField:
    def make(rng):
        x = np.sort(rng.random(10))
        return {"x": x, "y": np.sin(6 * x) + 0.15 * rng.standard_normal(10)}

    def stated(data):
        return _process(data, 0.0)

    def known(data, rng):
        spans = {"length_scale": LENGTH, "amplitude": AMPLITUDE, "noise": NOISE}
        return _by_logs(lambda *at: _marginal(data, *at), spans, 61)
