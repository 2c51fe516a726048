"""Gibbs sampling for the shrinking priors, Laplace and horseshoe.

Both are normal given one local scale for each coefficient, so a sweep is: the noise with all
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

from bayesinf.inference.slice import slice_sample
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.linear.design import Design
from bayesinf.models.linear.priors import Horseshoe, Laplace, log_normal
from bayesinf.models.noise import log_density
from bayesinf.priors import HalfCauchy, Prior

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

NOISE_STEPS = 1  # Metropolis steps on σ a sweep; it then mixes about half as fast as the scale
TARGET_ACCEPTANCE = 0.4  # about the best for a random walk in one dimension


class LaplaceScales:
    """Laplace as a mixture: β_j ~ N(0, w² ω_j), ω_j ~ Exponential(mean 2), w = scale (· σ)."""

    def __init__(self, prior: Laplace, count: int, unit: float, rng: np.random.Generator):
        self.prior, self.scale = prior, prior.fixed.get("scale", unit * rng.uniform(0.1, 1.0))
        self.omega = rng.exponential(2.0, count)

    def variances(self, sigma):
        """Prior variances of the coefficients at a given noise."""
        return self.prior.width(self.scale, sigma) ** 2 * self.omega

    @property
    def of_sigma(self):
        """Whether the variances depend on the noise."""
        return self.prior.relative

    def standardised(self, beta):
        """Coefficients in units of σ that are standard normal but for it; none if absolute."""
        return beta / (self.scale * np.sqrt(self.omega)) if self.prior.relative else beta[:0]

    def update(self, rng, beta, sigma):
        """Draw scale given β with ω integrated out, then ω given both."""
        size = np.abs(beta) / (sigma if self.prior.relative else 1.0)
        self.scale = laplace_scale(rng, self.prior, self.scale, size)
        # 1 / ω is inverse Gaussian; a coefficient at zero has the limit of a vanishing |β|.
        self.omega = 1 / rng.wald(self.scale / np.maximum(size, 1e-100 * self.scale), 1.0)

    def record(self):
        """The variables of the model among them."""
        return {"scale": self.scale} if "scale" in self.prior.inferred else {}


def laplace_scale(rng, prior: Laplace, scale: float, size: np.ndarray) -> float:
    """Draw the scale given the sizes |β|, all of them, in units of σ where it is relative."""
    if "scale" in prior.fixed:
        return scale
    # Flat in log scale the conditional is inverse gamma; the prior enters by Metropolis.
    proposal = np.sum(size) / rng.standard_gamma(np.size(size))
    before, after = (prior.scale.log_density(x) + np.log(x) for x in (scale, proposal))
    return proposal if np.log(rng.random()) < after - before else scale


class HorseshoeScales:
    """The regularised horseshoe's scales, each by a slice step on its logarithm."""

    of_sigma = False

    def __init__(self, prior: Horseshoe, count: int, unit: float, rng: np.random.Generator):
        self.prior = prior
        self.scale = prior.fixed.get("scale", 0.1 * unit * rng.uniform(0.1, 1.0))
        self.slab_width = prior.fixed.get("slab_width", unit * rng.uniform(0.5, 2.0))
        self.local = np.exp(rng.uniform(-1.0, 1.0, count))

    def variances(self, sigma):
        """Prior variances of the coefficients."""
        return self.prior.sd(self.local, self.scale, self.slab_width) ** 2

    def standardised(self, beta):
        """No coefficient is in units of σ."""
        return beta[:0]

    def update(self, rng, beta, sigma):
        """Draw local scales, scale and slab width given β, in turn."""
        prior, local_prior = self.prior, HalfCauchy(1.0)

        def local_density(log_local):
            local = np.exp(log_local)
            sd = prior.sd(local, self.scale, self.slab_width)
            return log_normal(beta, sd) + local_prior.log_density(local) + log_local

        def scale_density(log_scale):
            scale = np.exp(log_scale)
            sd = prior.sd(self.local, scale, self.slab_width)
            return np.sum(log_normal(beta, sd)) + prior.scale.log_density(scale) + log_scale

        def slab_density(log_width):
            width = np.exp(log_width)
            sd = prior.sd(self.local, self.scale, width)
            return np.sum(log_normal(beta, sd)) + prior.slab_width.log_density(width) + log_width

        self.local = np.exp(slice_sample(rng, local_density, np.log(self.local), 8.0))
        if "scale" in prior.inferred:
            start = np.log([self.scale])
            self.scale = np.exp(slice_sample(rng, scale_density, start, 2.0)[0])
        if "slab_width" in prior.inferred:
            start = np.log([self.slab_width])
            self.slab_width = np.exp(slice_sample(rng, slab_density, start, 4.0)[0])

    def record(self):
        """The variables of the model among them."""
        inferred = self.prior.inferred
        return {"local": self.local} | {
            name: getattr(self, name) for name in ("scale", "slab_width") if name in inferred
        }


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
        self.first, self.count = seen.Z.shape[1], len(seen.t)
        self.factors = Factors(seen.stacked, seen.t)
        self.spread = float(np.sqrt(np.mean(seen.t**2)))
        self.step = 0.5

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
        self.current = current
        return current.draw(rng), log_sigma

    def leave_one_out(self) -> np.ndarray:
        """Log density of each y_i given the others and the scales, (observation,)."""
        mean, variance = self.current.leave_one_out()
        return log_density(self.seen.t, mean, np.sqrt(variance)) + self.seen.log_jacobian

    def _log_density(self, conditional):
        return conditional.log_marginal() + self.noise.log_density(conditional.sigma)

    def _variances(self, scales, sigma):
        own = scales.variances(sigma)
        return np.concatenate([np.ones(self.first), own]) if self.first else own


