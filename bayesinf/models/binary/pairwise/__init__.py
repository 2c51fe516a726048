"""Pairwise models of binary data: P(s) = exp(Σ h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z.

The model of largest entropy among those with given means and pair moments. ``problem`` states it
for one data set, ``fit`` infers its parameters, ``maximum_likelihood`` is the classical answer.
``definition`` holds data, prior and the model in PyMC; ``likelihood`` is the exponential family,
``optimum`` climbs to its top, ``routes`` draw from the posterior, ``predictive`` says what data it
expects.

Up to 20 sites ``enumeration`` sums over all states. Beyond, a reweighting sample, drawn at the
optimum, replaces the sums: ``large``.

Schneidman, Berry, Segev & Bialek, Nature 440, 1007 (2006), doi:10.1038/nature04701.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept, parallel
from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.binary import ENCODINGS, Moments, convert, matrix, moments
from bayesinf.models.binary.couplings import CouplingPrior, default, named, stated
from bayesinf.models.binary.pairwise import enumeration, large
from bayesinf.models.binary.pairwise.definition import (
    BoltzmannMachine,
    moments_of,
    problem,
    refuse_unless_fits,
)
from bayesinf.models.binary.pairwise.enumeration import entropy, log_partition, probabilities
from bayesinf.models.binary.pairwise.large import ReweightingSample
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import MaximumLikelihood, maximum, with_residuals
from bayesinf.models.binary.pairwise.routes import route
from bayesinf.models.binary.predictions import predicted
from bayesinf.models.problem import Route
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ENCODINGS",
    "BoltzmannMachine",
    "CouplingPrior",
    "MaximumLikelihood",
    "Moments",
    "Pairwise",
    "ReweightingSample",
    "convert",
    "default",
    "draw_reweighting_sample",
    "entropy",
    "fit",
    "log_partition",
    "maximum_likelihood",
    "moments",
    "named",
    "predict",
    "probabilities",
    "problem",
    "route",
]


def fit(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: str | CouplingPrior = "normal",
    method: str | Route | None = None,
    settings: Settings = DEFAULT,
    reweighting: ReweightingSample | None = None,
    effective: int | str | None = None,
) -> xr.DataTree:
    """Infer fields and couplings from independent states.

        P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z,   h ~ prior,  J ~ prior

    Parameters
    ----------
    states, encoding, prior, reweighting, effective : as for ``problem``.
    method : ``mcmc`` (Hamiltonian Monte Carlo around the optimum; None too), ``laplace``, ``nuts``
        (PyMC, for few sites), or a ``route`` of the caller's.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``h`` (site), ``J`` (pair, with coordinates i and j) and, where it is
    inferred, ``scale``; the root attribute ``encoding`` says how to read them. ``log_likelihood``
    holds log p of consecutive blocks of the data, a state each where there are at most 500, so that
    they add up to the log likelihood and leave-one-out leaves a block out. ``observed_data`` holds
    each distinct state with its ``count``, and like ``posterior_predictive`` the means, pair and
    triple moments and the distribution ``population`` of the number of sites that are on.

    Raises
    ------
    DataError : states of another encoding or form, an improper prior.
    FitError : an unknown prior or method; too many sites for PyMC; ``laplace`` under a
        Laplace or horseshoe prior.

    References
    ----------
    Roudi, Aurell & Hertz, Front. Comput. Neurosci. 3, 22 (2009), doi:10.3389/neuro.10.022.2009.
    """
    model = problem(
        states, encoding=encoding, prior=prior, reweighting=reweighting, effective=effective
    )
    return driver.fit(model, method, settings)


def predict(
    posterior: xr.DataTree, states: np.ndarray | xr.DataArray, *, most: int = 400
) -> xr.Dataset:
    """Predict each site from all others.

        P(s_i = on | the others) = σ(k (h_i + Σ_j J_ij s_j)),   k = 2 for ±1, 1 for 0/1

    No sum over states is needed, so any number of sites will do.

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    states : (new, site), in the encoding of the fit.
    most : draws of the posterior, taken evenly, that are followed.

    Returns
    -------
    a Dataset over chain, draw, ``new`` and ``site``: the ``probability`` that the site is on.

    Raises
    ------
    DataError : states of another encoding, or of other sites.
    """
    return predicted(
        posterior, states, most, partial(matrix, sites=posterior["posterior"].sizes["site"])
    )


def maximum_likelihood(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: CouplingPrior | None = None,
    reweighting: ReweightingSample | None = None,
    settings: Settings = DEFAULT,
) -> MaximumLikelihood:
    """Match the moments of the model to those of the data, or find the optimum under a prior.

        ⟨s_i⟩_θ = ⟨s_i⟩_data,   ⟨s_i s_j⟩_θ = ⟨s_i s_j⟩_data

    Parameters
    ----------
    states, encoding : as for ``problem``.
    prior : one with fixed widths makes it maximum a posteriori.
    reweighting : as for ``problem``.
    settings : workers, and beyond 20 sites the seed of the sampled states.

    Returns
    -------
    the optimum, whose ``h`` (site) and ``J`` (pair) are in the encoding of the data. Beyond 20
    sites fresh states judge it: see ``residual``.

    Raises
    ------
    DataError : as of ``problem``.
    FitError : no prior, and sites or pairs that the data do not determine; a width to be inferred.
    """
    if prior is not None and prior.inferred:
        raise FitError("couplings and their width have no common optimum: state the width, or fit")
    with parallel.one_blas_thread():
        rng = settings.generator("bank")
        likelihood = large.make_likelihood(
            moments_of(states, encoding), prior, rng, settings.workers, reweighting
        )
        top = maximum(likelihood)
        if likelihood.sites <= enumeration.LARGEST:
            return top
        return with_residuals(top, likelihood, settings.generator("judge"))


def draw_reweighting_sample(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: str | CouplingPrior = "normal",
    settings: Settings = DEFAULT,
) -> ReweightingSample | None:
    """Draw the states that stand for all where these are too many, for all fits of one data set.

    Parameters
    ----------
    states, encoding, prior : as for ``problem``.
    settings : seed and workers.

    Returns
    -------
    states drawn at the optimum, with log Z there; None up to 20 sites, where none are needed.

    Raises
    ------
    DataError : as of ``problem``. FitError : no optimum was found; more sites than memory holds.
    """
    data = moments_of(states, encoding)
    if data.sites <= enumeration.LARGEST:
        return None
    refuse_unless_fits(data.sites)
    with parallel.one_blas_thread():
        rng = settings.generator("bank")
        known = data, stated(prior, encoding)
        draw = partial(large.draw_reweighting_sample, *known, rng, settings.workers)
        return kept.once(draw, "reweighting", *known, settings)
