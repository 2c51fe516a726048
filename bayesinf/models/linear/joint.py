"""Gibbs sampling where a regression has several terms, or a response that is not normal.

Given noise σ, the widths of all terms and local variances v, the prior of the coefficients θ is
normal. The posterior of θ is then normal as well (normal response; Student's given its local
precisions), or near to a normal around its mode (counts, outcomes). A width or σ moves together
with θ: its new value is proposed by a random walk, θ from that normal q, and both are accepted by

    p(y | θ) p(θ | v) p(width) / q(θ | v)

which for a normal response is the density of the data with θ integrated out (Knorr-Held & Rue,
Scand. J. Stat. 29, 597 (2002), doi:10.1111/1467-9469.00308). Then θ is drawn anew: at once, or,
where q is only near, by an elliptical slice around it (Nishihara, Murray & Adams, J. Mach. Learn.
Res. 15, 2087 (2014)); and widths, σ and local variances given θ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.inference.slice import slice_sample
from bayesinf.models.likelihoods import TRIALS
from bayesinf.models.linear.conditional import Factors, solved
from bayesinf.models.linear.gibbs import TARGET_ACCEPTANCE, Scales, noise_given
from bayesinf.models.noise import log_density
from bayesinf.priors.terms import Terms

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["EXCESS", "Chain", "chain"]

EXCESS = "noise_excess"  # of a negative binomial response
NEWTON_STEPS = 50
FLAT = 1e-8  # Newton decrement at which the mode is found
LEAST = 1e-300  # of a prior variance
TAIL_STEPS = 2  # on degrees of freedom and σ a sweep


class Widths:
    """Widths, slabs and local variances of all terms of a prior.

    Parameters
    ----------
    problem : a regression; a prior of one term stands for itself.
    unit : size that a weight may have at the most.
    rng : generator of the chain, for where it starts.
    """

    def __init__(self, problem: Regression, unit: float, rng: np.random.Generator):
        prior = problem.prior
        single = not isinstance(prior, Terms)
        terms = {"": (prior, problem.weights)} if single else prior.terms
        self.named = (lambda _, name: name) if single else prior.named
        self.slices = {"": slice(None)} if single else prior.slices
        self.terms = {k: Scales(one, count, unit, rng) for k, (one, count) in terms.items()}
        self.free = np.ones(len(problem.free))

    def __getstate__(self):
        return {name: dict(vars(one)) for name, one in self.terms.items()}

    def __setstate__(self, state):
        for name, values in state.items():
            vars(self.terms[name]).update(values)

    @property
    def moving(self) -> list[str]:
        """Terms whose width is inferred."""
        return [name for name, one in self.terms.items() if one.moves]

    @property
    def of_sigma(self) -> bool:
        """Whether the variances depend on the noise."""
        return any(one.of_sigma for one in self.terms.values())

    def variances(self, sigma: float) -> np.ndarray:
        """Prior variances of all coefficients, the free ones first."""
        own = [
            np.broadcast_to(one.variances(sigma), one.local.shape) for one in self.terms.values()
        ]
        return np.maximum(np.concatenate([self.free, *own]), LEAST)

    def update(self, rng, beta: np.ndarray, sigma: float) -> None:
        """Draw widths, slabs and local variances given the weights."""
        for name, one in self.terms.items():
            one.update(rng, beta[self.slices[name]], np.asarray(sigma), steps=1)

    def standardised(self, beta: np.ndarray) -> np.ndarray:
        """Weights in units of σ that are standard normal but for it."""
        parts = [one.standardised(beta[self.slices[k]]) for k, one in self.terms.items()]
        return np.concatenate(parts)

    def record(self) -> dict[str, float]:
        """The hyperparameters that are inferred."""
        return {
            self.named(term, name): value
            for term, one in self.terms.items()
            for name, value in one.record().items()
        }


@dataclass(frozen=True)
class Curved:
    """The normal q around the mode of θ where the response is not normal, in units of its prior.

        q(z) = N(z; mode, (L Lᵀ)⁻¹),   θ = √v z

    Parameters
    ----------
    response : the data.
    root : √v, (coefficient,).
    mode : of z, (coefficient,).
    factor : L, lower, (coefficient, coefficient).
    """

    response: Response
    root: np.ndarray
    mode: np.ndarray
    factor: np.ndarray

    def log_weight(self, theta: np.ndarray) -> float:
        """Log p(y | θ) p(θ | v) / q(θ | v)."""
        z = theta / self.root
        away = self.factor.T @ (z - self.mode)
        value = self.response.log_likelihood(theta) - 0.5 * z @ z + 0.5 * away @ away
        return float(value - np.sum(np.log(np.diag(self.factor))))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw θ from q."""
        return self.root * (self.mode + self._apart(rng))

    def _apart(self, rng):
        return solved(self.factor, rng.standard_normal(len(self.mode)), trans=True)

    def moved(self, rng: np.random.Generator, theta: np.ndarray) -> np.ndarray:
        """Move θ by an elliptical slice around q, which leaves its posterior as it is."""
        here, there = theta / self.root - self.mode, self._apart(rng)
        level = self.log_weight(theta) - rng.exponential()
        angle = rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while True:
            tried = self.root * (self.mode + here * np.cos(angle) + there * np.sin(angle))
            if self.log_weight(tried) > level or high - low < 1e-12:
                return tried
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)


