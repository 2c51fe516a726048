"""The velocities of oscillators, and what each feels of the others between two instants.

With z_j = e^{iθ_j} the pull of all on each is one matrix product,

    v_i = ω_i + (1/N) Im[ z̄_i Σ_j C_ij z_j ],   C_ij = K_ij e^{−iα}

Between two instants the mean velocity is ω_i + (1/N) Σ_j [a_ij ⟨sin(θ_j − θ_i)⟩ − b_ij ⟨cos(θ_j −
θ_i)⟩] and a mean of the noise. Means at the first instant alone (the forward difference) are wrong
by a term of the order of the interval; means over both ends would contain the noise that they are
regressed on. So they are taken along the path that a first fit predicts from the first instant, of
which the noise to come knows nothing: at the nodes of a Gauss-Legendre rule, and damped by what the
noise of both phases does to a mean of sines meanwhile, e^{−(σ_i² + σ_j²) s / 2}.

An interval many times as long as most is a gap: nothing tells what happened in it, nor how often a
wrapped phase went round, and its mean velocity, of as little noise as it is long, would outweigh
many others. It is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Drift", "Increments", "Path"]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2  # on (0, 1)
GAP = 3.0  # times the median interval, from which nothing is taken from one
LONGEST = 0.5  # radians that relative phases move in one step of the path's integration


@dataclass(frozen=True)
class Drift:
    """Velocities of all oscillators.

    Parameters
    ----------
    omega : natural frequencies, (oscillator,).
    pull : C / N transposed, (source, target), complex, without diagonal.
    sigma : noise of each, (oscillator,).
    """

    omega: np.ndarray
    pull: np.ndarray
    sigma: np.ndarray

    @classmethod
    def of(cls, omega: np.ndarray, coupling: np.ndarray, sigma: np.ndarray | float = 0.0) -> Drift:
        """Of frequencies and couplings C, (target, source)."""
        pull = coupling.T / len(omega)
        pull = pull - np.diag(np.diag(pull))
        return cls(omega, pull, np.broadcast_to(np.asarray(sigma, dtype=float), omega.shape))

    def velocity(self, theta: np.ndarray) -> np.ndarray:
        """v at phases, (..., oscillator)."""
        turned = np.exp(1j * theta)
        return self.omega + np.imag(turned.conj() * (turned @ self.pull))

    def moved(self, theta: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Phases after a time, (row, 1), without noise, by steps of Runge and Kutta."""
        velocity = self.velocity(theta)
        relative = np.max(np.ptp(velocity, axis=-1, keepdims=True) * time)
        steps = max(1, int(np.ceil(relative / LONGEST)))
        h = time / steps
        for _ in range(steps):
            one = self.velocity(theta)
            two = self.velocity(theta + h / 2 * one)
            three = self.velocity(theta + h / 2 * two)
            four = self.velocity(theta + h * three)
            theta = theta + h / 6 * (one + 2 * two + 2 * three + four)
        return theta


@dataclass(frozen=True)
class Increments:
    """What is fitted: mean velocities between instants, those of all runs one after the other.

    Parameters
    ----------
    theta : phases at the first instant, (row, oscillator).
    interval : time to the second, (row,).
    velocity : mean velocity meanwhile, (row, oscillator).
    run, time : run of each row, and the time of its first instant, (row,).
    gaps : how many intervals were left out as too long.
    """

    theta: np.ndarray
    interval: np.ndarray
    velocity: np.ndarray
    run: np.ndarray
    time: np.ndarray
    gaps: int = 0

    @classmethod
    def of(cls, phases, stride: int = 1) -> Increments:
        """Of a Dataset of phases, of every ``stride``-th sample."""
        parts = []
        for run, length in enumerate(phases["length"].values):
            theta = phases["phase"].values[run, : int(length) : stride]
            time = phases["time"].values[run, : int(length) : stride]
            interval = np.diff(time)
            rate = np.diff(theta, axis=0) / interval[:, np.newaxis]
            parts.append((theta[:-1], interval, rate, np.full(len(rate), run), time[:-1]))
        whole = [np.concatenate(part) for part in zip(*parts, strict=True)]
        kept = whole[1] <= GAP * np.median(whole[1])
        return cls(*(part[kept] for part in whole), gaps=int(np.sum(~kept)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and oscillators."""
        return self.theta.shape


@dataclass(frozen=True)
class Path:
    """Where the oscillators are meanwhile, at the nodes of a quadrature rule.

    Parameters
    ----------
    turned : e^{iθ} at each node, damped by what noise did so far, (node, row, oscillator): the
        product of two is what a mean over the noise of both leaves.
    weights : of the nodes.
    """

    turned: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, data: Increments, drift: Drift | None) -> Path:
        """Along the path that a drift predicts; at the first instant alone for None."""
        if drift is None:
            return cls(np.exp(1j * data.theta)[np.newaxis], np.ones(1))
        # In a frame that turns with the mean frequency, where steps may be longer.
        resting = Drift(drift.omega - drift.omega.mean(), drift.pull, drift.sigma)
        theta, turned, before = data.theta, [], 0.0
        interval = data.interval[:, np.newaxis]
        for node in NODES:
            theta = resting.moved(theta, (node - before) * interval)
            turned.append(np.exp(1j * theta - 0.5 * drift.sigma**2 * node * interval))
            before = node
        return cls(np.stack(turned), WEIGHTS)

    def features(self, target: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean sine and cosine of θ_j − θ_target over N, (row, source) each, without the target."""
        count, mean = self.turned.shape[2], 0.0
        for turned, weight in zip(self.turned, self.weights, strict=True):
            mean = mean + turned * (turned[:, [target]].conj() * (weight / count))
        mean = np.delete(mean, target, axis=1)
        return mean.imag, mean.real

    def mean(self, omega: np.ndarray, coupling: np.ndarray) -> np.ndarray:
        """Mean velocities, (row, oscillator), at couplings C, (target, source)."""
        found, pull = 0.0, coupling.T / len(omega)
        for turned, weight in zip(self.turned, self.weights, strict=True):
            found = found + weight * np.imag(turned.conj() * (turned @ pull))
        return omega + found
