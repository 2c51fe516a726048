"""Gibbs sampling for the shrinking priors: Laplace, Student and horseshoe.

All are normal given one local variance for each coefficient, so a sweep is: the noise, the width
and the slab with all coefficients integrated out, the coefficients in one block, the noise once
more given them, then width and slab with the local variances integrated out, then these.
Integrating out matters with more coefficients than data, where the noise given the coefficients
hardly moves; the second step, which costs nothing, matters where data abound.

With few features, and data enough, the sweep is compiled (``gibbs_kernel``); else its time goes to
BLAS and LAPACK, and the loop around them is plain Python.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.models.linear.conditional import Factors, indefinite
from bayesinf.models.linear.design import Design
from bayesinf.models.linear.scale_priors import told, told_weights
from bayesinf.models.noise import log_density
from bayesinf.priors import Prior
from bayesinf.priors.weights import Scaled

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["TARGET_ACCEPTANCE", "Block", "Scales", "chain", "noise_given"]

SLICES = 2  # slice steps on width and slab a sweep, which cost next to nothing
SMALL = 100  # least side of X up to which one more factor a sweep costs next to nothing
NOISE_STEPS = 1  # Metropolis steps on σ a sweep; it then mixes about half as fast as the scale
TARGET_ACCEPTANCE = 0.4  # about the best for a random walk in one dimension
THIN = 2  # compiled sweeps for each draw
# Moves of coefficients and local variances alone before each of these: of few features they mix the
# slowest, and such a move costs a sixth of a sweep.
MOST_LIGHT = 3
PART = 100  # draws between two times that a chain may be kept


class Scales:
    """Scale, slab and local variances of the weights, of one regression or of many.

    Scale and slab are drawn with the local variances integrated out, each by slice steps on its
    logarithm, then the local variances given them; all in compiled code.

    Parameters
    ----------
    prior : ``Laplace``, ``Student`` or ``Horseshoe``.
    shape : of the weights.
    unit : size that a weight may have at the most.
    rng : generator of the chain, for where it starts.
    """

    def __init__(self, prior: Scaled, shape, unit: float, rng: np.random.Generator):
        self.prior, self.told, self.rest = prior, told_weights(prior), {}
        unit = 1.0 if self.of_sigma else unit
        self.scale = prior.fixed.get("scale", unit * rng.uniform(0.1, 1.0))
        if "slab" in prior.hyperparameters:
            self.rest = {"slab": prior.fixed.get("slab", unit * rng.uniform(0.5, 2.0))}
        self.local = self.local_given(rng, np.exp(rng.uniform(-1.0, 1.0, shape)))

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
        # Here, because it imports numba.
        from bayesinf.models.linear.scales_kernel import move

        beta = beta / sigma[..., np.newaxis] if self.of_sigma else beta
        flat, slab = np.ravel(beta), self.rest.get("slab", np.inf)
        steps = steps or (SLICES if flat.size <= SMALL else 1)
        self.scale, slab = move(rng, self.told, flat, self.scale, slab, steps)
        if self.rest:
            self.rest["slab"] = slab
        self.refresh(rng, beta / self.scale)

    def refresh(self, rng, x):
        """Draw the local variances given the weights in units of the scale."""
        self.local = self.local_given(rng, x)

    def local_given(self, rng, x):
        """Draw local variances given weights in units of the scale, of any shape."""
        # Here, because it imports numba.
        from bayesinf.models.linear.scales_kernel import locals_given

        local = np.ones(x.size)
        locals_given(rng, *self.told[:2], np.ravel(x), local)
        return local.reshape(x.shape)

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
        self.single = self.factors.dual  # precision, until it will not do

    def __getstate__(self):
        return self.step, self.scale_step, self.single

    def __setstate__(self, state):
        self.step, self.scale_step, self.single = state

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
        kernel = self.factors.kernel(variances(sigma), self.single)
        current = self.factors.condition(kernel, variances(sigma), sigma)
        self.single = current.factor.dtype != float
        if not self.fixed:
            level = self._log_density(current) + log_sigma
            for _ in range(NOISE_STEPS):
                proposal = log_sigma + self.step * rng.standard_normal()
                sigma = np.exp(proposal)
                if scales.of_sigma:
                    kernel = self.factors.kernel(variances(sigma), self.single)
                other = self.factors.condition(kernel, variances(sigma), sigma)
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
        other = self.factors.condition(
            self.factors.kernel(variances, self.single), variances, sigma
        )
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
    block = Block(problem.design, problem.noise, rng)
    # Start wide: a scale too narrow leaves all to the noise, and takes long to find out.
    size = np.sqrt(np.mean(problem.design.A**2, axis=0))
    unit = block.spread / np.min(size[size > 0])
    scales = Scales(problem.prior, problem.weights, unit, rng)
    log_sigma = block.start(rng)
    small = not block.factors.dual and block.factors.X.shape[1] <= SMALL
    run = _compiled if small else _plain
    return run(problem, rng, draws, tune, block, scales, float(log_sigma))


def _compiled(problem, rng, draws, tune, block, scales, log_sigma):
    # Here, because it imports numba.
    from bayesinf.models.linear.gibbs_kernel import run

    seen, factors, slab = block.seen, block.factors, scales.rest.get("slab", np.inf)
    data = (
        factors.X,
        np.ascontiguousarray(factors.y),
        factors.gram,
        factors.correlation,
        np.ascontiguousarray(factors.R),
        factors.Qty,
        factors.floor + seen.rest.square,
        float(seen.count),
    )
    priors = told(problem.noise), scales.told, scales.of_sigma
    walk = np.array([log_sigma, np.log(scales.scale), np.log(slab), 0.5, 0.5, 0.5])
    state, count = (rng, data, priors, walk, scales.local), factors.X.shape[1]
    found = np.empty((draws, count)), np.empty((draws, 3)), np.empty((draws, len(seen.t)))
    light = min(max(SMALL // count // 2 - 1, 0), MOST_LIGHT)
    numbers = [*range(-tune, 0, PART), *range(0, draws, PART)]
    for first in kept.steps(numbers, rng, walk, scales.local, *found):
        part = slice(first, first + PART)
        if first < 0:
            size = min(PART, -first)
            tuned, thin, into = first + tune, 1, (np.empty((size, count)), np.empty((size, 3)))
        else:
            tuned, thin, into = -1, THIN, (found[0][part], found[1][part])
        try:
            run(*state, tuned, thin, light, *into, found[2][part])
        except np.linalg.LinAlgError as error:
            raise indefinite(np.exp(walk[0])) from error
    coefficients, hyper, marginal = found
    marginal += seen.log_jacobian
    values = dict(zip(("sigma", "scale", "slab"), hyper.T, strict=True))
    names = [*([] if block.fixed else ["sigma"]), *problem.prior.inferred]
    beta, alpha = coefficients[:, block.first :], coefficients[:, : block.first]
    found = {"beta": beta, "alpha": alpha, "log_marginal": marginal}
    return found | {name: values[name] for name in names}


def _plain(problem, rng, draws, tune, block, scales, log_sigma):
    walk, drawn = {"log_sigma": log_sigma}, {}
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
            square = block.factors.residual_square(coefficients) + block.seen.rest.square
            z = scales.standardised(beta)
            log_sigma = noise_given(rng, problem.noise, log_sigma, block.count, square, z)
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

    Parameters
    ----------
    log_sigma, count, square : where it stands, number of residuals and their summed square, one of
        each regression.
    """
    # Here, because it imports numba.
    from bayesinf.models.linear.scales_kernel import log_scales

    x = np.array(log_sigma, dtype=float)
    counts = np.full(x.shape, count + np.size(standardised), dtype=float)
    squares = np.full(x.shape, square + np.sum(np.square(standardised)))
    log_scales(rng, told(prior), x.reshape(-1), counts.reshape(-1), squares.reshape(-1))
    return x
