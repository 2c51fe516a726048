"""One model of one data set, and the one driver that makes its posterior into a result.

A family states a ``Problem``: the data, the priors and the likelihood, in PyMC and in NumPy, and
the routes from there to draws. ``fit`` runs one of the routes and fills every group of the
InferenceData, the same way for all families. Whatever looks at a model (a route, a check, a figure,
a calibration, a test of its density) asks the problem and needs to know no family.

Draws pass as a mapping from the names of the posterior to arrays that lead with any axes, (chain,
draw) of a posterior or (draw,) of a prior, and end with the parameter's own.
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import capacity, kept, parallel
from bayesinf.errors import FitError
from bayesinf.inference import kinds
from bayesinf.posterior import TOTAL, annotated, assemble, dataset
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Draws", "Labels", "Outlook", "Problem", "Route", "Sample", "fit", "nuts"]

Draws = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Labels:
    """What arrays are called: the dimensions, coordinates and units of the variables of a group.

    Parameters
    ----------
    dims : variable to its own dimensions; a variable that is not named is a scalar.
    coords : coordinates, as xarray takes them; a group keeps those whose dimensions it has.
    units : variable to unit; a variable that is not named is dimensionless.
    """

    dims: Mapping[str, Sequence[str]] = field(default_factory=dict)
    coords: Mapping[str, object] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def group(self, arrays: Draws, *, sampled: bool = True) -> xr.Dataset:
        """Label plain arrays, which lead with chain and draw where they are ``sampled``."""
        return dataset(arrays, self.dims, self.coords, self.units, sampled=sampled)

    def log_likelihood(self, arrays: Draws) -> xr.Dataset:
        """Label pointwise log densities."""
        return dataset(arrays, {name: self.dims.get(name, ()) for name in arrays}, self.coords)


@dataclass(frozen=True)
class Sample:
    """What a route leaves behind.

    Parameters
    ----------
    draws : of the parameters, (chain, draw, ...).
    evidence : what the checks of this kind of inference ask for; joins ``sample_stats``.
    marginal : variable to log p(y_i | the other y, hyperparameters), (chain, draw, observation),
        where the route integrates the rest out; leave-one-out prefers it.
    problem : the one that the draws belong to, where the route has refined what it was given.
    questions : what the draws are asked besides, of numbers in ``evidence``.
    """

    draws: Draws
    evidence: xr.Dataset
    marginal: Draws = field(default_factory=dict)
    problem: Problem | None = None
    questions: Sequence[kinds.Question] = ()


@dataclass(frozen=True)
class Route:
    """A way from a problem to draws of its posterior.

    Parameters
    ----------
    run : (problem, settings) -> ``Sample``.
    kind : the kind of inference, a name of ``inference.kinds``, which says what evidence is due.
    """

    run: Callable[[Problem, Settings], Sample]
    kind: str


@dataclass(frozen=True)
class Outlook:
    """How data would look at some draws, and how those observed compare.

    Parameters
    ----------
    replicas : data like those observed, (chain, draw, ...).
    log_likelihood : pointwise, (chain, draw, observation).
    discrepancy, discrepancy_observed : statistics of replicas and data, (chain, draw, statistic).
    statistics : what else is known of each draw, (chain, draw); joins ``sample_stats``.
    kept : positions of the draws of each chain whose replicas are kept; None for all.
    whole : what is known of the fit as a whole, numbers that join ``sample_stats``.
    questions : what these data are asked besides, of those numbers.
    """

    replicas: Draws
    log_likelihood: Draws
    discrepancy: np.ndarray
    discrepancy_observed: np.ndarray
    statistics: Draws = field(default_factory=dict)
    kept: np.ndarray | None = None
    whole: Mapping[str, float] = field(default_factory=dict)
    questions: Sequence[kinds.Question] = ()


class Problem(ABC):
    """One model of one data set: all that a route, a check or a figure may ask of it.

    A family sets the attributes and writes the methods; those with a body here serve most of them.

    Attributes
    ----------
    family : name of the family, the ``system`` of a fit that belongs to none.
    model : what is fitted, in a word or two.
    parameters, data, pointwise : labels of the parameters, of the data and their replicas, and of
        the pointwise log likelihood (those of the data unless said otherwise).
    observed, constants : the data, and what the model knows besides; both make up the data's hash.
    priors : parameter to its prior in words, those that are fixed included.
    fixed : parameters that are not inferred, with their values; they join ``constant_data``.
    hyperparameters : factors of the prior that prior sensitivity scales; None for all of them.
    routes : method to ``Route``; the first is the default.
    discrepancies : statistic to T(data, draws), by which data are compared with their replicas.
    questions : what the checks ask of this family's fits besides.
    attrs : further root attributes of a fit.
    equation : the model with its likelihood, in LaTeX, as the page shows it; empty for none.
    """

    family: str
    model: str
    parameters: Labels
    data: Labels
    observed: xr.Dataset
    constants: xr.Dataset
    priors: Mapping[str, str]
    routes: Mapping[str, Route]
    discrepancies: Mapping[str, Callable]
    fixed: Mapping[str, float] = {}
    hyperparameters: Sequence[str] | None = None
    questions: Sequence[kinds.Question] = ()
    attrs: Mapping[str, object] = {}
    equation: str = ""

    @property
    def pointwise(self) -> Labels:
        """Labels of the pointwise log likelihood."""
        return self.data

    def pymc(self) -> pm.Model:
        """Define the model: in PyMC, with the names of the posterior."""
        raise FitError(f"the model {self.model} has no form in PyMC")

    @abstractmethod
    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the parameters from their prior, (size, ...)."""

    @abstractmethod
    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior, normalised: (...) each."""

    @abstractmethod
    def log_likelihood(self, draws: Draws) -> Draws:
        """Pointwise log likelihood, normalised: variable to (..., observation)."""

    @abstractmethod
    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data like those observed: variable to (..., observation)."""

    def observing(self, data: Draws) -> Problem:
        """Return the same model of other data, such as ``replicate`` draws (without the axes of
        draws): what calibration fits.

        Raises
        ------
        FitError : the family has no such thing.
        """
        raise FitError(f"the model {self.model} cannot be stated of other data")

    def notes(self) -> Mapping[str, xr.Dataset]:
        """Results that travel beside every fit of this problem, as of ``posterior.annotated``."""
        return {}

    def memory(self, settings: Settings) -> float:
        """Bytes that a fit will take beside the data; 0 where that does not grow with both."""
        return 0.0

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at the data from draws, (chain, draw, ...)."""
        replicas = self.replicate(draws, settings.generator("posterior predictive"))
        observed = {name: self.observed[name].values for name in replicas}
        judge = [(t(replicas, draws), t(observed, draws)) for t in self.discrepancies.values()]
        of_replicas, of_data = (np.stack(side, axis=-1) for side in zip(*judge, strict=True))
        return Outlook(
            replicas,
            self.log_likelihood(draws),
            of_replicas,
            np.broadcast_to(of_data, of_replicas.shape),
        )

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Draw the data that draws from the prior, (size, ...), would make."""
        with np.errstate(all="ignore"):  # a prior may reach where the model overflows
            return self.replicate(draws, settings.generator("prior predictive"))


