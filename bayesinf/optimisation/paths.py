"""Curves drawn from what is known of a function, as functions that can be followed anywhere.

A curve of the prior is a sum of waves with normal amplitudes; what is left of the data pulls it
through them (Matheron's rule):

    f(x)  = f₀(x) + k(x, X) K⁻¹ (y − f₀(X) − ε)
    f₀(x) = c + a Σ_m √(w_m/M) (g_m cos ω_m·x + h_m sin ω_m·x),   g, h ~ N(0, 1)

The waves approximate the prior alone: through the data each curve goes exactly. How far curves part
between exact values of a smooth function hangs on the fastest waves, of which the spectral density
S of the kernel has next to none. So half of the frequencies ω are drawn from a wider density, with
weights w = 2 S/(S + S_wide) for all; each curve has its own, spread evenly by quasi-Monte Carlo,
so that what the waves of one curve miss is made up for by others.

Wilson et al., Efficiently sampling functions from Gaussian process posteriors, ICML, 10292 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bayesinf.optimisation.surrogate import Nodes

__all__ = ["Paths", "drawn", "waves"]

WAVES = 512  # cosines, and as many sines
MATERN = 5.0  # twice the order of the rougher kernel: degrees of freedom of its frequencies


@dataclass(frozen=True)
class Paths:
    """Drawn curves, standardised, over the unit cube; all but X lead with the curve."""

    level: np.ndarray
    frequencies: np.ndarray
    even: np.ndarray
    odd: np.ndarray
    kinds: np.ndarray
    X: np.ndarray
    scales: np.ndarray
    weights: np.ndarray

    def __len__(self):
        return len(self.level)

    def __call__(
        self, points: np.ndarray, rows: np.ndarray, slopes: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values of curves at points, (place,), and gradients, (place, input), zero if not asked.

        Parameters
        ----------
        points : (place, input).
        rows : which curve is wanted at each, (place,).
        slopes : whether gradients are wanted.
        """
        from bayesinf.optimisation import kernel

        waves = self.level, self.frequencies, self.even, self.odd
        pulled = self.kinds, self.X, self.scales, self.weights
        return kernel.curves(points, rows, *waves, *pulled, slopes)


def drawn(nodes: Nodes, rng: np.random.Generator) -> Paths:
    """Draw one curve of each node.

    Parameters
    ----------
    nodes : the process given the data.
    rng : generator.
    """
    from scipy.linalg import cho_solve

    count, size = len(nodes.kinds), nodes.X.shape[1]
    frequencies, weight = waves(nodes.kinds, size, rng)
    frequencies /= nodes.scales[:, None, :]
    share = np.sqrt(nodes.squares[:, None] * weight / WAVES)
    even, odd = share * rng.standard_normal((2, count, WAVES))
    lower, _, nuggets = nodes.factors
    level = np.sqrt(nodes.level) * rng.standard_normal(count)
    spread = np.sqrt(nodes.noises + (nuggets * nodes.squares)[:, None])
    noise = spread * rng.standard_normal(nodes.y.shape)
    weights = np.empty(nodes.y.shape)
    for s in range(count):
        phase = nodes.X @ frequencies[s].T
        before = level[s] + np.cos(phase) @ even[s] + np.sin(phase) @ odd[s]
        left = nodes.y[s] - before - noise[s]
        weights[s] = cho_solve((lower[s], True), left, check_finite=False)
    level = level + nodes.level * weights.sum(axis=1)
    weights *= nodes.squares[:, None]
    return Paths(level, frequencies, even, odd, nodes.kinds, nodes.X, nodes.scales, weights)


def waves(kinds: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of the waves of each curve for a length scale of one, with their weights.

        mean of w_m cos ω_m·d ≈ ρ(d)

    Parameters
    ----------
    kinds : of the kernel of each curve, (curve,).
    size : number of inputs.
    rng : generator.

    Returns
    -------
    ω, (curve, WAVES, input), and w, (curve, WAVES).
    """
    from scipy.stats import qmc

    count = len(kinds)
    points = qmc.Sobol(size + 1, rng=rng).random_base2((count * WAVES - 1).bit_length())
    u = np.clip(points[: count * WAVES], 1e-12, 1 - 1e-12)
    wide, rough = 1 + 1 / np.sqrt(size), np.repeat(kinds != 0, WAVES)
    found = scipy.special.ndtri(u[:, :size])
    found.reshape(count, WAVES, size)[:, WAVES // 2 :] *= wide
    # Frequencies of a Matérn kernel are Student's t: normal ones over √(χ²/ν).
    found[rough] *= np.sqrt(MATERN / (2 * scipy.special.gammaincinv(MATERN / 2, u[rough, size])))[
        :, None
    ]
    square = np.sum(found**2, axis=1)
    smooth = 0.5 * square * (1 - wide**-2)
    heavy = np.log1p(square / MATERN) - np.log1p(square / wide**2 / MATERN)
    log_wide = np.where(rough, 0.5 * (MATERN + size) * heavy, smooth) - size * np.log(wide)
    return found.reshape(count, WAVES, size), 2 / (1 + np.exp(log_wide)).reshape(count, WAVES)
