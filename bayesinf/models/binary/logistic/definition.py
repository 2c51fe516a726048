"""Kinetic spins, defined: transitions, the law that they follow, and the prior.

A ``KineticIsing`` answers all that a ``Problem`` is asked. Its ``pymc`` is the model; everything
else in this package is a faster way to the same posterior. What the routes work on, parameters in
blocks, is inside, in a ``Logistic``; here draws are fields ``h`` (site), couplings ``J`` (target,
source; zero on the diagonal where there is no self-coupling) and, where it is inferred, the width
``scale`` of the couplings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import problem as driver
from bayesinf.models.binary import ENCODINGS, chances, known, pair_coords
from bayesinf.models.binary.batches import by_draw
from bayesinf.models.binary.couplings import CouplingPrior, stated
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.predictive import MOMENTS, STATISTICS, Predictive, statistics
from bayesinf.models.binary.logistic.routes import SAMPLERS
from bayesinf.models.binary.logistic.transitions import (
    Transitions,
    log_likelihood,
    transitions,
)
from bayesinf.models.problem import Draws, Labels, Outlook, Problem, Route, Sample
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["KineticIsing", "problem"]

# Draws × transitions × sites that are replicated: seconds on two cores.
REPLICATED = 4e8
# Draws × transitions whose log likelihood is stored,
POINTWISE = 1e7
# but of no fewer transitions than these, whatever the draws.
ALWAYS = 1000
# Numbers of one predictive statistic that are stored.
KEPT = 1e6
# Transitions × sites up to which threads cost more than they bring.
FEW = 2e4


@dataclass(frozen=True, eq=False)
class KineticIsing(Problem):
    """Transitions, their law and its prior.

    Parameters
    ----------
    logistic : the data and the prior, with densities and slopes.
    replicated : positions of the transitions that are compared with replicas; all by default.
    scored : of how many of them, the first, the log likelihood is stored; all by default.
    """

    logistic: Logistic
    replicated: np.ndarray | slice = slice(None)
    scored: int | None = None

    family = model = "logistic"
    equation = (
        r"p(s_i(t{+}1) = 1 \mid s(t)) = \frac{1}{1 + e^{-2\theta_i(t)}},\quad "
        r"\theta_i(t) = h_i + \sum_j J_{ij} s_j(t)"
    )
    discrepancies = dict.fromkeys(STATISTICS)  # which ``outlook`` evaluates in one pass

    @property
    def transitions(self) -> Transitions:
        """The data."""
        return self.logistic.data

    @property
    def prior(self) -> CouplingPrior:
        """Priors of fields and couplings."""
        return self.logistic.prior

    @property
    def places(self) -> np.ndarray:
        """Positions of the transitions that are replicated, (place,)."""
        return np.arange(len(self.transitions))[self.replicated]

    # What things are called

    @property
    def parameters(self) -> Labels:
        """Labels of fields and couplings."""
        site = self.transitions.labels
        coords = {"site": site, "target": site, "source": site}
        return Labels({"h": ("site",), "J": ("target", "source")}, coords)

    @property
    def data(self) -> Labels:
        """Labels of states and of what they are summarised by."""
        steps = self.transitions
        states = {name: ("transition", "site") for name in ("now", "next")}
        coords = pair_coords(steps.labels)
        coords |= {"active": np.arange(steps.sites + 1), "transition": np.arange(len(steps))}
        dims = MOMENTS | states | {"repeat": ("transition",)}
        return Labels(dims, {**self.parameters.coords, **coords})

    @property
    def pointwise(self) -> Labels:
        """Labels of log P of the next state of all sites."""
        return Labels({"states": ("transition",)}, {"transition": self.places[: self.scored]})

    @property
    def observed(self) -> xr.Dataset:
        """The transitions, and statistics of those that are replicated."""
        steps, places = self.transitions, self.replicated
        arrays = statistics(steps.now[places], steps.next[places], steps.encoding)
        arrays |= {"next": steps.next, "repeat": steps.repeat}
        return self.data.group(arrays | ({} if steps.same else {"now": steps.now}), sampled=False)

    @property
    def constants(self) -> xr.Dataset:
        """How many transitions there are, and which of them are replicated."""
        arrays = {"transitions": np.int64(len(self.transitions)), "replicated": self.places}
        return Labels({"replicated": ("place",)}).group(arrays, sampled=False)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        return self.prior.words()

    @property
    def hyperparameters(self) -> list[str]:
        """What prior sensitivity scales: fields, and the width of the couplings if inferred."""
        return self.prior.hyperparameters

    @property
    def attrs(self) -> dict[str, object]:
        """Encoding and form of the model."""
        form = {name: int(getattr(self.logistic, name)) for name in ("symmetric", "self_coupling")}
        if self.scored is not None and self.scored < len(self.transitions):
            chosen = f"{self.scored} of {len(self.transitions)} transitions, drawn at random"
            form["log_likelihood_of"] = chosen
        return {"encoding": self.transitions.encoding} | form

    @property
    def routes(self) -> dict[str, Route]:
        """Ways to the posterior by method, Hamiltonian Monte Carlo first."""
        routes = {name: Route(partial(_run, draw), kind) for name, (draw, kind) in SAMPLERS.items()}
        return routes | {"nuts": Route(_nuts, "nuts")}

    # Draws and densities

    def draws(self, theta: np.ndarray, scale: np.ndarray | None) -> Draws:
        """Draws under the posterior's names, from parameters (..., block, dim) and widths."""
        named = {"h": self.logistic.split(theta)[0], "J": self.logistic.matrix(theta)}
        return named | ({"scale": scale} if self.prior.inferred else {})

    def pymc(self, *, centred: bool = False) -> pm.Model:
        """Define the model in PyMC; ``J`` is there the row of the free couplings.

        These are of all targets and sources, or the pairs i ≤ j where J is symmetric, without the
        diagonal where there is no self-coupling.

        Parameters
        ----------
        centred : as of ``CouplingPrior.pymc``.

        Raises
        ------
        FitError : no prior.
        """
        import pymc as pm
        import pytensor.tensor as pt

        if self.prior is None:
            raise FitError("a model without a prior has no posterior")
        law, steps, (i, j) = self.logistic, self.transitions, self.logistic.pairs
        coords = {"site": np.arange(law.sites), "coupling": np.arange(law.couplings)}
        now, then = steps.now.astype(float), steps.next.astype(float)
        with pm.Model(coords=coords) as model:
            h, J = self.prior.pymc("site", "coupling", centred)
            full = pt.set_subtensor(pt.zeros((law.sites, law.sites))[i, j], J)
            full = pt.set_subtensor(full[j, i], J) if law.symmetric else full
            theta = h + pt.dot(now, full.T)
            if steps.encoding == "±1":
                log_z = pt.log(pt.cosh(theta)) + np.log(2.0)
            else:
                log_z = pt.softplus(theta)
            pm.Potential("states", pt.sum(then * theta - log_z))
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters from the prior, (size, ...)."""
        law = self.logistic
        h, J, scale = self.prior.sample(rng, law.sites, law.couplings, size)
        return self.draws(law.join(h, J), scale)

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        J = draws["J"][..., *self.logistic.pairs]
        return self.prior.log_factors(draws["h"], J, draws.get("scale", 1.0))

    def log_likelihood(self, draws: Draws) -> Draws:
        """Log P of the next state of all sites, of the transitions that are scored."""
        which = self.places[: self.scored]
        return {"states": log_likelihood(self.transitions, draws["h"], draws["J"], which)}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw the ``next`` state after each present one, (..., transition, site)."""
        p = chances(self.transitions.now, draws["h"], draws["J"], self.transitions.encoding)
        low = ENCODINGS[self.transitions.encoding]
        return {"next": np.where(rng.random(p.shape) < p, 1, low).astype(np.int8)}

    def observing(self, data: Draws) -> KineticIsing:
        """Return the same model of other next states after the same present ones."""
        steps = replace(self.transitions, next=np.asarray(data["next"], dtype=np.int8))
        return KineticIsing(self.logistic.of(steps))

    # What data the model expects

    def chosen(self, settings: Settings) -> KineticIsing:
        """Choose which transitions are replicated and which are scored, where all are too many.

        The choice depends on the length and the seed of the fit alone, so that models of the same
        data are compared on the same transitions.
        """
        steps, count = self.transitions, settings.chains * settings.draws
        order = settings.generator("transitions").permutation(len(steps))
        seen = int(np.clip(REPLICATED / (count * steps.sites), 1, len(steps)))
        scored = int(min(seen, max(ALWAYS, POINTWISE / count)))
        # Those with a log likelihood come first, in the order of time; then the other ones.
        which = np.concatenate([np.sort(order[:scored]), np.sort(order[scored:seen])])
        return replace(self, replicated=which, scored=scored)

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Make replicas, discrepancies and log likelihood in one pass over the transitions."""
        view = Predictive(self.logistic, self.places, self.scored)
        return _look(view, draws, settings, "posterior predictive")

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Summarise what draws from the prior would make, of a quarter of the transitions.

        That is enough to see how wide the prior is.
        """
        view = Predictive(self.logistic, self.places[: max(1, self.places.size // 4)], 0)
        chain = {name: values[None] for name, values in draws.items()}
        replicas = _look(view, chain, settings, "prior predictive").replicas
        return {name: values[0] for name, values in replicas.items()}


def problem(
    states: Transitions | np.ndarray | xr.DataArray,
    *,
    encoding: str,
    symmetric: bool = False,
    self_coupling: bool = True,
    prior: str | CouplingPrior = "inferred",
    workers: int | None = 1,
) -> KineticIsing:
    """Check the data and state the prior.

    Parameters
    ----------
    states : ``Transitions``, or states as ``transitions`` takes them: (repeat, time, site) or
        (time, site).
    encoding : "±1" or "0/1", of states, prior, fields and couplings.
    symmetric : whether J_ij = J_ji.
    self_coupling : whether J_ii may differ from zero; not in data of ``same_time``.
    prior : ``normal`` (of fixed widths), ``inferred`` (the couplings' width has a half-Cauchy
        prior), ``laplace``, ``horseshoe`` (both by gibbs or nuts), or a ``CouplingPrior``.
    workers : cores for curvatures; None takes all.

    Raises
    ------
    DataError : states of another encoding or form, an improper prior, self-coupling within a state.
    FitError : an unknown prior.
    """
    steps = states if isinstance(states, Transitions) else transitions(states, encoding)
    if steps.encoding != known(encoding):
        raise DataError(
            "the transitions are of another encoding",
            expected=encoding,
            found=steps.encoding,
            remedy=f"say encoding={steps.encoding!r}",
        )
    form = {"symmetric": symmetric, "self_coupling": self_coupling}
    return KineticIsing(Logistic(steps, stated(prior, encoding), workers=workers, **form))


def _run(sampler, problem, settings):
    """Draw by a sampler of blocks, and name what it draws."""
    theta, scale, evidence = sampler(problem.logistic, settings)
    return Sample(problem.draws(theta, scale), evidence, problem=problem.chosen(settings))


def _nuts(problem, settings):
    """Draw by NUTS on the PyMC model, whose couplings stand in a row."""
    sample, law = driver.nuts(problem, settings), problem.logistic
    theta = law.join(sample.draws["h"], sample.draws["J"])
    draws = problem.draws(theta, sample.draws.get("scale"))
    return replace(sample, draws=draws, problem=problem.chosen(settings))


def _look(view, draws, settings, stream):
    """Look at transitions from draws (chain, draw, ...), of every so many-th with its replica."""
    chains, count = draws["h"].shape[:2]
    step = int(np.ceil(chains * count * view.sites**2 / KEPT))
    kept = np.arange(0, count, min(step, count))
    h, J = (np.reshape(draws[name], (-1, *draws[name].shape[2:])) for name in ("h", "J"))

    def of_draws(which, rng):
        return [view.look(h[k], J[k], rng, k % count % step == 0) for k in which]

    seen = by_draw(of_draws, len(h), settings, stream, view.count * view.sites > FEW)

    def shaped(arrays):
        return np.reshape(arrays, (chains, len(arrays) // chains, *arrays[0].shape))

    moments = [each.moments for each in seen if each.moments]
    return Outlook(
        replicas={name: shaped([each[name] for each in moments]) for name in MOMENTS},
        log_likelihood={"states": shaped([each.log_likelihood for each in seen])},
        discrepancy=shaped([each.discrepancy for each in seen]),
        discrepancy_observed=shaped([each.observed for each in seen]),
        kept=kept,
    )
