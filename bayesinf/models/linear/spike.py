"""Gibbs sampling for spike and slab, in compiled code.

Each coefficient is drawn with its inclusion in one step, its slab integrated out of the odds. With
the Gram matrix XᵀX and the running correlation c = Xᵀ(y - Xβ) at hand that takes a scalar a
coefficient, and one row of the Gram matrix only for a coefficient that changes: a sweep costs
p + p · (changes), whatever the number of observations.

    log odds(included_j) = log π/(1-π) + ½ log(v/τ²) + ½ m²/v,
    1/v = G_jj/σ² + 1/τ²,   m = v (c_j + G_jj β_j)/σ²

Columns that are nearly copies of each other would trap such steps, since one must leave before the
other can come. They are listed once, and each listed pair is drawn jointly over its four states.

With few data a run may fall into a state of many small coefficients that explain anything, which
single steps leave too rarely. Each chain therefore makes its tuning from several starts and goes on
from the one of largest evidence, as any search over many optima does. Chains choose on their own,
so where starts differ beyond what the choice can mend they disagree, and R-hat says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.models.linear import conditional
from bayesinf.models.linear.design import compressed
from bayesinf.models.linear.scale_priors import told
from bayesinf.priors import Beta

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["Gram", "alike", "chain", "gram"]

ALIKE = 0.7  # columns whose cosine exceeds this are drawn in pairs too
PARTNERS = 8  # pairs a column at the most
TOGETHER = 32  # rows that are looked at together, so that they stay in the cache
PART = 500  # draws between two times that a chain may be kept
CANCELS = 1e-6  # part of the data below which what is left of them is summed up anew
STARTS = 8  # short runs from different starts, of which a chain continues the best


def alike(gram: np.ndarray) -> np.ndarray:
    """List the pairs of columns that are nearly parallel, (pair, 2)."""
    norm = np.sqrt(np.diag(gram))
    pairs = []
    for top in range(0, len(gram), TOGETHER):
        rows = slice(top, top + TOGETHER)
        near = np.abs(gram[rows, top:]) > ALIKE * norm[rows, None] * norm[top:]
        for j in top + np.flatnonzero(near.sum(axis=1) > 1):  # each column is like itself
            beyond = j + 1 + np.flatnonzero(near[j - top, j + 1 - top :])
            if len(beyond) > PARTNERS:
                cosine = np.abs(gram[j, beyond]) / norm[beyond]
                beyond = beyond[np.argsort(cosine)[-PARTNERS:]]
            pairs += [(j, k) for k in beyond]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class Gram:
    """Gram matrices, correlations and the pairs that need joint moves, shared by all chains.

    Arrays lead with the group, of which one regression is one.
    """

    def __init__(self, problem: Regression):
        designs = problem.designs
        stacked = [design.stacked for design in designs]
        self.free, self.gram = designs[0].Z.shape[1], gram(stacked)
        targets = [design.t for design in designs]
        # No copy of what may be large, where there is one group.
        self.X = stacked[0] if len(stacked) == 1 else np.concatenate(stacked)
        self.t = np.concatenate(targets)
        self.correlation = np.stack([X.T @ t for X, t in zip(stacked, targets, strict=True)])
        self.square = np.array([design.square for design in designs])
        self.count = np.array([design.count for design in designs])
        self.rows = np.array([len(t) for t in targets])
        self.apart = np.array([design.rest.square for design in designs])
        empty = [np.flatnonzero(np.diag(one) <= 0) for one in self.gram]
        for g, columns in enumerate(empty):
            if len(columns):
                where = {} if problem.groups is None else {"group": problem.groups.labels[g]}
                raise FitError("a feature is zero throughout", column=int(columns[0]), **where)
        pairs = [alike(one) for one in self.gram]
        pairs = [one[one[:, 0] >= self.free] for one in pairs]
        self.pairs, self.ends = np.concatenate(pairs), np.cumsum([len(one) for one in pairs])


def gram(stacked: Sequence[np.ndarray]) -> np.ndarray:
    """XᵀX of each; of columns of signs, as products of spins are, by counting bits."""
    signs = all(map(_are_signs, stacked))
    make = _of_signs if signs else _products
    if len(stacked) == 1:  # no copy of what may be large
        return make(stacked[0])[np.newaxis]
    return np.stack([make(X) for X in stacked])


def _products(X):
    return X.T @ X


def _are_signs(X):
    """Whether all entries are ±1, of no more rows than single precision counts."""
    parts = (X[top : top + TOGETHER] for top in range(0, len(X), TOGETHER))
    return len(X) < 2**24 and all(np.all(np.abs(part) == 1.0) for part in parts)


def _of_signs(X):
    # Here, because they import numba.
    from bayesinf.models.bits import packed
    from bayesinf.models.linear.spike_kernel import products_of_signs

    rows, columns = X.shape
    found = np.empty((columns, columns), np.float32)
    products_of_signs(packed(X > 0), rows, found)
    return found


def chain(
    problem: Regression, products: Gram, rng: np.random.Generator, draws: int, tune: int, thin: int
) -> dict[str, np.ndarray]:
    """Run one chain.

    Parameters
    ----------
    problem : a regression whose prior is ``SpikeAndSlab``.
    products : its ``Gram``.
    rng : generator of this chain.
    draws, tune : draws kept, and sweeps before those from each of ``STARTS`` starts.
    thin : sweeps for each draw.

    Returns
    -------
    draws, (draw, ...), as ``Regression.outer`` takes them.
    """
    # Here, because it imports numba.
    from bayesinf.models.linear.spike_kernel import run

    prior, first = problem.prior, products.free
    fixed = (
        products.gram,
        products.correlation,
        products.X,
        products.t,
        np.cumsum(products.rows),
        products.count,
        products.apart,
        products.pairs,
        products.ends,
        told(problem.noise),
        told(prior.slab_width),
        _beta(prior.inclusion_rate),
        first,
    )
    empty, best = np.zeros_like(products.correlation), None
    for _ in range(STARTS):
        state = empty, *_start(problem, products, rng)
        if tune:
            state = tuple(each[-1] for each in run(rng, *fixed, tune, 1, *state))
        evidence = _log_evidence(problem, products, *state)
        if best is None or evidence > best[0]:
            best = evidence, state
    parts, walk = [], {"state": best[1]}
    lengths = [min(PART, draws - first) for first in range(0, draws, PART)]
    for length in kept.steps(lengths, rng, walk, parts):
        parts.append(run(rng, *fixed, length, thin, *walk["state"]))
        walk["state"] = tuple(each[-1] for each in parts[-1])
    # No copy of what may be large, where there is one part.
    joined = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    coefficients, sigma, scales = joined
    if problem.groups is None:
        coefficients, sigma = coefficients[:, 0], sigma[:, 0]
    beta = coefficients[..., first:]
    record = {"beta": beta, "alpha": coefficients[..., :first]}
    record |= {"included": (beta != 0).astype(np.int8)}
    record |= {} if problem.noise_fixed else {"sigma": sigma}
    hyper = {"slab_width": scales[:, 0], "inclusion_rate": scales[:, 1]}
    return record | {name: hyper[name] for name in prior.inferred}


def _start(problem, products, rng):
    """Draw noise, (group,), and slab width and inclusion rate to start from: all noise, a few wide
    slabs.
    """
    prior, total = problem.prior, np.sum(products.count)
    spread = np.sqrt(products.square / products.count)
    diagonal = [np.mean(np.diag(one)[products.free :]) for one in products.gram]
    unit = np.sqrt(np.sum(products.square) / total) / np.sqrt(np.sum(diagonal) / total)
    if problem.noise_fixed:
        sigma = np.full(len(spread), float(problem.noise))
    else:
        sigma = spread * rng.uniform(0.5, 1.0, len(spread))
    width = prior.fixed.get("slab_width", unit * rng.uniform(0.1, 1.0))
    count = problem.weights * len(spread)
    rate = prior.fixed.get("inclusion_rate", min(0.5, rng.uniform(0.2, 2.0) / count))
    return sigma, np.array([width, rate])


def _log_evidence(problem, products, coefficients, sigma, scales):
    """log p(y, included, scales): which coefficients are in, their values integrated out."""
    prior, (width, rate), first, value = problem.prior, scales, products.free, 0.0
    inside = coefficients[:, first:] != 0
    for g, (own, noise) in enumerate(zip(inside, sigma, strict=True)):
        members = np.append(np.arange(first), first + np.flatnonzero(own))
        variances = np.append(np.ones(first), np.full(len(members) - first, width**2))
        value += _log_marginal(products, g, members, variances, noise)
    value += inside.sum() * np.log(rate) + np.sum(~inside) * np.log1p(-rate)
    for name, scale in (("slab_width", width), ("inclusion_rate", rate)):
        value += prior.inferred[name].log_density(scale) if name in prior.inferred else 0.0
    return value if problem.noise_fixed else value + np.sum(problem.noise.log_density(sigma))


def _log_marginal(products, g, members, variances, sigma):
    """log p(y) of one group, given which coefficients are in, their variances and the noise.

        M = I + diag(√v) XᵀX diag(√v) / σ² = L Lᵀ,   L u = diag(√v) Xᵀy / σ,
        yᵀK⁻¹y = (|y|² − |u|²) / σ²,   |K| = σ²ⁿ |M|

    from the products at hand; where the difference cancels, from the data.
    """
    square, count = products.square[g], products.count[g]
    if not len(members):
        return -0.5 * (square / sigma**2 + count * np.log(2 * np.pi * sigma**2))
    gram = products.gram[g][np.ix_(members, members)].astype(float)
    root = np.sqrt(variances) / sigma
    try:
        factor = factors.cholesky(np.eye(len(members)) + gram * root * root[:, np.newaxis])
    except np.linalg.LinAlgError:
        return _from_data(products, g, members, variances, sigma)
    u = conditional.solved(factor, root * products.correlation[g][members])
    rest = square - float(u @ u)
    if rest < CANCELS * square:
        return _from_data(products, g, members, variances, sigma)
    log_determinant = 2 * np.sum(np.log(np.diag(factor)))
    return -0.5 * (rest / sigma**2 + log_determinant + count * np.log(2 * np.pi * sigma**2))


def _from_data(products, g, members, variances, sigma):
    """The same without squares of the data: slower, and to the last digit where noise is small."""
    rows = slice(*(int(end) for end in np.append(0, np.cumsum(products.rows))[g : g + 2]))
    R, turned, rest = compressed(products.X[rows][:, members], products.t[rows])
    active = conditional.Factors(R, turned)
    value = active.condition(active.kernel(variances), variances, sigma).log_marginal()
    count = products.count[g] - len(turned)
    square = rest.square + products.apart[g]
    return value - 0.5 * (square / sigma**2 + count * np.log(2 * np.pi * sigma**2))


def _beta(prior) -> np.ndarray:
    if isinstance(prior, int | float):
        return np.array([-1.0, 0.0])
    if isinstance(prior, Beta):
        return np.array([prior.a, prior.b])
    raise FitError(f"spike and slab takes a Beta prior of the inclusion rate, not {prior}")
