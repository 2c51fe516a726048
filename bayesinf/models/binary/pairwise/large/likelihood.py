"""The likelihood of many sites, whose sums over all states are averages over a reweighting sample.

``ReweightedLikelihood`` answers all that a ``Pairwise`` does, knows how far it may be trusted
(``evidence``), and draws replicas of the data. ``inferred_width`` is the width of the couplings by
EM: so many couplings determine it that no grid of widths is needed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bayesinf.inference import conjugate
from bayesinf.inference.importance import Weights
from bayesinf.inference.kinds import Question
from bayesinf.models.binary import Moments
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise.large.centred import CentredStatistics
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.large.state_sums import blocks, change_encoding, mean_and_pair
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.priors import Normal

__all__ = ["QUESTIONS", "ReweightedLikelihood", "covers", "inferred_width", "with_inferred_width"]

_NARROWER = "give a narrower prior or more data, since a reweighting sample covers no wider one"
QUESTIONS = (
    Question(
        "reweighting sample",
        "reweighting_size",
        "min",
        DEFAULT.least_size,
        "≥",
        True,
        "the reweighting sample is worth {value:.3g} states where it is worth least",
        _NARROWER,
    ),
    Question(
        "reweighting k̂",
        "reweighting_k",
        "max",
        DEFAULT.largest_k,
        "≤",
        True,
        "the weights of the reweighting sample have Pareto k̂ {value:.2f}",
        _NARROWER,
    ),
    Question(
        "reweighting shift",
        "reweighting_shift",
        "max",
        DEFAULT.largest_shift,
        "≤",
        False,
        "sampling of states moves it by about {value:.2f} sd",
        "widen intervals by as much",
    ),
)


class ReweightedLikelihood(Pairwise):
    """A ``Pairwise`` whose sums over all states are averages over a reweighting sample.

    Parameters
    ----------
    data, prior, workers : as of ``Pairwise``.
    sample : states drawn near the optimum.
    """

    questions = QUESTIONS

    def __init__(
        self,
        data: Moments,
        prior: CouplingPrior | None,
        workers: int | None,
        sample: ReweightingSample,
    ):
        super().__init__(data, prior, workers)
        self.sample, self.tuning = sample, sample.tuning
        if prior is not None:
            self.known_width = inferred_width(prior, data, sample.centre, sample.tuning)

    # Sums over states

    def log_partition(self, theta: np.ndarray) -> np.ndarray:
        """Return log Z, (...)."""
        return self._reweighted(theta, False)[0]

    def expectations(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log Z, (...), and the moments, (..., parameter)."""
        return self._reweighted(theta, True)[:2]

    def state_curvature(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log Z, its gradient and its Hessian at one θ (parameter,)."""
        return *self.expectations(theta), self.sample.fisher(theta)

    def effective(self, theta: np.ndarray) -> np.ndarray:
        """Return the effective number of states at θ, (...)."""
        return self._reweighted(theta, False, single=True)[2]

    def rough_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood (...) and its gradient (..., parameter), in single precision."""
        log_z, phi, _ = self._reweighted(theta, True, single=True)
        return self._value_and_slope(theta, log_z, phi)

    def _reweighted(self, theta, gradient, single=False):
        """log Z, moments or None, and the effective number of states, at θ (..., parameter)."""
        flat, shape = np.reshape(theta, (-1, self.size)), np.shape(theta)[:-1]
        parts = [
            self.sample.evaluate(flat[first:last], gradient, single)
            for first, last in blocks(len(flat), self.tuning.rows)
        ]
        ratio, moments, size = zip(*parts, strict=True)
        log_z = np.concatenate(ratio).reshape(shape) + self.sample.log_z
        moments = np.concatenate(moments).reshape(*shape, -1) if gradient else None
        return log_z[()], moments, np.concatenate(size).reshape(shape)[()]

    # Steps to the optimum

    def near(self, theta: np.ndarray) -> np.ndarray:
        """Pull θ (parameter,) towards the centre until the sd of Δ · φ there is at most one."""
        sample = self.sample
        x, weight = sample.exponents(theta - sample.centre), np.exp(sample.log_weight)
        sd = np.sqrt(np.cov(x, aweights=weight))
        return sample.centre + 1 / max(sd, 1.0) * (theta - sample.centre)

    def newton(
        self, theta: np.ndarray, scale: float, gradient: np.ndarray, pair_prior: float = 0.0
    ) -> np.ndarray:
        """Return Newton's step (parameter,) at θ, by conjugate gradients: no matrix is made.

        Where the sample has too few states with a rare pair, and so too little curvature along its
        coupling, the rest is taken from the data, whose moments the optimum shares. ``pair_prior``
        is a number of extra states taken to show each pair, so that no coupling goes far because of
        a pair that was on together once.
        """
        sample = self.sample
        weight = sample.weights(theta)
        away = mean_and_pair(sample.pair_sums(weight)) - sample.kept_moments
        centred = CentredStatistics(self.data)
        variances = centred.variances(sample.moments + change_encoding(away, self.encoding))
        missing = np.maximum(centred.variances_of_data - variances, 0.0) + pair_prior / self.samples
        prior = np.zeros(self.size)
        if self.prior is not None:
            prior = self.prior.moments(self.sites, self.size - self.sites, scale)[1] / self.samples
        diagonal = variances + missing + prior

        def times(v):
            added = centred.over_a(missing * centred.over_a_transposed(v))
            return sample.fisher_product(weight, v) + added + prior * v

        def precondition(g):
            return centred.times_a_transposed(centred.times_a(g) / diagonal)

        target, tuning = gradient / self.samples, self.tuning
        limits = tuning.solver_residual, tuning.solver_products
        return conjugate.solve(times, precondition, target, *limits)

    # How far it may be trusted

    def evidence(self, theta: np.ndarray) -> tuple[dict, dict]:
        """Say how far the sums may be trusted at draws (chain, draw, parameter).

        Returns
        -------
        ``reweighting_size`` (chain, draw), the effective number of states at each draw;
        ``reweighting_k``, Pareto k̂ of the weights at the draw where that is smallest;
        ``reweighting_shift``, the sd by which sampling error moves the posterior, in posterior sd;
        ``log_z_error``.
        """
        size, sample = self.effective(theta), self.sample
        worst = theta.reshape(-1, self.size)[np.argmin(size)]
        k_hat = 0.0
        if len(sample.states) > self.tuning.least_distinct:  # fewer weights have no tail
            k_hat = Weights.of(sample.log_ratios(worst)).pareto_k
        numbers = {
            "reweighting_k": k_hat,
            "reweighting_shift": np.sqrt(self.samples / sample.effective),
            "log_z_error": sample.log_z_error,
        }
        same = {name: np.full(size.shape, float(value)) for name, value in numbers.items()}
        return {"reweighting_size": size} | same, {}

    # Replicas of the data

    def replicas(self, theta: np.ndarray, rng: np.random.Generator) -> list:
        """Draw as many states as the data have at each θ (draw, parameter), and summarise them.

        States are drawn from the sample with their weights at θ. To each statistic is added its
        value in the long run at the centre, less its value in the sample there.
        """
        from bayesinf.models.binary.pairwise.predictive import Summary

        sample, (beyond, triples_beyond) = self.sample, self._beyond_sample
        active = np.count_nonzero(sample.states, axis=1)
        summaries = []
        for point in theta:
            weight = sample.weights(point, single=True)
            share = rng.multinomial(self.samples, weight) / self.samples
            drawn = np.flatnonzero(share)
            on = sample.states[drawn].astype(float)  # as many as the data at most, of very many
            away = mean_and_pair((on.T * share[drawn]) @ on) - sample.kept_moments
            population = np.bincount(active[drawn], share[drawn], self.sites + 1)
            summaries.append(
                Summary(
                    phi=sample.moments + change_encoding(away, self.encoding),
                    triple=self._triples(drawn, share[drawn]) + triples_beyond,
                    population=np.maximum(population + beyond, 0.0),
                )
            )
        return summaries

    @cached_property
    def _beyond_sample(self):
        """Shares of K sites on, and triples, of the long run at the centre less the sample's."""
        sample, central = self.sample, self.sample.central_weights
        active = np.count_nonzero(sample.states, axis=1)
        population = sample.population - np.bincount(active, central, self.sites + 1)
        return population, sample.triple_means - self._triples(np.arange(central.size), central)

    def _triples(self, which, weight):
        """Σ w s_i s_j s_k over these states, in the encoding, for each triple that is followed."""
        (i, j, k), spins, result = self.sample.triples.T, self.encoding == "±1", 0.0
        for first, last in blocks(len(which), self.tuning.triple_block):
            on = np.ascontiguousarray(self.sample.states[which[first:last]].T)
            # A product of three ±1 is 1 where an odd number of them is on.
            product = on[i] ^ on[j] ^ on[k] if spins else on[i] & on[j] & on[k]
            result = result + product.astype(float) @ weight[first:last]
        return 2 * result - weight.sum() if spins else result


def covers(evidence: dict, tuning: Tuning = DEFAULT) -> bool:
    """Say whether sums may be trusted at all draws; exact sums have no evidence, and may."""
    return not evidence or (
        evidence["reweighting_size"].min() >= tuning.least_size
        and evidence["reweighting_k"].max() <= tuning.largest_k
    )


def inferred_width(
    prior: CouplingPrior, data: Moments, theta: np.ndarray, tuning: Tuning = DEFAULT
) -> float:
    """Return the width of the couplings by EM, or that of the prior where it is stated.

        τ² = ⟨(J − mean)² + 1 / (M var c_ij + τ⁻²)⟩

    The second term is the posterior variance of a coupling: c_ij are centred statistics.

    MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415.
    """
    width, sites = prior.typical, data.sites
    if not prior.inferred:
        return width
    information = data.samples * CentredStatistics(data).variances_of_data[sites:]
    square = (theta[sites:] - prior.mean) ** 2
    for _ in range(tuning.width_steps):
        width = float(np.sqrt(np.mean(square + 1 / (information + width**-2.0))))
    return width


def with_inferred_width(
    prior: CouplingPrior | None, data: Moments, theta: np.ndarray, tuning: Tuning = DEFAULT
) -> CouplingPrior | None:
    """Return a normal prior of the width that θ suggests; None for no prior."""
    if prior is None:
        return None
    return CouplingPrior(prior.h, Normal(prior.mean, inferred_width(prior, data, theta, tuning)))
