"""Sums over present states that every row of couplings shares.

With the log odds η_t = β · x_t of a site, where x_t = c (1, s_1(t), ..., s_N(t)) and c is 2 for ±1
and 1 for 0/1, all that a row β needs of the present states is

    V = Σ_t log(1 + e^η),   G = Σ_t σ(η) x_t,   H = Σ_t σ(η) σ(−η) x_t x_tᵀ

Equal states are counted and looked at once. Where few sites are in their rarer state, the products
with x run over those sites alone (``Sparse``); else they go through BLAS (``Dense``).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bayesinf.models.binary import ENCODINGS, distinct

__all__ = ["HEAVY", "Dense", "Design", "Sparse", "design"]

# States that are summed over together: what they need stays in the cache.
PART = 2**9
# Rows whose log likelihood is summed at once.
ABREAST = 256
# Rows whose curvature one worker takes at a time.
ROWS = 32
# Numbers up to which the matrix x is kept rather than made again.
HELD = 2**23
# Share of active sites up to which sums over them are the faster ones.
RARE = 0.1
# Products from which work is spread over the cores.
HEAVY = 2e9


def design(now: np.ndarray, encoding: str, workers: int | None = 1, sparse: bool | None = None):
    """Return the ``Dense`` or ``Sparse`` sums over states, int8 (transition, site).

    Parameters
    ----------
    now : present states.
    encoding : "±1" or "0/1".
    workers : cores for curvatures; None takes all.
    sparse : which of the two; None takes the faster.
    """
    states, count = distinct(now)
    order = np.argsort(count == 1, kind="stable")  # those that occur once come last
    states, count = states[order], count[order].astype(float)
    on = np.average(states == 1, axis=0, weights=count)
    if sparse is None:
        sparse = states.shape[1] > 16 and np.minimum(on, 1 - on).mean() < RARE
    return (Sparse if sparse else Dense)(states, count, encoding, on > 0.5, workers)


class Design:
    """What both kinds share; a kind says how states are multiplied with rows.

    Parameters
    ----------
    states : distinct, int8 (state, site), those that occur once last.
    count : how often each occurs, (state,).
    encoding : "±1" or "0/1".
    common : whether a site is on more often than off, (site,).
    workers : cores for curvatures; None takes all.
    """

    def __init__(self, states, count, encoding, common, workers):
        low = ENCODINGS[encoding]
        self.states, self.count, self.common, self.workers = states, count, common, workers
        self.low, self.slope, self.columns = low, 1.0 - low, states.shape[1] + 1
        self.repeated = int(np.sum(count != 1))  # the first ones; the others occur once
        self.parts = [slice(k, min(k + PART, len(count))) for k in range(0, len(count), PART)]

    @cached_property
    def total(self) -> np.ndarray:
        """Σ_t x_t, (1 + site,)."""
        return self.slope * np.append(self.count.sum(), self.count @ self.states)

    @property
    def work(self) -> float:
        """Products that the curvature of a row takes, roughly."""
        return len(self.count) * self.columns**2

    def partition(self, rows: np.ndarray) -> np.ndarray:
        """V, (row,), of rows (row, 1 + site)."""
        coded = self.coded(rows)
        V = np.zeros(len(rows))
        for first in range(0, len(rows), ABREAST):
            some = slice(first, first + ABREAST)
            for part in self.parts:
                V[some] += self._log_sum(part, self.fields(part, coded[:, some]))[0]
        return V

    def expectations(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """V, (row,), and G, (row, 1 + site)."""
        coded = self.coded(rows)
        V, G = 0.0, np.zeros((self.columns, len(rows)))
        for part in self.parts:
            eta = self.fields(part, coded)
            V = V + self._log_sum(part, eta)[0]
            self.collect(part, self._half(part, eta), G)
        return V, 0.5 * (self.total + self.encoded(G.T))

    def _log_sum(self, part, eta):
        """Σ log(1 + e^η) of some states, (row,), and e^−|η| and 1 + e^−|η|, (state, row)."""
        size = np.abs(eta)
        V = 0.5 * (self.count[part] @ (eta + size))
        tail = np.exp(np.negative(size, out=size), out=size)
        base = 1.0 + tail
        if part.start < self.repeated:
            return V + self.count[part] @ np.log1p(tail), tail, base
        # One logarithm of a product, none of whose factors is above 2.
        return V + np.log(np.multiply.reduce(base, axis=0)), tail, base

    def coarse(self, rows: np.ndarray) -> np.ndarray:
        """G alone, in single precision, which is enough to find one's way."""
        coded = self.coded(rows).astype(np.float32)
        G = np.zeros((self.columns, len(rows)), dtype=np.float32)
        for part in self.parts:
            self.collect(part, self._half(part, self.fields(part, coded)), G)
        return 0.5 * (self.total + self.encoded(G.T.astype(float)))

    def _half(self, part, eta):
        """Counts times tanh(η / 2) = 2 σ(η) − 1, in the place of η."""
        eta *= 0.5
        np.tanh(eta, out=eta)
        if part.start < self.repeated:
            eta *= self.count[part, None].astype(eta.dtype)
        return eta

    def curvature(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """V, G, and H, (row, 1 + site, 1 + site), in one pass over the states."""
        V, G, H = self._weighed(rows, self.visit, self.workers)
        return V, 0.5 * (self.total + self.encoded(G)), H

    def room(self, rows):
        """Where the weights of a part of the states stand, made once."""
        return np.empty((min(PART, len(self.count)), rows))

    def visit(self, part, coded, V, G, room):
        """Add the sums of some states to V and G, and return their weights in H, (state, row)."""
        eta = self.fields(part, coded)
        log_sum, tail, base = self._log_sum(part, eta)
        V += log_sum
        self.collect(part, self._half(part, eta), G)
        tail *= self.count[part, None]
        base *= base
        return np.divide(tail, base, out=tail)

    def augmented(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Σ_t ω_t x_t x_tᵀ, (row, 1 + site, 1 + site), with ω_t ~ PG(1, η_t) drawn anew."""
        from bayesinf.models.binary.logistic import kernel

        def weigh(part, coded, V, G, room):
            eta = self.fields(part, coded)
            kernel.polya_gammas(rng, self.count[part], eta)
            return eta

        return self._weighed(rows, weigh, 1)[2]

    def _weighed(self, rows, weigh, workers):
        """Σ w x xᵀ of each row, with weights (state, row) from ``weigh`` of some states, and what
        that adds to V (row,) and to G (row, 1 + site).
        """
        from bayesinf import parallel

        def run(start):
            coded = self.coded(rows[start : start + ROWS])
            V, G = np.zeros(coded.shape[1]), np.zeros(coded.shape)
            H, room = self.blank(coded.shape[1]), self.room(coded.shape[1])
            for part in self.parts:
                self.scatter(part, weigh(part, coded, V, G, room), H)
            return V, G.T, self.full(H)

        starts = range(0, len(rows), ROWS)
        heavy = len(rows) * self.work > HEAVY and workers != 1
        spread = {"workers": workers, "threads": True, "label": "curvature"}
        sums = parallel.map(run, starts, **spread) if heavy else [run(start) for start in starts]
        return tuple(np.concatenate(arrays) for arrays in zip(*sums, strict=True))


class Dense(Design):
    """Products by BLAS."""

    def __init__(self, states, *rest):
        super().__init__(states, *rest)
        self.held = {}
        if states.size <= HELD:
            self.held = {
                kind: [self._x(part, kind) for part in self.parts]
                for kind in (np.dtype(np.float64), np.dtype(np.float32))
            }

    def _x(self, part, kind):
        x = np.empty((part.stop - part.start, self.columns), dtype=kind)
        x[:, 0], x[:, 1:] = self.slope, self.states[part]
        x[:, 1:] *= self.slope
        return x

    def x(self, part, kind):
        """c (1, s) of some states, (state, 1 + site), in a precision."""
        return self.held[kind][part.start // PART] if self.held else self._x(part, kind)

    def coded(self, rows):
        """Rows as ``fields`` takes them."""
        return rows.T

    def encoded(self, sums):
        """Sums over x from what ``collect`` has summed, along the last axis."""
        return sums

    def fields(self, part, coded):
        """η, (state, row)."""
        return self.x(part, coded.dtype) @ coded

    def collect(self, part, weights, result):
        """Add Σ w x to (1 + site, row)."""
        result += self.x(part, weights.dtype).T @ weights

    def blank(self, rows):
        """Where ``scatter`` begins."""
        return np.zeros((rows, self.columns, self.columns))

    def scatter(self, part, weights, result):
        """Add Σ w x xᵀ of each row of weights (state, row)."""
        x, root = self.x(part, weights.dtype), np.sqrt(weights)
        for k, matrix in enumerate(result):
            weighed = root[:, k, None] * x
            matrix += weighed.T @ weighed

    def full(self, result):
        """Matrices over x, (row, 1 + site, 1 + site), from what has been summed."""
        return result


class Sparse(Design):
    """Products over the sites that are in their rarer state, a_j = 1, in compiled loops.

    With s_j = m_j + d_j a_j, where m is the commoner state, a row β is b = (c h + c Σ_j J_j m_j,
    c d_j J_j) on (1, a), and sums over x follow from those over (1, a).
    """

    def __init__(self, states, *rest):
        super().__init__(states, *rest)
        usual = np.where(self.common, 1, self.low)
        self.usual, self.step = usual.astype(float), (1.0 + self.low) - 2.0 * usual
        active = states != usual
        self.sites = np.nonzero(active)[1].astype(np.int32)
        self.first = np.append(0, np.cumsum(active.sum(axis=1))).astype(np.int64)

    def coded(self, rows):
        """Rows b on (1, a), as columns (1 + site, row)."""
        coded = np.empty((self.columns, len(rows)))  # in whose order the loops over rows run
        h, J = rows[:, 0], rows[:, 1:]
        coded[0], coded[1:] = self.slope * (h + J @ self.usual), (self.slope * self.step * J).T
        return coded

    def encoded(self, sums):
        """Sums over x from sums over (1, a), along the last axis."""
        first = sums[..., :1]
        rest = self.usual * first + self.step * sums[..., 1:]
        return self.slope * np.concatenate([first, rest], axis=-1)

    def fields(self, part, coded):
        """η, (state, row)."""
        from bayesinf.models.binary.logistic import kernel

        eta = np.empty((part.stop - part.start, coded.shape[1]), dtype=coded.dtype)
        kernel.fields(self.first, self.sites, part.start, coded, eta)
        return eta

    def collect(self, part, weights, result):
        """Add Σ w (1, a) to (1 + site, row)."""
        from bayesinf.models.binary.logistic import kernel

        kernel.collect(self.first, self.sites, part.start, weights, result)

    def partition(self, rows):
        """V, (row,), of rows (row, 1 + site)."""
        return self._visited(rows, 0)[0]

    def expectations(self, rows):
        """V, (row,), and G, (row, 1 + site)."""
        V, G = self._visited(rows, self.columns)
        return V, 0.5 * (self.total + self.encoded(G.T))

    def _visited(self, rows, columns):
        """Sums over all states as of ``visit``, in as many columns as are wanted."""
        V, G, none = np.zeros(len(rows)), np.zeros((columns, len(rows))), np.empty((0, 0))
        for first in range(0, len(rows), ABREAST):
            some = slice(first, first + ABREAST)
            coded = self.coded(rows[some])
            sums = np.zeros((columns, coded.shape[1]))
            for part in self.parts:
                self.visit(part, coded, V[some], sums, none)
            G[:, some] = sums
        return V, G

    def visit(self, part, coded, V, G, room):
        """Add to V and G in one compiled loop, in which a state stays in the cache."""
        from bayesinf.models.binary.logistic import kernel

        weights = room[: part.stop - part.start]
        kernel.visit(self.first, self.sites, part.start, self.count[part], coded, V, G, weights)
        return weights

    def blank(self, rows):
        """Where ``scatter`` begins."""
        return np.zeros((self.columns, self.columns, rows))

    def scatter(self, part, weights, result):
        """Add the lower triangles of Σ w (1, a) (1, a)ᵀ of weights (state, row)."""
        from bayesinf.models.binary.logistic import kernel

        kernel.scatter(self.first, self.sites, part.start, weights, result)

    def full(self, result):
        """Matrices over x, (row, 1 + site, 1 + site), from what has been summed."""
        H = np.moveaxis(result, 2, 0)
        H = np.tril(H) + np.swapaxes(np.tril(H, -1), 1, 2)
        return self.encoded(np.swapaxes(self.encoded(H), 1, 2))
