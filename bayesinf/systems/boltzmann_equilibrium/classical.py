"""The classical answer: maximum likelihood with its errors and entropies, and quicker routes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.inference.kinds import Question
from bayesinf.models import binary
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration, routes
from bayesinf.models.binary.pairwise.large import ReweightedLikelihood
from bayesinf.models.binary.pairwise.large.limit import Unseen
from bayesinf.models.binary.pairwise.optimum import (
    at_supremum,
    edges,
    maximum,
    undetermined,
    with_residuals,
)
from bayesinf.posterior import annotated, dataset
from bayesinf.priors import Normal
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.boltzmann_equilibrium import pseudo
from bayesinf.systems.boltzmann_equilibrium.data import draw_states, parameters
from bayesinf.systems.boltzmann_equilibrium.model import fitted

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Estimate",
    "approximations",
    "classical",
    "coverage",
    "information",
    "maximum_likelihood_fit",
    "mean_field",
    "optimum",
    "standard_errors",
    "why_unbounded",
]

FLAT = 1000.0  # sd of the prior under which an optimum is the one of the likelihood
SUPREMUM, A_POSTERIORI = "supremum of the likelihood", "maximum a posteriori"
MOST_NAMED = 5  # sites and pairs, where there is no maximum
ENTROPY_DRAWS = 200
LEVELS = (0.5, 0.8, 0.95)  # of intervals whose coverage is measured
REPLICAS = 20  # data sets to measure it on,
MOST_COVERED = 12  # and sites up to which that takes seconds


def classical(
    data: xr.Dataset,
    *,
    reweighting: pairwise.ReweightingSample | None = None,
    effective: int | str | None = None,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Match the moments of the data, and take the Fisher information for the errors.

        ⟨φ⟩_θ = ⟨φ⟩_data,   cov θ = F⁻¹ / M,   φ = (s_i, s_i s_j)

    Parameters
    ----------
    data, reweighting, effective : as for ``fit``.
    settings : workers and seed.

    Returns
    -------
    a Dataset with ``h`` (site) and ``J`` (pair) and their standard errors ``h_error`` and
    ``J_error``, NaN where the likelihood has no maximum; its attribute ``called`` says what the
    estimate is, ``lacking`` why there is no maximum, if there is none. Beyond 20 sites
    ``h_residual`` and ``J_residual`` are the means and pair moments of fresh states less those of
    the data, in standard errors of the data, and ``residual_error`` what of that is sampling error
    of the fresh states.
    """
    return optimum(data, reweighting, effective, settings).labelled(data)


@dataclass(frozen=True)
class Estimate:
    """The classical estimate, and what it lacks.

    Parameters
    ----------
    top : where the likelihood is largest, or comes nearest to its supremum.
    prior : under which it is an optimum, all but flat.
    called : what it is.
    lacking : why the likelihood has no maximum; empty where it has one.
    open : directions (parameter, direction) that the data leave open.
    sample : what sums over the states of many sites rest on.
    """

    top: pairwise.MaximumLikelihood
    prior: CouplingPrior
    called: str = "maximum likelihood"
    lacking: str = ""
    open: np.ndarray | None = None
    sample: pairwise.ReweightingSample | None = None

    @property
    def undetermined(self) -> np.ndarray:
        """Whether a parameter has no estimate, (parameter,)."""
        if self.open is None:
            return np.zeros(self.top.theta.size, dtype=bool)
        return np.sum(self.open**2, axis=1) > 1e-6

    @property
    def start(self) -> np.ndarray:
        """The estimate where its prior has it, without a side in what the data leave open."""
        theta = self.top.theta
        return theta if self.open is None else theta - self.open @ (self.open.T @ theta)

    def labelled(self, data: xr.Dataset) -> xr.Dataset:
        """Label fields and couplings with their errors, as ``classical`` returns them."""
        theta, error = (
            np.where(self.undetermined, np.nan, values)
            for values in (self.top.theta, standard_errors(self.top))
        )
        arrays = {"error": error}
        if self.top.residual is not None:
            arrays["residual"] = self.top.residual
        found = parameters(data["site"].values, theta, **arrays)
        if self.top.residual is not None:
            found["residual_error"] = self.top.residual_error
        return found.assign_attrs(called=self.called, lacking=self.lacking)

    def question(self) -> Question:
        """Ask whether there is a maximum, which is answered here."""
        count = int(self.undetermined.sum())
        whose = f"{count} of {self.undetermined.size} parameters have no maximum likelihood"
        return Question(
            name="maximum",
            variable="undetermined",
            worst="max",
            limit=0,
            relation="≤",
            required=True,
            said=f"{whose}: {self.lacking}".replace("{", "{{").replace("}", "}}"),
            remedy="take the posterior, whose prior is proper, or leave these sites out",
        )


