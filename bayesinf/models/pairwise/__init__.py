"""Pairwise models of binary data: P(s) = exp(Σ h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z.

The model of largest entropy among those with given means and pair moments. ``fit`` is the entry,
``maximum_likelihood`` the classical answer. ``binary`` knows ±1 and 0/1 and what leads from one to
the other; ``likelihood`` is the exponential family, ``definition`` states the model with the priors
of ``couplings``, ``optimum`` climbs to its top, ``routes`` draw from it, and ``predictive`` says
what data it expects.

Up to 20 sites ``enumeration`` sums over all states. Beyond, ``search`` finds the optimum by states
of ``sampling``, and a ``bank`` of them, drawn there, replaces the sums; ``posing`` decides.

Schneidman, Berry, Segev & Bialek, Nature 440, 1007 (2006), doi:10.1038/nature04701.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.inference import kinds
from bayesinf.models import binary as coding
from bayesinf.models.binary import ENCODINGS, Moments, convert, moments
from bayesinf.models.couplings import Prior, default, named
from bayesinf.models.pairwise import enumeration, predictive
from bayesinf.models.pairwise.bank import Bank
from bayesinf.models.pairwise.definition import definition
from bayesinf.models.pairwise.enumeration import entropy, log_partition, probabilities
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.optimum import Optimum, judged, maximum
from bayesinf.models.pairwise.posing import QUESTIONS, covers, posed, redrawn, sampled
from bayesinf.models.pairwise.routes import ROUTES
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ENCODINGS", "Moments", "Optimum", "Pairwise", "Prior", "convert", "default",
           "definition", "draw_bank", "entropy", "fit", "log_partition", "maximum_likelihood",
           "moments", "probabilities"]  # fmt: skip

BLOCKS = 500  # parts of the data whose log likelihoods are stored one by one
REDRAWN = 2  # times that a bank which does not cover the posterior is drawn anew
TOGETHER = 25  # draws whose replicas one worker makes from one stream


def fit(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: str | Prior = "normal",
    method: str | Callable = "mcmc",
    bank: Bank | None = None,
    system: str = "pairwise",
    attrs: Mapping[str, object] | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings from independent states.

        P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z,   h ~ prior,  J ~ prior

    Parameters
    ----------
    states : (sample, site): an array, or a DataArray with dimensions ``sample``
        and ``site``, whose labels of sites are kept; or ``Moments``, which the likelihood needs no
        more than, though fewer statistics can then be checked.
    encoding : "±1" or "0/1", of states, prior, fields and couplings.
    prior : ``normal`` (of fixed widths), ``inferred``, ``laplace`` or ``horseshoe`` (the couplings'
        width has a half-Cauchy prior), or a ``Prior``.
    method : ``mcmc`` (Hamiltonian Monte Carlo around the optimum), ``laplace``, ``nuts`` (PyMC, for
        few sites), or a normal approximation of the caller's: (problem, settings) -> draws θ
        (chain, draw, parameter), their widths (chain, draw), and the evidence that checks ask for.
    bank : of ``draw_bank``, to spare the search for the optimum of many sites.
    system, attrs : for the provenance.
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
    DataError : states of another encoding or form, too many sites, an improper prior.
    FitError : an unknown prior or method; too many sites for PyMC; ``laplace`` under a
        Laplace or horseshoe prior.

    References
    ----------
    Roudi, Aurell & Hertz, Front. Comput. Neurosci. 3, 22 (2009), doi:10.3389/neuro.10.022.2009.
    """
    from threadpoolctl import threadpool_limits

    from bayesinf.posterior import assemble, dataset

    started = time.perf_counter()
    if not callable(method) and method not in ROUTES:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(ROUTES)}")
    data = _Data(states, encoding)
    prior = _prior(prior, encoding)
    route, inference = (method, "laplace") if callable(method) else ROUTES[method]
    # One BLAS thread: the matrices are small, and states are spread over the cores instead.
    with threadpool_limits(1):
        problem = posed(data.moments, prior, settings.generator("bank"), settings.workers, bank)
        theta, scale, evidence = route(problem, settings)
        of_bank = problem.evidence(theta)
        for turn in range(REDRAWN):
            if covers(of_bank[0]):
                break
            problem = redrawn(problem, theta, settings.generator("bank", turn))
            theta, scale, evidence = route(problem, settings)
            of_bank = problem.evidence(theta)
        log_z, expected = problem.expectations(theta)
        replica = _replicas(problem, predictive.replicas, theta, settings, "posterior predictive")
        prior_h, prior_J, prior_scale = problem.prior.sample(
            settings.generator("prior"),
            problem.sites,
            problem.size - problem.sites,
            settings.prior_draws,
        )
        prior_theta = enumeration.pack(prior_h, prior_J)
        many = problem.sites > enumeration.LARGEST
        of_prior = predictive.short_replicas if many else predictive.replicas
        prior_replica = _replicas(problem, of_prior, prior_theta[None], settings,
                                  "prior predictive")  # fmt: skip

    seen = predictive.OF_MOMENTS + (predictive.OF_STATES if data.summary else ())
    population = data.summary and data.summary.population
    judge = lambda phi, counts: predictive.discrepancies(problem, phi, expected, counts)
    rep_phi = enumeration.pack(replica["mean"], replica["pair_mean"])
    stats = dataset(
        {"discrepancy": judge(rep_phi, replica["population"] if data.summary else None),
         "discrepancy_observed": judge(problem.statistics, population),
         "log_partition": log_z},
        dict.fromkeys(("discrepancy", "discrepancy_observed"), ("statistic",)),
        {"statistic": list(seen)},
    ).merge(evidence).merge(dataset(*of_bank))  # fmt: skip
    inferred = problem.prior.inferred
    log_likelihood = data.block_size * (theta @ data.block_phi.T - log_z[..., None])
    groups = {
        "posterior": data.parameters(theta, scale, inferred),
        "sample_stats": stats,
        "posterior_predictive": data.labelled(replica),
        "log_likelihood": dataset({"states": log_likelihood}, {"states": ("block",)}),
        "log_prior": dataset(problem.prior.log_factors(*enumeration.unpack(theta), scale)),
        "prior": data.parameters(prior_theta[None], prior_scale[None], inferred),
        "prior_predictive": data.labelled(prior_replica),
        "observed_data": data.observed(),
        "constant_data": dataset(
            {"samples": np.int64(problem.samples), "block_size": data.block_size},
            {"block_size": ("block",)}, sampled=False,
        ),
    }  # fmt: skip
    return assemble(
        groups,
        system=system,
        model="pairwise",
        inference=inference,
        settings=settings,
        data=data.observed(),
        started=started,
        attrs={
            "encoding": encoding,
            "prior": json.dumps(problem.prior.sentences()),
            "hyperparameters": json.dumps(["h", "scale"] if inferred else ["h", "J"]),
        }
        | (kinds.declare(*QUESTIONS) if "bank_size" in of_bank[0] else {})
        | dict(attrs or {}),
    )


