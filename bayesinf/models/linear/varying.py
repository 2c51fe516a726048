"""Regressions with a few non-linear parameters: y = X(θ) f + Zα + ε, with θ on boxes.

A period, a rate, a width of a response or a length scale of a basis enters its regression in no
closed form, but given it the posterior has one, and so has the evidence p(y | θ). So the posterior
of θ, p(θ) p(y | θ), is laid on boxes that are refined wherever it is (``boxes``), all modes at
once, and its sum is the evidence of the whole model. Draws are independent: a box, a point θ in it,
the scales from the grid that the box's centre has, then α and β given all, in closed form at the
drawn θ. The weight of each draw says how far the boxes are from the posterior, and is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.errors import DataError, FitError
from bayesinf.inference.kinds import Question
from bayesinf.models.linear import exact
from bayesinf.models.linear.definition import Regression
from bayesinf.models.linear.survey import STEPS, Axis, Survey, surveyed
from bayesinf.models.noise import Discrepancy, Measured
from bayesinf.models.problem import Draws, Labels, Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import Prior
from bayesinf.priors.weights import Gaussian
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Varying", "varying"]

MOST_AXES = 3
# Bytes of regressions that are kept for when the same draws are asked again, and how often one
# holds its columns: as given, by its basis, and factored.
KEPT, COPIES = 256_000_000, 4
EFFICIENT = 0.97  # share of the draws that their weights leave, below which boxes are made finer

QUESTIONS = (
    Question(
        "grid",
        "weight_efficiency",
        "min",
        0.9,
        "≥",
        True,
        "the boxes follow the posterior (weights worth {value:.1%} of the draws)",
        "give the non-linear parameters more steps or narrower priors",
    ),
    Question(
        "modes",
        "step_per_width",
        "max",
        10.0,
        "≤",
        True,
        "a mode as wide as those found is not stepped over (first steps up to {value:.2g} of its "
        "standard deviations)",
        "raise steps, for another mode may stand between those of the first grid",
    ),
    Question(
        "edges",
        "edge_mass",
        "max",
        1e-3,
        "≤",
        True,
        "the posterior keeps off the ends of the grid ({value:.1g} of it in the last step)",
        "the data pull a non-linear parameter beyond its prior: state a wider one",
    ),
)
OF_A_SCREEN = Question(
    "screen",
    "skipped_mass",
    "max",
    1e-3,
    "≤",
    True,
    "what the screen leaves out holds at most {value:.1g} of the posterior",
    "give the screen more steps, or do without one",
)


@dataclass(frozen=True)
class Varying(Measured):
    """A regression at every θ.

    Parameters
    ----------
    build : from θ by name to the regression there, of the same data and with the same variables.
    varied : name of each non-linear parameter to its prior.
    steps : name to the number of boxes along its axis to begin with.
    screen : name of one of them to a function from values (count,) to about the log evidence there.
    units : of the non-linear parameters.
    bars : error bars as the data state them, (observation,), where those of ``build`` vary; None
        where they do not, or there are none.
    """

    build: Callable[..., Regression]
    varied: Mapping[str, Prior]
    steps: Mapping[str, int]
    screen: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    bars: np.ndarray | None = None

    family = "linear"

    @cached_property
    def reference(self) -> Regression:
        """The regression at the medians of the priors, which lends the labels."""
        return self.build(**{name: float(p.from_normal(0.0)) for name, p in self.varied.items()})

    @cached_property
    def _aside(self) -> Regression:
        """Another regression, which shows what varies."""
        return self.build(**{name: float(p.from_normal(-0.5)) for name, p in self.varied.items()})

    def at(self, theta: Mapping[str, np.ndarray]) -> Regression:
        """The regression at one θ, of which draws may hold more than these."""
        return self._built(*(float(theta[name]) for name in self.varied))

    @cached_property
    def _built(self):
        """``build``, which each question about the draws asks for the same points again."""
        columns = sum(one.A.size + one.Z.size for one in self.reference.designs)

        def build(*values):
            return self.build(**dict(zip(self.varied, values, strict=True)))

        return lru_cache(KEPT // (COPIES * 8 * max(columns, 1)))(build)

    def __getstate__(self):
        """All but the regressions that are kept: another process makes its own."""
        return {name: value for name, value in vars(self).items() if name != "_built"}

    @property
    def y(self) -> np.ndarray:
        """The data, (observation,)."""
        return self.reference.y

    @property
    def model(self) -> str:
        """The prior's class, and what varies."""
        return f"{self.reference.model} at each {', '.join(self.varied)}"

    @property
    def parameters(self) -> Labels:
        """Labels of the regression's parameters and of θ."""
        inner = self.reference.parameters
        return replace(inner, units={**inner.units, **self.units})

    @property
    def data(self) -> Labels:
        """Labels of the data."""
        return self.reference.data

    @property
    def observed(self) -> xr.Dataset:
        """The data."""
        return self.reference.observed

    @property
    def constants(self) -> xr.Dataset:
        """What is known besides and does not vary."""
        here, there = self.reference.constants, self._aside.constants
        return here[[name for name in here.data_vars if here[name].equals(there[name])]]

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        return {name: str(prior) for name, prior in self.varied.items()} | self.reference.priors

    @property
    def fixed(self) -> dict[str, float]:
        """What the caller has fixed."""
        return self.reference.fixed

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior that are none of the coefficients'."""
        return [*self.varied, *self.reference.hyperparameters]

    @property
    def discrepancies(self) -> Mapping[str, Discrepancy]:
        """Those of the regression."""
        return self.reference.discrepancies

    @property
    def questions(self) -> tuple[Question, ...]:
        """What the boxes answer for."""
        return (*QUESTIONS, OF_A_SCREEN) if self.screen else QUESTIONS

    @property
    def routes(self) -> dict[str, Route]:
        """Boxes for θ, closed form given it."""
        return {"boxes": Route(closed_form, "boxes")}

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw θ, then the regression's parameters given it, (size, ...)."""
        theta = {name: prior.sample(rng, size) for name, prior in self.varied.items()}
        inner = [
            self.at({name: values[k] for name, values in theta.items()}).sample_prior(rng, 1)
            for k in range(size)
        ]
        return theta | {name: np.concatenate([one[name] for one in inner]) for name in inner[0]}

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        own = {name: prior.log_density(draws[name]) for name, prior in self.varied.items()}
        return own | self._each(draws, lambda regression, one: regression.log_factors(one))

    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of y, (..., observation)."""
        return self._each(draws, lambda regression, one: {"": regression.mean(one)})[""]

    @property
    def stated(self) -> np.ndarray | None:
        """Error bars as stated; None where there are none, or θ is in them."""
        here, there = self.reference.stated, self._aside.stated
        return self.bars if here is None or not np.array_equal(here, there) else here

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, (..., observation)."""

        def spread(regression, one):
            return {"": np.broadcast_to(regression.noise_sd(one), self.y.shape)}

        return self._each(draws, spread)[""]

    def observing(self, data: Draws) -> Varying:
        """Return the same model of other data, without the screen, which knows only its own."""
        return replace(self, build=partial(_observing, self.build, dict(data)), screen={})

    def widened(self, factor: float) -> Varying:
        """Return the same problem with every unshrunk and null prior wider by a factor."""
        return replace(self, build=partial(_widened, self.build, factor))

    def log_evidence(self) -> float:
        """Log probability of the data, all parameters integrated out: log p(y)."""
        return self.survey.boxes.log_total

    @cached_property
    def survey(self) -> Survey:
        """The posterior of θ on boxes."""
        axes = [Axis(name, prior, self.steps[name]) for name, prior in self.varied.items()]
        return surveyed(lambda theta: self.at(theta).log_evidence(), axes, self.screen)

    def _each(self, draws, function):
        """What a function of a regression and one draw returns, by name, stacked over the draws."""
        shape = np.shape(draws[next(iter(self.varied))])
        found = []
        for place in np.ndindex(shape):
            one = {name: np.asarray(values)[place] for name, values in draws.items()}
            found.append(function(self.at(one), one))
        stacked = {name: np.array([each[name] for each in found]) for name in found[0]}
        return {name: v.reshape(*shape, *v.shape[1:]) for name, v in stacked.items()}


