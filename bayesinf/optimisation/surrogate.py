"""What is known of a function from some of its values: a Gaussian process, all of it integrated.

    y_i = f(x_i) + ε_i,   f ~ GP(c, a² ρ(x − x′; ℓ)),   c ~ N(0, 1),   ε_i ~ N(0, σ²)

in the unit cube, y counted from its mean in units of its sd. Hyperparameters are integrated out
over nodes: from a few optima of their density a mixture of Student's t is fitted to it in two
rounds of importance sampling, and equally weighted draws are taken from the weighted ones
(``inference.population`` does the same to the end, for a fit that is kept; here a step must not
cost more than the experiment). That is done for a smooth kernel, squared exponential, and a rougher
one, Matérn 5/2, and the draws are shared out by their evidence, so that the kernel is integrated
out as well. So may be the power of a transform of y that the process is of: many a function climbs
far from its minimum as no stationary process does, and a kernel alone takes that for roughness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy

from bayesinf.errors import FitError
from bayesinf.inference import population
from bayesinf.inference.ascents import climb
from bayesinf.models.gp.routes import curvature
from bayesinf.priors import LogNormal, Normal

__all__ = [
    "KERNELS",
    "LEVEL",
    "NODES",
    "Density",
    "Nodes",
    "Surrogate",
    "Transform",
    "priors",
    "surrogate",
]

KERNELS = ("squared_exponential", "matern52")  # in the order of ``kernel.SMOOTH``, ``kernel.ROUGH``
NODES = 24  # draws of the hyperparameters behind an acquisition
SCANNED, STARTS = 64, 3  # prior draws that are looked at, and descents from the best of those
WEIGHTED, ROUNDS = 24, 2  # points for each parameter, and rounds, of importance sampling
FEWEST = 4  # different values, from which on they may be transformed
EDGE = 1e-6  # least 1 + q|w| of which a transform is undone
CLOSE = 1e-5  # gain of a step at which a descent is close enough to be a centre
SAME = 1.0  # squared posterior sds within which two optima are one
BEND = 0.4  # prior scale of a power: 1 + BEND sinh u, u ~ N(0, 1)
LEVEL = 1.0  # variance of the constant, in units of that of y


def priors(size: int, noisy: bool) -> dict[str, LogNormal | Normal]:
    """State the priors in the unit cube and of standardised y.

    Length scales are around √(d/6), the rms distance of two places along one side times √d, to a
    factor e; so is the amplitude around 1; the noise, where it is inferred, is around a tenth of
    the sd of y, to a factor of 4.5.

    Parameters
    ----------
    size : number of inputs, d.
    noisy : whether the sd of the noise is inferred.
    """
    found = {"length_scale": LogNormal((size / 6) ** 0.5, 1.0), "amplitude": LogNormal(1.0, 1.0)}
    found |= {"noise": LogNormal(0.1, 1.5)} if noisy else {}
    return found | {"constant": Normal(0.0, LEVEL**0.5)}


@dataclass(frozen=True)
class Density:
    """Density of the hyperparameters of one kernel, the constant integrated out.

    Parameters
    ----------
    kind : number of the kernel.
    X, y : places, (point, input), and standardised values, (point,).
    noise : variances of the noise that are known, (point,).
    noisy : whether there is further noise, which is inferred.
    bends : whether values are transformed by a power, which is inferred; of exact values.
    """

    kind: int
    X: np.ndarray
    y: np.ndarray
    noise: np.ndarray
    noisy: bool
    bends: bool = False

    @cached_property
    def standards(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and spread of the logarithm of each hyperparameter, and of a power."""
        size = self.X.shape[1]
        scale, *others = list(priors(size, self.noisy).values())[:-1]
        each = [scale] * size + others
        centres = [np.log(one.median) for one in each] + [1.0] * self.bends
        return np.array(centres), np.array([one.spread for one in each] + [BEND] * self.bends)

    def hyperparameters(self, u: np.ndarray) -> np.ndarray:
        """Return what standardised ones, (point, parameter), stand for."""
        centre, spread = self.standards
        found = np.exp(centre + spread * u)
        if self.bends:
            found[:, -1] = centre[-1] + spread[-1] * np.sinh(u[:, -1])
        return found

    @property
    def stated(self) -> tuple:
        """What the compiled density takes beside the point."""
        return self.kind, self.X, self.y, self.noise, *self.standards, LEVEL, self.bends

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log of likelihood times prior at standardised hyperparameters, (point, parameter)."""
        from bayesinf.optimisation import kernel

        return kernel.log_densities(u, *self.stated)

    def gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient at one point, (parameter,)."""
        from bayesinf.optimisation import kernel

        gradient = np.empty(len(u))
        return kernel.log_density(u, *self.stated, gradient), gradient

    def _slopes(self, u, rows):
        """Log densities and gradients at many points; they are one function for all rows."""
        from bayesinf.optimisation import kernel

        return kernel.gradients(u, *self.stated)

    def weighted(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw points of the posterior with the logarithms of their weights.

        Returns
        -------
        points, (point, parameter), and log weights, (point,), whose exponentials add up to the
        evidence.
        """
        size = len(self.standards[0])
        scanned = rng.standard_normal((SCANNED, size))
        height = self.log_density(scanned)
        begin = scanned[np.argsort(-height)[:STARTS]]
        ends, places = climb(self._slopes, begin, tolerance=CLOSE)
        centres, covariances = [], []
        for point in places[np.argsort(-ends)]:
            far = [
                (point - other) @ np.linalg.solve(spread, point - other) > SAME
                for other, spread in zip(centres, covariances, strict=True)
            ]
            if all(far):
                centres.append(point)
                covariances.append(curvature(self, point))
        mixture = population.initial_mixture(centres, covariances)
        for turn in range(ROUNDS):
            points = mixture.sample(rng, WEIGHTED * size)
            log_weight = self.log_density(points) - mixture.log_density(points)
            if not np.isfinite(log_weight.max()):
                raise FitError("no hyperparameters give the evaluations a density")
            if turn < ROUNDS - 1:
                weight = np.exp(log_weight - scipy.special.logsumexp(log_weight))
                mixture = population.em_step(mixture, points, weight)
        return points, log_weight - np.log(len(points))


@dataclass(frozen=True)
class Transform:
    """Yeo and Johnson's transform of standardised values at each node, standardised again.

        w = (sign(y) ((1 + |y|)^q − 1)/q − centre)/spread,   q = λ of y ≥ 0, 2 − λ of y < 0

    Parameters
    ----------
    powers, centres, spreads : λ, and mean and sd of what it made, (node,).
    least : the least of the values, at whose slope an improvement is counted.

    Yeo & Johnson, Biometrika 87, 954 (2000), doi:10.1093/biomet/87.4.954.
    """

    powers: np.ndarray
    centres: np.ndarray
    spreads: np.ndarray
    least: float

    @classmethod
    def of(cls, y: np.ndarray, powers: np.ndarray) -> tuple[Transform, np.ndarray]:
        """Transform values, (point,), by powers; also what comes, (node, point)."""
        from bayesinf.optimisation import kernel

        made, steep = np.empty((len(powers), len(y))), np.empty(len(y))
        ends = [kernel.bent(y, power, row, steep) for power, row in zip(powers, made, strict=True)]
        centres, spreads, *_ = np.array(ends).T
        return cls(powers, centres, spreads, float(y.min())), made

    @property
    def log_units(self) -> np.ndarray:
        """Logarithm of what a unit is worth at the least value, (node,)."""
        sign = 1.0 if self.least >= 0 else -1.0
        return np.log(self.spreads) - sign * (self.powers - 1) * np.log1p(abs(self.least))

    def plain(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Undo it: what values, (node, place), were, and how fast they grow there."""
        made = self.centres[:, None] + self.spreads[:, None] * values
        sign = np.where(made >= 0, 1.0, -1.0)
        q = 1 + sign * (self.powers[:, None] - 1)
        # Where q is below zero the transform has an end, which a curve may pass.
        inside = np.maximum(q * np.abs(made), EDGE - 1)
        with np.errstate(all="ignore"):
            log = np.where(q == 0, np.abs(made), np.log1p(inside) / q)
        return sign * np.expm1(log), self.spreads[:, None] * np.exp((1 - q) * log)


@dataclass(frozen=True)
class Nodes:
    """A Gaussian process at several hyperparameters, conditioned on data; equally weighted.

    Parameters
    ----------
    X : places of the data, (point, input).
    y : values, (node, point): nodes may differ where values were imagined.
    noises : variances of their noise, (node, point).
    kinds, scales, squares : kernel, length scales and squared amplitude, (node,), (node, input),
        (node,).
    level : variance τ² of the constant that is integrated out.
    transform : by which the values were made; None where they are plain.
    """

    X: np.ndarray
    y: np.ndarray
    noises: np.ndarray
    kinds: np.ndarray
    scales: np.ndarray
    squares: np.ndarray
    level: float = LEVEL
    transform: Transform | None = None

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """Factors of the covariances, α = K⁻¹ y, and the nuggets."""
        from bayesinf.optimisation import kernel

        return kernel.factorised(
            self.kinds, self.scales, self.squares, self.level, self.noises, self.X, self.y
        )

    @cached_property
    def solved(self) -> tuple[np.ndarray, ...]:
        """Roots, factors and α as ``kernel.moments`` takes them."""
        lower, alpha, _ = self.factors
        return np.ones_like(self.y), lower, alpha

    def moments(self, points: np.ndarray, slopes: bool = False) -> tuple[np.ndarray, ...]:
        """Mean and variance of the curve, (node, place), and their gradients where asked."""
        from bayesinf.optimisation import kernel

        kernels = self.kinds, self.scales, self.squares, self.level
        return kernel.moments(points, self.X, *kernels, *self.solved, slopes)

    def plain(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Undo the transform of each node: what values, (node, place), are, and their slope."""
        if self.transform is None:
            return values, np.ones_like(values)
        return self.transform.plain(values)

    def improvement(
        self, points: np.ndarray, incumbents: np.ndarray, slopes: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the expected improvement on the incumbent of each node, averaged, (place,).

        Its gradient, (place, input), comes beside it, zero where not asked. What a transform made
        counts as much as it is worth at the least of the values.
        """
        from bayesinf.optimisation import kernel

        kernels = self.kinds, self.scales, self.squares, self.level
        units = np.zeros(len(self.y)) if self.transform is None else self.transform.log_units
        stated = points, self.X, *kernels, *self.solved, incumbents, units, slopes
        return kernel.improvement(*stated)

    def imagined(self, points: np.ndarray, rng: np.random.Generator, noise: np.ndarray) -> Nodes:
        """Take measurements at places as if done: at each node a draw of what they would give.

        Parameters
        ----------
        points : (place, input), one after the other.
        noise : variance of the noise of a measurement, (node,).
        """
        found = self
        for point in points:
            mean, variance, *_ = found.moments(point[None])
            drawn = mean[:, 0] + np.sqrt(variance[:, 0] + noise) * rng.standard_normal(len(mean))
            found = Nodes(
                np.vstack([found.X, point]),
                np.column_stack([found.y, drawn]),
                np.column_stack([found.noises, noise]),
                *(found.kinds, found.scales, found.squares, found.level, found.transform),
            )
        return found


@dataclass(frozen=True)
class Surrogate:
    """What is known of a function.

    Parameters
    ----------
    nodes : the process given the data, at draws of the hyperparameters.
    centre, spread : what y was standardised by.
    noise : variance of the noise of one more measurement, (node,), standardised.
    odds : probability of each of ``KERNELS``.
    log_evidence : of the standardised values, averaged over the kernels that are possible.
    """

    nodes: Nodes
    centre: float
    spread: float
    noise: np.ndarray
    odds: np.ndarray
    log_evidence: float

    def imagined(self, points: np.ndarray, rng: np.random.Generator) -> Surrogate:
        """Take measurements at places as if done; arguments as for ``Nodes.imagined``."""
        nodes = self.nodes.imagined(points, rng, self.noise)
        return replace(self, nodes=nodes)


def surrogate(
    X: np.ndarray,
    y: np.ndarray,
    noise: float | None,
    rng: np.random.Generator,
    size: int = NODES,
    kernels: Sequence[str] = KERNELS,
    bends: bool = False,
) -> Surrogate:
    """Infer what values tell of a function.

    Parameters
    ----------
    X : places in the unit cube, (point, input).
    y : values there, (point,).
    noise : sd of their noise, 0 for exact values; None where it is inferred.
    rng : generator.
    size : draws of the hyperparameters.
    kernels : of ``KERNELS``, those that are possible.
    bends : whether the process may be one of exact values that a power transforms.

    Raises
    ------
    FitError : no hyperparameters give the values a density.
    """
    centre, spread = float(np.mean(y)), float(np.std(y))
    # Of values that are all alike the spread is unknown: any unit will do.
    spread = spread if spread > 1e-12 * max(abs(centre), 1e-300) else max(abs(centre), 1.0)
    known = np.full(len(y), 0.0 if noise is None else (noise / spread) ** 2)
    standard = (y - centre) / spread
    bends = bends and noise == 0 and len(np.unique(y)) >= FEWEST
    d, points, log_weight, kinds = X.shape[1], [], [], []
    for name in kernels:
        density = Density(KERNELS.index(name), X, standard, known, noise is None, bends)
        u, weight = density.weighted(rng)
        points.append(density.hyperparameters(u))
        log_weight.append(weight)
        kinds.append(np.full(len(u), density.kind))
    points, log_weight, kinds = map(np.concatenate, (points, log_weight, kinds))
    weight = np.exp(log_weight - scipy.special.logsumexp(log_weight))
    odds = np.array([weight[kinds == kind].sum() for kind in range(len(KERNELS))])
    chosen = np.searchsorted(np.cumsum(weight), (np.arange(size) + rng.random()) / size)
    chosen = np.minimum(chosen, len(weight) - 1)
    values = points[chosen]
    extra = values[:, d + 1] ** 2 if noise is None else np.zeros(size)
    transform, made = None, np.tile(standard, (size, 1))
    if bends:
        transform, made = Transform.of(standard, values[:, d + 1])
    nodes = Nodes(
        X,
        made,
        known + extra[:, None],
        kinds[chosen],
        values[:, :d].copy(),
        values[:, d] ** 2,
        transform=transform,
    )
    evidence = float(scipy.special.logsumexp(log_weight) - np.log(len(kernels)))
    return Surrogate(nodes, centre, spread, extra + known[0], odds, evidence)
