"""Curves drawn from what is known of a function, as functions that can be followed anywhere.

A curve of the prior is a sum of waves with normal amplitudes; what is left of the data pulls it
through them (Matheron's rule):

    f(x)  = f₀(x) + k(x, X) K⁻¹ (y − f₀(X) − ε)
    f₀(x) = c + a Σ_m (g_m cos ω_m·x + h_m sin ω_m·x)/√M

with frequencies ω from the spectral density of the kernel, the same for all curves but for their
length scales, and spread evenly by quasi-Monte Carlo; g, h ~ N(0, 1). The waves approximate the
prior alone: through the data each curve goes exactly.

Wilson et al., Efficiently sampling functions from Gaussian process posteriors, ICML, 10292 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtri

from bayesinf.optimisation.surrogate import Nodes

__all__ = ["Paths", "drawn"]

WAVES = 512  # cosines, and as many sines: sds between data to 3 % or so
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
    from scipy.stats import qmc

    count, size = len(nodes.kinds), nodes.X.shape[1]
    u = np.clip(qmc.Sobol(size + 1, rng=rng).random(WAVES), 1e-12, 1 - 1e-12)
    normal = ndtri(u[:, :size])
    # Frequencies of a Matérn kernel are Student's t: normal ones over √(χ²/ν).
    stretch = np.sqrt(MATERN / (2 * gammaincinv(MATERN / 2, u[:, size])))
    lower, _, nuggets = nodes.factors
    base = np.where(nodes.kinds[:, None, None] == 0, normal, normal * stretch[:, None])
    frequencies = base / nodes.scales[:, None, :]
    even, odd = np.sqrt(nodes.squares / WAVES)[:, None] * rng.standard_normal((2, count, WAVES))
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
