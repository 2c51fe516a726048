"""Which sums a likelihood rests on: all states up to 20 sites, beyond that a bank of sampled ones.

A bank is drawn near the optimum, redrawn at the optimum that it leads to, and log Z there is found
by annealed importance sampling. From then on the problem answers like an enumerated one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference.kinds import Question
from bayesinf.models.binary import Moments
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise import bank, enumeration, search
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.optimum import refuse_edges
from bayesinf.models.pairwise.sampling import annealed_log_partition
from bayesinf.priors import Normal

LEAST_SIZE, LARGEST_K = 1000, 0.7  # of a bank, or it is drawn anew
LARGEST_SHIFT = 0.3  # posterior sd by which the sampling error of a bank may move it
UNSETTLED = 3.0  # standard errors by which moments at the optimum may be off, rms
FEW = 1000  # distinct states
TOGETHER = 2**11  # states whose triples are multiplied at once
EACH = 50  # states of a bank for each parameter
FIRST = 0.4  # of the long run: a first one, from which the last step is taken

# What a fit answers for whose sums run over sampled states instead of all.
_NARROWER = "give a narrower prior or more data, since a bank covers no wider posterior"
QUESTIONS = (
    Question(
        "bank of states",
        "bank_size",
        "min",
        LEAST_SIZE,
        "≥",
        True,
        "the bank of states is worth {value:.3g} states where it is worth least",
        _NARROWER,
    ),
    Question(
        "bank k̂",
        "bank_k",
        "max",
        LARGEST_K,
        "≤",
        True,
        "the weights of the bank of states have Pareto k̂ {value:.2f}",
        _NARROWER,
    ),
    Question(
        "bank shift",
        "bank_shift",
        "max",
        LARGEST_SHIFT,
        "≤",
        False,
        "sampling of states moves it by about {value:.2f} sd",
        "widen intervals by as much",
    ),
)


class Sampled(bank.Banked):
    """A ``Banked`` that knows how far it may be trusted, and makes replicas of the data."""

    questions = QUESTIONS

    def __init__(self, data: Moments, prior: Prior | None, workers: int | None, states: bank.Bank):
        super().__init__(data, prior, workers, states, states.log_z)
        if prior is not None:
            self.settled = search.settled_width(prior, data, states.theta)

    def evidence(self, theta: np.ndarray) -> tuple[dict, dict]:
        """How far sums over the bank may be trusted at draws (chain, draw, parameter).

        Returns
        -------
        ``bank_size`` (chain, draw), how many independent states the bank is worth at each draw;
        ``bank_k``, Pareto k̂ of its weights at the draw where that is least; ``bank_shift``, sd of
        what its sampling error moves the posterior by, in posterior sd; ``log_z_error``.
        """
        from bayesinf import diagnostics

        size = self.effective(theta)
        worst = theta.reshape(-1, self.size)[np.argmin(size)]
        shape = 0.0
        if len(self.bank.states) > FEW:  # among so few distinct weights there is no tail
            shape = diagnostics.smoothed_weights(self.bank.log_ratios(worst))[1]
        scalar = lambda value: np.full(size.shape, float(value))
        return {
            "bank_size": size,
            "bank_k": scalar(shape),
            "bank_shift": scalar(np.sqrt(self.samples / self.bank.effective)),
            "log_z_error": scalar(self.bank.log_z_error),
        }, {}

    def replicas(self, theta: np.ndarray, rng: np.random.Generator) -> list:
        """Draw as many states as the data have at each θ (draw, parameter), and summarise them.

        States are drawn from the bank by their weights at θ. What that says of each statistic, less
        what the bank says of it at its centre, is added to what the long run says of it there.
        """
        from bayesinf.models.pairwise.predictive import Summary

        held, here = self.bank, np.exp(self.bank.log_weight)
        here /= here.sum()
        on = np.count_nonzero(held.states, axis=1)
        triple = self._triples(np.arange(len(here)), here)
        found = []
        for point in theta:
            drawn = rng.multinomial(self.samples, held.weights(point)) / self.samples
            seen = np.flatnonzero(drawn)
            phi = bank.packed(held.weighted_sum(drawn)) - held.mean
            away = np.bincount(on, drawn - here, self.sites + 1)
            found.append(
                Summary(
                    phi=held.phi + bank.encoded(phi, self.encoding),
                    triple=held.triple + self._triples(seen, drawn[seen]) - triple,
                    population=np.maximum(held.population + away, 0.0),
                )
            )
        return found

    def _triples(self, which, weight):
        """Σ w s_i s_j s_k of the triples that are followed, over states in the encoding."""
        (i, j, k), spins, result = self.bank.triples.T, self.encoding == "±1", 0.0
        for first in range(0, len(which), TOGETHER):
            on = np.ascontiguousarray(self.bank.states[which[first : first + TOGETHER]].T)
            # Of ±1 the product is 1 where an odd number of the three is on.
            product = on[i] ^ on[j] ^ on[k] if spins else on[i] & on[j] & on[k]
            result = result + product.astype(float) @ weight[first : first + TOGETHER]
        return 2 * result - weight.sum() if spins else result


def posed(
    data: Moments,
    prior: Prior | None,
    rng: np.random.Generator,
    workers: int | None = None,
    states: bank.Bank | None = None,
) -> Pairwise:
    """Pose the likelihood of these moments.

    Parameters
    ----------
    data : moments.
    prior : of the parameters, or None.
    rng : of the bank, where one is needed.
    workers : cores; None takes all.
    states : a bank for the same data, under whatever prior, in place of a new one.

    Returns
    -------
    a ``Pairwise``, beyond 20 sites a ``Sampled``.

    Raises
    ------
    FitError : no optimum was found.
    """
    if data.sites <= enumeration.LARGEST:
        return Pairwise(data, prior, workers)
    if prior is None:
        refuse_edges(data)
    return Sampled(data, prior, workers, states or sampled(data, prior, rng, workers))


def sampled(
    data: Moments, prior: Prior | None, rng: np.random.Generator, workers: int | None = None
) -> bank.Bank:
    """Find the optimum, draw a bank of states there, and log Z.

    Parameters and errors are those of ``posed``.
    """
    if prior is None:
        refuse_edges(data)
    near = search.locate(data, prior, rng, workers)
    wanted = float(np.clip(bank.LONG * data.samples, bank.LEAST, bank.MOST))
    held = None
    if prior is not None:
        held = Prior(prior.h, Normal(prior.mean, search.settled_width(prior, data, near.theta)))
    # With so many, what a bank leaves open of the curvature is one or two per cent.
    keep = max(bank.KEPT, EACH * data.statistics.size)
    make = lambda theta, count, start: bank.draw(
        theta, data.encoding, count, rng, start=start, bias=near.bias, keep=keep, workers=workers
    )
    first = make(near.theta, FIRST * wanted, near.last)
    # A step and not a climb: where a pair is rare, so short a run may not have met it. How much of
    # it is taken averages its errors and those of the search.
    problem = bank.Banked(data, held, workers, first)
    step = problem.newton(near.theta, 1.0, problem.gradient(near.theta)[1], search.CAUTION)
    theta = near.theta + first.effective / (first.effective + near.effective) * step
    found = make(theta, wanted, first.last)
    _refuse_unsettled(bank.Banked(data, held, workers, found))
    log_z, error, _ = annealed_log_partition(
        theta, data.encoding, rng=rng, means=data.mean, workers=workers
    )
    return replace(found, log_z=log_z, log_z_error=error)


def covers(evidence: dict) -> bool:
    """Say by the evidence of draws whether the bank, where there is one, is enough for them."""
    return not evidence or (
        evidence["bank_size"].min() >= LEAST_SIZE and evidence["bank_k"].max() <= LARGEST_K
    )


def redrawn(problem: Sampled, theta: np.ndarray, rng: np.random.Generator) -> Sampled:
    """Replace a bank by one twice as large at the mean of draws (chain, draw, parameter)."""
    old, centre = problem.bank, theta.mean(axis=(0, 1))
    found = bank.draw(centre, problem.encoding, 2 * old.effective, rng, start=old.last,
                      keep=2 * len(old.states), workers=problem.workers)  # fmt: skip
    log_z, error, _ = annealed_log_partition(
        centre, problem.encoding, rng=rng, means=problem.data.mean, workers=problem.workers
    )
    return Sampled(problem.data, problem.prior, problem.workers,
                   replace(found, log_z=log_z, log_z_error=error))  # fmt: skip


def _refuse_unsettled(problem):
    """Raise FitError where the long run at the centre contradicts that it is the optimum."""
    _, slope = problem.gradient(problem.bank.theta)
    phi = problem.bank.phi
    square = 1.0 if problem.encoding == "±1" else phi
    variance = np.maximum(square - phi**2, 1 / problem.samples)
    z = slope / np.sqrt(problem.samples * variance)
    off = float(np.sqrt(np.mean(z**2)))
    if not off <= UNSETTLED:
        raise FitError(
            f"no optimum was found: moments of the model are off by {off:.1f} standard errors of "
            "the data (rms); choose fewer sites, or state a narrower prior",
            residual=z,
        )
