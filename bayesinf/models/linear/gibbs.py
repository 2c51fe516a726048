"""Gibbs sampling for the shrinking priors, Laplace and horseshoe.

Both are normal given one local scale for each coefficient, so a sweep is: the noise with all
coefficients integrated out, the coefficients in one block, the noise once more given them, then
the scales. Integrating out matters with more coefficients than data, where the noise given the
coefficients hardly moves; the second step, which costs nothing, matters where data abound. The
work is in BLAS and LAPACK (one product and a few Cholesky factors of the smaller side of X a
sweep), so the loop around it is plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference.slice import slice_sample
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.linear.priors import Horseshoe, Laplace, log_normal
from bayesinf.models.noise import log_density
from bayesinf.priors import HalfCauchy

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
        if "scale" in self.prior.inferred:
            # Flat in log scale the conditional is inverse gamma; the prior enters by Metropolis.
            proposal = np.sum(size) / rng.standard_gamma(len(size))
            weight = lambda scale: self.prior.scale.log_density(scale) + np.log(scale)
            if np.log(rng.random()) < weight(proposal) - weight(self.scale):
                self.scale = proposal
        # 1 / ω is inverse Gaussian; a coefficient at zero has the limit of a vanishing |β|.
        self.omega = 1 / rng.wald(self.scale / np.maximum(size, 1e-100 * self.scale), 1.0)

    def record(self):
        """The variables of the model among them."""
        return {"scale": self.scale} if "scale" in self.prior.inferred else {}


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
    seen = problem.design
    n, first = seen.Z.shape
    design = Factors(seen.stacked, seen.t)
    spread = float(np.sqrt(np.mean(design.y**2)))
    kind = LaplaceScales if isinstance(problem.prior, Laplace) else HorseshoeScales
    # Start wide: a scale too narrow leaves all to the noise, and takes long to find out.
    size = np.sqrt(np.mean(seen.A**2, axis=0))
    unit = spread / np.min(size[size > 0])
    scales = kind(problem.prior, problem.weights, unit, rng)

    def variances(sigma):
        own = scales.variances(sigma)
        return np.concatenate([np.ones(first), own]) if first else own

    log_sigma = np.log(
        float(problem.noise) if problem.noise_fixed else spread * rng.uniform(0.05, 1)
    )
    step, kept = 0.5, None
    for sweep in range(-tune, draws):
        sigma = np.exp(log_sigma)
        kernel = design.kernel(variances(sigma))
        current = design.condition(kernel, variances(sigma), sigma)
        if not problem.noise_fixed:
            target = lambda c: c.log_marginal() + problem.noise.log_density(c.sigma)
            level = target(current) + log_sigma
            for _ in range(NOISE_STEPS):
                proposal = log_sigma + step * rng.standard_normal()
                sigma = np.exp(proposal)
                changed = design.kernel(variances(sigma)) if scales.of_sigma else kernel
                other = design.condition(changed, variances(sigma), sigma)
                other_level = target(other) + proposal
                acceptance = np.exp(min(0.0, other_level - level))
                if rng.random() < acceptance:
                    log_sigma, current, level = proposal, other, other_level
                if sweep < 0:
                    step *= np.exp((acceptance - TARGET_ACCEPTANCE) / (sweep + tune + 2) ** 0.6)
        coefficients = current.draw(rng)
        beta = coefficients[first:]
        if sweep >= 0:
            # The marginal belongs to the scales that made this β, before they move on.
            left_out = log_density(design.y, *_loo(current)) + seen.log_jacobian
            record = {"beta": beta, "alpha": coefficients[:first], "log_marginal": left_out}
        if not problem.noise_fixed:
            square = design.residual_square(coefficients)
            log_sigma = _noise_given(rng, problem.noise, log_sigma, n, square,
                                     scales.standardised(beta))  # fmt: skip
        sigma = np.exp(log_sigma)
        scales.update(rng, beta, sigma)
        if sweep < 0:
            continue
        record |= scales.record()
        record |= {} if problem.noise_fixed else {"sigma": sigma}
        if kept is None:
            kept = {k: np.empty((draws, *np.shape(v))) for k, v in record.items()}
        for name, value in record.items():
            kept[name][sweep] = value
    return kept


def _noise_given(rng, prior, log_sigma, count, square, standardised):
    """Draw log σ given residuals of summed square and the coefficients that are in units of σ."""
    count, square = count + len(standardised), square + np.sum(standardised**2)

    def log_density(x):
        sigma = np.exp(x)
        return prior.log_density(sigma) + x - count * x - 0.5 * square / sigma**2

    return slice_sample(rng, log_density, np.array([log_sigma]), 1.0)[0]


def _loo(conditional):
    mean, variance = conditional.leave_one_out()
    return mean, np.sqrt(variance)
