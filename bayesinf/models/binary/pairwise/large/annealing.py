"""log Z of many sites by annealed importance sampling, with its standard error."""

from __future__ import annotations

import itertools

import numpy as np

from bayesinf import kept
from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, sites_of
from bayesinf.models.binary.pairwise.large.sampling import (
    chain_seeds,
    on_off_parameters,
    over_threads,
    sample,
)
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning

__all__ = ["annealed_log_partition"]


def annealed_log_partition(
    theta: np.ndarray,
    encoding: str,
    *,
    rng: np.random.Generator,
    means: np.ndarray | None = None,
    chains: int = 1000,
    steps: int | None = None,
    workers: int | None = None,
    tuning: Tuning = DEFAULT,
) -> tuple[float, float, float]:
    """Estimate log Z by annealing from independent sites, whose log Z₀ is known.

        Z / Z₀ = ⟨w⟩,   log w = Σ_t (β_{t+1} − β_t) (θ − θ₀)·φ(s_t),   θ_t = θ₀ + β_t (θ − θ₀)

    Each chain starts from independent sites and makes one heat bath sweep at each θ_t.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    rng : seeds each chain separately, so the result does not depend on the workers.
    means : of the independent sites, (site,), in the encoding; None: those of a small sample. Any
        give the right answer; those of the model need the fewest steps.
    chains : number of independent weights.
    steps : number of intermediate θ_t; None: doubled from 64 until the error is below 0.02 and the
        effective number of weights is at least half of the chains, up to 2¹⁵.
    workers : threads; None takes all cores.

    Returns
    -------
    log Z in the encoding; its standard error sd(w) / (⟨w⟩ √chains); and the effective number of
    weights (Σ w)² / Σ w². Where that is small, the standard error cannot be trusted.

    Raises
    ------
    DataError : parameters that are not finite, means that no sites have, fewer than two chains.

    References
    ----------
    Neal, Stat. Comput. 11, 125 (2001), doi:10.1023/A:1008923215028.
    """
    from scipy.special import logsumexp

    h, J, constant = on_off_parameters(theta, encoding)
    if chains < 2:
        raise DataError("weights have no spread", expected="chains ≥ 2", found=chains)
    base = _independent_fields(theta, encoding, means, rng, workers, tuning)
    walk = {"length": tuning.anneal_steps if steps is None else steps}
    for _ in kept.steps(itertools.count(), rng, walk):
        length = walk["length"]
        log_weight = _log_weights(h, J, base, chain_seeds(rng, chains), length, workers, tuning)
        weight = np.exp(log_weight - log_weight.max())
        error = weight.std(ddof=1) / weight.mean() / np.sqrt(chains)
        effective = weight.sum() ** 2 / np.sum(weight**2)
        precise = error <= tuning.log_z_error and effective >= chains / 2
        if steps is not None or precise or length >= tuning.most_anneal_steps:
            break
        walk["length"] *= 2
    log_z = np.logaddexp(0.0, base).sum() + logsumexp(log_weight) - np.log(chains)
    return float(log_z - constant), float(error), float(effective)


def _independent_fields(theta, encoding, means, rng, workers, tuning):
    """Fields (site,) for 0/1 of independent sites with these means, or with sampled ones."""
    from scipy.special import logit

    low = ENCODINGS[encoding]
    if means is None:
        drawn = sample(
            theta, encoding, tuning.anneal_pilot, rng=rng, workers=workers, tuning=tuning
        )
        means = (drawn.states.sum(axis=0) + 0.5 * (1 + low)) / (len(drawn.states) + 1)
    on = (np.asarray(means, dtype=float) - low) / (1 - low)
    sites = sites_of(np.size(theta))
    if on.shape != (sites,) or not ((on >= 0) & (on <= 1)).all():
        raise DataError(
            "independent sites cannot have these means",
            expected=f"({sites},), from {low} to 1",
            found=f"shape {on.shape}",
        )
    return logit(np.clip(on, 1e-6, 1 - 1e-6))


def _log_weights(h, J, base, seeds, steps, workers, tuning):
    """Log importance weights (chain,) of chains that anneal in so many steps."""
    from bayesinf.models.binary.pairwise.large import sampling_kernel as kernel

    log_weight = np.empty(len(seeds))

    def anneal(part):
        kernel.anneal(h, J, base, seeds[part], steps, log_weight[part])

    visits = len(seeds) * steps * h.size
    over_threads(anneal, len(seeds), visits, workers, tuning)
    return log_weight
