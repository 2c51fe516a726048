"""No coefficient below zero: f = Cβ with β ~ N(0, scale²), cut off at f ≥ 0.

The cut takes a share P(f ≥ 0) of the prior. Here all of f is a multiple of the scale, its null
space included, so that share is one constant whatever the scale: the prior is proper, and known up
to that constant. That is why ``nonnegative`` states the widths of level and slope as multiples of
the scale, where a plain regression takes them from the data.

Given the scales f is a truncated normal, drawn by exact Hamiltonian flights. Given f the scale is
pinned by as many weights as there are, though the data know it far less well; so it moves together
with f, the place of f in its own conditional kept:

    f = m(scale, σ) + S(scale, σ) w,   w as it is, (scale, σ) by the marginal of the data

which is accepted where f stays above zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from bayesinf import kept, parallel
from bayesinf.errors import DataError, FitError
from bayesinf.inference.slice import slice_sample
from bayesinf.inference.truncated import Walls
from bayesinf.models.linear import exact
from bayesinf.models.linear.basis import Basis
from bayesinf.models.linear.definition import Regression
from bayesinf.models.problem import Draws, Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import InverseChi
from bayesinf.settings import Settings

__all__ = ["Nonnegative", "nonnegative"]

NULL_WIDTH = 10.0  # of level and slope, in the rms width of all else
PRIOR_TUNE, PRIOR_THIN = 200, 5  # flights before the first draw of the prior, and for each
SWEEPS = 8  # for each draw: the scale forgets more slowly than f, and sweeps are cheap
PROPOSALS = 8  # of the scale in a sweep: they cost less than a flight
# A step that stays above zero is as good as any, so long steps are worth their refusals: twice the
# effective size at 0.2 that the scale has at 0.4.
TARGET_ACCEPTANCE = 0.2


@dataclass(frozen=True)
class Nonnegative(Regression):
    """A ``Regression`` with f ≥ 0; its basis is square and has no null space left."""

    @property
    def model(self) -> str:
        """What is fitted."""
        return "Nonnegative"

    @property
    def priors(self) -> Mapping[str, str]:
        """Every prior in words."""
        said, name = super().priors, self.names.coefficient
        return {**said, name: f"{said[name]}, cut off at {name} ≥ 0"}

    @property
    def routes(self) -> Mapping[str, Route]:
        """Flights for the coefficients, and the scales in turn."""
        return {"hamiltonian": Route(_chains, "gibbs")}

    def log_evidence(self) -> float:
        """There is none in closed form.

        Raises
        ------
        FitError : always.
        """
        raise FitError("no evidence in closed form where coefficients are cut off at zero")

    def pymc(self, **options):
        """Define the model in PyMC, but for the constant P(f ≥ 0)."""
        import pymc as pm

        model = super().pymc(**options)
        with model:
            inside = pm.math.all(pm.math.ge(model[self.names.coefficient], 0.0))
            pm.Potential("cut", pm.math.switch(inside, 0.0, -np.inf))
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters from the prior, (size, ...): f by a chain of flights."""
        draws = dict(super().sample_prior(rng, size))
        scale = np.broadcast_to(draws.get("scale", self.fixed.get("scale")), (size,))
        C = self.basis.matrix
        walls, z = Walls(C, np.zeros(len(C))), self.basis.weights(np.ones(len(C)))
        f = np.empty((size, len(C)))
        for place in range(-PRIOR_TUNE, size * PRIOR_THIN):
            z, _ = walls.flight(rng, z)
            if place >= 0:
                f[place // PRIOR_THIN] = C @ z
        draws[self.names.coefficient] = scale[:, np.newaxis] * np.maximum(f, 0.0)
        return draws


def nonnegative(problem: Regression, *, null_width: float = NULL_WIDTH) -> Nonnegative:
    """Cut the prior of a regression off where a coefficient is below zero.

    Parameters
    ----------
    problem : with a normal prior and, as of ``differences``, a basis that with its null space spans
        all coefficients.
    null_width : sd of level and slope, of which each is taken with rms one, in units of the scale
        times the rms of the rows of C.

    Returns
    -------
    the problem, whose routes draw from it.

    Raises
    ------
    DataError : the basis leaves coefficients out, or the regression has other parts.
    """
    basis, other = problem.basis, (problem.unshrunk, problem.means, problem.groups, problem.scales)
    square = basis is not None and basis.matrix.shape[1] + len(basis.null) == problem.shape[1]
    if not square or any(part is not None and len(part) for part in other):
        raise DataError(
            "no prior that can be cut off at zero",
            expected="one regression with a basis such as linear.differences, and nothing besides",
        )
    width = null_width * np.sqrt(np.mean(np.sum(basis.matrix**2, axis=1)))
    rms = np.sqrt(np.mean(basis.columns**2, axis=0))
    matrix = np.hstack([basis.matrix, width * basis.columns / rms])
    said = f"{basis.said}, and {' and '.join(basis.null)} / {width:.3g},"
    given = {f.name: getattr(problem, f.name) for f in fields(problem)}
    return Nonnegative(**given | {"basis": Basis(matrix, said=said)})


class _Conditional:
    """f given the scales and the data, before the cut: f = scale W ζ, ζ_k independent."""

    def __init__(self, problem):
        design = problem.design
        U, s, Vt = np.linalg.svd(design.A)
        self.s = np.zeros(len(Vt))
        self.s[: len(s)] = s
        self.b = np.zeros(len(Vt))
        self.b[: len(s)] = (U.T @ design.t)[: len(s)]
        self.beyond = float(np.sum((U.T @ design.t)[len(s) :] ** 2))
        self.count, self.rank = len(design.t), len(s)
        self.W = problem.basis.matrix @ Vt.T

    def moments(self, scale, sigma):
        """Mean and sd of each ζ."""
        precision = 1 + (scale * self.s / sigma) ** 2
        return scale * self.s * self.b / sigma**2 / precision, 1 / np.sqrt(precision)

    def log_marginal(self, scale, sigma):
        """log p(data | scales) before the cut, but for a constant."""
        variance = sigma**2 + (scale * self.s[: self.rank]) ** 2
        inside = np.sum(self.b[: self.rank] ** 2 / variance + np.log(variance))
        outside = self.beyond / sigma**2 + 2 * (self.count - self.rank) * np.log(sigma)
        return -0.5 * (inside + outside)

    def residual_square(self, scale, zeta):
        """|t - A β|² of f = scale W ζ."""
        return self.beyond + float(np.sum((self.b - scale * self.s * zeta) ** 2))


def _chains(problem: Nonnegative, settings: Settings) -> Sample:
    """Run chains from scales that the uncut posterior draws."""
    uncut, scales = _Conditional(problem), exact.Posterior(problem).scales
    generators = [settings.generator("chain", i) for i in range(settings.chains)]

    def run(rng):
        return _chain(problem, uncut, scales, rng, settings.draws, settings.tune)

    label = f"{problem.model} chains"
    chains = parallel.map(run, generators, workers=settings.workers, threads=True, label=label)
    draws = {name: np.stack([chain[name] for chain in chains]) for name in chains[0]}
    bounces = dataset({"bounces": draws.pop("bounces")})
    return Sample(draws, bounces)


def _chain(problem, uncut, scales, rng, draws, tune):
    """One chain: a flight, the noise given f, then the scale with f in its wake."""
    log_rho, log_sigma = (float(v[0]) for v in scales.draw(rng, 1))
    sigma, scale = np.exp(log_sigma), np.exp(log_sigma + log_rho / 2)
    mean, _ = uncut.moments(scale, sigma)
    # Some f above zero: the mean, cut off, and a little lifted.
    f = scale * uncut.W @ mean
    zeta = np.linalg.solve(uncut.W, np.maximum(f, 0.0) + 1e-3 * np.abs(f).max()) / scale
    step, inferred, name = 0.1, "scale" in problem.prior.inferred, problem.names.coefficient
    drawn = {name: np.empty((draws, problem.shape[1])), "bounces": np.empty(draws, dtype=int)}
    drawn |= {"scale": np.empty(draws)} if inferred else {}
    drawn |= {} if problem.noise_fixed else {"sigma": np.empty(draws)}
    walk = {"at": (scale, sigma, zeta, step)}
    for sweep in kept.steps(range(-tune, draws * SWEEPS), rng, walk, drawn):
        scale, sigma, zeta, step = walk["at"]
        mean, sd = uncut.moments(scale, sigma)
        walls = Walls(scale * uncut.W * sd, scale * uncut.W @ mean)
        w, bounces = walls.flight(rng, (zeta - mean) / sd)
        zeta = mean + sd * w
        if not problem.noise_fixed:
            sigma = _noise(rng, problem.noise, sigma, uncut, scale, zeta)
        if inferred:
            scale, zeta = _given_f(rng, problem.prior.scale, scale, zeta)
            scale, zeta, rate = _rescaled(rng, problem, uncut, scale, sigma, zeta, step)
            if sweep < 0:
                step *= np.exp((rate - TARGET_ACCEPTANCE) / (sweep + tune + 2) ** 0.6)
        walk["at"] = scale, sigma, zeta, step
        if sweep >= 0 and (sweep + 1) % SWEEPS == 0:
            # A wall that was just met is met but for rounding.
            now = {name: np.maximum(scale * uncut.W @ zeta, 0.0), "bounces": bounces}
            for each, value in (now | {"scale": scale, "sigma": sigma}).items():
                if each in drawn:
                    drawn[each][sweep // SWEEPS] = value
    return drawn


def _noise(rng, prior, sigma, uncut, scale, zeta):
    """Draw σ given f."""
    square = uncut.residual_square(scale, zeta)
    if isinstance(prior, InverseChi):
        dof = prior.dof + uncut.count
        return float(np.sqrt((prior.dof * prior.scale**2 + square) / rng.chisquare(dof)))

    def log_density(x):
        value = prior.log_density(np.exp(x)) + x - uncut.count * x
        return value - 0.5 * square / np.exp(2 * x)

    return float(np.exp(slice_sample(rng, log_density, np.array([np.log(sigma)]), 1.0)[0]))


def _given_f(rng, prior, scale, zeta):
    """Draw the scale given f."""
    square, count = np.sum((scale * zeta) ** 2), len(zeta)

    def log_density(x):
        return prior.log_density(np.exp(x)) + x - count * x - 0.5 * square / np.exp(2 * x)

    other = float(np.exp(slice_sample(rng, log_density, np.array([np.log(scale)]), 0.5)[0]))
    return other, zeta * scale / other


def _rescaled(rng, problem, uncut, scale, sigma, zeta, step):
    """Move the scale, and f with it, by a random walk in log scale; its rate of acceptance."""

    def target(x):
        return uncut.log_marginal(x, sigma) + problem.prior.scale.log_density(x) + np.log(x)

    mean, sd = uncut.moments(scale, sigma)
    w, level, accepted = (zeta - mean) / sd, target(scale), 0
    for _ in range(PROPOSALS):
        other = scale * np.exp(step * rng.standard_normal())
        value = target(other)
        if np.log(rng.random()) < value - level:
            mean, sd = uncut.moments(other, sigma)
            moved = mean + sd * w
            if np.min(uncut.W @ moved) >= 0:
                scale, zeta, level, accepted = other, moved, value, accepted + 1
    return scale, zeta, accepted / PROPOSALS