def optimum(
    data: xr.Dataset,
    reweighting: pairwise.ReweightingSample | None,
    effective: int | str | None,
    settings: Settings,
) -> Estimate:
    """Climb to the maximum of the likelihood, or, where there is none, to its supremum.

    Without a maximum the likelihood rises for ever along some direction, in which a normal prior of
    sd 1000 holds it. What is left to climb there, and the probability of what never occurred, is
    then less than a millionth of a state; up to 20 sites that is gone too. Beyond, states that show
    two sites as they never were are left out of the sums; where a combination of more sites is what
    never occurred, the prior ``normal`` holds what the data leave open.
    """
    states = data["states"]
    encoding, sites = states.attrs["encoding"], data["site"].values
    moments = pairwise.problem(states, encoding=encoding, effective=effective).moments
    flat = CouplingPrior(Normal(0.0, FLAT), Normal(0.0, FLAT))
    try:
        top = _maximum(moments, settings, reweighting=reweighting)
        return Estimate(top, flat, sample=reweighting)
    except FitError:
        lacking = why_unbounded(moments, sites)
    if moments.sites > enumeration.LARGEST:
        return _beyond_enumeration(moments, reweighting, lacking, flat, settings)
    top = _maximum(moments, settings, flat)
    directions = undetermined(top)
    top = at_supremum(pairwise.Pairwise(moments), top, directions)
    return Estimate(top, flat, SUPREMUM, lacking, directions)


def _beyond_enumeration(moments, sample, lacking, flat, settings):
    """The supremum by the states that show nothing that never occurred, or what a prior makes."""
    default, unseen = pairwise.default(moments.encoding), Unseen(moments)
    if sample is None:
        how = {"encoding": moments.encoding, "prior": default, "settings": settings}
        sample = pairwise.draw_reweighting_sample(moments, **how)
    try:
        with parallel.one_blas_thread():
            left = unseen.left_out(sample)
            likelihood = ReweightedLikelihood(moments, flat, settings.workers, left)
            top = maximum(likelihood)
            if likelihood.effective(top.theta) < left.tuning.least_size:
                raise FitError("the states that are left do not reach as far as the supremum")
            # Chains that could not show what never occurred might never leave two sites alike.
            near = unseen.along(top.theta, sample.centre)
            judge = settings.generator("judge")
            top = with_residuals(top, likelihood, judge, at=near, unseen=unseen)
            top = replace(top, theta=unseen.far(top.theta))
    except FitError:
        top = _maximum(moments, settings, default, sample)
        return Estimate(top, default, A_POSTERIORI, lacking, unseen.directions, sample)
    return Estimate(top, flat, SUPREMUM, lacking, unseen.directions, left)


def _maximum(moments, settings, prior=None, reweighting=None):
    return pairwise.maximum_likelihood(
        moments, encoding=moments.encoding, prior=prior, reweighting=reweighting, settings=settings
    )


def why_unbounded(moments: binary.Moments, site: np.ndarray) -> str:
    """Say which sites and pairs let the likelihood rise for ever."""
    constant, empty = edges(moments)
    on = moments.encoded("0/1").mean
    said = [f"site {site[k]} is {'always' if on[k] > 0.5 else 'never'} on" for k in constant]
    i, j = binary.pairs(moments.sites)
    never = moments.tables < binary.NEVER
    for k in empty:
        both, first, second, none = never[:, k]
        a, b = site[i[k]], site[j[k]]
        words = {
            f"{a} and {b} are one and the same": first and second,
            f"{a} and {b} are exact opposites": both and none,
            f"{a} and {b} are never on together": both,
            f"{a} and {b} are never off together": none,
            f"{a} is never on without {b}": first,
            f"{b} is never on without {a}": second,
        }
        said.append("sites " + next(text for text, holds in words.items() if holds))
    return binary.listed(said, MOST_NAMED) or "some combination of sites never occurs"


