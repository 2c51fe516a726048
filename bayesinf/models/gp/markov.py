"""The family of one input, with kernels that remember only a state: cost that grows with n, not n³.

A Matérn process of order 1/2, 3/2 or 5/2 is the first of a vector of one, two or three numbers, the
curve and its slopes, that moves as a Markov chain from datum to datum; a sum of such processes is a
longer vector. So a Kalman filter gives the marginal likelihood, and one pass backwards α = K⁻¹(y −
m) and diag K⁻¹, from which leave-one-out and curves follow: the same numbers as from the Cholesky
factor, to rounding.

Hartikainen & Särkkä, IEEE International Workshop on Machine Learning for Signal Processing, 379
(2010), doi:10.1109/MLSP.2010.5589113; de Jong, Journal of the American Statistical Association 84,
1085 (1989), doi:10.1080/01621459.1989.10478876.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesinf.models.gp.definition import Process
from bayesinf.models.gp.kernels import Exponential, Kernel, Matern32, Matern52, Sum
from bayesinf.models.gp.marginal import LeftOut
from bayesinf.models.gp.outlook import REPLICAS, STRETCHES, TOGETHER, stretches
from bayesinf.models.problem import Problem

__all__ = ["LEAST", "Series", "possible"]

LEAST = 400  # data from which the Markov form is taken
ORDERS = {Exponential: 1, Matern32: 2, Matern52: 3}
STEP = 1e-4  # of differences of the log density, in standardised parameters


def possible(kernel: Kernel) -> bool:
    """Tell whether a kernel is a Matérn of order 1/2, 3/2 or 5/2, or a sum of those."""
    if isinstance(kernel, Sum):
        return all(possible(part) for part in kernel.parts)
    return type(kernel) in ORDERS


@dataclass(frozen=True)
class Series(Process):
    """A ``Process`` whose kernel is Markov, on data that may be many; ``process`` chooses it."""

    power = 1

    def memory(self, settings) -> float:
        """Bytes of what is known of each datum at the draws that are looked at together."""
        draws, size = settings.chains * settings.draws, len(self.y)
        kept = 0.0 if stretches(size) is None else 2.0 * (REPLICAS + draws * STRETCHES)
        together = draws * size if stretches(size) is None else max(TOGETHER, size)
        return Problem.memory(self, settings) + 8.0 * (9 * together + kept)

    def condition(self, theta) -> None:
        """None: no matrix is made."""

    @cached_property
    def _orders(self):
        return np.array([ORDERS[type(leaf)] for leaf in self.kernel.leaves()])

    @cached_property
    def _order(self):
        return self._between(self.measured)[0]

    @cached_property
    def _gaps(self):
        return self._between(self.measured)[1]

    def _places(self, x):
        """Where the data are, and then new places, in the kernel's coordinate."""
        return np.concatenate([self.measured, self.coordinate.of(x, self.x_name)])

    def _between(self, places):
        """The order in which places stand, and the gaps between them."""
        order = np.argsort(places, kind="stable")
        return order, np.diff(places[order])

    def _blocks(self, theta):
        """λ and a² of each process, for one θ."""
        leaves = self.kernel.leaves()
        scale = np.array([float(theta[f"length_scale{leaf.suffix}"]) for leaf in leaves])
        size = np.array([float(theta[f"amplitude{leaf.suffix}"]) for leaf in leaves])
        return np.sqrt(2 * self._orders - 1) / scale, size**2

    def _sizes(self, theta, x):
        return np.ones(len(x)) if self.envelope is None else self.envelope.value(x, theta)

    def _filtered(self, theta):
        """Residuals of the filter, their variance, P Hᵀ, and what they were made of, for one θ."""
        from bayesinf.models.gp import markov_kernel as compiled

        order, y = self._order, self.y - self.expected(theta)
        variance = np.broadcast_to(self.noise_variance(theta), y.shape)
        y, variance, size = y[order], variance[order], self._sizes(theta, self.x)[order]
        world = variance, size, self._orders, *self._blocks(theta)
        told, total, share = compiled.forward(self._gaps, y, *world)
        return order, y - told, total, share, world

    def _each(self, theta):
        """One θ after the other."""
        for k in range(len(next(iter(theta.values())))):
            yield {name: value[k] for name, value in theta.items()}

    def _conditional(self, theta):
        """log p(y_i | those before it along the coordinate), (draw, point) in the data's order."""
        found = []
        for one in self._each(theta):
            order, off, total, *_ = self._filtered(one)
            row = np.empty(len(off))
            row[order] = -0.5 * (off**2 / total + np.log(2 * np.pi * total))
            found.append(row)
        return np.array(found)

    def _log_marginal(self, theta):
        with np.errstate(all="ignore"):
            found = np.sum(self._conditional(theta), axis=-1)
        return np.where(np.isfinite(found), found, -np.inf)

    def log_likelihood(self, draws):
        """log p(y_i | those before it), which add up to the log marginal likelihood."""
        return self.apart(self.by_draw(self._conditional, draws))

    def gradient(self, u):
        """Log density and its gradient at one point, by central differences."""
        size = len(u)
        shifts = STEP * np.concatenate([np.zeros((1, size)), np.eye(size), -np.eye(size)])
        value, *around = self.log_density(u + shifts)
        with np.errstate(invalid="ignore"):  # where there is no density is sorted out
            slope = (np.array(around[:size]) - np.array(around[size:])) / (2 * STEP)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return -np.inf, np.zeros(size)
        return float(value), slope

    def replicate(self, draws, rng):
        """Draw data from N(m, K)."""
        from bayesinf.models.gp import markov_kernel as compiled

        z = rng.standard_normal((*self.lead(draws), len(self.y)))

        def expect(part):
            found = []
            for one in self._each(part):
                order, *_, world = self._filtered(one)
                row = np.empty(len(order))
                row[order] = compiled.innovations(self._gaps, one["z"][order], *world)
                found.append(self.expected(one) + row)
            return np.array(found)

        return self.apart(self.by_draw(expect, draws, z=z))

    def left_out(self, theta, rng) -> LeftOut:
        """Predict each observation from all the others, for parameters of shape (draw,)."""
        from bayesinf.models.gp import markov_kernel as compiled

        (count,), size = self.lead(theta), len(self.y)

        def solve(part):
            rows = []
            for one in self._each(part):
                order, off, total, share, (*world, last) = self._filtered(one)
                replica = np.sqrt(total) * one["replica"][order]
                row = np.empty((5, len(order)))
                for place, residuals in ((0, off), (1, replica)):
                    row[place, order], q, *_ = compiled.backward(
                        self._gaps, residuals, total, share, *world
                    )
                z = one["replica"][order]
                row[2, order] = compiled.innovations(self._gaps, z, *world, last)
                row[3, order] = q
                row[4, order] = -0.5 * (off**2 / total + np.log(2 * np.pi * total))
                rows.append(row)
            return np.array(rows)

        noise = rng.standard_normal((count, size))
        found = self.in_chunks(solve, dict(theta) | {"replica": noise}, count)
        alpha, *others = np.moveaxis(found, 1, 0)
        return self.judged(theta, alpha, alpha, *others, np.zeros(count))

    def _smoothed(self, theta, x, y):
        """Mean and variance of a curve of zero mean at x given data y, for one θ."""
        from bayesinf.models.gp import markov_kernel as compiled

        order, gaps = self._between(self._places(x))
        seen = len(self.y)
        y = np.concatenate([y, np.zeros(len(x))])[order]
        variance = np.broadcast_to(self.noise_variance(theta), self.y.shape)
        variance = np.concatenate([variance, np.full(len(x), np.inf)])[order]
        size = self._sizes(theta, np.concatenate([self.x, x]))[order]
        world = variance, size, self._orders, *self._blocks(theta)
        told, total, share = compiled.forward(gaps, y, *world)
        *_, shift, loss = compiled.backward(gaps, y - told, total, share, *world[:-1])
        place = np.argsort(order)[seen:]
        heads = np.cumsum(self._orders) - self._orders
        own = size[place] * share[place][:, heads].sum(axis=1)
        return told[place] + shift[place], own - loss[place]

    def pointwise_curve(self, theta, x):
        """Mean and sd of the curve at each x given the data, (draw, new)."""
        found = [self._smoothed(one, x, self.y - self.expected(one)) for one in self._each(theta)]
        rise, variance = map(np.array, zip(*found, strict=True))
        return self.mean.value(x, theta) + rise, np.sqrt(np.maximum(variance, 0.0))

    def curves(self, theta, x, slope, rng):
        """Mean, sd and a joint draw of the curve at x, as ``Marginal.curves``.

        What is drawn is a curve of the prior with data of its own, moved by what it lacks to meet
        the data (Durbin & Koopman, Biometrika 89, 603 (2002), doi:10.1093/biomet/89.3.603).
        """
        if slope:
            return super().curves(theta, x, slope, rng)
        from bayesinf.models.gp import markov_kernel as compiled

        (count,) = self.lead(theta)
        mean, sd = self.pointwise_curve(theta, x)
        z = rng.standard_normal((count, len(self.y) + len(x)))
        order, gaps = self._between(self._places(x))
        drawn = np.empty((count, len(x)))
        for k, one in enumerate(self._each(theta)):
            variance = np.broadcast_to(self.noise_variance(one), self.y.shape)
            variance = np.concatenate([variance, np.zeros(len(x))])[order]
            size = self._sizes(one, np.concatenate([self.x, x]))[order]
            made = np.empty(len(order))
            world = variance, size, self._orders, *self._blocks(one)
            made[order] = compiled.innovations(gaps, z[k][order], *world)
            data, curve = made[: len(self.y)], made[len(self.y) :]
            drawn[k] = curve + self._smoothed(one, x, self.y - self.expected(one) - data)[0]
        return mean, sd, self.mean.value(x, theta) + drawn