def varying(
    build: Callable[..., Regression],
    priors: Mapping[str, Prior],
    *,
    steps: int | Mapping[str, int] = STEPS,
    screen: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    units: Mapping[str, str] | None = None,
    bars: np.ndarray | None = None,
) -> Varying:
    """State a regression with up to three non-linear parameters.

        y = X(θ) f + Σ_k z_k(θ) α_k + ε,   p(θ | y) ∝ p(θ) p(y | θ),   p(y | θ) in closed form

    Parameters
    ----------
    build : from the non-linear parameters, by name, to a ``regression`` with the normal prior; the
        data and the names of its variables may not depend on them.
    priors : name of each non-linear parameter to its prior, one of ``bayesinf.priors``. Positive
        ones without end (``LogNormal``, ``HalfCauchy``, ``InverseChi``) and ``LogUniform`` are laid
        out in their logarithm, the others as they are.
    steps : boxes along each axis to begin with, by name or for all. A step should be no wider than
        ten standard deviations of the narrowest mode; the checks ask.
    screen : name of one parameter to a fast function that maps its values, (count,), to about the
        log evidence there, whatever the others are. Only what it does not rule out by a wide margin
        is evaluated; what it leaves out is summed up, and judged by some of it that is evaluated.
    units : of the non-linear parameters.
    bars : error bars as the data state them, (observation,), where those of ``build`` vary.

    Returns
    -------
    a ``Problem``, with ``log_evidence()``.

    Raises
    ------
    DataError : no parameter or more than three, a name that the regression has, a prior that is
        not normal, a screen of something else.
    """
    if not 0 < len(priors) <= MOST_AXES:
        raise DataError(
            "too many non-linear parameters" if priors else "no non-linear parameter",
            expected=f"1 to {MOST_AXES}",
            found=", ".join(priors) or "none",
        )
    counts = dict(steps) if isinstance(steps, Mapping) else dict.fromkeys(priors, steps)
    screen = dict(screen or {})
    for given, what in ((counts, "steps"), (screen, "a screen"), (dict(units or {}), "a unit")):
        if unknown := set(given) - set(priors):
            raise DataError(
                f"{what} of no non-linear parameter",
                expected=f"some of {', '.join(priors)}",
                found=", ".join(sorted(unknown)),
            )
    if len(screen) > 1:
        raise DataError("screens of several parameters", expected="one", found=", ".join(screen))
    counts = dict.fromkeys(priors, STEPS) | counts
    problem = Varying(build, dict(priors), counts, screen, dict(units or {}), bars)
    if not isinstance(problem.reference.prior, Gaussian):
        raise FitError(f"no closed form under {problem.reference.model}: use the normal prior")
    if taken := set(priors) & {problem.reference.names.coefficient, *problem.reference.priors}:
        raise DataError(
            f"the name {min(taken)} is taken",
            where="priors",
            expected="a name that no parameter of the regression has",
        )
    return problem


