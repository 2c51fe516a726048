"""Beyond 20 sites: averages over sampled states in place of sums over all states.

``make_likelihood`` is the one door. Beyond 20 sites it draws a reweighting sample, in four steps:

    search      the optimum, by Newton steps on states of multicanonical chains (``levels``)
    long_run    many states at the optimum, of which a reweighting sample is kept
    annealing   log Z at the optimum
    likelihood  log Z and moments at any θ nearby, by ``reweighting``

Where the likelihood has no maximum, ``limit`` leaves what the data never show out of the sample.
Below lie ``sampling`` (Markov chains and their ``autocorrelation``), ``state_sums`` (sums over many
states, dense or sparse) and ``centred`` statistics. ``tuning`` holds every constant.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from bayesinf import kept
from bayesinf.errors import FitError
from bayesinf.models.binary import Moments
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.large.annealing import annealed_log_partition
from bayesinf.models.binary.pairwise.large.centred import CentredStatistics
from bayesinf.models.binary.pairwise.large.likelihood import (
    ReweightedLikelihood,
    covers,
    with_inferred_width,
)
from bayesinf.models.binary.pairwise.large.long_run import draw_sample
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.large.search import find_optimum
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import refuse_edges

__all__ = [
    "ReweightedLikelihood",
    "ReweightingSample",
    "covers",
    "draw_reweighting_sample",
    "make_likelihood",
    "redrawn",
]


def make_likelihood(
    data: Moments,
    prior: CouplingPrior | None,
    rng: np.random.Generator,
    workers: int | None = None,
    sample: ReweightingSample | None = None,
    tuning: Tuning = DEFAULT,
) -> Pairwise:
    """Make the likelihood of these moments.

    Parameters
    ----------
    data : moments.
    prior : of the parameters, or None.
    rng : of the reweighting sample, where one is drawn.
    workers : cores; None takes all.
    sample : drawn for the same data, under whatever prior, in place of a new one.

    Returns
    -------
    a ``Pairwise`` that sums over all states, or beyond 20 sites a ``ReweightedLikelihood``.

    Raises
    ------
    FitError : no optimum was found.
    """
    if data.sites <= enumeration.LARGEST:
        return Pairwise(data, prior, workers)
    if prior is None:
        refuse_edges(data)
    if sample is None:
        drawing = partial(draw_reweighting_sample, data, prior, rng, workers, tuning)
        sample = kept.once(drawing)
    return ReweightedLikelihood(data, prior, workers, sample)


def draw_reweighting_sample(
    data: Moments,
    prior: CouplingPrior | None,
    rng: np.random.Generator,
    workers: int | None = None,
    tuning: Tuning = DEFAULT,
) -> ReweightingSample:
    """Find the optimum of many sites, draw a reweighting sample there, and estimate log Z.

    Parameters and errors are those of ``make_likelihood``.
    """
    if prior is None:
        refuse_edges(data)
    near = find_optimum(data, prior, rng, workers, tuning)
    long = float(np.clip(tuning.run_ratio * data.samples, tuning.least_run, tuning.most_run))
    how = {"bias": near.bias, "workers": workers, "tuning": tuning}
    how["keep"] = _kept_states(data, tuning)
    first = draw_sample(
        near.theta, data.encoding, tuning.first_run * long, rng, start=near.last, **how
    )
    # Take one Newton step, not a full climb: a short run may miss rare pairs. Its share averages
    # its sampling errors with those of the search.
    step, _ = _towards_optimum(first, data, prior, workers)
    theta = near.theta + first.effective / (first.effective + near.effective) * step
    last = first.last
    # Hundreds of sites that go on together are known by the long run alone: where it says that the
    # optimum is elsewhere, the next one is drawn there.
    for _ in range(tuning.long_runs):
        drawn = draw_sample(theta, data.encoding, long, rng, start=last, **how)
        step, z = _towards_optimum(drawn, data, prior, workers)
        rms = float(np.sqrt(np.mean(z**2)))
        if rms <= tuning.largest_residual:
            return _with_log_z(drawn, data, rng, workers, tuning)
        theta, last = theta + step, drawn.last
    raise FitError(
        f"no optimum was found: moments of the model are off by {rms:.1f} standard errors of "
        "the data (rms); choose fewer sites, or state a narrower prior",
        residual=z,
    )


def _towards_optimum(sample, data, prior, workers):
    """Newton's step from the centre of a sample, and how far moments are off there, (parameter,).

    In standard errors of the data.
    """
    held = with_inferred_width(prior, data, sample.centre, sample.tuning)
    problem = ReweightedLikelihood(data, held, workers, sample)
    _, gradient = problem.gradient(sample.centre)
    square = 1.0 if problem.encoding == "±1" else sample.moments
    variance = np.maximum(square - sample.moments**2, 1 / problem.samples)
    step = problem.newton(sample.centre, 1.0, gradient, sample.tuning.pair_prior)
    return step, gradient / np.sqrt(problem.samples * variance)


def _kept_states(data, tuning):
    """How many states stand for all: as many as show the rarest pair often enough, worth as much at
    a draw of the posterior, where log weights have a variance of about a parameter a state of the
    data.
    """
    variances = CentredStatistics(data.encoded("0/1")).variances_of_data
    rarest = float(np.min(variances[data.sites :]))
    spread = np.exp(min(data.statistics.size / data.samples, 100.0))
    shown = int(min(tuning.kept_rarest * spread / rarest, tuning.kept_states))
    return max(shown, tuning.kept_states_each * data.statistics.size)


def redrawn(
    problem: ReweightedLikelihood, theta: np.ndarray, rng: np.random.Generator
) -> ReweightedLikelihood:
    """Replace the sample by one twice as large, at the mean of draws (chain, draw, parameter)."""
    old, data, workers = problem.sample, problem.data, problem.workers
    drawn = draw_sample(
        theta.mean(axis=(0, 1)),
        problem.encoding,
        2 * old.effective,
        rng,
        start=old.last,
        bias=old.bias,
        keep=2 * len(old.states),
        workers=workers,
        tuning=old.tuning,
    )
    drawn = _with_log_z(drawn, data, rng, workers, old.tuning)
    return ReweightedLikelihood(data, problem.prior, workers, drawn)


def _with_log_z(sample, data, rng, workers, tuning):
    """The same sample, with log Z at its centre."""
    log_z, error, _ = annealed_log_partition(
        sample.centre, data.encoding, rng=rng, means=data.mean, workers=workers, tuning=tuning
    )
    return replace(sample, log_z=log_z, log_z_error=error)
