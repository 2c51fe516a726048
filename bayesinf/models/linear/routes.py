"""From a ``Regression`` to draws: which route a prior has of its own, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.linear import blocks, exact, gibbs, joint, shared, spike, tails
from bayesinf.models.problem import Labels, Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors.terms import Terms
from bayesinf.priors.weights import Gaussian, SpikeAndSlab, WeightPrior
from bayesinf.settings import Settings

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["closed", "of_prior", "together"]

# Sweeps of the spike-and-slab sampler for each draw kept, which makes draws all but independent
# where the data say which coefficients are in.
SPIKE_THIN = 2


def of_prior(prior: WeightPrior) -> dict[str, Route]:
    """Return the routes of a prior by method, its own first."""
    if isinstance(prior, SpikeAndSlab):  # NUTS moves in continuous spaces only
        return {"gibbs": Route(spike_and_slab, "gibbs")}
    if isinstance(prior, Terms):
        return together()
    if isinstance(prior, Gaussian):
        own = {"exact": Route(closed_form, "exact")}
    else:
        own = {"gibbs": Route(shrinking, "gibbs")}
    return own | {"nuts": Route(driver.nuts, "nuts")}


def together() -> dict[str, Route]:
    """Return the routes where scales and coefficients move together."""
    return {"gibbs": Route(jointly, "gibbs"), "nuts": Route(driver.nuts, "nuts")}


def closed(problem: Regression) -> exact.Posterior | shared.Posterior:
    """Return the closed form of the posterior under a normal prior."""
    return exact.Posterior(problem) if problem.groups is None else shared.Posterior(problem)


def closed_form(problem: Regression, settings: Settings) -> Sample:
    """Draw independently from the posterior under a normal prior."""
    shape, posterior = (settings.chains, settings.draws), closed(problem)
    flat, marginal = posterior.draw(settings.generator("exact"), shape[0] * shape[1])
    draws = {k: v.reshape(*shape, *v.shape[1:]) for k, v in flat.items()}
    mean, sd = posterior.moments()
    name, labels = problem.names.coefficient, problem.parameters
    moments = {f"{name}_closed_form_mean": mean, f"{name}_closed_form_sd": sd}
    evidence = Labels(
        dict.fromkeys(moments, labels.dims[name]),
        labels.coords,
        dict.fromkeys(moments, labels.units.get(name, "1")),
    ).group(
        moments
        | {
            "condition_number": np.float64(posterior.condition_number()),
            "log_evidence": np.float64(posterior.log_evidence),
        },
        sampled=False,
    )
    uneven = _unevenness(problem, posterior, settings)
    return Sample(
        problem.outer(draws),
        evidence.merge(dataset(uneven, sampled=False)),
        _marginal(problem, marginal.reshape(*shape, -1)),
        questions=(replace(tails.HEAVIER, required=problem.weights_read),) if uneven else (),
    )


def _unevenness(problem, posterior, settings):
    """How likely coefficients of the prior are as uneven as these, where it matters.

    Asked of the coefficients of one regression, not of those of a basis, of which nobody says that
    they are alike.
    """
    if problem.groups is not None or problem.basis is not None or "scale" in problem.prior.fixed:
        return {}
    rng, spectrum = settings.generator("unevenness"), posterior.spectrum
    log_rho, _ = posterior.scales.draw(rng, tails.REPLICAS)
    if tails.decided(spectrum, log_rho) > tails.DECIDED:
        return {}
    return {tails.HEAVIER.variable: np.float64(tails.chance(spectrum, rng, log_rho))}


def shrinking(problem: Regression, settings: Settings) -> Sample:
    """Run Gibbs chains under a prior that is normal given local variances."""
    if problem.groups is not None:
        products = blocks.Products(problem)
        return _chains(
            lambda rng: blocks.chain(problem, products, rng, settings.draws, settings.tune),
            problem,
            settings,
        )
    return _chains(
        lambda rng: gibbs.chain(problem, rng, settings.draws, settings.tune), problem, settings
    )


def jointly(problem: Regression, settings: Settings) -> Sample:
    """Run Gibbs chains in which scales and coefficients move together."""
    if problem.groups is not None:
        raise FitError("several terms, and responses other than normal, are for one regression")
    return _chains(
        lambda rng: joint.chain(problem, rng, settings.draws, settings.tune), problem, settings
    )


def spike_and_slab(problem: Regression, settings: Settings) -> Sample:
    """Run compiled Gibbs chains under a spike and slab."""
    gram = spike.Gram(problem)
    return _chains(
        lambda rng: spike.chain(problem, gram, rng, settings.draws, settings.tune, SPIKE_THIN),
        problem,
        settings,
    )


def _chains(run: Callable, problem: Regression, settings: Settings) -> Sample:
    generators = [settings.generator("chain", i) for i in range(settings.chains)]
    label = f"{problem.model} chains"
    chains = parallel.map(run, generators, workers=settings.workers, threads=True, label=label)
    draws = {k: np.stack([chain[k] for chain in chains]) for k in chains[0]}
    marginal = _marginal(problem, draws.pop("log_marginal", None))
    return Sample(problem.outer(draws), dataset({}), marginal)


def _marginal(problem, values):
    return {} if values is None else {f"{problem.names.data}_marginal": values}