def _observing(build, data, **theta):
    """The regression at θ, of other data."""
    return build(**theta).observing(data)


def _widened(build, factor, **theta):
    """The regression at θ, its unshrunk and null priors wider."""
    return build(**theta).widened(factor)


def closed_form(problem: Varying, settings: Settings) -> Sample:
    """Draw independently from the posterior: boxes for θ, closed form given it."""
    found, shape = problem.survey, (settings.chains, settings.draws)
    draws = _drawn(problem, found, settings)
    if _efficiency(draws["log_weight"]) < EFFICIENT:
        # The scales move with θ within a box by more than θ itself tells.
        found = found.finer()
        draws = _drawn(problem, found, settings)
    log_weight, marginal = draws.pop("log_weight"), draws.pop("log_marginal")
    return Sample(
        {k: v.reshape(*shape, *v.shape[1:]) for k, v in draws.items()},
        _evidence(problem, found, log_weight.reshape(shape)),
        {f"{problem.reference.names.data}_marginal": marginal.reshape(*shape, -1)},
    )


def _drawn(problem, survey, settings):
    """Draws of all parameters, (draw, ...), with their log weights."""
    rng, size = settings.generator("varying"), settings.chains * settings.draws
    box, points, log_proposal = survey.boxes.draw(rng, size)
    order = np.argsort(box, kind="stable")  # draws of one box share its scales' grid
    parts = np.split(order, np.flatnonzero(np.diff(box[order])) + 1)
    generators = rng.spawn(len(parts))
    jobs = [
        (points[part], box[part[0]], each) for part, each in zip(parts, generators, strict=True)
    ]
    run = partial(_of_one_box, problem, survey)
    found = parallel.map(run, jobs, workers=settings.workers, threads=True, label="drawing")
    place = np.argsort(order)
    draws = {name: np.concatenate([one[name] for one in found])[place] for name in found[0]}
    draws["log_weight"] -= log_proposal - survey.boxes.value[box]
    return draws