class Response:
    """Data of a response with a link, as a function of all coefficients θ.

    Parameters
    ----------
    problem : a ``Generalised`` regression.
    """

    def __init__(self, problem: Regression):
        seen = problem.design
        self.M, self.y, self.offset = seen.stacked, problem.y, problem.y - seen.t
        self.link = problem.link
        self.known = {} if problem.trials is None else {TRIALS: problem.trials}
        self.last = np.zeros(self.M.shape[1])

    def log_likelihood(self, theta: np.ndarray) -> float:
        """Log p(y | θ), but for what does not depend on θ."""
        return float(np.sum(self.of_eta(self.offset + self.M @ theta)))

    def of_eta(self, eta: np.ndarray, **own: float) -> np.ndarray:
        """The same of each observation, at the linear predictor η and other ``own`` parameters."""
        return self.link.log_density(eta, self.y, {**self.known, **own})

    def at(self, variances: np.ndarray) -> Curved:
        """Return q at some prior variances: Newton steps to the mode, in units of the prior.

        ``last`` is where the search begins and no more: the mode is the same from anywhere.
        """
        root = np.sqrt(variances)
        slope = self.M * root
        z = self.last / root
        z = z if np.max(np.abs(z)) < 1e3 else np.zeros_like(z)
        value = self._density(slope, z)
        for _ in range(NEWTON_STEPS):
            eta = self.offset + slope @ z
            gradient = slope.T @ self.link.slope(eta, self.y, self.known) - z
            curvature = slope * self.link.curvature(eta, self.y, self.known)[:, np.newaxis]
            hessian = slope.T @ curvature
            hessian.flat[:: len(z) + 1] += 1.0
            factor = np.linalg.cholesky(hessian)
            half = solved(factor, gradient)
            if half @ half < FLAT:
                break
            move = solved(factor, half, trans=True)
            share = 1.0
            while share > 1e-6:
                tried = self._density(slope, z + share * move)
                if tried >= value:
                    break
                share /= 2
            z, value = z + share * move, tried
        self.last = root * z
        return Curved(self, root, z, factor)

    def _density(self, slope, z):
        eta = self.offset + slope @ z
        return float(np.sum(self.of_eta(eta)) - 0.5 * z @ z)


