"""Gibbs sampling for many regressions that share a shrinking prior: Laplace, Student or horseshoe.

Given the shared scales the regressions know nothing of each other: each is a block of its own, of
which a chain moves one after the other in compiled code, then the noise of each, then what they
share, from all coefficients at once.

Where a regression has data enough, its coefficients are drawn a few at a time with the rest fixed
(``BLOCK``), which costs a tenth of drawing all of them jointly; a Laplace prior adds a pass of
single coefficients with their mixing variances integrated out (Hans, Biometrika 96, 835 (2009),
doi:10.1093/biomet/asp047), for it is those that keep a coefficient near zero. Where its features
are nearly dependent, or outnumber its data, the coefficients are drawn jointly as in ``gibbs``.

A scale moves twice a sweep: given the coefficients, and given the coefficients in units of it.
Whichever the data say less about, one of the two moves is long: Yu & Meng, J. Comput. Graph. Stat.
20, 531 (2011), doi:10.1198/jcgs.2011.203main.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.inference.slice import slice_sample
from bayesinf.models.linear.gibbs import Block, Scales, noise_given
from bayesinf.priors.weights import Laplace

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["Chain", "Given", "Laplaces", "Products", "Shared", "chain"]

BLOCK = 10  # coefficients drawn at a time: fewer cost less, more depend less on each other
APART = 0.02  # least eigenvalue of the columns' cosines at which single moves still get around
CANCELS = 1e-6  # squared residuals this small beside the data's are summed up anew
LEAST = 1e-32  # rounding of the data, squared
REFRESH = 100  # sweeps after which running correlations are made anew, free of rounding


class Products:
    """What of the data all chains need."""

    def __init__(self, problem: Regression):
        self.designs = problem.designs
        self.free = len(problem.free)
        stacked = [design.stacked for design in self.designs]
        self.correlation = np.stack(
            [A.T @ design.t for A, design in zip(stacked, self.designs, strict=True)]
        )
        self.count = np.array([design.count for design in self.designs])
        self.square = np.array([design.square for design in self.designs])
        self.spread = np.sqrt(self.square / self.count)
        size = np.sqrt([np.sum(d.A**2, axis=0) / d.count for d in self.designs])
        # Chains start wide: a scale too narrow takes long to find out.
        self.unit = np.sqrt(np.sum(self.square) / np.sum(self.count)) / np.min(size[size > 0])
        weights = self.correlation.shape[1] - self.free
        grams = [A.T @ A if len(A) >= A.shape[1] else None for A in stacked]
        apart = np.array([_apart(gram) for gram in grams])
        # Positions of those that are drawn a few coefficients at a time, and of all others.
        self.loose, self.tight = np.flatnonzero(apart), np.flatnonzero(~apart)
        self.gram = np.array([grams[g] for g in self.loose]).reshape(-1, *[weights + self.free] * 2)


def _apart(gram):
    """Whether the columns are far enough from dependent."""
    if gram is None or not np.all(np.diag(gram) > 0):
        return False
    size = np.sqrt(np.diag(gram))
    return bool(np.linalg.eigvalsh(gram / size / size[:, np.newaxis])[0] > APART)


class Shared(Scales):
    """What all groups share, and the local variances of each, (group, weight)."""

    def width(self, sigma):
        """Width of a Laplace prior in every group; zero where the prior is another one."""
        return np.zeros_like(sigma)

    def of_group(self, rng, g, beta, sigma):
        """The scales of one group."""
        return Given(self, self.local[g])

    def stretch(self, rng, square, pull) -> float:
        """Draw the scale given the weights in units of it; return by what these change.

        The data's log density is ``pull`` c - ``square`` c² / 2 where all change by a factor c. A
        slab holds large weights where they are: they have no unit to change.
        """
        if "scale" in self.prior.fixed or self.rest or square <= 0:
            return 1.0
        factor = pull / square + rng.standard_normal() / np.sqrt(square)
        if factor <= 0:
            return 1.0
        density = self.prior.inferred["scale"].log_density
        if np.log(rng.random()) >= density(self.scale * factor) - density(self.scale):
            return 1.0
        self.scale *= factor
        return factor


class Laplaces(Shared):
    """The same for Laplace priors, whose local variances are drawn where they are needed."""

    def width(self, sigma):
        """Width of the prior in every group."""
        return self.prior.width(self.scale, sigma) * np.ones_like(sigma)

    def of_group(self, rng, g, beta, sigma):
        """The scales of one group, its local variances drawn given its weights."""
        return Given(self, self.local_given(rng, beta / self.prior.width(self.scale, sigma)))

    def refresh(self, rng, x):
        """Leave the local variances to where they are needed."""


class Given:
    """One group's prior given its local variances."""

    moves = False  # the scale is not this group's alone

    def __init__(self, shared: Shared, local: np.ndarray):
        self.shared, self.local = shared, local

    @property
    def of_sigma(self):
        """Whether the variances depend on the noise."""
        return self.shared.of_sigma

    def variances(self, sigma):
        """Prior variances of the group's weights."""
        shared = self.shared
        width = shared.prior.width(shared.scale, sigma)
        return shared.prior.variances(width, self.local, **shared.rest)