def _of_one_box(problem, survey, job):
    """Draws of all parameters at points in one box, with log p(y, scales, θ) there over that at
    the box's centre as ``log_weight``.
    """
    points, box, rng = job
    middle = survey.boxes.centre[box]
    centre = exact.Posterior(problem.at(survey.theta(middle))).scales
    log_rho, log_sigma = centre.draw(rng, len(points))
    before = centre.log_joint(log_rho, log_sigma) + survey.log_prior(middle)
    draws = []
    for point, rho, sigma, there in zip(points, log_rho, log_sigma, before, strict=True):
        theta = survey.theta(point)
        one, log_joint = _conditional_draw(problem.at(theta), rho, sigma, rng)
        one["log_weight"] = log_joint + survey.log_prior(point) - there
        draws.append(one | theta)
    return {name: np.array([one[name] for one in draws]) for name in draws[0]}


def _conditional_draw(regression, log_rho, log_sigma, rng):
    """Draw the coefficients given θ and the scales.

    Returns
    -------
    the draw, with the log density of each y_i given the others, θ and the scales as
    ``log_marginal``; and the log density of data and scales at this θ.
    """
    posterior, at = (
        exact.Posterior(regression, fully=False),
        (np.array([log_rho]), np.array([log_sigma])),
    )
    draws, density = posterior.draw_given(rng, *at)
    one = {name: values[0] for name, values in draws.items()}
    (log_joint,) = posterior.scales.log_joint(*at)
    return regression.outer(one) | {"log_marginal": density[0]}, float(log_joint)


def _evidence(problem, survey, log_weight):
    """What the checks ask of the boxes, and the evidence of the whole model."""
    boxes, (mean, sd) = survey.boxes, survey.moments()
    at_top = problem.at(survey.theta(boxes.centre[np.argmax(boxes.log_mass)]))
    arrays = {
        "log_weight": log_weight,
        "weight_efficiency": _efficiency(log_weight),
        "step_per_width": survey.step_per_width(),
        "edge_mass": survey.edge_mass(),
        "skipped_mass": survey.skipped,
        "boxes": len(boxes.value),
        "condition_number": exact.Posterior(at_top).condition_number(),
        "log_evidence": boxes.log_total + _log_mean(log_weight),
    }
    for k, axis in enumerate(survey.axes):
        arrays |= {f"{axis.name}_closed_form_mean": mean[k], f"{axis.name}_closed_form_sd": sd[k]}
    units = {f"{n}_closed_form_{m}": u for n, u in problem.units.items() for m in ("mean", "sd")}
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    return dataset(arrays, {"log_weight": ("chain", "draw")}, {}, units, sampled=False)


def _efficiency(log_weight):
    """Share of the draws that weighted draws are worth."""
    return float(np.exp(2 * _log_mean(log_weight) - _log_mean(2 * log_weight)))


def _log_mean(log_weight):
    return float(np.logaddexp.reduce(log_weight, axis=None) - np.log(log_weight.size))
