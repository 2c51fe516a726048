"""The fit to states in equilibrium: how long, by which route, and what goes with it.

A fit carries along what its report needs: the truth where it is known, cells that say nothing, the
nulls and the energies of ``statistics``, all in ``constant_data``, each under a name of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference.kinds import Question
from bayesinf.models import binary
from bayesinf.models import problem as driver
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.boltzmann_equilibrium import pseudo, statistics

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MOST_BYTES", "draw_reweighting_sample", "fit", "fitted", "plan", "silent_and_identical"]

METHODS = ("mcmc", "laplace", "pseudo")
LARGEST_SAMPLED = 40  # sites above which the default is a normal at the posterior's mean
MIXED = 400  # draws of a chain below which R-hats of so many parameters are noise
FEW = 1000  # draws of all chains below which a reader should know
MOST_BYTES = 100e6  # of draws and replicas in one file, before compression

# States that one chain may sum over, 2^N for each draw, by whether draws are independent: of such
# fewer will do.
MOST_STATES = {False: 2**29, True: 2**27}
# Draws of a chain where a reweighting sample stands for all states.
MOST_REWEIGHTED = {False: 500, True: 100}
MOST_OF_MANY = 50  # of more sites than chains are run for by default: there a draw takes a second

SLOW, TUNED = 18, 100  # sites from which sums are slow, and tuning is kept short


def plan(
    data: xr.Dataset, method: str | None, settings: Settings, *, exact: bool = False
) -> tuple[str, Settings, str]:
    """Choose how to fit data of this size, where that was not said.

    From 18 sites on it is the sums over states that count: 512 draws in a chain of 20 sites and 500
    of more, or 128 and 100 where draws are independent, as those of a normal approximation are;
    50 of more than 40 sites. The coordinates of the chains come from the optimum, so that 100 draws
    are enough to tune what is left.

    Parameters
    ----------
    data : as of ``read`` or ``simulate``.
    method : as for ``fit``; None chooses ``mcmc`` up to 40 sites, ``laplace`` above.
    settings : of a fit of ordinary size.
    exact : whether to leave the number of draws as it is.

    Returns
    -------
    the method; the settings, with at least 400 draws, as R-hat of so many parameters asks for, and
    with fewer where sums take long or a file would grow beyond 100 MB; what was chosen, in words,
    or nothing.
    """
    sites, said = data.sizes["site"], []
    chosen = method or ("mcmc" if sites <= LARGEST_SAMPLED else "laplace")
    if method is None and chosen == "laplace":
        said.append(
            f"{sites} sites are too many for chains, so the posterior is a normal at its mean"
        )
    if exact:
        return chosen, settings, "; ".join(said)
    triples = min(math.comb(sites, 3), 2000)
    numbers = sites * (sites + 1) + triples + sites + 500
    most = int(MOST_BYTES / (8 * numbers * settings.chains))
    many = MOST_OF_MANY if sites > LARGEST_SAMPLED else math.inf

    def affordable(independent):
        if sites <= enumeration.LARGEST:
            return MOST_STATES[independent] >> sites
        return min(MOST_REWEIGHTED[independent], many)

    wanted = max(settings.draws, MIXED)
    draws = max(4, min(wanted, most, affordable(chosen != "mcmc")))
    if settings.chains * draws < min(FEW, settings.chains * wanted):
        said.append(f"{settings.chains * draws} draws are kept, since each sums over many states")
    tune = min(settings.tune, TUNED if sites >= SLOW else settings.tune)
    prior_draws = min(settings.prior_draws, affordable(True))
    shorter = settings.replace(draws=draws, tune=tune, prior_draws=prior_draws)
    return chosen, shorter, "; ".join(said)


def fit(
    data: xr.Dataset,
    prior: str | CouplingPrior = "inferred",
    *,
    method: str | None = None,
    reweighting: pairwise.ReweightingSample | None = None,
    effective: int | str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings of a population in equilibrium.

        P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z

    Parameters
    ----------
    data : as of ``read`` or ``simulate``; the encoding of its states is that of the result.
    prior : ``normal``, ``inferred``, ``laplace``, ``horseshoe``, or a ``CouplingPrior``.
    method : ``mcmc``, ``laplace``, or ``pseudo``, which replaces the likelihood by the product of
        the conditional probabilities of each site given the others and says so in its attributes;
        by default ``mcmc`` up to 40 sites, ``laplace`` above.
    reweighting : of ``draw_reweighting_sample``.
    effective : as how many independent states these count, as for ``pairwise.problem``: ``auto``
        for states that follow each other in time.
    settings : length and seed.

    Returns
    -------
    InferenceData as of ``pairwise.fit``, with the truth and results of ``statistics`` in
    ``constant_data``.

    Raises
    ------
    DataError : states of another encoding or form. FitError : an unknown prior or method.
    """
    method, _, _ = plan(data, method, settings, exact=True)
    if method not in METHODS:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    attrs = pseudo.ATTRS if method == "pseudo" else {}
    route = pseudo.route(data, prior) if method == "pseudo" else method
    return fitted(data, prior, route, settings, reweighting, effective, attrs)


