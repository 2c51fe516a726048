"""Laplace approximations at several widths of the couplings, for either family.

Given the width τ of the couplings each block of parameters has a concave log density, and its
Laplace approximation is good. The width itself is one number, of which every approximation tells
the evidence p(data, log τ). ``Widths`` climbs to the best width, and keeps approximations in equal
steps of log τ around it. A family adds ``at_width``, its Laplace approximation at one width.

MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np

from bayesinf.inference.importance import shares
from bayesinf.inference.normal import AtWidth

__all__ = ["FAR", "LOOSE", "NEAR", "SHARP", "SPACING", "Widths", "without_fields"]

# Largest distance of two widths at which approximations are made, in log τ.
SPACING = 0.35
# sd of log τ below which one width stands for all.
SHARP = 0.05
# Log evidence below the best from which a width is left out.
NEGLIGIBLE = 8.0
# Widths on either side of the best, at most.
LEVELS = 40
# Steps of the search for the best width.
HOPS = 40
# Its longest step, in log τ.
FAR = 1.5
# Its shortest step, in the sd of log τ.
NEAR = 0.2
# Factor on the tolerances of optima on the way to the best width.
LOOSE = 1e3


class Widths:
    """Approximations at widths around the best, in equal steps of log τ, made when needed.

    Parameters
    ----------
    problem : likelihood and prior: its ``fields`` lead the parameters of a block, and it has so
        many ``couplings``.

    Attributes
    ----------
    centre, spread : mode and standard deviation of log τ by Laplace's evidence; no spread where
        one width stands for all.
    best : the approximation at the mode.
    """

    has_evidence = True  # whether approximations tell their evidence, not its slope alone

    def __init__(self, problem):
        self.problem, self.lock = problem, Lock()
        # Of the traces of a covariance, which need not be exact.
        self.rng = np.random.default_rng(0)
        self.centre, self.spread = np.log(problem.prior.typical) - problem.prior.inferred, 0.0

    def at_width(self, scale: float, start: np.ndarray | None, looseness: float = 1.0) -> AtWidth:
        """The Laplace approximation at a width.

        Parameters
        ----------
        scale : the width.
        start : parameters to climb from, (block, dim), or None.
        looseness : factor on the tolerances of the optimum.
        """
        raise NotImplementedError

    def find_best(self, start: np.ndarray | None = None, search: bool = True) -> None:
        """Find the best width, unless it is known, and make its approximation."""
        if search:
            self.centre, self.spread, start = self._search(start)
        self.best = self.at_width(float(np.exp(self.centre)), start)
        self.levels = {0: self.best}

    def _search(self, start):
        """Mode and standard deviation of log τ, and the parameters near there.

        The evidence changes with t = log τ through the prior of the couplings, by

            Σ_k (J_k² + var J_k) / τ² − count + ∂ log(τ p(τ)) / ∂t,

        and through the curvature of the likelihood at the optimum, which moves with τ. The second
        part varies little: two approximations tell it, by the difference of their evidence.
        """
        t, before, rest, bend, evidence = self.centre, None, 0.0, -2.0, 0.0
        here = self.at_width(float(np.exp(t)), start, LOOSE)
        for _ in range(HOPS):
            slope = self.slope(here)[0]
            evidence = self.evidence(here) if self.has_evidence else None
            if before is not None:
                hop = t - before[0]
                bend = (slope - before[1]) / hop
                if self.has_evidence:
                    rest = (evidence - before[2]) / hop - 0.5 * (slope + before[1])
            # Where the slope does not fall yet the mode is far: take the longest step.
            hop = -(slope + rest) / bend if bend < 0 else np.copysign(FAR, slope + rest)
            if before and bend < 0 and abs(hop) < NEAR * max((-bend) ** -0.5, SHARP):
                break
            before = t, slope, evidence
            t += np.copysign(np.clip(abs(hop), NEAR * SHARP, FAR), hop)
            here = self.at_width(float(np.exp(t)), here.theta, LOOSE)
        return t, float((-bend) ** -0.5 if bend < 0 else SPACING), here.theta

    def slope(self, near: AtWidth, more: float = 0.0) -> tuple[float, float]:
        """First and second derivative of the log evidence in log τ, at a fixed curvature P.

            S / τ² − count + ...,   −2 S / τ² + (4 J · P⁻¹ J + 2 Σ cov²) / τ⁴,   S = Σ ⟨J²⟩

        At the variational mean the first is the exact slope of the evidence's lower bound. With
        ``more``, S under the posterior less S under the normal, it is that of the evidence itself.
        """
        problem, step, t = self.problem, 1e-4, np.log(near.scale)
        free, square = near.normal.spread(problem.fields, self.rng)
        J = without_fields(problem, near)
        size = (np.sum(J**2) + free + more) / near.scale**2
        bend = (4 * np.sum(J * near.normal.solve(J)) + 2 * square) / near.scale**4 - 2 * size
        of_prior = (self._log_prior(t + step) - self._log_prior(t - step)) / (2 * step)
        return float(of_prior + size - problem.couplings), float(min(bend, -1.0))

    def _log_prior(self, t):
        """Log density of log τ."""
        return self.problem.prior.log_scale(np.exp(t)) + t

    def evidence(self, near: AtWidth) -> float:
        """log p(data, log τ), up to a constant, as far as the approximation tells it."""
        return near.log_evidence + float(self._log_prior(np.log(near.scale)))

    def at(self, level: int) -> AtWidth:
        """The approximation so many steps from the best, the same whoever asks first."""
        with self.lock:
            if level not in self.levels:
                scale = float(np.exp(self.centre + level * SPACING))
                self.levels[level] = self.at_width(scale, self.best.theta)
            return self.levels[level]

    def nearest(self, scale: np.ndarray) -> np.ndarray:
        """The levels nearest to widths."""
        away = (np.log(scale) - self.centre) / SPACING
        return np.clip(np.rint(away), -LEVELS, LEVELS).astype(int)

    def mixture(self, moved: Callable[[AtWidth], AtWidth]) -> tuple[list[AtWidth], np.ndarray]:
        """Approximations one standard deviation of log τ apart, and their log shares.

        Parameters
        ----------
        moved : an approximation -> the one to take in its place, with its evidence.
        """
        normals = [moved(self.best)]
        if not self.spread:
            return normals, np.zeros(1)
        height = [self.evidence(normals[0])]
        step = min(self.spread, SPACING)
        for way in (-1, 1):
            near = self.best
            for level in range(1, LEVELS):
                near = self.at_width(float(np.exp(self.centre + way * level * step)), near.theta)
                normals.append(moved(near))
                height.append(self.evidence(normals[-1]))
                if height[-1] < max(height) - NEGLIGIBLE:
                    break
        return normals, shares(np.array(height))


def without_fields(problem, near: AtWidth) -> np.ndarray:
    """The centre of an approximation with its fields set to zero, (block, dim)."""
    J = near.theta.copy()
    J[:, : problem.fields] = 0.0
    return J
