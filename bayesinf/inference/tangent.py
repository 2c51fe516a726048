"""Coordinates in which a curve is as linear as it can be: its projection on the tangent plane.

    u(θ) = Uᵀ (w f(θ) − w f(θ̂)),   U R = w ∂f/∂θ at θ̂

Where the likelihood depends on θ through a mean f with noise 1/w, it is a normal in u but for the
part of f that leaves the plane. How θ bends along the plane, which in narrow curved valleys is all
that defeats a normal in θ, drops out. So draws of a normal in u, each brought back to the θ that
has it, are the posterior or nearly so, and their density is known: N(u) |det ∂u/∂θ|.

Bates & Watts, J. R. Stat. Soc. B 42, 1 (1980), doi:10.1111/j.2517-6161.1980.tb01094.x, on curves;
Bardsley, Solonen, Haario & Laine, SIAM J. Sci. Comput. 36, A1895 (2014), doi:10.1137/140964023, on
draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesinf.inference.derivatives import central, extrapolated, steps

__all__ = ["Tangent"]

MOST = 30  # steps from u to θ
SHORTENED = 8  # times at most that a step is shortened, to a third each
STATIONS = 8  # on the way to u where it is not reached at once
SOLVED = 1e-7  # of the noise, to which u must be met
ROUNDING = 2e-15  # relative error of f and of θ, below which u cannot be met
SLOW = 0.7  # share of the distance left by a step, above which the derivatives are taken anew
CHUNK = 1_000_000  # values of f at a time


@dataclass(frozen=True)
class Tangent:
    """The tangent plane of a mean at a point.

    Parameters
    ----------
    mean : (..., parameter) -> (..., datum).
    weight : 1 over the noise, (datum,), or over its scale where that is inferred.
    theta : the point, (parameter,).
    basis : U, (datum, parameter).
    triangle : R, (parameter, parameter).
    origin : Uᵀ w f(θ̂), (parameter,).
    step : of differences, (parameter,).
    """

    mean: Callable[[np.ndarray], np.ndarray]
    weight: np.ndarray
    theta: np.ndarray
    basis: np.ndarray
    triangle: np.ndarray
    origin: np.ndarray
    step: np.ndarray

    @classmethod
    def at(cls, mean: Callable, weight: np.ndarray, theta: np.ndarray) -> Tangent:
        """Return the plane at a point whose derivatives are independent."""
        step = steps(mean, theta)
        slopes = weight[:, None] * extrapolated(mean, theta, 16 * step)
        basis, triangle = np.linalg.qr(slopes)
        return cls(mean, weight, theta, basis, triangle, (weight * mean(theta)) @ basis, step)

    @property
    def spread(self) -> np.ndarray:
        """Standard errors for noise of the scale 1, (parameter,)."""
        return np.linalg.norm(np.linalg.inv(self.triangle), axis=1)

    @property
    def _rounding(self):
        """How well u can be met: w f has rounding, and so has θ, far from its origin."""
        of_values = np.linalg.norm(self.weight * self.mean(self.theta))
        of_points = np.linalg.norm(self.triangle, axis=0) @ np.abs(self.theta)
        return ROUNDING * (of_values + of_points)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Return u of points, (..., parameter)."""
        with np.errstate(all="ignore"):
            return (self.weight * self.mean(theta)) @ self.basis - self.origin

    def log_volume(self, theta: np.ndarray) -> np.ndarray:
        """Return log |det ∂u/∂θ| of points, (point, parameter) -> (point,)."""
        found = [self._slopes(part) for part in self._parts(theta)]
        slopes = np.concatenate(found) if found else np.empty((0, *self.triangle.shape))
        finite = np.isfinite(slopes).all(axis=(1, 2))
        with np.errstate(divide="ignore"):
            found = np.linalg.slogdet(np.where(finite[:, None, None], slopes, 0.0))[1]
        return np.where(finite, found, -np.inf)

    def points(self, u: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points that have these coordinates, (point, parameter), and whether they do.

        Parameters
        ----------
        u : (point, parameter).
        noise : to which u is held, (point,).
        """
        found = [self._solved(*part) for part in self._parts(u, noise)]
        theta, solved = (np.concatenate(one) for one in zip(*found, strict=True))
        return theta, solved

    def _parts(self, *arrays):
        size = max(1, CHUNK // (2 * self.basis.size))
        for first in range(0, len(arrays[0]), size):
            part = [array[first : first + size] for array in arrays]
            yield part if len(part) > 1 else part[0]

    def _slopes(self, theta):
        # Of the mean and then in the plane: a sum of peaks moves one of them at a time.
        of_mean = central(self.mean, theta, np.broadcast_to(self.step, theta.shape))
        with np.errstate(all="ignore"):
            return (self.weight[:, None] * self.basis).T @ of_mean

    def _solved(self, u, noise):
        inverse = np.broadcast_to(np.linalg.inv(self.triangle), (len(u), *self.triangle.shape))
        theta, inverse = np.tile(self.theta, (len(u), 1)), inverse.copy()
        found, solved = self._reached(u, noise, theta, inverse.copy())
        if not solved.all():
            far = np.flatnonzero(~solved)
            place, slope = theta[far], inverse[far]
            for station in range(1, STATIONS + 1):
                place, there = self._reached(station / STATIONS * u[far], noise[far], place, slope)
                far, place, slope = far[there], place[there], slope[there]
                if not far.size:
                    break
            found[far], solved[far] = place, True
        return found, solved

    @np.errstate(all="ignore")  # a step may go where the curve has no value
    def _reached(self, u, noise, theta, inverse):
        """Step from points to those with coordinates u; ``inverse``, of ∂u/∂θ, is kept up."""
        theta, live = theta.copy(), np.arange(len(u))
        off = self.coordinates(theta) - u
        near_enough = np.maximum(SOLVED * noise, self._rounding)
        left = np.linalg.norm(off, axis=1)
        fresh = np.zeros(len(u), dtype=bool)  # where Broyden's corrections do not do
        for _ in range(MOST):
            move = -np.einsum("kij,kj->ki", inverse[live], off[live])
            there, new = theta[live] + move, np.full_like(move, np.inf)
            size, todo = np.ones(len(live)), np.arange(len(live))
            for _ in range(SHORTENED):  # until the step gets nearer
                there[todo] = theta[live[todo]] + size[todo, None] * move[todo]
                new[todo] = self.coordinates(there[todo]) - u[live[todo]]
                near = np.linalg.norm(new, axis=1) < left[live]
                todo = np.flatnonzero(~near)
                size[todo] /= 3
                if not todo.size:
                    break
            distance = np.linalg.norm(new, axis=1)
            slow = ~(distance < SLOW * left[live])
            kept = live[near]
            if not near.all():
                there, new, slow = there[near], new[near], slow[near] | (size[near] < 1)
            self._update(inverse, kept, there - theta[kept], new - off[kept])
            theta[kept], off[kept] = there, new
            left[kept] = np.linalg.norm(new, axis=1)
            fresh[kept[slow]] = fresh[live[~near]] = True
            live = live[left[live] > near_enough[live]]
            if not live.size:
                break
            again = live[fresh[live]]
            if again.size:
                slopes = self._slopes(theta[again])
                fine = np.isfinite(slopes).all(axis=(1, 2)) & (np.linalg.det(slopes) != 0)
                inverse[again[fine]] = np.linalg.inv(slopes[fine])
        return theta, left <= near_enough

    @staticmethod
    def _update(inverse, at, move, change):
        """Broyden's rank-one correction of the inverse of ∂u/∂θ, by what a step has changed."""
        before = np.einsum("kij,kj->ki", inverse[at], change)
        row = np.einsum("ki,kij->kj", move, inverse[at])
        along = np.sum(move * before, axis=1)
        gain = np.where(np.abs(along) > 0, 1 / along, 0.0)
        inverse[at] += gain[:, None, None] * (move - before)[:, :, None] * row[:, None, :]
