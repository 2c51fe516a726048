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

from bayesinf.models.binary import Moments, convert, matrix, pairs, sites_of
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.sampling import Bias

BLOCK = 2**13  # states that are weighed at once; sums over blocks do not depend on the workers
LONG = 25  # independent states of the long run for each of the data: a shift of 0.2 posterior sd
LEAST, MOST = 200_000, 10_000_000  # independent states of the long run
KEPT = 100_000  # states of a bank, where they are not of uneven cost
CHAINS = 64
PART = 2**18  # states that the long run makes at once
THIN = 10  # sweeps between them at most: more would cost more than weighing a state
FEW = 20_000  # independent states of the first bank
TRIPLES = 500  # triples whose moments are followed
ROWS = 16  # parameters that are summed over the bank together
TENTH, PRODUCTS = 0.1, 50  # where conjugate gradients stop: of the gradient, and products at most


@dataclass(frozen=True)
class Bank:
    """States drawn at θ₀, and what a longer run of the same chains says of the moments there.

    Parameters
    ----------
    theta : θ₀, (parameter,).
    encoding : "±1" or "0/1", of everything but ``states``.
    states : distinct states, 0/1, int8 (state, site).
    count : how often each came, (state,).
    inflate : what each weighs: one over the chance with which it was kept, over that with which the
        chains' bias favoured it, (state,).
    phi : μ, (parameter,).
    effective : how many independent states μ is worth.
    population : share of the states with K sites on, (N + 1,), in the long run.
    triples : (triple, 3), sites whose products are followed.
    triple : their means in the long run, (triple,).
    last : where the chains ended, in the encoding, (chain, site).
    workers : threads; None takes all cores.
    log_z, log_z_error : log Z at θ₀ and its standard error, where it has been estimated.
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
    log_z: float = 0.0
    log_z_error: float = np.nan

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
        return features_of(self.states)

    @cached_property
    def log_weight(self) -> np.ndarray:
        """Log weights at the centre, (state,)."""
        return np.log(self.count * self.inflate)

    @cached_property
    def mean(self) -> np.ndarray:
        """φ̄ of the states as 0/1, (parameter,)."""
        return packed(self.weighted_sum(self._own))

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
        h, J, full = off_on(delta, self.encoding)

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
            phi = packed(second / total[:, None, None]) - self.mean
            phi = self.phi + encoded(phi, self.encoding)
        return ratio, phi, total**2 / square

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """Weights (state,) of the states at θ (parameter,); they add up to one."""
        x = self.exponents(theta - self.theta) + self.log_weight
        weight = np.exp(x - x.max(), out=x)
        return weight / weight.sum()

    def exponents(self, delta: np.ndarray) -> np.ndarray:
        """Δ · φ of every state up to a constant, (state,), at Δ (parameter,)."""
        h, J, _ = off_on(delta[None], self.encoding)
        run = lambda first: self.features.exponents(
            h[0], J[0], first, min(first + BLOCK, len(self.states))
        )
        return np.concatenate(list(self._map(run)))

    def product(self, weight: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Fisher information under weights (state,) times v (parameter,)."""
        x = self.exponents(v)
        second = self.weighted_sum(weight * (x - weight @ x))
        return encoded(packed(second), self.encoding)

    def fisher(self, theta: np.ndarray) -> np.ndarray:
        """Fisher information of one state at θ, (parameter, parameter).

        It is made in place: for 160 sites 1.3 GB, and no second array of that size.
        """
        from bayesinf.models.pairwise import bank_kernel

        weight = self.weights(theta)
        result = np.zeros((len(theta), len(theta)))
        with self._pool() as pool:
            self.features.products(weight, result, pool)
        bank_kernel.complete(result, packed(self.weighted_sum(weight)))
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
        # What a state stands for beside itself is bounded, and no tail of the ratios.
        return np.repeat(self.exponents(theta - self.theta), self.count)

    def weighted_sum(self, weight: np.ndarray) -> np.ndarray:
        """Sum each product s_i s_j over the states with a weight each, (site, site)."""
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


def features_of(states: np.ndarray) -> _Sparse | _Dense:
    """Put states (state, site), 1 where on, in the form in which sums over them are fastest."""
    on = np.count_nonzero(states, axis=1)
    few = np.mean(on * (on + 1.0) / 2) < states.shape[1] ** 2 / 16
    return _Sparse(states) if few else _Dense(states)