class Chain:
    """The state of one chain.

    Parameters
    ----------
    problem : with groups, whose prior is ``Laplace``, ``Student`` or ``Horseshoe``.
    products : of its data.
    rng : generator of this chain.
    """

    def __init__(self, problem: Regression, products: Products, rng: np.random.Generator):
        self.problem, self.products, self.rng = problem, products, rng
        shape = len(products.designs), problem.weights
        kind = Laplaces if isinstance(problem.prior, Laplace) else Shared
        self.scales = kind(problem.prior, shape, products.unit, rng)
        if problem.noise_fixed:
            self.sigma = np.full(shape[0], float(problem.noise))
        else:
            self.sigma = products.spread * rng.uniform(0.05, 1.0, shape[0])
        self.beta = np.zeros_like(products.correlation)
        self.rest = products.correlation.copy()
        self.variances = np.ones_like(self.beta)
        self.residual = products.square.copy()
        self.blocks = {
            g: Block(products.designs[g], problem.noise, rng) for g in products.tight.tolist()
        }

    def sweep(self, number: int, tuned: int) -> None:
        """Move everything once; ``tuned`` as ``gibbs.Block.draw`` takes it."""
        self._coefficients(number)
        for g, block in self.blocks.items():
            self._jointly(g, block, tuned)
        if not self.problem.noise_fixed:
            self.sigma = np.exp(self._noise())
        free = self.products.free
        weights = self.beta[:, free:]
        self.scales.update(self.rng, weights, self.sigma)
        # How the fit and the data's pull on it change where all weights do, by group.
        before = self.products.correlation - self._of_free()
        after, precision = before - self.rest, self.sigma**-2
        square = precision @ np.sum(weights * after[:, free:], axis=1)
        pull = precision @ np.sum(weights * before[:, free:], axis=1)
        factor = self.scales.stretch(self.rng, square, pull)
        if factor != 1.0:
            weights *= factor
            self.rest = before - factor * after

    def _coefficients(self, number):
        """Draw those of all groups that have data enough, in compiled code."""
        # Here, because it imports numba.
        from bayesinf.models.linear.blocks_kernel import sweep

        products, loose = self.products, self.products.loose
        if number % REFRESH == 0:
            fitted = (products.gram @ self.beta[loose, :, np.newaxis])[..., 0]
            self.rest[loose] = products.correlation[loose] - fitted
        width = self.scales.width(self.sigma)
        if not np.any(width):
            self.variances[:, products.free :] = self.scales.variances(self.sigma)
        state = self.rest, self.beta, self.variances, self.sigma, width
        sweep(self.rng, products.gram, loose, *state, products.free, BLOCK)
        fitted = np.einsum("gp,gp->g", self.beta, products.correlation + self.rest)
        self.residual = products.square - fitted
        for g in loose[self.residual[loose] < CANCELS * products.square[loose]]:
            rest = products.designs[g].t - products.designs[g].stacked @ self.beta[g]
            apart = products.designs[g].rest.square
            self.residual[g] = max(rest @ rest + apart, LEAST * products.square[g])

    def _jointly(self, g, block, tuned):
        """Draw all coefficients of one group in one block, its noise before them."""
        sigma, free = self.sigma[g], self.products.free
        scales = self.scales.of_group(self.rng, g, self.beta[g, free:], sigma)
        self.beta[g], log_sigma = block.draw(self.rng, scales, np.log(sigma), tuned)
        self.sigma[g] = np.exp(log_sigma)
        X, t = block.factors.X, block.factors.y
        self.rest[g] = X.T @ (t - X @ self.beta[g])
        apart = self.products.designs[g].rest.square
        self.residual[g] = block.factors.residual_square(self.beta[g]) + apart

    def _of_free(self):
        """Aᵀ Z α of every group, what the unshrunk coefficients take of the correlation."""
        free, products = self.products.free, self.products
        if not free:
            return 0.0
        taken = np.empty_like(self.rest)
        alpha = self.beta[:, :free]
        loose = products.loose
        taken[loose] = np.einsum("gpf,gf->gp", products.gram[..., :free], alpha[loose])
        for g, block in self.blocks.items():
            X = block.factors.X
            taken[g] = X.T @ (X[:, :free] @ alpha[g])
        return taken

    def _noise(self):
        """Draw log σ of every group given its coefficients."""
        prior, count, square = self.problem.noise, self.products.count, self.residual
        if not self.scales.of_sigma:
            return noise_given(self.rng, prior, np.log(self.sigma), count, square)
        weights = self.beta[:, self.products.free :]
        size = np.sum(np.abs(weights), axis=1) / self.scales.scale
        count = count + weights.shape[1]

        def log_density(x):
            sigma = np.exp(x)
            given = -count * x - 0.5 * square / sigma**2 - size / sigma
            return prior.log_density(sigma) + x + given

        return slice_sample(self.rng, log_density, np.log(self.sigma), 1.0)

    def record(self) -> dict[str, np.ndarray]:
        """The variables of the model."""
        free = self.products.free
        found = {"beta": self.beta[:, free:], "alpha": self.beta[:, :free]} | self.scales.record()
        return found if self.problem.noise_fixed else found | {"sigma": self.sigma}


def chain(
    problem: Regression, products: Products, rng: np.random.Generator, draws: int, tune: int
) -> dict[str, np.ndarray]:
    """Run one chain.

    Parameters
    ----------
    problem : with groups, whose prior is ``Laplace``, ``Student`` or ``Horseshoe``.
    products : of its data.
    rng : generator of this chain.
    draws, tune : sweeps kept, and sweeps before those, in which steps are adapted.

    Returns
    -------
    draws, (draw, ...), as ``Regression.outer`` takes them.
    """
    state, drawn = Chain(problem, products, rng), {}
    changing, fixed = (rng, state, drawn), (problem, products, problem.prior)
    changing += tuple(state.blocks.values())
    for number in kept.steps(range(-tune, draws), *changing, fixed=fixed):
        state.sweep(number, number + tune if number < 0 else -1)
        if number < 0:
            continue
        record = state.record()
        if not drawn:
            drawn |= {k: np.empty((draws, *np.shape(v))) for k, v in record.items()}
        for name, value in record.items():
            drawn[name][number] = value
    return drawn