class Chain:
    """One chain: noise, widths, local precisions of the data, and all coefficients θ.

    Parameters
    ----------
    problem : a regression of one group.
    rng : generator of the chain, for where it starts.
    """

    def __init__(self, problem: Regression, rng: np.random.Generator):
        self.problem, self.seen = problem, problem.design
        self.count, self.first = self.seen.count, self.seen.Z.shape[1]
        self.link = getattr(problem, "link", None)
        self.response = None if self.link is None else Response(problem)
        self.dof = problem.likelihood.own.get("noise_dof")
        self.excess = problem.likelihood.own.get(EXCESS)
        spread = float(np.sqrt(self.seen.square / self.count))
        unit = self.link.reach if self.link is not None else spread
        size = np.sqrt(np.mean(self.seen.A**2, axis=0))
        self.widths = Widths(problem, unit / max(np.median(size), 1e-300), rng)
        self.noisy = self.link is None and not problem.noise_fixed
        start = np.log(spread * rng.uniform(0.05, 1)) if self.noisy else 0.0
        start = start if self.noisy or self.link is not None else np.log(float(problem.noise))
        self.state = {"log_sigma": float(start), "dof": float(rng.uniform(5, 30))}
        self.state["log_excess"] = float(np.log(rng.uniform(0.05, 0.5)))
        self.local = np.ones(len(self.seen.t))
        self.steps = dict.fromkeys(["", *(f"width {k}" for k in self.widths.moving)], 0.5)
        self.factors = None if self.response else Factors(self.seen.stacked, self.seen.t)
        self.current = self._conditional()
        self.theta = self.current.draw(rng)

    def __getstate__(self):
        now = self.state, self.local, self.steps, self.theta, self.widths.__getstate__()
        return (*now, None if self.response is None else self.response.last)

    def __setstate__(self, kept_state):
        self.state, self.local, self.steps, self.theta, widths, last = kept_state
        self.widths.__setstate__(widths)
        if self.response is not None:
            self.response.last = last
        elif self.dof is not None:
            self._weigh()
        self.current = self._conditional()

    @property
    def sigma(self) -> float:
        """The noise."""
        return float(np.exp(self.state["log_sigma"]))

    def sweep(self, rng: np.random.Generator, tuned: int) -> None:
        """Move everything once; ``tuned`` sweeps of tuning are done, negative where it is over."""
        if self.dof is not None:
            self._weigh()
        self.current = self._conditional()
        if self.noisy:
            self._knob(rng, "", tuned, self._log_sigma)
        for name in self.widths.moving:
            scales = self.widths.terms[name]
            self._knob(rng, f"width {name}", tuned, partial(_log_scale, scales))
        if self.response is None:
            self.theta = self.current.draw(rng)
        else:
            self.theta = self.current.moved(rng, self.theta)

    def given_theta(self, rng: np.random.Generator) -> None:
        """Move noise, widths and local variances given the coefficients."""
        beta = self.theta[self.first :]
        residual = None if self.response else self.seen.t - self.seen.stacked @ self.theta
        if self.dof is not None:
            self._move_tails(rng, residual)
        if self.noisy:
            square = np.sum(self.local * residual**2) + self.seen.rest.square
            self.state["log_sigma"] = float(
                noise_given(
                    rng,
                    self.problem.noise,
                    self.state["log_sigma"],
                    self.count,
                    max(square, 1e-32 * self.seen.square),
                    self.widths.standardised(beta),
                )
            )
        if self.excess is not None:
            self._move_excess(rng)
        self.widths.update(rng, beta, self.sigma)

    def record(self) -> dict[str, np.ndarray]:
        """What the posterior keeps of this sweep."""
        found = {"beta": self.theta[self.first :], "alpha": self.theta[: self.first]}
        found |= self.widths.record()
        found |= {"sigma": self.sigma} if self.noisy else {}
        found |= {} if self.excess is None else {EXCESS: np.exp(self.state["log_excess"])}
        return found | ({} if self.dof is None else {"noise_dof": self.state["dof"]})

    def leave_one_out(self) -> np.ndarray | None:
        """Log density of each y_i given the others and the scales; None but of normal data."""
        if self.response is not None or self.dof is not None:
            return None
        mean, variance = self.current.leave_one_out()
        return log_density(self.seen.t, mean, np.sqrt(variance)) + self.seen.log_jacobian

    def log_density_of_data(self, rng: np.random.Generator) -> float:
        """Log density of the data at the present noise and widths, θ integrated out; with a link an
        estimate by one draw of θ, unbiased before its logarithm is taken.
        """
        self.current = self._conditional()
        if self.response is not None:
            self.theta = self.current.draw(rng)
        return self._log_weight(self.current)

    def _conditional(self):
        variances = self.widths.variances(self.sigma)
        if self.response is not None:
            if self.excess is not None:
                self.response.known[EXCESS] = np.exp(self.state["log_excess"])
            return self.response.at(variances)
        return self.factors.condition(self.factors.kernel(variances), variances, self.sigma)

    def _log_weight(self, conditional):
        """Log of the density of the data with θ integrated out, or its estimate at θ."""
        if self.response is not None:
            return conditional.log_weight(self.theta)
        rest, sigma = self.seen.rest, conditional.sigma
        apart = -rest.count * np.log(sigma) - 0.5 * rest.square / sigma**2
        return conditional.log_marginal() + apart

    def _knob(self, rng, name, tuned, knob):
        """Move one width, or the noise, by a random walk together with θ.

        ``knob`` sets its logarithm where one is given; it returns it, and its log prior density.
        """
        before, prior = knob()
        level = self._log_weight(self.current) + prior
        stood = self.theta, self.current
        _, prior = knob(before + self.steps[name] * rng.standard_normal())
        self.current = self._conditional()
        if self.response is not None:
            self.theta = self.current.draw(rng)
        gain = self._log_weight(self.current) + prior - level
        acceptance = float(np.exp(min(0.0, gain))) if np.isfinite(gain) else 0.0
        if tuned >= 0:
            change = (acceptance - TARGET_ACCEPTANCE) / (tuned + 2) ** 0.6
            self.steps[name] = float(np.clip(self.steps[name] * np.exp(change), 1e-4, 10.0))
        if rng.random() >= acceptance:
            knob(before)
            self.theta, self.current = stood

    def _log_sigma(self, value=None):
        if value is not None:
            self.state["log_sigma"] = float(value)
        value = self.state["log_sigma"]
        return value, float(self.problem.noise.log_density(np.exp(value))) + value

    def _weigh(self):
        """See the data in units of their local standard deviations."""
        root = np.sqrt(self.local)
        M = self.seen.stacked * root[:, np.newaxis]
        self.factors = Factors(M, self.seen.t * root)

    def _move_excess(self, rng):
        """Draw the variance of the rates beyond the model given the coefficients."""
        eta = self.response.offset + self.response.M @ self.theta

        def log_density(x):
            own = {EXCESS: np.exp(x[0])}
            prior = self.excess.log_density(own[EXCESS]) + x[0]
            return float(prior + np.sum(self.response.of_eta(eta, **own)))

        start = np.array([self.state["log_excess"]])
        self.state["log_excess"] = float(slice_sample(rng, log_density, start, 1.0)[0])

    def _move_tails(self, rng, residual):
        """Draw degrees of freedom ν and σ with local precisions integrated out, then these.

        Heavier tails ask for a smaller σ, so ν moves with σ (ν + 1) / ν held, which by Fisher's
        information of Student's law is orthogonal to it, and then σ alone.
        """
        from scipy.special import gammaln

        size, squares = residual.size, residual**2

        def log_density(log_dof, log_sigma):
            dof = np.exp(log_dof)
            half = (dof + 1) / 2
            density = gammaln(half) - gammaln(dof / 2) - 0.5 * np.log(dof) - log_sigma
            ratio = np.exp(-2 * log_sigma) / dof
            return size * density - half * np.sum(np.log1p(squares * ratio)) + prior(log_sigma)

        def prior(log_sigma):
            if not self.noisy:
                return 0.0
            return self.problem.noise.log_density(np.exp(log_sigma)) + log_sigma

        def of_dof(x):
            log_sigma = held - np.log1p(np.exp(-x[0])) if self.noisy else self.state["log_sigma"]
            return self.dof.log_density(np.exp(x)) + x + log_density(x[0], log_sigma)

        def of_sigma(x):
            return np.reshape(log_density(np.log(self.state["dof"]), x[0]), 1)

        for _ in range(TAIL_STEPS):
            held = self.state["log_sigma"] + np.log1p(1 / self.state["dof"])
            start = np.log([self.state["dof"]])
            self.state["dof"] = float(np.exp(slice_sample(rng, of_dof, start, 1.0)[0]))
            if self.noisy:
                log_sigma = held - np.log1p(1 / self.state["dof"])
                moved = slice_sample(rng, of_sigma, np.array([log_sigma]), 0.5)
                self.state["log_sigma"] = float(moved[0])
        dof = self.state["dof"]
        rate = dof + (residual / self.sigma) ** 2
        self.local = rng.standard_gamma((dof + 1) / 2, size) * 2 / rate