def _cost(states):
    """What a state adds to a sum over the bank, in additions."""
    if isinstance(features_of(states), _Dense):
        return np.full(len(states), states.shape[1] ** 2 / 8)
    on = np.count_nonzero(states, axis=1)
    return 4 + on * (on + 1) / 2


# ── Between the encodings ────────────────────────────────────────────────────────────────────────


def off_on(delta, encoding):
    """Parameters (row, parameter) for 0/1: fields, couplings above the diagonal, both packed."""
    sites = sites_of(delta.shape[-1])
    h, J, _ = convert(delta[:, :sites], delta[:, sites:], encoding, "0/1")
    return h, np.triu(matrix(J, sites)), np.concatenate([h, J], axis=1)


def packed(second):
    """Means and pair moments (..., parameter) of sums (..., site, site) of products of 0/1."""
    sites = second.shape[-1]
    own = np.arange(sites)
    return np.concatenate([second[..., own, own], second[(..., *pairs(sites))]], axis=-1)


def encoded(phi, encoding):
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
    bias: Bias | None = None,
    keep: float = KEPT,
    workers: int | None = None,
) -> Bank:
    """Draw a bank at θ, and the long run.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    wanted : how many independent states the long run shall be worth, by how far its chains are
        apart in the moments.
    rng : the generator.
    start : where chains of another bank ended, (chain, site).
    bias : under which the chains run.
    keep : states that are kept, where they are on average as costly as those drawn.
    workers : threads; None takes all cores.
    """
    from bayesinf.models.pairwise import sampling

    bias = bias or sampling.Bias.none(sites_of(theta.size))
    pilot = sampling.sample(theta, encoding, CHAINS, chains=CHAINS, start=start, bias=bias,
                            rng=rng, workers=workers)  # fmt: skip
    last, thin, total, count = pilot.last, min(pilot.thin, THIN), _Total(encoding, bias), PART // 8
    while total.effective < wanted:
        part = sampling.sample(theta, encoding, count, start=last, thin=thin, burn=0, bias=bias,
                               rng=rng, workers=workers)  # fmt: skip
        last = part.last
        total.add(part)
        missing = total.count * (wanted / total.effective - 1)
        count = int(CHAINS * np.ceil(np.clip(missing, CHAINS, PART) / CHAINS))
    return total.bank(theta, last, keep, rng, workers)


class _Total:
    """Sums over the parts of a long run, chain by chain."""

    def __init__(self, encoding, bias):
        from bayesinf.models.binary import triples

        self.encoding, self.bias, self.sites = encoding, bias, len(bias.pattern)
        self.triples = triples(self.sites, TRIPLES)
        self.count, self.weight, self.second = 0, 0.0, 0.0
        self.population, self.triple = 0.0, 0.0
        self.seen = []

    def add(self, drawn):
        from bayesinf.models import binary

        on, length = (drawn.states == 1).astype(np.int8), len(drawn.states) // drawn.chains
        level = self.bias.level(on)
        weight = np.exp(-self.bias.levels[level])
        features = features_of(on)
        self.second = self.second + np.array([
            features.moments(weight[first : first + length], first, first + length)
            for first in range(0, len(on), length)
        ])  # fmt: skip
        self.count += len(on)
        self.weight = self.weight + weight.reshape(drawn.chains, length).sum(axis=1)
        active = np.count_nonzero(on, axis=1)
        self.population += np.bincount(active, weight, self.sites + 1)
        for here in np.unique(level):  # where all weigh the same
            states, own = drawn.states[level == here], np.exp(-self.bias.levels[here])
            self.triple += binary.triple_moments(states, self.triples) * len(states) * own
        self.seen.append(_unique(np.packbits(on, axis=1), np.ones(len(on), dtype=np.int64)))

    @property
    def moments(self):
        """Moments of 0/1, (parameter,)."""
        return packed(self.second.sum(axis=0)) / self.weight.sum()

    @property
    def effective(self):
        """How many independent states the moments are worth, by how far chains are apart."""
        if not self.count:
            return 0.0
        phi, chains = self.moments, len(self.weight)
        away = packed(self.second) - phi * self.weight[:, None]
        square = np.sum(away**2, axis=0) * chains / ((chains - 1) * self.weight.sum() ** 2)
        return float(1 / np.mean(square / np.maximum(phi - phi**2, 1 / self.count)))

    def bank(self, theta, last, most, rng, workers):
        from bayesinf.models.binary import Moments

        states, count = self.distinct()
        weight = np.exp(-self.bias.levels[self.bias.level(states)])
        weight *= self.count / (count @ weight)
        work = most * np.average(_cost(states), weights=count)
        keep, inflate = thinned(states, count * weight, work, rng)
        phi, total = self.moments, self.weight.sum()
        phi = Moments("0/1", self.count, phi[: self.sites], phi[self.sites :])
        return Bank(theta, self.encoding, states[keep], count[keep], weight[keep] * inflate[keep],
                    phi.encoded(self.encoding).statistics, self.effective, self.population / total,
                    self.triples, self.triple / total, last, workers)  # fmt: skip

    def distinct(self):
        packs, count = (np.concatenate(parts) for parts in zip(*self.seen, strict=True))
        packs, count = _unique(packs, count)
        return np.unpackbits(packs, axis=1, count=self.sites).view(np.int8), count


