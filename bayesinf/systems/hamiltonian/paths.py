"""Motion in phase space: paths through the states, what they depend on, and long forecasts.

    q̇ = ∂H/∂p,   ṗ = −∂H/∂q − γ p

``integrated`` is the classical Runge-Kutta scheme of fourth order, with the derivatives of the
scheme itself by initial state and parameters, for the short paths that data are compared with.
``forecast`` is the implicit midpoint rule, which is symplectic for any H, separable or not, so that
its energy does not drift; with damping half a step of decay before and after it gives the scheme
the right contraction of areas (McLachlan & Perlmutter, J. Geom. Phys. 39, 276 (2001),
doi:10.1016/S0393-0440(01)00020-1). Hairer, Lubich & Wanner, Geometric Numerical Integration,
Springer 2006, doi:10.1007/3-540-30666-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayesinf.systems.hamiltonian.energies import Energy
    from bayesinf.systems.hamiltonian.network import Network

__all__ = ["Flow", "forecast", "integrated", "midpoint", "steps_of"]

TOLERANCE = 1e-11  # of the midpoint, over the size of the states
MOST_ITERATIONS = 50
TURN = 0.35  # largest step of the Runge-Kutta scheme, in typical times of the motion


@dataclass(frozen=True)
class Flow:
    """The rates of change of states: an energy, and damping where there is any.

    Parameters
    ----------
    energy : H with unknown weights.
    damped : whether a damping γ is the last parameter.
    """

    energy: Energy | Network
    damped: bool = False

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.energy.size + self.damped

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Weights, (..., weight), and damping, (...)."""
        theta = np.asarray(theta, dtype=float)
        return (theta[..., :-1], theta[..., -1]) if self.damped else (theta, 0.0)

    def rates(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """(q̇, ṗ) at states (..., point, 2) for parameters (..., parameter)."""
        weight, gamma = self.split(theta)
        slope = self.energy.gradient(x, weight)
        loss = np.asarray(gamma)[..., None] * np.asarray(x)[..., 1]
        return np.stack([slope[..., 1], -slope[..., 0] - loss], axis=-1)

    def by_theta(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Derivative of the rates by the parameters, (point, 2, parameter)."""
        weight, _ = self.split(theta)
        slope = self.energy.slopes(x, weight)
        found = np.stack([slope[:, 1], -slope[:, 0]], axis=1)
        if not self.damped:
            return found
        loss = np.stack([np.zeros(len(x)), -np.asarray(x)[:, 1]], axis=1)
        return np.concatenate([found, loss[..., None]], axis=-1)

    def by_state(self, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Derivative of the rates by the state, (point, 2, 2)."""
        weight, gamma = self.split(theta)
        bend = self.energy.hessian(x, weight)
        found = np.stack([bend[:, 1], -bend[:, 0]], axis=1)
        found[:, 1, 1] -= gamma
        return found


def steps_of(times: np.ndarray, typical: float, most: float = TURN) -> int:
    """How many steps of ``most`` typical times at the largest lie between two instants."""
    longest = float(np.nanmax(np.diff(times, axis=-1)))
    return max(1, int(np.ceil(longest / (most * typical))))


def integrated(
    flow: Flow,
    times: np.ndarray,
    start: np.ndarray,
    theta: np.ndarray,
    steps: int,
    *,
    sensitive: bool = False,
):
    """Follow the motion from initial states through the instants of each path.

    Parameters
    ----------
    flow : the rates.
    times : (path, instant); NaN beyond the end of a path, where its last state stays.
    start : (..., path, 2).
    theta : (..., parameter); with ``sensitive`` (parameter,).
    steps : of the scheme between two instants.
    sensitive : whether derivatives come along.

    Returns
    -------
    states, (..., path, instant, 2); where asked also their derivatives by the parameters and by the
    initial state of their path, (path, instant, 2, parameter + 2).
    """
    gaps = np.nan_to_num(np.diff(times, axis=-1)) / steps
    x, states, derivatives = _begun(start, theta), [], []
    size, count = flow.size, x.shape[-2]
    s = np.zeros((count, 2, size + 2))
    s[:, [0, 1], [size, size + 1]] = 1.0

    def change(x, s):
        rate = flow.rates(x, theta)
        if not sensitive:
            return rate, 0.0
        along = flow.by_state(x, theta) @ s
        along[..., :size] += flow.by_theta(x, theta)
        return rate, along

    states.append(x)
    derivatives.append(s)
    for gap in gaps.T:
        h = gap[:, None]
        for _ in range(steps):
            k1, d1 = change(x, s)
            k2, d2 = change(x + h / 2 * k1, s + h[..., None] / 2 * d1)
            k3, d3 = change(x + h / 2 * k2, s + h[..., None] / 2 * d2)
            k4, d4 = change(x + h * k3, s + h[..., None] * d3)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            if sensitive:
                s = s + h[..., None] / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        states.append(x)
        derivatives.append(s)
    found = np.stack(states, axis=-2)
    return (found, np.stack(derivatives, axis=1)) if sensitive else found


def _begun(start, theta):
    """Initial states with the axes of the parameters."""
    start = np.asarray(start, dtype=float)
    lead = np.broadcast_shapes(start.shape[:-2], np.shape(theta)[:-1])
    return np.broadcast_to(start, (*lead, *start.shape[-2:]))


def midpoint(flow: Flow, x: np.ndarray, theta: np.ndarray, h: np.ndarray | float) -> np.ndarray:
    """Take one step of the implicit midpoint rule, x′ = x + h f((x + x′) / 2), damped by halves.

    The midpoint is found by iteration; the step must be below the motion's time, as it is wherever
    the answer is worth having. States are (..., path, 2), the step a number or (path,).
    """
    weight, gamma = flow.split(theta)
    h = np.asarray(h, dtype=float)
    decay = np.exp(-0.5 * h * np.asarray(gamma)[..., None])
    free = Flow(flow.energy)
    x = np.stack([x[..., 0], x[..., 1] * decay], axis=-1)
    change = h[..., None] * free.rates(x, weight)
    for _ in range(MOST_ITERATIONS):
        new = h[..., None] * free.rates(x + 0.5 * change, weight)
        moved = np.max(np.abs(new - change), initial=0.0)
        change = new
        # What runs away is not worth waiting for; a forecast shows it as it is.
        if not moved > TOLERANCE * np.max(np.abs(x), initial=1.0):
            break
    x = x + change
    return np.stack([x[..., 0], x[..., 1] * decay], axis=-1)


def forecast(
    flow: Flow, times: np.ndarray, start: np.ndarray, theta: np.ndarray, steps: int
) -> np.ndarray:
    """Follow the motion by the implicit midpoint rule; arguments as of ``integrated``.

    Returns
    -------
    states, (..., path, instant, 2).
    """
    gaps = np.nan_to_num(np.diff(times, axis=-1)) / steps
    x = _begun(start, theta)
    found = [x]
    for gap in gaps.T:
        for _ in range(steps):
            x = midpoint(flow, x, theta, gap)
        found.append(x)
    return np.stack(found, axis=-2)