def _log_scale(scales, value=None):
    """A knob of the width of one term."""
    if value is not None:
        scales.scale = float(np.exp(value))
    return np.log(scales.scale), float(scales.log_density())


def chain(
    problem: Regression, rng: np.random.Generator, draws: int, tune: int
) -> dict[str, np.ndarray]:
    """Run one chain.

    Parameters
    ----------
    problem : a regression of one group under a prior with widths, or of several terms.
    rng : generator of this chain.
    draws, tune : sweeps kept, and sweeps before those, in which steps are adapted.

    Returns
    -------
    draws, (draw, ...), as ``Regression.outer`` takes them, and for normal data ``log_marginal``.
    """
    own, drawn = Chain(problem, rng), {}
    fixed = problem, own.seen, problem.prior
    for sweep in kept.steps(range(-tune, draws), rng, own, drawn, fixed=fixed):
        own.sweep(rng, sweep + tune if sweep < 0 else -1)
        # The marginal belongs to the scales that made this θ, before they move on.
        marginal = own.leave_one_out() if sweep >= 0 else None
        own.given_theta(rng)
        if sweep < 0:
            continue
        record = own.record() | ({} if marginal is None else {"log_marginal": marginal})
        if not drawn:
            drawn |= {k: np.empty((draws, *np.shape(v))) for k, v in record.items()}
        for name, value in record.items():
            drawn[name][sweep] = value
    return drawn