def _unique(packed, count):
    """Distinct rows of bytes, and the sums of their counts."""
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    words = words.view(np.uint64)
    order = np.lexsort(words.T)
    ordered = words[order]
    fresh = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return packed[order[fresh]], np.add.reduceat(count[order], np.flatnonzero(fresh))


def thinned(
    states: np.ndarray, count: np.ndarray, work: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which states to keep so that a sum over them costs no more than ``work``, and 1 / chance."""
    features, cost = features_of(states), _cost(states)
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
    low, high = 0.0, 1 / max(merit.min(), 1e-15 * merit.max())
    for _ in range(60):
        middle = 0.5 * (low + high)
        chance = np.minimum(1.0, middle * merit)
        low, high = (low, middle) if chance @ cost > work else (middle, high)
    chance = np.minimum(1.0, low * merit)
    keep = np.flatnonzero(rng.random(len(states)) < chance)
    return keep, 1 / np.maximum(chance, 1e-300)


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
        return self.bank.theta + 1 / max(sd, 1.0) * (theta - self.bank.theta)

    def newton(
        self, theta: np.ndarray, scale: float, gradient: np.ndarray, caution: float = 0.0
    ) -> np.ndarray:
        """Newton's step (parameter,) at θ, by conjugate gradients: no matrix is made.

        In the products of what sites show beyond their means, (s_i − m_i) (s_j − m_j), the Fisher
        information of weakly coupled sites is diagonal; that makes the preconditioner. Where the
        bank has too few states with a rare pair, and hence too little curvature along its coupling,
        the rest is taken from the moments of the data, to which those of the optimum are equal.
        ``caution`` states more are taken to have shown each pair, so that no coupling goes far for
        the sake of a pair that was on together once.
        """
        weight = self.bank.weights(theta)
        moments = packed(self.bank.weighted_sum(weight)) - self.bank.mean
        centred = Centred(self.data)
        own = centred.variances(self.bank.phi + encoded(moments, self.encoding))
        added = np.maximum(centred.wanted - own, 0.0) + caution / self.samples
        prior = np.zeros(self.size)
        if self.prior is not None:
            prior = self.prior.moments(self.sites, self.size - self.sites, scale)[1] / self.samples
        diagonal = own + added + prior

        def times(v):
            return self.bank.product(weight, v) + centred.back(added * centred.forth(v)) + prior * v

        return _conjugate_gradients(
            times, lambda g: centred.steps(centred.slopes(g) / diagonal), gradient / self.samples
        )


class Centred:
    """The change from the statistics φ to c_i = s_i, c_ij = (s_i − m_i) (s_j − m_j).

    With c = A φ + constants the Fisher information of φ is A⁻¹ F_c A⁻ᵀ. ``wanted`` are the
    variances of c in the data and one state of independent sites, which leaves none at an edge.
    """

    def __init__(self, data):
        self.sites, self.encoding, self.mean = data.sites, data.encoding, data.mean
        self.i, self.j = pairs(self.sites)
        self.m_i, self.m_j = self.mean[self.i], self.mean[self.j]
        on = data.encoded("0/1")
        alone = (on.mean * data.samples + 0.5) / (data.samples + 1)
        mean = (on.mean * data.samples + alone) / (data.samples + 1)
        pair = (on.pair * data.samples + alone[self.i] * alone[self.j]) / (data.samples + 1)
        regular = Moments("0/1", data.samples, mean, pair).encoded(data.encoding)
        self.wanted = self.variances(regular.statistics)

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
