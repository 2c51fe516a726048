"""Centred statistics c_i = s_i and c_ij = (s_i − m_i) (s_j − m_j), m being the means of the data.

For weakly coupled sites their Fisher information is nearly diagonal, where that of s_i and s_i s_j
is not: it makes the preconditioner of Newton steps, and variances of couplings without a matrix.
"""

from __future__ import annotations

import numpy as np

from bayesinf.models.binary import Moments, matrix, pairs

__all__ = ["CentredStatistics"]


class CentredStatistics:
    """The linear map from the statistics φ to centred ones, c = A φ + constants.

    The Fisher information of φ is A⁻¹ F_c A⁻ᵀ.

    Parameters
    ----------
    data : moments, whose means m are the centre.

    Attributes
    ----------
    variances_of_data : of c, (parameter,), with one state of independent sites added to the data:
        without it a pair that was never seen together would have no variance.
    """

    def __init__(self, data: Moments):
        self.sites, self.encoding, self.mean = data.sites, data.encoding, data.mean
        self.i, self.j = pairs(self.sites)
        self.m_i, self.m_j = self.mean[self.i], self.mean[self.j]
        on = data.encoded("0/1")
        alone = (on.mean * data.samples + 0.5) / (data.samples + 1)
        mean = (on.mean * data.samples + alone) / (data.samples + 1)
        pair = (on.pair * data.samples + alone[self.i] * alone[self.j]) / (data.samples + 1)
        regular = Moments("0/1", data.samples, mean, pair).encoded(data.encoding)
        self.variances_of_data = self.variances(regular.statistics)

    def variances(self, phi: np.ndarray) -> np.ndarray:
        """Return the variances of c, (parameter,), where the moments are φ."""
        sites, i, j = self.sites, self.i, self.j
        mean, pair = phi[:sites], phi[sites:]
        # (s − m)² = a + b s, as s² is 1 or s itself.
        if self.encoding == "±1":
            a, b = 1 + self.mean**2, -2 * self.mean
            of_sites = 1 - mean**2
        else:
            a, b = self.mean**2, 1 - 2 * self.mean
            of_sites = mean - mean**2
        square = a[i] * a[j] + a[i] * b[j] * mean[j] + b[i] * a[j] * mean[i] + b[i] * b[j] * pair
        first = pair - self.m_i * mean[j] - self.m_j * mean[i] + self.m_i * self.m_j
        return np.concatenate([of_sites, square - first**2])

    def times_a(self, g: np.ndarray) -> np.ndarray:
        """Return A g: slopes along centred statistics of slopes along φ."""
        pair = g[self.sites :] - self.m_j * g[self.i] - self.m_i * g[self.j]
        return np.concatenate([g[: self.sites], pair])

    def times_a_transposed(self, u: np.ndarray) -> np.ndarray:
        """Return Aᵀ u: parameters of φ for parameters u of centred statistics."""
        h, pair = u[: self.sites], u[self.sites :]
        return np.concatenate([h - matrix(pair, self.sites) @ self.mean, pair])

    def over_a(self, u: np.ndarray) -> np.ndarray:
        """Return A⁻¹ u."""
        h = u[: self.sites]
        pair = u[self.sites :] + self.m_j * h[self.i] + self.m_i * h[self.j]
        return np.concatenate([h, pair])

    def over_a_transposed(self, v: np.ndarray) -> np.ndarray:
        """Return A⁻ᵀ v."""
        sites = self.sites
        return np.concatenate([v[:sites] + matrix(v[sites:], sites) @ self.mean, v[sites:]])
