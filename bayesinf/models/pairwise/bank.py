"""Beyond enumeration: a bank of states, drawn once near the optimum, in place of all states.

With states s_k drawn at θ₀, what the likelihood needs at any θ nearby is an average over them,

    log Z(θ) / Z(θ₀) = Δ · μ + log Σ_k w_k exp(Δ · (φ_k − φ̄)),   Δ = θ − θ₀

where μ are the moments at θ₀ from a run far longer than the bank and φ̄ = Σ_k w_k φ_k those of the
bank itself: the first order, on which the posterior's place hangs, then has the error of the long
run, and the bank gives curvature and what is beyond. Under the posterior of M states the variance
of Δ · φ is about P / M, so the weights hardly differ; where they do, their effective sample size
and Pareto k̂ say so. The function is concave in θ like the true one, and its gradient and Hessian
are exact ones of itself.

States that came several times are kept once, with their count. Of those that are too many to keep,
each is kept with a chance that grows with its leverage φ · F⁻¹ φ, which is large where pairs are on
together that rarely are, and weighs the more the smaller its chance was. Inside, sites are 0/1.

Ferrenberg & Swendsen, Phys. Rev. Lett. 61, 2635 (1988), doi:10.1103/PhysRevLett.61.2635; Broderick,
Dudik, Tkacik, Schapire & Bialek, arXiv:0712.2437.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesinf.models.binary import ENCODINGS, Moments, convert, matrix, pairs, sites_of
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.optimum import independent, refused
from bayesinf.models.priors import Normal

BLOCK = 2**13  # states that are weighed at once; sums over blocks do not depend on the workers
LONG = 25  # independent states of the long run for each of the data: a shift of 0.2 posterior sd
LEAST, MOST = 200_000, 10_000_000  # independent states of the long run
WORK = 4e7  # additions that one sum over the bank may cost: it sets how many states are kept
CHAINS = 64
PART = 2**18  # states that the long run makes at once
FEW = 20_000  # independent states of the first bank
TRIPLES = 500  # triples whose moments are followed
ROWS = 16  # parameters that are summed over the bank together
TENTH, PRODUCTS = 0.1, 50  # where conjugate gradients stop: of the gradient, and products at most

# The search for the optimum
SEEKERS, HASTE = 1000, 2  # chains, and sweeps between their kept states
SEARCH = 1e7  # additions that a sum may cost
REACH, LEAST_REACH = 1.0, 0.02  # sd of Δ · φ of a step: the largest, and the least after a push
TURNED = -0.3  # slope along a step at its end, relative to that at its start, that was too far
STUCK = 0.3  # autocorrelation time of chains that are, in their length
TRIES = 6  # how often a step is undone before it is taken after all
LEAP, SLOWEST = 3.0, 32  # by what factor a step may lengthen it; sweeps between states at most
STRETCH = 4.0  # how much longer than Newton's a step may be
CAUTION = 0.3  # of the variance of each statistic, added to the Fisher information of the data
PUSH, NEGLIGIBLE = 5.0, 0.02  # nats against a phase, and what they may cost: Var Δ · φ
GROW, SETTLED = 4.0, 2.0  # what is left to climb, over what sampling error makes
STEPS = 1000
FIXED = 30  # rounds in which the width settles


@dataclass(frozen=True)
class Bank:
    """States drawn at θ₀, and what a longer run of the same chains says of the moments there.

    Parameters
    ----------
    theta : θ₀, (parameter,).
    encoding : "±1" or "0/1", of everything but ``states``.
    states : distinct states, 0/1, int8 (state, site).
    count : how often each came, (state,).
    inflate : one over the chance with which it was kept, (state,).
    phi : μ, (parameter,).
    effective : how many independent states μ is worth.
    population : share of the states with K sites on, (N + 1,), in the long run.
    triples : (triple, 3), sites whose products are followed.
    triple : their means in the long run, (triple,).
    last : where the chains ended, in the encoding, (chain, site).
    workers : threads; None takes all cores.
    """

    theta: np.ndarray
    encoding: str
    states: np.ndarray
    count: np.ndarray
    inflate: np.ndarray
    phi: np.ndarray
    effective: float
    population: np.ndarray
    triples: np.ndarray
    triple: np.ndarray
    last: np.ndarray
    workers: int | None = None

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.states.shape[1]

    @property
    def size(self) -> float:
        """How many independent states the bank is worth at its centre."""
        return float(self.evaluate(self.theta[None])[2][0])

    @cached_property
    def features(self) -> _Sparse | _Dense:
        """The states in the form in which sums over them are fastest."""
        return _features(self.states)

    @cached_property
    def log_weight(self) -> np.ndarray:
        """Log weights at the centre, (state,)."""
        return np.log(self.count * self.inflate)

    @cached_property
    def mean(self) -> np.ndarray:
        """φ̄ of the states as 0/1, (parameter,)."""
        return _packed(self._sum(self._own))

    def evaluate(
        self, theta: np.ndarray, gradient: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return log Z(θ) / Z(θ₀) (row,), φ (row, parameter) or None, and effective sizes (row,).

        Parameters
        ----------
        theta : (row, parameter).
        gradient : whether φ is wanted.
        """
        delta = theta - self.theta
        h, J, full = _off_on(delta, self.encoding)

        def run(first):
            last = min(first + BLOCK, len(self.states))
            size, square, second = np.empty((len(h), 2)), np.empty(len(h)), []
            for row in range(len(h)):
                x = self.features.exponents(h[row], J[row], first, last)
                x += self.log_weight[first:last]
                top = x.max()
                weight = np.exp(x - top, out=x)
                size[row] = top, weight.sum()
                square[row] = np.sum(weight**2 / self.count[first:last])
                if gradient:
                    second.append(self.features.moments(weight, first, last))
            return size, square, np.array(second)

        top = np.full(len(h), -np.inf)
        total, square, second = 0.0, 0.0, 0.0
        for size, squares, part in self._map(run):
            new = np.maximum(top, size[:, 0])
            old, own = np.exp(top - new), np.exp(size[:, 0] - new)
            total = total * old + size[:, 1] * own
            square = square * old**2 + squares * own**2
            if gradient:
                second = second * old[:, None, None] + part * own[:, None, None]
            top = new
        whole = np.logaddexp.reduce(self.log_weight)
        ratio = delta @ self.phi + top + np.log(total) - whole - full @ self.mean
        phi = None
        if gradient:
            phi = _packed(second / total[:, None, None]) - self.mean
            phi = self.phi + _encoded(phi, self.encoding)
        return ratio, phi, total**2 / square

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """Weights (state,) of the states at θ (parameter,); they add up to one."""
        x = self.exponents(theta - self.theta) + self.log_weight
        weight = np.exp(x - x.max(), out=x)
        return weight / weight.sum()

    def exponents(self, delta: np.ndarray) -> np.ndarray:
        """Δ · φ of every state up to a constant, (state,), at Δ (parameter,)."""
        h, J, _ = _off_on(delta[None], self.encoding)
        run = lambda first: self.features.exponents(
            h[0], J[0], first, min(first + BLOCK, len(self.states))
        )
        return np.concatenate(list(self._map(run)))

    def product(self, weight: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Fisher information under weights (state,) times v (parameter,)."""
        x = self.exponents(v)
        second = self._sum(weight * (x - weight @ x))
        return _encoded(_packed(second), self.encoding)

    def fisher(self, theta: np.ndarray) -> np.ndarray:
        """Fisher information of one state at θ, (parameter, parameter).

        It is made in place: for 160 sites 1.3 GB, and no second array of that size.
        """
        from bayesinf.models.pairwise import bank_kernel

        weight = self.weights(theta)
        result = np.zeros((len(theta), len(theta)))
        with self._pool() as pool:
            self.features.products(weight, result, pool)
        bank_kernel.complete(result, _packed(self._sum(weight)))
        if self.encoding == "±1":
            for side in (result, result.T):
                _encode_rows(side, self.sites)
        return result

    @cached_property
    def _own(self):
        weight = np.exp(self.log_weight)
        return weight / weight.sum()

    def log_ratios(self, theta: np.ndarray) -> np.ndarray:
        """Log importance ratios at θ, one for each state that was drawn and kept, (drawn,)."""
        return np.repeat(self.exponents(theta - self.theta) + np.log(self.inflate), self.count)

    def _sum(self, weight):
        run = lambda first: self.features.moments(
            weight[first : first + BLOCK], first, min(first + BLOCK, len(weight))
        )
        return sum(self._map(run))

    def _map(self, run) -> Iterator:
        # Not parallel.map, whose 15 ms are several times what a sum over the bank takes.
        starts = range(0, len(self.states), BLOCK)
        if self.workers == 1 or len(starts) == 1:
            yield from map(run, starts)
        else:
            with self._pool() as pool:
                yield from pool.map(run, starts)

    def _pool(self):
        import os

        return ThreadPoolExecutor(self.workers or os.cpu_count())


class _Sparse:
    """Sums over states that are lists of the sites that are on."""

    def __init__(self, states):
        self.sites = states.shape[1]
        self.active = np.nonzero(states)[1].astype(np.int16)
        self.starts = np.append(0, np.cumsum(np.count_nonzero(states, axis=1)))

    def exponents(self, h, J, first, last):
        from bayesinf.models.pairwise import bank_kernel

        result = np.empty(last - first)
        bank_kernel.exponents(h, J, self.starts, self.active, first, last, result)
        return result

    def moments(self, weight, first, last):
        from bayesinf.models.pairwise import bank_kernel

        result = np.zeros((self.sites, self.sites))
        bank_kernel.moments(weight, self.starts, self.active, first, last, result)
        return result

    def products(self, weight, result, pool):
        from bayesinf.models.pairwise import bank_kernel

        parts = pool._max_workers
        run = lambda part: bank_kernel.products(
            weight, self.starts, self.active, self.sites, part, parts, result
        )
        list(pool.map(run, range(parts)))


class _Dense:
    """Sums over states by products of matrices."""

    def __init__(self, states):
        self.states = states

    def exponents(self, h, J, first, last):
        part = self.states[first:last].astype(float)
        field = part @ J
        field += h
        return np.einsum("si,si->s", field, part)

    def moments(self, weight, first, last):
        part = self.states[first:last].astype(float)
        return part.T @ (weight[:, None] * part)

    def products(self, weight, result, pool):
        from scipy.linalg.blas import dsyrk

        i, j = pairs(self.states.shape[1])
        step = max(64, 2**22 // len(result))
        for first in range(0, len(weight), step):
            part = self.states[first : first + step].astype(float)
            part *= np.sqrt(weight[first : first + step, None])
            on = self.states[first : first + step]
            phi = np.concatenate([part, part[:, i] * on[:, j]], axis=1)
            # The upper triangle of the transpose is the lower one of the rows.
            dsyrk(1.0, phi.T, beta=1.0, c=result.T, overwrite_c=True)


def _features(states):
    on = np.count_nonzero(states, axis=1)
    few = np.mean(on * (on + 1.0) / 2) < states.shape[1] ** 2 / 16
    return _Sparse(states) if few else _Dense(states)


def _cost(states):
    """What a state adds to a sum over the bank, in additions."""
    if isinstance(_features(states), _Dense):
        return np.full(len(states), states.shape[1] ** 2 / 8)
    on = np.count_nonzero(states, axis=1)
    return 4 + on * (on + 1) / 2


# ── Between the encodings ────────────────────────────────────────────────────────────────────────


def _off_on(delta, encoding):
    """Parameters (row, parameter) for 0/1: fields, couplings above the diagonal, both packed."""
    sites = sites_of(delta.shape[-1])
    h, J, _ = convert(delta[:, :sites], delta[:, sites:], encoding, "0/1")
    return h, np.triu(matrix(J, sites)), np.concatenate([h, J], axis=1)


def _packed(second):
    """Means and pair moments (..., parameter) of sums (..., site, site) of products of 0/1."""
    sites = second.shape[-1]
    own = np.arange(sites)
    return np.concatenate([second[..., own, own], second[(..., *pairs(sites))]], axis=-1)


def _encoded(phi, encoding):
    """Differences of moments of 0/1, (..., parameter), as those of the encoding."""
    if encoding == "0/1":
        return phi
    sites = sites_of(phi.shape[-1])
    i, j = pairs(sites)
    mean, pair = phi[..., :sites], phi[..., sites:]
    return np.concatenate([2 * mean, 4 * pair - 2 * mean[..., i] - 2 * mean[..., j]], axis=-1)


def _encode_rows(rows, sites):
    """Turn rows (parameter, ...) of moments of 0/1 into those of ±1, in place."""
    place = sites
    for i in range(sites - 1):
        block = rows[place : place + sites - 1 - i]
        block *= 4
        block -= 2 * rows[i]
        block -= 2 * rows[i + 1 : sites]
        place += len(block)
    rows[:sites] *= 2


# ── Drawing ──────────────────────────────────────────────────────────────────────────────────────


def draw(
    theta: np.ndarray,
    encoding: str,
    wanted: float,
    rng: np.random.Generator,
    *,
    start: np.ndarray | None = None,
    work: float = WORK,
    workers: int | None = None,
) -> Bank:
    """Draw a bank at θ, and the long run.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    wanted : how many independent states the long run shall be worth.
    rng : the generator.
    start : where chains of another bank ended, (chain, site).
    work : additions that a sum over the bank may cost.
    workers : threads; None takes all cores.
    """
    from bayesinf.models.pairwise import sampling

    pilot = sampling.sample(theta, encoding, CHAINS, chains=CHAINS, start=start, rng=rng,
                            workers=workers)  # fmt: skip
    last, thin, total, inefficiency = pilot.last, pilot.thin, _Total(encoding, theta.size), 1.0
    while total.effective < wanted:
        missing = (wanted - total.effective) * inefficiency
        count = int(min(PART, CHAINS * np.ceil(missing / CHAINS)))
        part = sampling.sample(
            theta, encoding, count, start=last, thin=thin, burn=0, rng=rng, workers=workers
        )
        last, inefficiency = part.last, part.inefficiency
        total.add(part.states, part.effective)
    return total.bank(theta, last, work, rng, workers)


class _Total:
    """Sums over the parts of a long run."""

    def __init__(self, encoding, parameters, followed=TRIPLES):
        from bayesinf.models.binary import triples

        self.encoding, self.sites = encoding, sites_of(parameters)
        self.triples = triples(self.sites, followed)
        self.count, self.effective = 0, 0.0
        self.second, self.population, self.triple = 0.0, 0.0, 0.0
        self.seen = []

    def add(self, states, effective):
        from bayesinf.models import binary
        from bayesinf.models.pairwise import sampling

        count = len(states)
        on = (states == 1).astype(np.int8)
        self.count += count
        self.effective += effective
        self.second += sampling.feature_moments(on, "0/1") * count
        self.population += binary.population(states) * count
        self.triple += binary.triple_moments(states, self.triples) * count
        self.seen.append(_unique(np.packbits(on, axis=1), np.ones(count, dtype=np.int64)))

    @property
    def phi(self):
        from bayesinf.models.binary import Moments

        found = self.second / self.count
        data = Moments("0/1", self.count, found[: self.sites], found[self.sites :])
        return data.encoded(self.encoding).statistics

    def bank(self, theta, last, work, rng, workers):
        states, count = self.distinct()
        keep, inflate = _thinned(states, count, work, rng)
        return Bank(theta, self.encoding, states[keep], count[keep], inflate[keep], self.phi,
                    self.effective, self.population / self.count, self.triples,
                    self.triple / self.count, last, workers)  # fmt: skip

    def distinct(self):
        packed, count = (np.concatenate(parts) for parts in zip(*self.seen, strict=True))
        packed, count = _unique(packed, count)
        return np.unpackbits(packed, axis=1, count=self.sites).view(np.int8), count


def _unique(packed, count):
    """Distinct rows of bytes, and the sums of their counts."""
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    words = words.view(np.uint64)
    order = np.lexsort(words.T)
    ordered = words[order]
    fresh = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return packed[order[fresh]], np.add.reduceat(count[order], np.flatnonzero(fresh))


def _thinned(states, count, work, rng):
    """Which states to keep so that a sum over them costs no more than ``work``, and 1 / chance."""
    features, cost = _features(states), _cost(states)
    if cost.sum() <= work:
        return np.arange(len(states)), np.ones(len(states))
    blocks = [(first, min(first + BLOCK, len(states))) for first in range(0, len(states), BLOCK)]
    total = count.sum()
    second = sum(features.moments(count[a:b] / total, a, b) for a, b in blocks)
    variance = np.maximum(np.triu(second * (1 - second)), 1 / total)
    inverse = np.triu(1 / variance)
    own = np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    leverage = np.concatenate([features.exponents(own, inverse, a, b) for a, b in blocks])
    # A rest of one keeps states without leverage, such as silence, among those that can be chosen.
    merit = count * np.sqrt(1 + leverage) / np.sqrt(1 + cost)
    low, high = 0.0, 1 / merit.min()
    for _ in range(60):
        middle = 0.5 * (low + high)
        chance = np.minimum(1.0, middle * merit)
        low, high = (low, middle) if chance @ cost > work else (middle, high)
    chance = np.minimum(1.0, low * merit)
    keep = np.flatnonzero(rng.random(len(states)) < chance)
    return keep, 1 / chance


# ── The likelihood ───────────────────────────────────────────────────────────────────────────────


class Banked(Pairwise):
    """A ``Pairwise`` whose sums over all states are averages over a bank.

    Parameters
    ----------
    data, prior, workers : as of ``Pairwise``.
    bank : states drawn near the optimum.
    log_z : log Z at the bank's centre; what does not depend on it needs none.
    """

    def __init__(self, data: Moments, prior: Prior | None, workers: int | None, bank: Bank,
                 log_z: float = 0.0):  # fmt: skip
        super().__init__(data, prior, workers)
        self.bank, self.log_z = bank, log_z

    def log_partition(self, theta: np.ndarray) -> np.ndarray:
        """Return log Z, (...)."""
        return self._evaluate(theta, False)[0]

    def expectations(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log Z, (...), and the moments, (..., parameter)."""
        return self._evaluate(theta, True)[:2]

    def state_curvature(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log Z, its gradient and its Hessian at one θ (parameter,)."""
        return *self.expectations(theta), self.bank.fisher(theta)

    def effective(self, theta: np.ndarray) -> np.ndarray:
        """How many independent states the bank is worth at θ, (...)."""
        return self._evaluate(theta, False)[2]

    def _evaluate(self, theta, gradient):
        rows = np.reshape(theta, (-1, self.size))
        parts = [
            self.bank.evaluate(rows[k : k + ROWS], gradient) for k in range(0, len(rows), ROWS)
        ]
        shape = np.shape(theta)[:-1]
        ratio, phi, size = (
            np.concatenate(found) if found[0] is not None else None
            for found in zip(*parts, strict=True)
        )
        phi = phi.reshape(*shape, -1) if gradient else None
        return (ratio.reshape(shape) + self.log_z)[()], phi, size.reshape(shape)[()]

    def near(self, theta: np.ndarray) -> np.ndarray:
        """Pull θ (parameter,) towards the centre until the sd of Δ · φ there is at most one."""
        x, weight = self.bank.exponents(theta - self.bank.theta), np.exp(self.bank.log_weight)
        sd = np.sqrt(np.cov(x, aweights=weight))
        return self.bank.theta + min(1.0, REACH / max(sd, 1e-300)) * (theta - self.bank.theta)

    def newton(
        self, theta: np.ndarray, scale: float, gradient: np.ndarray, seen: Bank | None = None
    ) -> np.ndarray:
        """Newton's step (parameter,) at θ, by conjugate gradients: no matrix is made.

        In the products of what sites show beyond their means, (s_i − m_i) (s_j − m_j), the Fisher
        information of weakly coupled sites is diagonal; that makes the preconditioner. Where the
        bank has too few states with a rare pair, and hence too little curvature along its coupling,
        the rest is taken from the moments of the data, to which those of the optimum are equal.

        Far from the optimum the states of the data, ``seen``, lend their Fisher information too: it
        knows of the bursts that the model has not learnt yet, and through which it would leap.
        """
        weight = self.bank.weights(theta)
        moments = _packed(self.bank._sum(weight)) - self.bank.mean
        centred = _Centred(self.data)
        own = centred.variances(self.bank.phi + _encoded(moments, self.encoding))
        wanted = centred.variances(_regular(self.data))
        if seen is not None:
            of_data = seen.weights(seen.theta)
            own += centred.variances(seen.phi)
        added = np.maximum(wanted - own, 0.0) + (0.0 if seen is None else CAUTION * wanted)
        prior = np.zeros(self.size)
        if self.prior is not None:
            prior = self.prior.moments(self.sites, self.size - self.sites, scale)[1] / self.samples
        diagonal = own + added + prior

        def times(v):
            other = 0.0 if seen is None else seen.product(of_data, v)
            return self.bank.product(weight, v) + other + (
                centred.back(added * centred.forth(v)) + prior * v)  # fmt: skip

        return _conjugate_gradients(
            times, lambda g: centred.steps(centred.slopes(g) / diagonal), gradient / self.samples
        )


class _Centred:
    """The change from the statistics φ to c_i = s_i, c_ij = (s_i − m_i) (s_j − m_j).

    With c = A φ + constants the Fisher information of φ is A⁻¹ F_c A⁻ᵀ.
    """

    def __init__(self, data):
        self.sites, self.encoding, self.mean = data.sites, data.encoding, data.mean
        self.i, self.j = pairs(self.sites)
        self.m_i, self.m_j = self.mean[self.i], self.mean[self.j]

    def variances(self, phi):
        """Variances of c (parameter,) where the moments are φ."""
        sites, i, j = self.sites, self.i, self.j
        mean, pair = phi[:sites], phi[sites:]
        # (s − m)² = a + b s, as s² is 1 or s itself.
        if self.encoding == "±1":
            a, b = 1 + self.mean**2, -2 * self.mean
            own = 1 - mean**2
        else:
            a, b = self.mean**2, 1 - 2 * self.mean
            own = mean - mean**2
        square = a[i] * a[j] + a[i] * b[j] * mean[j] + b[i] * a[j] * mean[i] + b[i] * b[j] * pair
        first = pair - self.m_i * mean[j] - self.m_j * mean[i] + self.m_i * self.m_j
        return np.concatenate([own, square - first**2])

    def forth(self, v):
        """A⁻ᵀ v."""
        sites = self.sites
        return np.concatenate([v[:sites] + matrix(v[sites:], sites) @ self.mean, v[sites:]])

    def back(self, u):
        """A⁻¹ u."""
        h = u[: self.sites]
        pair = u[self.sites :] + self.m_j * h[self.i] + self.m_i * h[self.j]
        return np.concatenate([h, pair])

    def slopes(self, g):
        """A g."""
        pair = g[self.sites :] - self.m_j * g[self.i] - self.m_i * g[self.j]
        return np.concatenate([g[: self.sites], pair])

    def steps(self, u):
        """Aᵀ u."""
        h, pair = u[: self.sites], u[self.sites :]
        return np.concatenate([h - matrix(pair, self.sites) @ self.mean, pair])


def _regular(data):
    """Moments of the data and one state of independent sites, which leaves none at an edge."""
    on = data.encoded("0/1")
    mean = (on.mean * data.samples + 0.5) / (data.samples + 1)
    i, j = pairs(data.sites)
    pair = (on.pair * data.samples + mean[i] * mean[j]) / (data.samples + 1)
    return Moments("0/1", data.samples, mean, pair).encoded(data.encoding).statistics


def _conjugate_gradients(times, precondition, target):
    """Solve A x = target to a tenth of its size, for a positive definite A."""
    x, rest = np.zeros_like(target), target.copy()
    z = precondition(rest)
    along, size = z, rest @ z
    goal = TENTH**2 * size
    for _ in range(PRODUCTS):
        image = times(along)
        step = size / (along @ image)
        x, rest = x + step * along, rest - step * image
        z = precondition(rest)
        new = rest @ z
        if new <= goal:
            break
        along, size = z + new / size * along, new
    return x


# ── The optimum ──────────────────────────────────────────────────────────────────────────────────


def locate(
    data: Moments,
    prior: Prior | None,
    rng: np.random.Generator,
    workers: int | None = None,
    seen: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Look for the optimum, from bank to bank.

        θ ← θ + t F⁻¹ ∇,   t such that the sd of Δ · φ is at most one

    F is the Fisher information of the model, and added to it that of the data, where their states
    are given; both agree at the optimum. Chains go on from bank to bank. Where the slope along a
    step has turned round, it was too far: it is undone, the chains too, and halved. Chains that
    went far from anything that the data show have met another phase of the model (many sites on at
    once hold each other there), of which nothing can be seen before; then θ is moved against that
    phase instead, by some nats in its weight, which for the data is next to nothing.

    Banks are small at first and grow where what is left to climb is what their sampling error
    makes, as the two halves of the chains tell it, until they are as many states as the data are.

    Parameters
    ----------
    data : moments.
    prior : of the parameters, or None. Where its width is to be inferred, that is updated on the
        way; in place of a Laplace or horseshoe prior a normal one of the same width stands.
    rng : the generator.
    workers : threads; None takes all cores.
    seen : distinct states of the data, (state, site), and how often each came. Without, strongly
        coupled sites, in tens and more, may not be solved.

    Returns
    -------
    θ (parameter,), about as near to the optimum as sampling errors of the data are large, and where
    the chains ended.

    Raises
    ------
    FitError : no optimum was found.

    References
    ----------
    Ferrari, Phys. Rev. E 94, 023301 (2016), doi:10.1103/PhysRevE.94.023301.
    """
    from bayesinf.models.pairwise import sampling

    size, theta, width = data.statistics.size, independent(data), None
    on = rng.random((SEEKERS, data.sites)) < data.encoded("0/1").mean
    last = np.where(on, 1, ENCODINGS[data.encoding])
    if seen is not None:
        last = seen[0][rng.choice(len(seen[0]), SEEKERS, p=seen[1] / seen[1].sum())]
        seen = _of_data(data, *seen, rng, workers)
    count = max(FEW, 4 * size)
    enough = max(count, data.samples)
    reach, before, moved, gained = REACH, None, None, 0.0
    thin, slow, tries = HASTE, 1.0, 0
    for _ in range(STEPS):
        drawn = sampling.sample(theta, data.encoding, count, rng=rng, start=last, thin=thin,
                                burn=thin, workers=workers)  # fmt: skip
        total = _Total(data.encoding, size, followed=1)
        total.add(drawn.states, drawn.effective)
        held = None
        if prior is not None:
            width = settled_width(prior, data, theta)
            held = Prior(prior.h, Normal(prior.mean, width))
        problem = Banked(data, held, workers, total.bank(theta, drawn.last, SEARCH, rng, workers))
        _, gradient = problem.gradient(theta)
        turn = None if moved is None else gradient @ moved / gained
        stuck = drawn.inefficiency > STUCK * count / SEEKERS
        far = (stuck and drawn.inefficiency > LEAP * slow) or (turn is not None and turn < TURNED)
        if before is not None and far and tries < TRIES:
            back, last, bank = before
            push = _against(bank, back, drawn, gradient, moved, seen, PUSH * 2.0**tries)
            tries += 1
            if push is not None:
                theta, moved, reach = back + push, None, max(reach / 2, LEAST_REACH)
                before = theta, last, bank
            elif moved is not None:
                moved, gained, reach = moved / 2, gained / 2, max(reach / 2, LEAST_REACH)
                theta = back + moved
            continue
        slow, tries = drawn.inefficiency, 0
        if stuck:  # and no step has made it so at once: the model is slow
            thin = min(2 * thin, SLOWEST)
        step = problem.newton(theta, 1.0, gradient, seen)
        rise = gradient @ step / data.samples
        if rise <= GROW * size / count:
            half = [sampling.feature_moments(part, data.encoding)
                    for part in np.array_split(drawn.states, 2)]  # fmt: skip
            spread = 0.5 * data.samples * (half[1] - half[0])
            noise = spread @ problem.newton(theta, 1.0, spread, seen) / data.samples
            if count >= enough and rise <= SETTLED * noise:
                return theta, drawn.last[:CHAINS]
            if rise <= GROW * noise:
                count = min(4 * count, enough)
        before, last = (theta, drawn.last, problem), drawn.last
        # Along a parabola the top is where the slope would have vanished.
        stretch = 1.0 if turn is None else float(np.clip(1 / (1 - min(turn, 0.9)), 1.0, STRETCH))
        moved = min(stretch, reach / np.sqrt(rise)) * step
        gained, reach = gradient @ moved, min(REACH, 1.3 * reach)
        theta = theta + moved
    raise refused(problem, theta, step, gradient)


def _against(problem, theta, drawn, gradient, moved, seen, nats):
    """A step that takes nats off the weight of a phase that chains have met, or None.

    Parameters: ``problem`` near θ, before the step ``moved``; ``drawn`` states and their
    ``gradient`` after it.
    """
    from bayesinf.models.pairwise import sampling

    data = problem.data
    states = drawn.states.reshape(drawn.chains, -1, data.sites)
    away = [-gradient @ sampling.feature_moments(chain, data.encoding) for chain in states]
    away = np.array(away) + gradient @ data.statistics
    lost = states[away > 0.5 * away.max()]
    phase = sampling.feature_moments(lost.reshape(-1, data.sites), data.encoding) - data.statistics
    push = problem.newton(theta, 1.0, -data.samples * phase, seen)
    distance = -push @ phase  # squared, in standard deviations of a state
    if moved is not None:
        nats = max(nats, 2 * moved @ phase)
    return push * nats / distance if nats**2 <= NEGLIGIBLE * distance else None


def _of_data(data, states, count, rng, workers):
    """The data themselves as a bank."""
    on = (states == 1).astype(np.int8)
    keep, inflate = _thinned(on, count, SEARCH, rng)
    none = np.zeros(0)
    return Bank(np.zeros(data.statistics.size), data.encoding, on[keep], count[keep], inflate[keep],
                data.statistics, data.samples, none, none, none, none, workers)  # fmt: skip


def settled_width(prior: Prior, data: Moments, theta: np.ndarray) -> float:
    """Return the width at which couplings are as wide as they and their errors are found to be.

        τ² = ⟨(J − mean)² + 1 / (M var c_ij + τ⁻²)⟩

    That of the prior where it is stated.

    MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415.
    """
    width, sites = prior.typical, data.sites
    if not prior.inferred:
        return width
    information = data.samples * _Centred(data).variances(_regular(data))[sites:]
    square = (theta[sites:] - prior.mean) ** 2
    for _ in range(FIXED):
        width = float(np.sqrt(np.mean(square + 1 / (information + width**-2.0))))
    return width