def fitted(
    data: xr.Dataset,
    prior: str | CouplingPrior,
    method: str | pairwise.Route,
    settings: Settings,
    reweighting: pairwise.ReweightingSample | None = None,
    effective: int | str | None = None,
    attrs: Mapping[str, object] | None = None,
    further: tuple[Question, ...] = (),
) -> xr.DataTree:
    """Fit by any route of the family, and put beside it what a report needs."""
    states = data["states"]
    model = pairwise.problem(
        states,
        encoding=states.attrs["encoding"],
        prior=prior,
        reweighting=reweighting,
        effective=effective,
    )
    found = driver.fit(
        replace(model, further=further),
        method,
        settings,
        system="boltzmann_equilibrium",
        notes={"truth": noted(data, "truth")},
        attrs={
            "case": data.attrs.get("case", "population"),
            "encoding_read": states.attrs.get("encoding_read", states.attrs["encoding"]),
            **(attrs or {}),
        },
    )
    return annotated(
        found,
        cell=silent_and_identical(data),
        null=statistics.nulls(data, model.observed),
        energy=statistics.energies(found, data, settings),
    )


def draw_reweighting_sample(
    data: xr.Dataset,
    prior: str | CouplingPrior = "inferred",
    *,
    effective: int | str | None = None,
    settings: Settings = DEFAULT,
) -> pairwise.ReweightingSample | None:
    """Draw the states that stand for all of many sites, once for all fits; None up to 20 sites.

    Parameters
    ----------
    data, prior, effective, settings : as for ``fit``.
    """
    if data.sizes["site"] <= enumeration.LARGEST:
        return None
    states = data["states"]
    encoding = states.attrs["encoding"]
    moments = pairwise.problem(states, encoding=encoding, effective=effective).moments
    return pairwise.draw_reweighting_sample(
        moments, encoding=encoding, prior=prior, settings=settings
    )


def silent_and_identical(data: xr.Dataset) -> xr.Dataset:
    """Say which cells say nothing.

    Returns
    -------
    a Dataset with ``constant`` (site), whether a site shows the same in all states, and
    ``identical`` (pair), whether two of them always agree, or never do.
    """
    states = data["states"].values
    moments = binary.of_states(states, data["states"].attrs["encoding"])
    constant = np.isin(np.arange(moments.sites), binary.constant_sites(states))
    same = np.zeros((moments.sites, moments.sites), dtype=bool)
    same[tuple(binary.identical_pairs(moments).T)] = True
    return dataset(
        {"constant": constant, "identical": same[binary.pairs(moments.sites)]},
        {"constant": ("site",), "identical": ("pair",)},
        {"site": data["site"].values},
        sampled=False,
    )