def fit(
    problem: Problem,
    method: str | Route | None = None,
    settings: Settings = DEFAULT,
    *,
    system: str | None = None,
    notes: Mapping[str, xr.Dataset | None] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Run a route and fill every group, once for all families.

    Parameters
    ----------
    problem : what is fitted.
    method : one of ``problem.routes``, a ``Route`` of the caller's, or None for the first.
    settings : length and seed.
    system : what the fit belongs to, for the provenance; by default the family.
    notes : results that travel beside the fit, as of ``posterior.annotated``, besides those of the
        problem; the truth is one. What is None is left out.
    attrs : further root attributes.

    Returns
    -------
    InferenceData. The root attributes ``family``, ``method``, ``priors`` (JSON, parameter to
    words), ``hyperparameters`` and ``questions`` (JSON) say what was run and what checks may ask.

    Raises
    ------
    FitError : an unknown method; what the route raises.
    MachineError : more memory than there is.
    """
    name, route = _route(problem, method)
    problem.discrepancies  # noqa: B018 (a caller's statistic that cannot be is refused at once)
    capacity.require(
        problem.memory(settings) + _of_draws(problem, settings),
        f"{settings.chains} chains of {settings.draws} draws",
        "fewer draws (--draws), fewer data, or thinned ones",
    )
    make = partial(_fitted, problem, name, route, settings, system, notes, attrs)
    return kept.once(make, problem, name, route, settings, system, notes, attrs)


def _of_draws(problem, settings):
    """Bytes that the draws of the parameters take, once as they come and once in their groups."""
    import xarray as xr

    dims, sizes = problem.parameters.dims, xr.Dataset(coords=problem.parameters.coords).sizes
    shapes = [[sizes.get(dim, 1) for dim in dims.get(name, ())] for name in problem.priors]
    numbers = sum(map(math.prod, shapes))
    return 2 * 8.0 * settings.chains * settings.draws * numbers


def _fitted(problem, name, route, settings, system, notes, attrs):
    started = time.perf_counter()
    # Chains and draws are spread over the cores instead: on a busy machine that is tenfold faster.
    with parallel.one_blas_thread():
        sample = route.run(problem, settings)
        problem = sample.problem or problem
        outlook = problem.outlook(sample.draws, settings)
        prior = problem.sample_prior(settings.generator("prior"), settings.prior_draws)
        expected = problem.prior_predictive(prior, settings)

    found = assemble(
        _groups(problem, sample, outlook, prior, expected),
        system=system or problem.family,
        model=problem.model,
        inference=route.kind,
        settings=settings,
        data=problem.observed.reset_coords().merge(problem.constants),
        started=started,
        attrs={
            "method": name,
            **_said(problem, (*sample.questions, *outlook.questions)),
            **problem.attrs,
            **(attrs or {}),
        },
    )
    beside = {**problem.notes(), **(notes or {})}
    beside = {name: one for name, one in beside.items() if one is not None}
    return annotated(found, **beside) if beside else found


def _groups(problem, sample, outlook, prior, expected):
    """The groups of a fit: of a route's draws, of how the data look from there, of the prior."""
    statistic = {name: ("statistic",) for name in ("discrepancy", "discrepancy_observed")}
    compared = dataset(
        {name: getattr(outlook, name) for name in statistic} | dict(outlook.statistics),
        statistic,
        {"statistic": list(problem.discrepancies)},
    )
    replicas = problem.data.group(outlook.replicas)
    if outlook.kept is not None:
        replicas = replicas.assign_coords(draw=outlook.kept)
    pointwise, together = _left_out({**outlook.log_likelihood, **sample.marginal})
    fixed = {name: np.float64(value) for name, value in problem.fixed.items()}
    fixed = problem.parameters.group(fixed, sampled=False)
    return {
        "posterior": problem.parameters.group(sample.draws),
        "sample_stats": compared.merge(sample.evidence)
        .merge(dataset(outlook.whole, sampled=False))
        .merge(dataset(together)),
        "posterior_predictive": replicas,
        "log_likelihood": problem.pointwise.log_likelihood(pointwise),
        "log_prior": dataset(problem.log_factors(sample.draws)),
        "prior": problem.parameters.group(_chain(prior)),
        "prior_predictive": problem.data.group(_chain(expected)),
        "observed_data": problem.observed,
        "constant_data": problem.constants.merge(fixed),
    }


def _left_out(pointwise):
    """One log density an observation, that from which leave-one-out follows; and where they are not
    the factors of the likelihood, which has others integrated out, that of all data together.
    """
    ending = "_marginal"
    names = [name for name in pointwise if not name.endswith(ending)]
    chosen = {name: pointwise.get(f"{name}{ending}", pointwise[name]) for name in names}
    if len(names) == len(pointwise):
        return chosen, {}
    together = sum(
        pointwise[name].sum(axis=tuple(range(2, pointwise[name].ndim))) for name in names
    )
    return chosen, {TOTAL: together}


def _said(problem, further=()):
    """Root attributes in which a problem says its family, its priors, and what checks may ask."""
    said = {
        "family": problem.family,
        "priors": json.dumps(dict(problem.priors), ensure_ascii=False),
    }
    if problem.hyperparameters is not None:
        said["hyperparameters"] = json.dumps(list(problem.hyperparameters))
    if problem.equation:
        said["equation"] = problem.equation
    questions = (*problem.questions, *further)
    return said | (kinds.declare(*questions) if questions else {})


def nuts(problem: Problem, settings: Settings) -> Sample:
    """Sample the PyMC model of a problem by NUTS, the reference to which other routes are held."""
    from bayesinf.inference import nuts as no_u_turn

    names = list(problem.sample_prior(np.random.default_rng(0), 1))
    draws, statistics = no_u_turn.sample(problem.pymc(), names, settings)
    return Sample(draws, dataset(statistics))


def _route(problem, method):
    """The name of a route, and the route."""
    if isinstance(method, Route):
        return getattr(method.run, "__name__", "route"), method
    name = next(iter(problem.routes)) if method is None else method
    if name not in problem.routes:
        raise FitError(f"unknown method {name!r}: use one of {', '.join(problem.routes)}")
    return name, problem.routes[name]


def _chain(draws):
    """Draws from a prior as one chain."""
    return {name: np.asarray(values)[np.newaxis] for name, values in draws.items()}
