"""Gibbs sampling for the shrinking priors: Laplace, Student and horseshoe.

All are normal given one local variance for each coefficient, so a sweep is: the noise with all
coefficients integrated out, the coefficients in one block, the noise once more given them, then
the scales. Integrating out matters with more coefficients than data, where the noise given the
coefficients hardly moves; the second step, which costs nothing, matters where data abound. The
work is in BLAS and LAPACK (one product and a few Cholesky factors of the smaller side of X a
sweep), so the loop around it is plain Python.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.inference.slice import slice_sample
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.linear.design import Design
from bayesinf.models.noise import log_density
from bayesinf.priors import InverseChi, LogNormal, Prior
from bayesinf.priors.weights import Laplace, Scaled

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

SCALE_STEPS = 2  # slice steps on scale and slab a sweep, which cost next to nothing
SLICE = 8.0  # first interval along the logarithm of a scale, about as wide as its prior
SMALL = 100  # least side of X up to which one more factor a sweep costs next to nothing
NOISE_STEPS = 1  # Metropolis steps on σ a sweep; it then mixes about half as fast as the scale
WIDE = 2.0  # spread of a log-normal that hardly says more of the noise than a flat one
TARGET_ACCEPTANCE = 0.4  # about the best for a random walk in one dimension


class Scales:
    """Scale, slab and local variances of the weights, of one regression or of many.

    Scale and slab are drawn with the local variances integrated out, each by slice steps on its
    logarithm, then the local variances given them.

    Parameters
    ----------
    prior : ``Laplace``, ``Student`` or ``Horseshoe``.
    shape : of the weights.
    unit : size that a weight may have at the most.
    rng : generator of the chain, for where it starts.
    """

    def __init__(self, prior: Scaled, shape, unit: float, rng: np.random.Generator):
        self.prior, self.rest = prior, {}
        unit = 1.0 if self.of_sigma else unit
        self.scale = prior.fixed.get("scale", unit * rng.uniform(0.1, 1.0))
        if "slab" in prior.hyperparameters:
            self.rest = {"slab": prior.fixed.get("slab", unit * rng.uniform(0.5, 2.0))}
        self.local = prior.local_given(rng, np.exp(rng.uniform(-1.0, 1.0, shape)))

    @property
    def moves(self):
        """Whether the scale may move with the coefficients integrated out."""
        return "scale" in self.prior.inferred

    def log_density(self):
        """Log density of the logarithm of the scale and of the local variances given it."""
        value = self.prior.inferred["scale"].log_density(self.scale) + np.log(self.scale)
        return value + self.prior.log_local(self.scale, self.local, **self.rest)

    def variances(self, sigma):
        """Prior variances of the weights at a given noise."""
        width = self.prior.width(self.scale, sigma)
        return self.prior.variances(width, self.local, **self.rest)

    @property
    def of_sigma(self):
        """Whether the variances depend on the noise."""
        return getattr(self.prior, "relative", False)

    def standardised(self, beta):
        """Weights in units of σ that are standard normal but for it; none if absolute."""
        return beta / (self.scale * np.sqrt(self.local)) if self.of_sigma else beta[:0]

    def update(self, rng, beta, sigma, steps=None):
        """Draw scale and slab given the weights, then the local variances."""
        beta = beta / sigma[..., np.newaxis] if self.of_sigma else beta
        flat = np.ravel(beta)
        for _ in range(steps or (SCALE_STEPS if flat.size <= SMALL else 1)):
            self._move_scale(rng, flat)
            if self.rest:
                self._move(rng, "slab", flat, lambda c: self._cut(flat, c))
        self.refresh(rng, beta / self.scale)

    def refresh(self, rng, x):
        """Draw the local variances given the weights in units of the scale."""
        self.local = self.prior.local_given(rng, x)

    def _move_scale(self, rng, weights):
        """Draw the scale given the weights."""
        if "scale" in self.prior.fixed:
            return
        if not isinstance(self.prior, Laplace):
            self._move(rng, "scale", weights, lambda tau: self._density(weights, tau))
            return
        # Flat in log scale the conditional is inverse gamma; the prior enters by Metropolis.
        proposal = np.sum(np.abs(weights)) / rng.standard_gamma(weights.size)
        prior = self.prior.inferred["scale"]
        before, after = (prior.log_density(x) + np.log(x) for x in (self.scale, proposal))
        if np.log(rng.random()) < after - before:
            self.scale = proposal

    def _density(self, weights, tau):
        return self.prior.log_sum(weights, np.reshape(tau, 1), **self.rest)

    def _cut(self, weights, slab):
        return np.sum(self.prior.log_cut(weights, self.scale, slab))

    def _move(self, rng, name, weights, log_density):
        """Draw one hyperparameter by a slice step on its logarithm."""
        if name in self.prior.fixed:
            return
        prior = self.prior.inferred[name]

        def target(x):
            return log_density(np.exp(x)) + prior.log_density(np.exp(x)) + x

        start = np.log([self.scale if name == "scale" else self.rest[name]])
        # The more weights, the narrower the density.
        width = SLICE / np.sqrt(1 + weights.size / 10)
        drawn = float(np.exp(slice_sample(rng, target, start, width)[0]))
        if name == "scale":
            self.scale = drawn
        else:
            self.rest[name] = drawn

    def record(self):
        """The hyperparameters that are inferred."""
        values = {"scale": self.scale, **self.rest}
        return {name: values[name] for name in self.prior.inferred}


class Block:
    """The coefficients of one regression and its noise: all drawn in one block.

    Parameters
    ----------
    seen : its design.
    noise : σ, a number or a prior.
    rng : generator of the chain, for where it starts.
    """

    def __init__(self, seen: Design, noise: float | Prior, rng: np.random.Generator):
        self.seen, self.noise = seen, noise
        self.first, self.count = seen.Z.shape[1], seen.count
        self.factors = Factors(seen.stacked, seen.t)
        self.spread = float(np.sqrt(seen.square / seen.count))
        self.step = self.scale_step = 0.5

    def __getstate__(self):
        return self.step, self.scale_step

    def __setstate__(self, state):
        self.step, self.scale_step = state

    @property
    def fixed(self) -> bool:
        """Whether σ is known."""
        return isinstance(self.noise, int | float)

    def start(self, rng: np.random.Generator) -> float:
        """Where log σ starts."""
        return np.log(float(self.noise) if self.fixed else self.spread * rng.uniform(0.05, 1))

    def draw(self, rng, scales, log_sigma: float, tuned: int) -> tuple[np.ndarray, float]:
        """Draw log σ with the coefficients integrated out, then these.

        Parameters
        ----------
        scales : what says the variances of the weights at a noise.
        log_sigma : where the chain stands.
        tuned : sweeps of tuning done before; negative where tuning is over.

        Returns
        -------
        coefficients, (free + weight,), and log σ; their joint normal is then ``current``.
        """
        variances = partial(self._variances, scales)
        sigma = np.exp(log_sigma)
        kernel = self.factors.kernel(variances(sigma))
        current = self.factors.condition(kernel, variances(sigma), sigma)
        if not self.fixed:
            level = self._log_density(current) + log_sigma
            for _ in range(NOISE_STEPS):
                proposal = log_sigma + self.step * rng.standard_normal()
                sigma = np.exp(proposal)
                changed = self.factors.kernel(variances(sigma)) if scales.of_sigma else kernel
                other = self.factors.condition(changed, variances(sigma), sigma)
                other_level = self._log_density(other) + proposal
                acceptance = np.exp(min(0.0, other_level - level))
                if rng.random() < acceptance:
                    log_sigma, current, level = proposal, other, other_level
                if tuned >= 0:
                    self.step *= np.exp((acceptance - TARGET_ACCEPTANCE) / (tuned + 2) ** 0.6)
        if scales.moves and min(self.factors.X.shape) <= SMALL:
            current = self._rescaled(rng, scales, current, tuned)
        self.current = current
        return current.draw(rng), log_sigma

    def _rescaled(self, rng, scales, current, tuned):
        """Move the scale by a Metropolis step, the coefficients integrated out."""
        before, sigma = scales.scale, current.sigma
        level = current.log_marginal() + scales.log_density()
        scales.scale = before * np.exp(self.scale_step * rng.standard_normal())
        variances = self._variances(scales, sigma)
        other = self.factors.condition(self.factors.kernel(variances), variances, sigma)
        gain = other.log_marginal() + scales.log_density() - level
        acceptance = np.exp(min(0.0, gain))
        if tuned >= 0:
            self.scale_step *= np.exp((acceptance - TARGET_ACCEPTANCE) / (tuned + 2) ** 0.6)
        if rng.random() < acceptance:
            return other
        scales.scale = before
        return current

    def leave_one_out(self) -> np.ndarray:
        """Log density of each y_i given the others and the scales, (observation,)."""
        mean, variance = self.current.leave_one_out()
        return log_density(self.seen.t, mean, np.sqrt(variance)) + self.seen.log_jacobian

    def _log_density(self, conditional):
        rest, sigma = self.seen.rest, conditional.sigma
        apart = -rest.count * np.log(sigma) - 0.5 * rest.square / sigma**2
        return conditional.log_marginal() + apart + self.noise.log_density(sigma)

    def _variances(self, scales, sigma):
        own = scales.variances(sigma)
        return np.concatenate([np.ones(self.first), own]) if self.first else own


def chain(
    problem: Regression, rng: np.random.Generator, draws: int, tune: int
) -> dict[str, np.ndarray]:
    """Run one chain.

    Parameters
    ----------
    problem : a regression whose prior is ``Laplace``, ``Student`` or ``Horseshoe``.
    rng : generator of this chain.
    draws, tune : sweeps kept, and sweeps before those, in which the step of σ is adapted.

    Returns
    -------
    draws, (draw, ...), as ``Regression.outer`` takes them, and ``log_marginal``, (draw,
    observation), the log density of each y_i given the others and the scales.
    """
    block, drawn = Block(problem.design, problem.noise, rng), {}
    # Start wide: a scale too narrow leaves all to the noise, and takes long to find out.
    size = np.sqrt(np.mean(problem.design.A**2, axis=0))
    unit = block.spread / np.min(size[size > 0])
    scales = Scales(problem.prior, problem.weights, unit, rng)
    walk = {"log_sigma": block.start(rng)}
    fixed = problem.prior, problem.noise, block.seen, block.factors
    for sweep in kept.steps(range(-tune, draws), rng, block, scales, walk, drawn, fixed=fixed):
        tuned = sweep + tune if sweep < 0 else -1
        coefficients, log_sigma = block.draw(rng, scales, walk["log_sigma"], tuned)
        beta = coefficients[block.first :]
        if sweep >= 0:
            # The marginal belongs to the scales that made this β, before they move on.
            record = {"beta": beta, "alpha": coefficients[: block.first]}
            record |= {"log_marginal": block.leave_one_out()}
        if not block.fixed:
            square = block.factors.residual_square(coefficients)
            log_sigma = noise_given(
                rng, problem.noise, log_sigma, block.count, square, scales.standardised(beta)
            )
        walk["log_sigma"], sigma = log_sigma, np.exp(log_sigma)
        scales.update(rng, beta, np.asarray(sigma))
        if sweep < 0:
            continue
        record |= scales.record()
        record |= {} if block.fixed else {"sigma": sigma}
        if not drawn:
            drawn |= {k: np.empty((draws, *np.shape(v))) for k, v in record.items()}
        for name, value in record.items():
            drawn[name][sweep] = value
    return drawn


def noise_given(rng, prior, log_sigma, count, square, standardised=()):
    """Draw log σ given residuals of summed square and the coefficients that are in units of σ.

    Under an inverse χ it is drawn at once, under a wide log-normal as if the prior were flat in
    log σ and then accepted or not, under others by a slice step.

    Parameters
    ----------
    log_sigma, count, square : where it stands, number of residuals and their summed square, one of
        each regression.
    """
    count = count + np.size(standardised)
    square = square + np.sum(np.square(standardised))
    if isinstance(prior, InverseChi):
        half = 0.5 * (square + prior.dof * prior.scale**2)
        return 0.5 * np.log(half / rng.standard_gamma(0.5 * (count + prior.dof)))
    if isinstance(prior, LogNormal) and prior.spread > WIDE:
        proposal = 0.5 * np.log(0.5 * square / rng.standard_gamma(0.5 * count))
        pair = (np.array([log_sigma, proposal]) - np.log(prior.median)) / prior.spread
        gain = 0.5 * (pair[0] ** 2 - pair[1] ** 2)
        return np.where(np.log(rng.random(np.shape(gain))) < gain, proposal, log_sigma)

    def log_density(x):
        sigma = np.exp(x)
        return prior.log_density(sigma) + x - count * x - 0.5 * square / sigma**2

    return slice_sample(rng, log_density, np.asarray(log_sigma, dtype=float), 1.0)