def maximum_likelihood(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: Prior | None = None,
    bank: Bank | None = None,
    settings: Settings = DEFAULT,
) -> Optimum:
    """Match the moments of the model to those of the data, or find the optimum under a prior.

        ⟨s_i⟩_θ = ⟨s_i⟩_data,   ⟨s_i s_j⟩_θ = ⟨s_i s_j⟩_data

    Parameters
    ----------
    states, encoding : as for ``fit``.
    prior : one with fixed widths makes it maximum a posteriori.
    bank : as for ``fit``.
    settings : workers, and beyond 20 sites the seed of the sampled states.

    Returns
    -------
    the optimum, whose ``h`` (site) and ``J`` (pair) are in the encoding of the data. Beyond 20
    sites fresh states judge it: see ``residual``.

    Raises
    ------
    DataError : as of ``fit``.
    FitError : no prior, and sites or pairs that the data do not determine; a width to be inferred.
    """
    from threadpoolctl import threadpool_limits

    if prior is not None and prior.inferred:
        raise FitError("couplings and their width have no common optimum: state the width, or fit")
    # One BLAS thread: on matrices of this size threads wait for each other.
    with threadpool_limits(1):
        rng = settings.generator("bank")
        problem = posed(_moments(states, encoding), prior, rng, settings.workers, bank)
        top = maximum(problem)
        if problem.sites <= enumeration.LARGEST:
            return top
        return judged(top, problem, settings.generator("judge"))


