"""The logistic model of transitions with its prior: densities, slopes and curvature, row by row.

The likelihood factorises over target sites, and of the next states it needs sums alone,

    log p = Σ_i [β_i · S_i − V(β_i)],   S_i = Σ_t y_i(t+1) x(t),   β_i = (h_i, J_i1, ..., J_iN)

with y = 1 where the site is on and x and V as in ``design``. Parameters that share a factor of the
posterior, given the width, are a *block*: the row of a site, or, of symmetric couplings, all.
"""

from __future__ import annotations

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.logistic.design import design
from bayesinf.models.binary.logistic.transitions import Transitions

__all__ = ["Logistic"]


class Logistic:
    """Transitions seen through their sums, and a prior.

    Parameters are an array (..., block, dim). A block is h_i and the row J_i., or where couplings
    are symmetric all h and then all J_ij, i ≤ j in the order of ``numpy.triu_indices``.

    Parameters
    ----------
    data : the transitions.
    prior : of the parameters; None for the likelihood alone.
    symmetric : whether J_ij = J_ji.
    self_coupling : whether J_ii may differ from zero.
    workers : cores for curvatures; None takes all.
    sparse : as of ``design``.

    Raises
    ------
    DataError : self-coupling of states that are their own next ones.
    """

    def __init__(
        self,
        data: Transitions,
        prior: CouplingPrior | None = None,
        *,
        symmetric: bool = False,
        self_coupling: bool = True,
        workers: int | None = 1,
        sparse: bool | None = None,
    ):
        if data.same and self_coupling:
            raise DataError(
                "a state that is its own next one determines no self-coupling",
                remedy="say self_coupling=False",
            )
        self.data, self.prior, self.encoding = data, prior, data.encoding
        self.workers = workers
        self.symmetric, self.self_coupling = symmetric, self_coupling
        self.sites, self.samples, sites = data.sites, len(data), data.sites
        self.design = design(data.now, data.encoding, workers, sparse)
        on = (data.next == 1).astype(np.float32)
        together = np.zeros((sites, sites))
        for start in range(0, len(on), 2**16):  # so few ones are added exactly in single precision
            part = slice(start, start + 2**16)
            together += on[part].T @ data.now[part].astype(np.float32)
        field = np.sum(data.next == 1, axis=0, dtype=float)
        self.sums = self.design.slope * np.column_stack([field, together])

        # Where in the flat parameters each entry of the rows (h, J) stands; the last is a zero.
        coupled = np.ones((sites, sites), dtype=bool)
        np.fill_diagonal(coupled, self_coupling)
        self.index = np.full((sites, 1 + sites), -1)
        if symmetric:
            i, j = np.nonzero(np.triu(coupled))
            self.couplings, self.blocks, self.fields = i.size, 1, sites
            self.index[:, 0] = np.arange(sites)
            self.index[i, 1 + j] = self.index[j, 1 + i] = sites + np.arange(i.size)
        else:
            i, j = np.nonzero(coupled)
            self.couplings, self.blocks, self.fields = i.size, sites, 1
            each = 1 + i.size // sites
            self.index[:, 0] = each * np.arange(sites)
            self.index[i, 1 + j] = np.arange(sites * each).reshape(sites, each)[:, 1:].ravel()
            # Where in its row (h_i, J_i1, ..., J_iN) each parameter of a block stands.
            self.used = np.nonzero(self.index >= 0)[1].reshape(sites, each)
        self.pairs = i, j  # target and source of each coupling
        self.dim = self.fields + self.couplings // self.blocks
        self.shape = self.blocks, self.dim

    # Layouts

    def rows(self, theta: np.ndarray) -> np.ndarray:
        """Rows (h_i, J_i1, ..., J_iN), (..., site, 1 + site), of parameters."""
        flat = theta.reshape(*theta.shape[:-2], -1)
        return np.concatenate([flat, np.zeros_like(flat[..., :1])], axis=-1)[..., self.index]

    def gathered(self, rows: np.ndarray) -> np.ndarray:
        """Slopes in the parameters, (..., block, dim), of slopes in the rows."""
        i, j = self.pairs
        J = rows[..., i, 1 + j]
        if not self.symmetric:
            return self.join(rows[..., 0], J)
        return self.join(rows[..., 0], J + np.where(i == j, 0.0, rows[..., j, 1 + i]))

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fields (..., site) and couplings (..., coupling) of parameters (..., block, dim)."""
        lead = theta.shape[:-2]
        return (
            theta[..., : self.fields].reshape(*lead, -1),
            theta[..., self.fields :].reshape(*lead, -1),
        )

    def join(self, h: np.ndarray, J: np.ndarray) -> np.ndarray:
        """Parameters of fields (..., site) and couplings (..., coupling)."""
        lead = (*h.shape[:-1], self.blocks)
        return np.concatenate(
            [h.reshape(*lead, self.fields), J.reshape(*lead, self.dim - self.fields)], axis=-1
        )

    def scaled(self, theta: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Parameters (chain, block, dim) whose couplings are scaled, by factors (chain,)."""
        h, J = self.split(theta)
        return self.join(h, factor[:, None] * J)

    def matrix(self, theta: np.ndarray) -> np.ndarray:
        """Couplings as a matrix (..., target, source)."""
        return self.rows(theta)[..., 1:]

    # Densities

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood, (..., block)."""
        value = self.row_log_likelihood(theta)
        return value.sum(axis=-1, keepdims=True) if self.symmetric else value

    def row_log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood of the next states of each site, (..., site)."""
        rows = self.rows(theta)
        V = self.design.partition(rows.reshape(-1, 1 + self.sites))
        return np.sum(rows * self.sums, axis=-1) - V.reshape(rows.shape[:-1])

    def likelihood_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood (..., block) and its gradient (..., block, dim)."""
        rows = self.rows(theta)
        V, G = self.design.expectations(rows.reshape(-1, 1 + self.sites))
        return self._value(rows, V), self.gathered(self.sums - G.reshape(rows.shape))

    def coarse_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Gradient of the log likelihood in single precision, (..., block, dim)."""
        rows = self.rows(theta)
        G = self.design.coarse(rows.reshape(-1, 1 + self.sites))
        return self.gathered(self.sums - G.reshape(rows.shape))

    def _value(self, rows, V):
        value = np.sum(rows * self.sums, axis=-1) - V.reshape(rows.shape[:-1])
        return value.sum(axis=-1, keepdims=True) if self.symmetric else value

    def normal(self, scale: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Means (dim,) and precisions (..., dim) of the prior of a block, at a width (...)."""
        return self.prior.moments(self.fields, self.dim - self.fields, scale)

    def log_prior(self, theta: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
        """Log density of each block's parameters, (..., block), given the width (...)."""
        h, J = theta[..., : self.fields], theta[..., self.fields :]
        factors = self.prior.log_factors(h, J, np.asarray(scale)[..., None])
        return factors["h"] + factors["J"]

    def gradient(
        self, theta: np.ndarray, scale: np.ndarray | float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log density of each block given the width, (..., block), and its gradient."""
        return self.add_prior(theta, scale, *self.likelihood_gradient(theta))

    def add_prior(self, theta, scale, value, slope):
        """Log densities and gradients from those of the likelihood."""
        return value + self.log_prior(theta, scale), slope + self.prior_slope(theta, scale)

    def prior_slope(self, theta: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
        """Gradient of the log prior given the width, (..., block, dim)."""
        mean, precision = self.normal(scale)
        return precision[..., None, :] * (mean - theta)

    @property
    def work(self) -> float:
        """Products that one curvature takes, roughly."""
        return self.sites * self.design.work

    def curvature(
        self, theta: np.ndarray, scale: float = 1.0, blocks: np.ndarray | slice = slice(None)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log density, gradient and minus the Hessian of some blocks.

        Parameters
        ----------
        theta : their parameters, (block, dim).
        scale : the width.
        blocks : their positions; by default all.

        Returns
        -------
        (block,), (block, dim) and (block, dim, dim); without a prior those of the likelihood. Where
        couplings are symmetric the last holds the rows' parts, (site, 1 + site, 1 + site), which
        ``joint`` adds up, without the prior's.
        """
        if self.symmetric:
            value, slope, H = self.row_curvature(theta)
            value, slope = value.sum(keepdims=True), self.gathered(slope)
        else:
            used = self.used[blocks]
            rows = np.zeros((len(theta), 1 + self.sites))
            np.put_along_axis(rows, used, theta, axis=1)
            V, G, H = self.design.curvature(rows)
            value = np.sum(rows * self.sums[blocks], axis=-1) - V
            slope = np.take_along_axis(self.sums[blocks] - G, used, axis=1)
            H = self.of_blocks(H, blocks)
        if self.prior is None:
            return value, slope, H
        value, slope = self.add_prior(theta, scale, value, slope)
        if not self.symmetric:
            H[:, np.arange(self.dim), np.arange(self.dim)] += self.normal(scale)[1]
        return value, slope, H

    def row_curvature(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log likelihood of each site's next states, (site,), and how it changes with the row.

        Returns
        -------
        (site,), the slope (site, 1 + site) and minus the Hessian (site, 1 + site, 1 + site).
        """
        rows = self.rows(theta)
        V, G, H = self.design.curvature(rows)
        return np.sum(rows * self.sums, axis=-1) - V, self.sums - G, H

    def part(self, step: int) -> Logistic:
        """Return the same model of every so many-th transition."""
        return self.of(self.data.take(np.arange(0, self.samples, step)))

    def of(self, data: Transitions) -> Logistic:
        """Return the same model of other transitions."""
        form = {name: getattr(self, name) for name in ("symmetric", "self_coupling", "workers")}
        return Logistic(data, self.prior, **form)

    def of_blocks(self, H: np.ndarray, blocks: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Matrices of blocks, (block, dim, dim), from those of rows without symmetry."""
        if self.self_coupling:
            return H
        used = self.used[blocks]
        return np.take_along_axis(np.take_along_axis(H, used[:, :, None], 1), used[:, None], 2)

    def joint(self, H: np.ndarray) -> np.ndarray:
        """Add up the rows' parts (site, 1 + site, 1 + site) of symmetric couplings, (dim, dim)."""
        result = np.zeros((self.dim + 1, self.dim + 1))
        for k, index in enumerate(self.index):
            result[np.ix_(index, index)] += H[k]
        return result[:-1, :-1]