def maximum_likelihood_fit(
    data: xr.Dataset,
    *,
    reweighting: pairwise.ReweightingSample | None = None,
    effective: int | str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Write the classical answer as a posterior, beside which it stands.

    It is the normal approximation under a prior so wide (sd 1000) that it moves nothing. Where the
    likelihood has no maximum, directions that the data leave open are held where they are, and the
    fit answers for that in its checks.

    Parameters
    ----------
    data, reweighting, effective : as for ``fit``.
    settings : length and seed.

    Returns
    -------
    InferenceData, with the notes ``classical`` and ``information``; its root attribute
    ``classical`` says what the optimum is called.
    """
    best = optimum(data, reweighting, effective, settings)

    def around(sums, length):
        theta, scale, evidence = routes.laplace(sums, length, best.start)
        if best.called == SUPREMUM:
            away = theta - best.top.theta
            theta = theta - away @ best.open @ best.open.T
        count = np.int64(best.undetermined.sum())
        return theta, scale, evidence.merge(dataset({"undetermined": count}, sampled=False))

    found = fitted(
        data,
        best.prior,
        pairwise.route(around, "laplace"),
        settings,
        best.sample,
        effective,
        attrs={"classical": best.called, "lacking": best.lacking, "method": "laplace"},
        further=(best.question(),) if best.lacking else (),
    )
    known = best.sample if best.called == SUPREMUM else None
    entropies = information(data, best.top.theta, found, settings, reweighting=known)
    return annotated(found, classical=best.labelled(data), information=entropies)


def standard_errors(best: pairwise.MaximumLikelihood) -> np.ndarray:
    """Return the square roots of the diagonal of the inverse precision, (parameter,)."""
    from scipy.linalg import solve_triangular

    root = factors.cholesky(best.precision)
    inverse = solve_triangular(root, np.eye(len(root)), lower=True)
    return np.sqrt(np.sum(inverse**2, axis=0))


def mean_field(moments: binary.Moments) -> np.ndarray:
    """Invert the covariance: couplings of the naive mean-field theory, (pair,).

        J_ij = −(C⁻¹)_ij,   C_ij = ⟨s_i s_j⟩ − ⟨s_i⟩⟨s_j⟩

    NaN where the covariance cannot be inverted. The encoding is that of the moments.

    Kappen & Rodríguez, Neural Comput. 10, 1137 (1998), doi:10.1162/089976698300017386.
    """
    sites, mean = moments.sites, moments.mean
    i, j = binary.pairs(sites)
    C = binary.matrix(moments.pair - mean[i] * mean[j], sites)
    square = 1.0 if moments.encoding == "±1" else mean
    C[np.diag_indices(sites)] = square - mean**2
    if np.linalg.matrix_rank(C, hermitian=True) < sites:
        return np.full(i.size, np.nan)
    return -np.linalg.inv(C)[i, j]


def approximations(data: xr.Dataset) -> xr.Dataset:
    """Infer couplings by two quick routes: pseudo-likelihood and mean field.

    Parameters
    ----------
    data : as for ``fit``; the pseudo-likelihood has the prior ``normal``.

    Returns
    -------
    a Dataset with ``J`` and its standard deviation ``J_sd``, (approximation, pair); mean field
    comes without an error.
    """
    theta, error = (enumeration.unpack(each)[1] for each in pseudo.optimum(data))
    field = mean_field(binary.of_states(data["states"].values, data["states"].attrs["encoding"]))
    return dataset(
        {"J": np.array([theta, field]), "J_sd": np.array([error, np.full_like(field, np.nan)])},
        {"J": ("approximation", "pair"), "J_sd": ("approximation", "pair")},
        {"approximation": ["pseudo-likelihood", "mean field"]},
        sampled=False,
    )


def information(
    data: xr.Dataset,
    theta: np.ndarray,
    posterior: xr.DataTree,
    settings: Settings = DEFAULT,
    *,
    reweighting: pairwise.ReweightingSample | None = None,
) -> xr.Dataset:
    """Compute entropies in bits, and log Z.

        H1 = Σ_i H(s_i),   H2 = (log Z − θ · ⟨φ⟩) / ln 2,   H = −Σ_s p(s) log₂ p(s) of the data

    Up to 20 sites all of them are sums over all states. Above, log Z comes from annealed importance
    sampling, with its error, and the entropy of the data cannot be had from so few of them. Chains
    that are annealed to where some states have no probability might not come to all the others, so
    that a sample without those says what log Z is.

    Parameters
    ----------
    data : the states.
    theta : fields and couplings at which log Z and H2 are wanted, (parameter,).
    posterior : a fit, of which some draws have their H2 computed too.
    settings : for its seed.
    reweighting : sample of states near θ that tells log Z; None to anneal.

    Returns
    -------
    a Dataset with ``H1``, ``H2``, ``log_z`` and ``log_z_converted``, that in the other encoding,
    ``log_z_error``, and up to 20 sites ``H_data``, ``H_data_corrected`` by (number of states seen −
    1) / 2M nats (Miller & Madow), and the standard deviations of H2 and H1 − H2 over the draws,
    ``H2_sd`` and ``I2_sd``.
    """
    encoding, states = data["states"].attrs["encoding"], data["states"].values
    moments = binary.of_states(states, encoding)
    found = {"H1": _independent(moments.mean, encoding)}
    if moments.sites > enumeration.LARGEST:
        log_z, error = _log_partition(moments, theta, settings, reweighting)
        found["H2"] = (log_z - theta @ moments.statistics) / np.log(2)
    else:
        log_z, p = enumeration.probabilities(theta, encoding)
        error, count = 0.0, np.bincount(binary.codes(states))
        found["H2"] = enumeration.entropy(p)
        H1, H2 = _entropies(posterior, encoding, settings)
        found |= {"H2_sd": H2.std(), "I2_sd": (H1 - H2).std()}
        found["H_data"] = enumeration.entropy(count / count.sum())
        bias = (np.count_nonzero(count) - 1) / (2 * count.sum() * np.log(2))
        found["H_data_corrected"] = found["H_data"] + bias
    other = next(name for name in binary.ENCODINGS if name != encoding)
    shift = binary.convert(*enumeration.unpack(theta), encoding, other)[2]
    found |= {"log_z": log_z, "log_z_error": error, "log_z_converted": log_z + shift}
    units = {name: "bit" for name in found if not name.startswith("log_z")}
    arrays = {name: np.asarray(value, dtype=float) for name, value in found.items()}
    return dataset(arrays, units=units, sampled=False)


def _log_partition(moments, theta, settings, sample):
    """log Z of many sites at θ, and its standard error."""
    from bayesinf.models.binary.pairwise.large.annealing import annealed_log_partition

    if sample is not None:
        sums = ReweightedLikelihood(moments, None, settings.workers, sample)
        return float(sums.log_partition(theta)), sample.log_z_error
    rng = settings.generator("annealing")
    return annealed_log_partition(theta, moments.encoding, rng=rng)[:2]


def coverage(
    data: xr.Dataset,
    *,
    effective: int | str | None = None,
    replicas: int = REPLICAS,
    settings: Settings = DEFAULT,
) -> xr.Dataset | None:
    """Measure how often intervals hold the truth, with and without the likelihood.

    Data of the same size are simulated at the optimum of these, and fitted by both routes under the
    prior ``normal``: what is counted are parameters within θ̂ ± z standard errors.

    Parameters
    ----------
    data, effective : as for ``fit``.
    replicas : how many data sets.
    settings : for its seed.

    Returns
    -------
    a Dataset with ``inside`` (route, level, replica), the share of fields and couplings in their
    central intervals of each nominal level; None beyond 12 sites.
    """
    import xarray as xr
    from scipy.special import ndtri

    states = data["states"]
    encoding, sites = states.attrs["encoding"], data.sizes["site"]
    if sites > MOST_COVERED:
        return None
    moments = pairwise.problem(states, encoding=encoding, effective=effective).moments
    prior, rng = pairwise.default(encoding), settings.generator("coverage")
    truth = _maximum(moments, settings, prior).theta
    reach = ndtri(0.5 + 0.5 * np.array(LEVELS))[:, None]
    inside = np.empty((2, len(LEVELS), replicas))
    for k in range(replicas):
        drawn = draw_states(*enumeration.unpack(truth), encoding, moments.samples, rng)
        fake = xr.Dataset({"states": (("sample", "site"), drawn, states.attrs)})
        best = _maximum(binary.of_states(drawn, encoding), settings, prior)
        both = (best.theta, standard_errors(best)), pseudo.optimum(fake)
        for route, (theta, error) in enumerate(both):
            inside[route, :, k] = np.mean(np.abs(theta - truth) < reach * error, axis=1)
    return dataset(
        {"inside": inside},
        {"inside": ("route", "level", "replica")},
        {"route": ["likelihood", "pseudo-likelihood"], "level": list(LEVELS)},
        sampled=False,
    )


def _independent(mean, encoding):
    """Entropies in bits of independent sites of these means (..., site)."""
    from scipy.special import entr

    on = np.clip((1 + mean) / 2 if encoding == "±1" else mean, 0.0, 1.0)
    return np.sum(entr(on) + entr(1 - on), axis=-1) / np.log(2)


def _entropies(posterior, encoding, settings):
    """H1 and H2 of some draws."""
    draws = posterior["posterior"]
    theta = enumeration.pack(draws["h"].values, draws["J"].values)
    theta = theta.reshape(-1, theta.shape[-1])
    theta = theta[:: max(1, len(theta) // ENTROPY_DRAWS)]
    log_z, expected = enumeration.expectations(theta, encoding, settings.workers)
    H1 = _independent(enumeration.unpack(expected)[0], encoding)
    return H1, (log_z - np.sum(theta * expected, axis=-1)) / np.log(2)
