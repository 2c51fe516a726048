"""A normal distribution cut off by linear constraints, sampled without rejection.

    x = mean + C z,   z ~ N(0, I),   subject to F x + g ≥ 0

Hamiltonian dynamics of a normal are known exactly: z runs along z cos t + v sin t. Where it meets a
wall F_j x + g_j = 0 it is reflected, which keeps both energy and volume, so every flight of time
π/2 from a fresh velocity is accepted, and without walls it is an independent draw. Pakman &
Paninski, J. Comput. Graph. Stat. 23, 518 (2014), doi:10.1080/10618600.2013.788448.
"""

from __future__ import annotations

import numpy as np

from bayesinf.errors import FitError

__all__ = ["Walls", "sample"]

TIME = np.pi / 2
MOST = 200_000  # bounces of one flight: more than these is a corner that it cannot leave
SLACK = 1e-9  # how far beyond a wall rounding may put a start, as a share of the walls' size


class Walls:
    """The constraints B z + b ≥ 0 on z ~ N(0, I).

    Parameters
    ----------
    B, b : (wall, weight) and (wall,).

    Raises
    ------
    FitError : a row of B is zero where b is negative.
    """

    def __init__(self, B: np.ndarray, b: np.ndarray):
        live = np.any(B, axis=1)
        if np.any(b[~live] < 0):
            raise FitError("a constraint holds nowhere: its row is zero and its offset negative")
        self.B, self.b = (np.ascontiguousarray(v[live], dtype=float) for v in (B, b))
        # Rows of B Bᵀ, filled in as flights meet their walls.
        self._products = np.empty((len(self.b), len(self.b)))
        self._known = np.zeros(len(self.b), dtype=bool)

    def hold(self, z: np.ndarray) -> bool:
        """Whether z, (weight,), satisfies all constraints, but for rounding."""
        size = np.abs(self.B) @ np.abs(z) + np.abs(self.b)
        return bool(np.all(self.B @ z + self.b >= -SLACK * size))

    def flight(self, rng: np.random.Generator, z: np.ndarray) -> tuple[np.ndarray, int]:
        """Fly from z, (weight,), with a fresh velocity.

        Returns
        -------
        where it ends, and the number of bounces.

        Raises
        ------
        FitError : z breaks a constraint, or the flight is caught in a corner.
        """
        from bayesinf.inference.truncated.kernel import fly

        if not self.hold(z):
            worst = float(np.min(self.B @ z + self.b))
            raise FitError("a flight cannot start where a constraint is broken", worst=worst)
        z, v = np.array(z, dtype=float), rng.standard_normal(len(z))
        bounces = fly(z, v, self.B, self.b, self._products, self._known, TIME, MOST)
        if bounces < 0:
            raise FitError(f"a flight has bounced {MOST} times: the constraints leave no room")
        return z, bounces


def sample(
    mean: np.ndarray,
    factor: np.ndarray,
    start: np.ndarray,
    rng: np.random.Generator,
    draws: int,
    *,
    constraints: np.ndarray | None = None,
    offset: np.ndarray | float = 0.0,
    tune: int = 50,
) -> np.ndarray:
    """Run one chain.

    Parameters
    ----------
    mean : of the normal before it is cut off, (value,).
    factor : C with C Cᵀ its covariance, (value, weight).
    start : z, (weight,), from which mean + C z satisfies the constraints.
    rng : generator of this chain.
    draws, tune : flights that are kept, and flights before those.
    constraints, offset : F, (wall, value), and g; by default x ≥ 0.

    Returns
    -------
    draws of x, (draw, value).

    Raises
    ------
    FitError : the start breaks a constraint; the constraints leave no room.
    """
    F = np.eye(len(mean)) if constraints is None else np.asarray(constraints, dtype=float)
    walls = Walls(F @ factor, F @ mean + offset)
    z, kept = np.asarray(start, dtype=float), np.empty((draws, len(mean)))
    for place in range(-tune, draws):
        z, _ = walls.flight(rng, z)
        if place >= 0:
            kept[place] = mean + factor @ z
    return kept
