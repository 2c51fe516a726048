"""Few spins, in and out of equilibrium, whose states are enumerated."""

from __future__ import annotations

import numpy as np

from bayesinf import priors
from bayesinf.models import linear
from bayesinf.models.binary import logistic, pairwise
from bayesinf.models.binary.couplings import CouplingPrior
from posteriors.marginals import by_grid, by_long_run
from posteriors.registry import reference

FIELD, COUPLING = 1.0, 1.0  # sds of the priors
SPINS = CouplingPrior(priors.Normal(0.0, FIELD), linear.Gaussian(COUPLING))


def _states(sites):
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * sites, indexing="ij")).reshape(sites, -1).T


def _drawn(rng, h, J, count):
    states = _states(len(h))
    pairs = np.triu_indices(len(h), 1)
    log_p = states @ h + (states[:, pairs[0]] * states[:, pairs[1]]) @ J
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    return {"states": states[rng.choice(len(states), count, p=p)].astype(int)}


@reference("two coupled spins in equilibrium", "enumeration of states, quadrature in three")
class TwoSpins:
    def make(rng):
        return _drawn(rng, np.array([0.4, -0.2]), np.array([0.6]), 60)

    def stated(data):
        return pairwise.problem(data["states"], encoding="±1", prior=SPINS)

    def known(data, rng):
        s = data["states"].astype(float)
        means, pair, count = s.mean(axis=0), np.mean(s[:, 0] * s[:, 1]), len(s)

        def log_density(a, b, c):
            terms = [i * a + j * b + i * j * c for i in (-1, 1) for j in (-1, 1)]
            log_z = np.logaddexp.reduce(np.broadcast_arrays(*terms), axis=0)
            fit = count * (means[0] * a + means[1] * b + pair * c - log_z)
            return fit - 0.5 * (a**2 + b**2) / FIELD**2 - 0.5 * (c / COUPLING) ** 2

        grid = np.linspace(-2.5, 3.0, 161)
        found = by_grid(_renamed(log_density), {"h[0]": grid, "h[1]": grid, "J": grid})
        return {"h[0]": found["h[0]"], "h[1]": found["h[1]"], "J[0, 1]": found["J"]}


def _renamed(function):
    """A density of a, b, c whose axes bear other names."""
    return lambda **given: function(*given.values())


@reference("three coupled spins", "enumeration of states, a long run of 400 chains")
class ThreeSpins:
    def make(rng):
        return _drawn(rng, np.array([0.3, -0.2, 0.0]), np.array([0.5, -0.4, 0.2]), 80)

    def stated(data):
        return pairwise.problem(data["states"], encoding="±1", prior=SPINS)

    def known(data, rng):
        s, pairs = data["states"].astype(float), np.triu_indices(3, 1)
        features = np.concatenate([s, s[:, pairs[0]] * s[:, pairs[1]]], axis=1).mean(axis=0)
        states = _states(3)
        every = np.concatenate([states, states[:, pairs[0]] * states[:, pairs[1]]], axis=1)

        def log_density(theta):
            log_z = np.logaddexp.reduce(theta @ every.T, axis=1)
            fit = len(s) * (theta @ features - log_z)
            return fit - 0.5 * np.sum(theta[:, :3] ** 2, 1) - 0.5 * np.sum(theta[:, 3:] ** 2, 1)

        names = [f"h[{i}]" for i in range(3)] + [
            f"J[{i}, {j}]" for i, j in zip(*pairs, strict=True)
        ]
        return by_long_run(log_density, np.zeros(6), names, rng)


@reference("two spins out of equilibrium", "quadrature in three dimensions a site")
class Kinetic:
    def make(rng):
        h, J = np.array([0.2, -0.1]), np.array([[0.5, 0.4], [-0.6, 0.3]])
        states = np.ones((81, 2))
        for t in range(80):
            up = 1 / (1 + np.exp(-2 * (h + J @ states[t])))
            states[t + 1] = np.where(rng.random(2) < up, 1, -1)
        return {"states": states.astype(int)}

    def stated(data):
        return logistic.problem(data["states"], encoding="±1", prior=SPINS)

    def known(data, rng):
        s, found = data["states"].astype(float), {}
        grid = np.linspace(-2.0, 2.2, 141)
        for i in range(2):

            def log_density(h, a, b, i=i):
                total = -0.5 * h**2 / FIELD**2 - 0.5 * (a**2 + b**2) / COUPLING**2
                kinds, counts = np.unique(
                    np.column_stack([s[:-1], s[1:, i]]), axis=0, return_counts=True
                )
                for (x, y, new), count in zip(kinds, counts, strict=True):
                    total = total - count * np.logaddexp(0, -2 * new * (h + a * x + b * y))
                return total

            names = (f"h[{i}]", f"J[{i}, 0]", f"J[{i}, 1]")
            found |= by_grid(_renamed(log_density), dict.fromkeys(names, grid))
        return found
