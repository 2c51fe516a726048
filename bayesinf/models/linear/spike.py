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

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.linear import conditional
from bayesinf.priors import Beta, HalfCauchy, InverseChi

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

ALIKE = 0.7  # columns whose cosine exceeds this are drawn in pairs too
PARTNERS = 8  # pairs a column at the most
STARTS = 8  # short runs from different starts, of which a chain continues the best


def alike(gram: np.ndarray) -> np.ndarray:
    """List the pairs of columns that are nearly parallel, (pair, 2)."""
    norm = np.sqrt(np.diag(gram))
    pairs = []
    for j in range(len(gram)):
        cosine = np.abs(gram[j, j + 1 :]) / (norm[j] * norm[j + 1 :])
        near = np.flatnonzero(cosine > ALIKE)
        if len(near) > PARTNERS:
            near = near[np.argsort(cosine[near])[-PARTNERS:]]
        pairs += [(j, j + 1 + k) for k in near]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


class Gram:
    """Gram matrix, correlation and the pairs that need joint moves, shared by all chains."""

    def __init__(self, problem: Regression):
        design = problem.design
        self.free, self.gram = design.Z.shape[1], gram(design.stacked)
        self.correlation, self.square = design.stacked.T @ design.t, float(design.t @ design.t)
        if not np.all(np.diag(self.gram) > 0):
            raise FitError(
                "a feature is zero throughout", column=int(np.argmin(np.diag(self.gram)))
            )
        self.pairs = alike(self.gram)
        self.pairs = self.pairs[self.pairs[:, 0] >= self.free]


def gram(X: np.ndarray) -> np.ndarray:
    """XᵀX; in single precision where that is exact, as for products of spins."""
    n = len(X)
    whole = n < 2**24 and np.all(np.abs(X[0]) == 1.0) and np.all(np.abs(X) == 1.0)
    X = X.astype(np.float32) if whole else X
    return X.T @ X


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
        products.square,
        products.pairs,
        len(problem.y),
        _inverse_gamma(problem.noise),
        _inverse_gamma(prior.slab_width),
        _beta(prior.inclusion_rate),
        first,
    )
    empty, best = np.zeros(len(products.correlation)), None
    for _ in range(STARTS):
        state = empty, _start(problem, products, rng)
        if tune:
            coefficients, scales = run(rng, *fixed, tune, 1, *state)
            state = coefficients[-1], scales[-1]
        evidence = _log_evidence(problem, products, *state)
        if best is None or evidence > best[0]:
            best = evidence, state
    coefficients, scales = run(rng, *fixed, draws, thin, *best[1])
    beta = coefficients[:, first:]
    record = {"beta": beta, "alpha": coefficients[:, :first]}
    record |= {"included": (beta != 0).astype(np.int8)}
    record |= {} if problem.noise_fixed else {"sigma": scales[:, 0]}
    hyper = {"slab_width": scales[:, 1], "inclusion_rate": scales[:, 2]}
    return record | {name: hyper[name] for name in prior.inferred}


def _start(problem, products, rng):
    """Draw noise, slab width and inclusion rate to start from: all noise, a few wide slabs."""
    prior, count = problem.prior, len(problem.y)
    spread = np.sqrt(products.square / count)
    unit = spread / np.sqrt(np.mean(np.diag(products.gram)) / count)
    sigma = float(problem.noise) if problem.noise_fixed else spread * rng.uniform(0.5, 1.0)
    width = prior.fixed.get("slab_width", unit * rng.uniform(0.1, 1.0))
    rate = prior.fixed.get("inclusion_rate", min(0.5, rng.uniform(0.2, 2.0) / problem.weights))
    return np.array([sigma, width, rate])


def _log_evidence(problem, products, coefficients, scales):
    """log p(y, included, scales): which coefficients are in, their values integrated out."""
    prior, design, (sigma, width, rate) = problem.prior, problem.design, scales
    inside = coefficients[products.free :] != 0
    X = np.hstack([design.Z, design.A[:, inside]])
    variances = np.append(np.ones(products.free), np.full(int(inside.sum()), width**2))
    if not len(variances):
        X, variances = np.zeros((len(X), 1)), np.ones(1)
    active = conditional.Factors(X, design.t)
    given = active.condition(active.kernel(variances), variances, sigma)
    value = given.log_marginal() + inside.sum() * np.log(rate) + np.sum(~inside) * np.log1p(-rate)
    for name, scale in (("slab_width", width), ("inclusion_rate", rate)):
        value += prior.inferred[name].log_density(scale) if name in prior.inferred else 0.0
    return value if problem.noise_fixed else value + problem.noise.log_density(sigma)


# How the compiled chain reads the prior of a scale: (shape, rate, size) of the inverse gamma on its
# square. A half-Cauchy is one with shape ½ and a rate that is itself drawn (Makalic & Schmidt, IEEE
# Signal Process. Lett. 23, 179 (2016), doi:10.1109/LSP.2015.2503725); its size is positive then. A
# negative shape says that the scale is fixed.
def _inverse_gamma(prior) -> np.ndarray:
    if isinstance(prior, int | float):
        return np.array([-1.0, 0.0, 0.0])
    if isinstance(prior, InverseChi):
        return np.array([prior.dof / 2, prior.dof * prior.scale**2 / 2, 0.0])
    if isinstance(prior, HalfCauchy):
        return np.array([0.5, 0.0, prior.scale])
    raise FitError(f"spike and slab takes half-Cauchy or inverse-χ priors of scales, not {prior}")


def _beta(prior) -> np.ndarray:
    if isinstance(prior, int | float):
        return np.array([-1.0, 0.0])
    if isinstance(prior, Beta):
        return np.array([prior.a, prior.b])
    raise FitError(f"spike and slab takes a Beta prior of the inclusion rate, not {prior}")