def chain(
    problem: Regression, rng: np.random.Generator, draws: int, tune: int
) -> dict[str, np.ndarray]:
    """Run one chain.

    Parameters
    ----------
    problem : a regression whose prior is ``Laplace`` or ``Horseshoe``.
    rng : generator of this chain.
    draws, tune : sweeps kept, and sweeps before those, in which the step of σ is adapted.

    Returns
    -------
    draws, (draw, ...), as ``Regression.outer`` takes them, and ``log_marginal``, (draw,
    observation), the log density of each y_i given the others and the scales.
    """
    block, kept = Block(problem.design, problem.noise, rng), None
    # Start wide: a scale too narrow leaves all to the noise, and takes long to find out.
    size = np.sqrt(np.mean(problem.design.A**2, axis=0))
    unit = block.spread / np.min(size[size > 0])
    kind = LaplaceScales if isinstance(problem.prior, Laplace) else HorseshoeScales
    scales = kind(problem.prior, problem.weights, unit, rng)
    log_sigma = block.start(rng)
    for sweep in range(-tune, draws):
        tuned = sweep + tune if sweep < 0 else -1
        coefficients, log_sigma = block.draw(rng, scales, log_sigma, tuned)
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
        sigma = np.exp(log_sigma)
        scales.update(rng, beta, sigma)
        if sweep < 0:
            continue
        record |= scales.record()
        record |= {} if block.fixed else {"sigma": sigma}
        if kept is None:
            kept = {k: np.empty((draws, *np.shape(v))) for k, v in record.items()}
        for name, value in record.items():
            kept[name][sweep] = value
    return kept


def noise_given(rng, prior, log_sigma, count, square, standardised):
    """Draw log σ given residuals of summed square and the coefficients that are in units of σ."""
    count, square = count + len(standardised), square + np.sum(standardised**2)

    def log_density(x):
        sigma = np.exp(x)
        return prior.log_density(sigma) + x - count * x - 0.5 * square / sigma**2

    return slice_sample(rng, log_density, np.array([log_sigma]), 1.0)[0]