def draw_bank(
    states: np.ndarray | xr.DataArray | Moments,
    *,
    encoding: str,
    prior: str | Prior = "normal",
    settings: Settings = DEFAULT,
) -> Bank | None:
    """Draw the states that stand for all where these are too many, for all fits of one data set.

    Parameters
    ----------
    states, encoding, prior : as for ``fit``.
    settings : seed and workers.

    Returns
    -------
    states drawn at the optimum, with log Z there; None up to 20 sites, where none are needed.

    Raises
    ------
    DataError : as of ``fit``. FitError : no optimum was found.
    """
    from threadpoolctl import threadpool_limits

    data = _moments(states, encoding)
    if data.sites <= enumeration.LARGEST:
        return None
    with threadpool_limits(1):
        rng = settings.generator("bank")
        return sampled(data, _prior(prior, encoding), rng, settings.workers)


def _prior(prior, encoding):
    return prior if isinstance(prior, Prior) else named(prior, encoding)


def _moments(states, encoding):
    if not isinstance(states, Moments):
        return moments(states, encoding)
    if states.encoding != coding.known(encoding):
        raise DataError("the moments are of another encoding", expected=encoding,
                        found=states.encoding, remedy=f"pass .encoded({encoding!r})")  # fmt: skip
    return states


def _replicas(problem, make, theta, settings, stream):
    """Statistics of replicated data at each draw, name to (chain, draw, ...)."""
    from bayesinf import parallel

    flat = theta.reshape(-1, problem.size)
    starts = range(0, len(flat), TOGETHER)

    def run(start):
        rng = settings.generator(stream, start)
        return make(problem, flat[start : start + TOGETHER], rng)

    workers = settings.workers if problem.sites > 8 else 1  # threads cost more than few states
    parts = parallel.map(run, starts, workers=workers, threads=True, label=stream)
    found = [summary for part in parts for summary in part]
    by_draw = lambda values: np.reshape(values, (*theta.shape[:2], -1))
    mean, pair = enumeration.unpack(by_draw([summary.phi for summary in found]))
    return {"mean": mean, "pair_mean": pair,
            "triple_mean": by_draw([summary.triple for summary in found]),
            "population": by_draw([summary.population for summary in found])}  # fmt: skip


class _Data:
    """What was observed, with its labels."""

    def __init__(self, states, encoding):
        self.moments = _moments(states, encoding)
        sites, self.encoding = self.moments.sites, encoding
        label = getattr(states, "coords", {}).get("site", np.arange(sites))
        label = np.asarray(getattr(label, "values", label))
        i, j = coding.pairs(sites)
        triples = predictive.followed(sites)
        self.coords = {
            "site": label, "i": ("pair", label[i]), "j": ("pair", label[j]),
            "active": np.arange(sites + 1),
            **{name: ("triple", label[triples[:, k]]) for k, name in enumerate(("i3", "j3", "k3"))},
        }  # fmt: skip
        self.summary = self.counts = None
        if isinstance(states, Moments):
            self.block_size = np.array([self.moments.samples])
            self.block_phi = self.moments.statistics[None]
            return
        checked = coding.validated(states, encoding)
        blocks = np.array_split(checked, min(len(checked), BLOCKS))
        self.block_size = np.array([len(block) for block in blocks])
        self.block_phi = np.array([coding.of_states(b, encoding).statistics for b in blocks])
        self.distinct, self.counts = coding.distinct(checked)
        self.summary = predictive.Summary.of_states(checked, self.moments.statistics)

    def labelled(self, arrays, sampled=True):
        """A group of statistics of data."""
        from bayesinf.posterior import dataset

        dims = {"mean": "site", "pair_mean": "pair", "triple_mean": "triple",
                "population": "active"}  # fmt: skip
        dims = {name: (dim,) for name, dim in dims.items()}
        return dataset(arrays, dims, self.coords, sampled=sampled)

    def parameters(self, theta, scale, inferred):
        """A group of fields and couplings."""
        from bayesinf.posterior import dataset

        h, J = enumeration.unpack(theta)
        arrays = {"h": h, "J": J} | ({"scale": scale} if inferred else {})
        return dataset(arrays, {"h": ("site",), "J": ("pair",)}, self.coords)

    def observed(self):
        """The data: distinct states and how often each came, and their statistics."""
        from bayesinf.posterior import dataset

        seen = self.moments
        arrays = {"mean": seen.mean, "pair_mean": seen.pair}
        if self.summary is None:
            return self.labelled(arrays, sampled=False)
        arrays |= {"triple_mean": self.summary.triple, "population": self.summary.population}
        table = dataset(
            {"states": self.distinct, "count": self.counts},
            {"states": ("state", "site"), "count": ("state",)},
            {"state": np.arange(self.counts.size), "site": self.coords["site"]},
            sampled=False,
        )
        return self.labelled(arrays, sampled=False).merge(table)
