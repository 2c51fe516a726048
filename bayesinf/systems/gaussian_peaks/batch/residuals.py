"""What residuals are asked: are they those that the model leaves?

Every statistic is near a standard normal where the model is right, and its p-value two-sided.
Residuals are over their own standard deviation, that of the noise times √(1 − leverage), as the fit
has made them smaller; of the memory Σ r_i r_{i+1} the mean that the fit leaves, −Σ H_{i,i+1} with H
the hat matrix, is taken off.

Counts of low mean are skewed and their squares uneven, so of them polynomials are asked that are
orthogonal under a Poisson law (Charlier's): with d = n − m

    C₁ = d,   C₂ = d² − n,   C₃ = d³ − 3 d n + 2 n,   E C_k = 0,   E C_k² = k! m^k

C₂ tells too much scatter from too little (Dean and Lawless 1989), along the mean too, and C₃
skewness; each is divided by (m + 1)^{k/2}, so that points of next to no mean do not decide.

Dean & Lawless, J. Am. Stat. Assoc. 84, 467 (1989), doi:10.1080/01621459.1989.10478792.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LEAST", "STATISTICS", "Residuals", "counts", "normal"]

STATISTICS = (
    "residual memory",
    "residual spread",
    "residual skewness",
    "largest residual",
    "dispersion",
)
FAR = 1.5  # standard deviations, nearer than which no count is the most extreme
LEAST = 8  # degrees of freedom from which residuals say anything


@dataclass(frozen=True)
class Residuals:
    """Residuals of all spectra one after the other.

    Parameters
    ----------
    y, mean, residual, weight : (point,); the residuals are weighted.
    leverage, beside : H_ii and H_{i,i+1}, (point,).
    at : where each spectrum begins and ends, (spectrum + 1,).
    misfit : χ² or deviance, (spectrum,).
    parameters : how many a spectrum has.
    """

    y: np.ndarray
    mean: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    leverage: np.ndarray
    beside: np.ndarray
    at: np.ndarray
    misfit: np.ndarray
    parameters: int

    @property
    def points(self) -> np.ndarray:
        """How many points each spectrum has."""
        return np.diff(self.at)

    @property
    def dof(self) -> np.ndarray:
        """Degrees of freedom of each."""
        return self.points - self.parameters

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over the points of each spectrum, (spectrum,)."""
        return np.add.reduceat(values, self.at[:-1])

    def centred(self, values: np.ndarray) -> np.ndarray:
        """Values less their mean over the spectrum, (point,)."""
        return values - np.repeat(self.total(values) / self.points, self.points)

    def memory(self, noise: np.ndarray) -> np.ndarray:
        """Σ r_i r_{i+1} less its mean, over its standard deviation, (spectrum,)."""
        product = np.append(self.residual[:-1] * self.residual[1:], 0.0)
        product[self.at[1:] - 1] = 0.0  # no pair spans two spectra
        return (self.total(product) / noise**2 + self.total(self.beside)) / np.sqrt(self.points - 1)

    @property
    def own(self) -> np.ndarray:
        """√(1 − leverage), (point,)."""
        return np.sqrt(np.maximum(1 - self.leverage, 1e-6))


def normal(found: Residuals, inferred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Statistics and p-values where the noise is normal.

    Parameters
    ----------
    found : the residuals.
    inferred : whether their size says how large the noise is.

    Returns
    -------
    (spectrum, 4) and (spectrum, statistic): the dispersion, that of χ², has a p-value alone; NaN
    where one is not asked.
    """
    from scipy import special

    points, dof = found.points, found.dof
    z, p = np.full((len(points), 4), np.nan), np.full((len(points), len(STATISTICS)), np.nan)
    with np.errstate(all="ignore"):
        noise = np.sqrt(found.misfit / dof) if inferred else np.ones(len(points))
        r = found.residual / (np.repeat(noise, points) * found.own)
        size, along = found.centred(np.abs(r)), found.centred(found.mean)
        varied = np.sqrt(found.total(size**2) * found.total(along**2))
        spread = found.total(size * along) / varied * np.sqrt(points - 1)
        second, third = (found.total(r**k) / points for k in (2, 3))
        z[:, 0] = found.memory(noise)
        z[:, 1] = np.where(varied > 0, spread, 0.0)
        z[:, 2] = third / np.maximum(second, 1e-300) ** 1.5 * np.sqrt(points / 6)
        z[:, 3] = np.maximum.reduceat(np.abs(r), found.at[:-1])
        p[:, :3] = 2 * special.ndtr(-np.abs(z[:, :3]))
        if inferred:  # r²/ν of a residual is a beta variate where the noise is that of all of them
            tail = special.betaincc(0.5, (dof - 1) / 2, np.clip(z[:, 3] ** 2 / dof, 0, 1))
        else:
            tail = 2 * special.ndtr(-z[:, 3])
            above = special.chdtrc(dof, found.misfit)
            p[:, 4] = 2 * np.minimum(above, 1 - above)
        p[:, 3] = _of_largest(tail, points)
        p[dof < LEAST, :4] = np.nan
    return z, p


def counts(found: Residuals) -> tuple[np.ndarray, np.ndarray]:
    """Statistics and p-values of counts, as ``normal``; the last is that of their dispersion."""
    from scipy import special

    points, dof = found.points, found.dof
    z, p = np.full((len(points), 4), np.nan), np.full((len(points), len(STATISTICS)), np.nan)
    with np.errstate(all="ignore"):
        unit = found.weight**2
        n, m = found.y * unit, found.mean * unit
        d = (n - m) / found.own
        n = m + d
        second = (d**2 - n) / (m + 1)
        third = (d**3 - 3 * d * n + 2 * n) / (m + 1) ** 1.5
        share = m / (m + 1)  # E (C_k / (m + 1)^{k/2})² = k! share^k
        along = found.centred(np.log(m))
        # The smallest tail of any point, from the middle of a count's probability.
        tail, far = np.ones(len(n)), np.abs(d) > FAR * np.sqrt(m)
        some, of = np.maximum(n[far], 1e-300), m[far]
        over = (special.gammainc(some, of) + special.gammainc(some + 1, of)) / 2
        tail[far] = 2 * np.minimum(over, 1 - over)
        least = np.minimum.reduceat(tail, found.at[:-1])
        z[:, 0] = found.memory(np.ones(len(points)))
        z[:, 1] = found.total(along * second) / np.sqrt(found.total(2 * (along * share) ** 2))
        z[:, 2] = found.total(third) / np.sqrt(6 * found.total(share**3))
        z[:, 3] = -special.ndtri(least / 2)
        whole = found.total(second) / np.sqrt(2 * found.total(share**2))
        p[:, :3] = 2 * special.ndtr(-np.abs(z[:, :3]))
        p[:, 3] = _of_largest(least, points)
        p[:, 4] = 2 * special.ndtr(-np.abs(whole))
        p[dof < LEAST] = np.nan
    return z, p


def _of_largest(tail, points):
    """p-value of the most extreme of so many points, of its own."""
    return -np.expm1(points * np.log1p(-np.minimum(tail, 1 - 1e-16)))
