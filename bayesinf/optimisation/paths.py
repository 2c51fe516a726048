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

__all__ = ["Path", "drawn"]

WAVES = 256  # cosines, and as many sines
MATERN = 5.0  # twice the order of the rougher kernel: degrees of freedom of its frequencies


@dataclass(frozen=True)
class Path:
    """One drawn curve, standardised, over the unit cube."""

    level: float
    frequencies: np.ndarray
    even: np.ndarray
    odd: np.ndarray
    kind: int
    X: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def __call__(self, points: np.ndarray, slopes: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        from bayesinf.optimisation import kernel

        waves = self.level, self.frequencies, self.even, self.odd
        pulled = self.kind, self.X, self.scale, self.weights
        return kernel.curve(points, *waves, *pulled, slopes)


def drawn(nodes: Nodes, rng: np.random.Generator) -> list[Path]:
    """Draw one curve of each node.

    Parameters
    ----------
    nodes : the process given the data.
    rng : generator.
    """
    from scipy.linalg import cho_solve
    from scipy.stats import qmc

    size = nodes.X.shape[1]
    sequence = qmc.Sobol(size + 1, rng=rng)
    u = np.clip(sequence.random(WAVES), 1e-12, 1 - 1e-12)
    normal = ndtri(u[:, :size])
    # Frequencies of a Matérn kernel are Student's t: normal ones over √(χ²/ν).
    stretch = np.sqrt(MATERN / (2 * gammaincinv(MATERN / 2, u[:, size])))
    lower, _, nuggets = nodes.factors
    found = []
    for s, kind in enumerate(nodes.kinds):
        base = normal * stretch[:, None] if kind else normal
        frequencies = base / nodes.scales[s]
        even, odd = np.sqrt(nodes.squares[s] / WAVES) * rng.standard_normal((2, WAVES))
        level = np.sqrt(nodes.level) * rng.standard_normal()
        phase = nodes.X @ frequencies.T
        before = level + np.cos(phase) @ even + np.sin(phase) @ odd
        spread = np.sqrt(nodes.noises[s] + nuggets[s] * nodes.squares[s])
        left = nodes.y[s] - before - spread * rng.standard_normal(len(before))
        weights = cho_solve((lower[s], True), left, check_finite=False)
        found.append(
            Path(
                level + nodes.level * weights.sum(),
                frequencies,
                even,
                odd,
                int(kind),
                nodes.X,
                nodes.scales[s],
                nodes.squares[s] * weights,
            )
        )
    return found
