"""A straight line through points: the smallest Problem, whose posterior the tests of checks,
figures and reports look at. Some twenty lines state it, and the driver does the rest."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from bayesinf.models import problem as driver
from bayesinf.models.noise import RESIDUALS, Measured, chi_square
from bayesinf.models.problem import Labels, Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import InverseChi, Normal
from bayesinf.settings import Settings

TRUTH = {"slope": 47.0, "offset": 0.3, "noise": 0.8}
UNITS = {"slope": "V/A", "offset": "V", "noise": "V", "y": "V", "x": "A"}
COEFFICIENT, NOISE = Normal(0.0, 100.0), InverseChi(1.0, 0.5)


@dataclass(frozen=True)
class StraightLine(Measured):
    """V = slope I + offset + ε; the noise is inferred, or known where a number stands for it."""

    x: np.ndarray
    y: np.ndarray
    noise: float | None = None

    family, model = "straight_line", "A straight line"
    equation = r"V_i = a I_i + b + \varepsilon_i,\quad \varepsilon_i \sim N(0, \sigma^2)"
    parameters = Labels(units=UNITS)
    data = Labels({"x": ("point",), "y": ("point",)}, {}, UNITS)
    discrepancies: ClassVar = {**RESIDUALS, "chi square": chi_square}

    @property
    def scalars(self):
        inferred = {} if self.noise else {"noise": NOISE}
        return {"slope": COEFFICIENT, "offset": COEFFICIENT} | inferred

    @property
    def observed(self):
        return self.data.group({"y": self.y}, sampled=False)

    @property
    def constants(self):
        return self.data.group({"x": self.x}, sampled=False)

    @property
    def priors(self):
        return {name: str(prior) for name, prior in self.scalars.items()}

    @property
    def routes(self):
        kinds = {"ensemble": gibbs, "laplace": laplace, "gibbs": gibbs, "exact": exact}
        routes = {kind: Route(run, kind) for kind, run in kinds.items()}
        return {"nuts": Route(driver.nuts, "nuts")} | routes

    def pymc(self):
        import pymc as pm

        with pm.Model() as model:
            theta = {name: prior.pymc(name) for name, prior in self.scalars.items()}
            mean = theta["slope"] * self.x + theta["offset"]
            pm.Normal("y", mean, theta.get("noise", self.noise), observed=self.y)
        return model

    def sample_prior(self, rng, size):
        return {name: prior.sample(rng, size) for name, prior in self.scalars.items()}

    def log_factors(self, draws):
        return {name: prior.log_density(draws[name]) for name, prior in self.scalars.items()}

    def mean(self, draws):
        return draws["slope"][..., None] * self.x + draws["offset"][..., None]

    def noise_sd(self, draws):
        return np.float64(self.noise) if self.noise else draws["noise"][..., None]


def _normal(problem, sigma):
    """Mean and lower root of the precision of (slope, offset) given the noise."""
    design = np.stack([problem.x, np.ones_like(problem.x)], axis=1)
    precision = np.eye(2) / COEFFICIENT.sd**2 + design.T @ design / sigma**2
    return np.linalg.solve(precision, design.T @ problem.y / sigma**2), np.linalg.cholesky(
        precision
    )


def gibbs(problem, settings):
    """Coefficients given the noise, the noise given them; its statistics also feign an ensemble."""
    rng, shape = settings.generator("gibbs"), (settings.chains, settings.draws)
    draws = {name: np.empty(shape) for name in problem.scalars}
    for chain in range(settings.chains):
        sigma = TRUTH["noise"]
        for draw in range(settings.draws):
            centre, root = _normal(problem, sigma)
            theta = centre + np.linalg.solve(root.T, rng.standard_normal(2))
            rest = problem.y - theta[0] * problem.x - theta[1]
            sigma = np.sqrt((NOISE.scale**2 + rest @ rest) / rng.chisquare(1 + len(rest)))
            for name, value in zip(draws, (*theta, sigma), strict=True):
                draws[name][chain, draw] = value
    evidence = dataset(
        {
            "steps": np.array(20_000),
            "acceptance_rate": np.full(shape[0], 0.45),
            "autocorrelation_time": np.full(3, 30.0),
        },
        {"acceptance_rate": ("chain",), "autocorrelation_time": ("parameter",)},
        {"chain": np.arange(shape[0])},
        sampled=False,
    )
    return Sample(draws, evidence)


def exact(problem, settings):
    """Independent draws given the noise."""
    centre, root = _normal(problem, problem.noise)
    z = settings.generator("exact").standard_normal((settings.chains, settings.draws, 2))
    theta = centre + np.moveaxis(
        np.linalg.solve(root.T, np.moveaxis(z, -1, 0).reshape(2, -1)), 0, -1
    ).reshape(z.shape)
    sd = np.sqrt(np.diag(np.linalg.inv(root @ root.T)))
    evidence = {"condition_number": np.linalg.cond(root)}
    for k, name in enumerate(("slope", "offset")):
        evidence |= {f"{name}_closed_form_mean": centre[k], f"{name}_closed_form_sd": sd[k]}
    draws = {"slope": theta[..., 0], "offset": theta[..., 1]}
    return Sample(draws, dataset(evidence, units=UNITS, sampled=False))


def laplace(problem, settings):
    """The same draws, with the evidence of a good Laplace approximation."""
    sample, rng = exact(problem, settings), settings.generator("weights")
    weight = 1e-3 * rng.standard_normal((settings.chains, settings.draws))
    evidence = dataset(
        {
            "gradient": np.array([1e-8, -1e-9]),
            "hessian_eigenvalue": np.array([0.8, 1.2]),
            "start_excess": np.zeros(3),
        },
        {
            "gradient": ("parameter",),
            "hessian_eigenvalue": ("parameter",),
            "start_excess": ("start",),
        },
        sampled=False,
    )
    return Sample(sample.draws, evidence.merge(dataset({"log_weight": weight})))


@cache
def fit(inference="gibbs", seed=1, points=30):
    """An InferenceData of V = slope I + offset + ε by gibbs, exact, laplace or ensemble."""
    settings = Settings(seed=seed, draws=500)
    x = np.linspace(0, 1, points)
    y = TRUTH["slope"] * x + TRUTH["offset"]
    y = y + TRUTH["noise"] * settings.generator("data").standard_normal(points)
    known = TRUTH["noise"] if inference in ("exact", "laplace") else None
    length = {"chains": 32, "draws": 200} if inference == "ensemble" else {}
    return driver.fit(StraightLine(x, y, known), inference, settings.replace(**length))
