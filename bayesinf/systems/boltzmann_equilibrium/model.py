"""The fits: posterior, maximum likelihood, pseudo-likelihood; and what follows from their numbers.

A fit carries along what its report needs: the truth where it is known, cells that say nothing, the
nulls and the energies of ``statistics``, all in ``constant_data``, each under a name of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import binary, pairwise
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise import enumeration
from bayesinf.priors import Normal
from bayesinf.posterior import annotated
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.boltzmann_equilibrium import pseudo, statistics
from bayesinf.systems.boltzmann_equilibrium.data import draw_states

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("mcmc", "laplace", "pseudo")
LARGEST_SAMPLED = 40  # sites above which the default is the Laplace approximation
MOST_BYTES = 100e6  # of draws and replicas in one file, before compression
# What one chain may sum over: 2^N states for each of its draws, or draws where a bank stands for
# all states; of independent draws fewer will do.
SLOW = 18  # sites from which it counts
MOST_STATES = {False: 5 * 2**26, True: 2**27}
MOST_BANKED = {False: 500, True: 100}
MOST_OF_MANY = 50  # of more sites than chains are run for by default: there a draw takes a second
FLAT = 100.0  # sd of the prior under which an optimum is the one of the likelihood
UNCONSTRAINED = 0.8  # posterior sd over prior sd from which a coupling is the prior's
ENTROPY_DRAWS = 200
LEVELS = (0.5, 0.8, 0.95)  # of intervals whose coverage is measured
REPLICAS = 20  # data sets to measure it on,
MOST_COVERED = 12  # and sites up to which that takes seconds


def default_method(sites: int) -> str:
    """Return ``mcmc`` up to 40 sites, ``laplace`` above."""
    return "mcmc" if sites <= LARGEST_SAMPLED else "laplace"


def affordable(settings: Settings, sites: int, independent: bool = False) -> Settings:
    """Shorten the chains of a fit of many sites, so that it ends, in a file below 100 MB.

    From 18 sites on it is the sums over states that count: 320 draws in a chain of 20 sites and 500
    of more, or 128 and 100 where draws are independent, as those of a normal approximation are;
    50 of more than 40 sites. The coordinates of the chains come from the optimum, so that 100 draws
    are enough to tune what is left.
    """
    parameters = sites * (sites + 1) // 2
    triples = min(sites * (sites - 1) * (sites - 2) // 6, 2000)
    numbers = 2 * parameters + triples + sites + 500
    most = int(MOST_BYTES / (8 * numbers * settings.chains))
    enumerated = sites <= enumeration.LARGEST
    many = MOST_OF_MANY if sites > LARGEST_SAMPLED else math.inf
    of_states = {which: MOST_STATES[which] >> sites if enumerated else min(MOST_BANKED[which], many)
                 for which in (False, True)}  # fmt: skip
    return settings.replace(
        draws=max(4, min(settings.draws, most, of_states[independent])),
        tune=min(settings.tune, 100 if sites >= SLOW else settings.tune),
        prior_draws=min(settings.prior_draws, of_states[True]),
    )


def fit(
    data: xr.Dataset,
    prior: str | Prior = "inferred",
    method: str | None = None,
    *,
    bank: pairwise.Bank | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings of a population in equilibrium.

        P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z

    Parameters
    ----------
    data : as of ``read`` or ``simulate``; its attribute ``encoding`` is that of the result.
    prior : ``normal``, ``inferred``, ``laplace``, ``horseshoe``, or a ``Prior``.
    method : ``mcmc``, ``laplace``, or ``pseudo``, which replaces the likelihood by the product of
        the conditional probabilities of each site given the others and says so in its attributes;
        by default ``mcmc`` up to 40 sites, ``laplace`` above.
    bank : of ``draw_bank``.
    settings : length and seed.

    Returns
    -------
    InferenceData as of ``pairwise.fit``, with results of ``statistics`` in ``constant_data``.

    Raises
    ------
    DataError : states of another encoding or form. FitError : an unknown prior or method.
    """
    method = method or default_method(data.sizes["site"])
    if method not in METHODS:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    if method == "pseudo":
        found = _joint(data, prior, pseudo.route(data, prior), settings, pseudo.ATTRS)
    else:
        found = _joint(data, prior, method, settings, bank=bank)
    return _with_notes(found, data, settings)


def draw_bank(
    data: xr.Dataset, prior: str | Prior = "inferred", *, settings: Settings = DEFAULT
) -> pairwise.Bank | None:
    """Draw the states that stand for all of many sites, once for all fits; None up to 20 sites.

    Parameters
    ----------
    data, prior, settings : as for ``fit``.
    """
    return pairwise.draw_bank(
        data["states"], encoding=data.attrs["encoding"], prior=prior, settings=settings
    )


def maximum_likelihood_fit(
    data: xr.Dataset, *, bank: pairwise.Bank | None = None, settings: Settings = DEFAULT
) -> xr.DataTree:
    """Match the moments of the data, and take the Fisher information for the errors.

        ⟨φ⟩_θ = ⟨φ⟩_data,   cov θ = F⁻¹ / M,   φ = (s_i, s_i s_j)

    As a posterior this is the normal approximation under a prior so wide (sd 100) that it moves
    nothing. Where the likelihood has no maximum, since a cell never fires or two cells never show
    one of their four combinations, it is the maximum a posteriori under the prior ``normal``
    instead; the attribute ``classical`` says which.

    Parameters
    ----------
    data, bank : as for ``fit``.
    settings : length and seed.

    Returns
    -------
    InferenceData whose ``constant_data`` hold ``classical.h`` and ``classical.J`` with their
    standard errors ``classical.h_error`` and ``classical.J_error``, and ``information``. Beyond 20
    sites ``classical.h_residual`` and ``classical.J_residual`` are the means and pair moments of
    fresh states less those of the data, in standard errors of the data, and
    ``classical.residual_error`` what of that is sampling error of the fresh states.
    """
    encoding = data.attrs["encoding"]
    moments = binary.moments(data["states"], encoding)
    flat = Prior(Normal(0.0, FLAT), Normal(0.0, FLAT))
    try:
        best, prior, called = _maximum(moments, settings, bank=bank), flat, "maximum likelihood"
    except FitError:
        prior, called = pairwise.default(encoding), "maximum a posteriori"
        best = _maximum(moments, settings, prior, bank)
    found = _joint(data, prior, "laplace", settings, {"classical": called}, bank)
    found = _with_notes(found, data, settings)
    return annotated(
        found,
        classical=_classical(found, best),
        information=information(data, best.theta, found, settings),
    )


def _maximum(moments, settings, prior=None, bank=None):
    return pairwise.maximum_likelihood(
        moments, encoding=moments.encoding, prior=prior, bank=bank, settings=settings
    )


def _classical(found, best):
    arrays = {"error": standard_errors(best)}
    if best.residual is not None:
        arrays["residual"] = best.residual
    classical = _parameters(found, best.theta, **arrays)
    if best.residual is not None:
        classical["residual_error"] = best.residual_error
    return classical


def standard_errors(best: pairwise.Optimum) -> np.ndarray:
    """Return the square roots of the diagonal of the inverse precision, (parameter,)."""
    from scipy.linalg import solve_triangular

    root = np.linalg.cholesky(best.precision)
    inverse = solve_triangular(root, np.eye(len(root)), lower=True)
    return np.sqrt(np.sum(inverse**2, axis=0))


def _joint(data, prior, method, settings, attrs=None, bank=None):
    own = {name: data.attrs[name] for name in ("case", "encoding_read")}
    return pairwise.fit(
        data["states"], encoding=data.attrs["encoding"], prior=prior, method=method,
        bank=bank, system="boltzmann_equilibrium", settings=settings, attrs=own | (attrs or {}),
    )  # fmt: skip


def _parameters(found, theta, **more):
    """Fields and couplings, and what else there is of each, with the labels of a fit."""
    from bayesinf.posterior import dataset

    (h, J), group = enumeration.unpack(theta), found["posterior"]
    arrays = {"h": h, "J": J}
    for name, values in more.items():
        arrays[f"h_{name}"], arrays[f"J_{name}"] = enumeration.unpack(values)
    labels = {name: (group[name].dims, group[name].values) for name in ("site", "i", "j")}
    dims = {name: ("site",) if name.startswith("h") else ("pair",) for name in arrays}
    return dataset(arrays, dims, labels, sampled=False)


def _with_notes(found, data, settings):
    observed = found["observed_data"].to_dataset()
    notes = {
        "cell": silent_and_identical(data),
        "null": statistics.nulls(data, observed),
        "energy": statistics.energies(found, data, settings),
    }
    if "h" in data:
        theta = enumeration.pack(data["h"].values, data["J"].values)
        notes["truth"] = _parameters(found, theta)
    return annotated(found, **notes)


def silent_and_identical(data: xr.Dataset) -> xr.Dataset:
    """Say which cells say nothing.

    Returns
    -------
    a Dataset with ``constant`` (site), whether a site shows the same in all states, and
    ``identical`` (pair), whether two of them always agree, or never do.
    """
    from bayesinf.posterior import dataset

    states = data["states"].values
    moments = binary.of_states(states, data.attrs["encoding"])
    constant = np.isin(np.arange(moments.sites), binary.constant_sites(states))
    same = np.zeros((moments.sites, moments.sites), dtype=bool)
    same[tuple(binary.identical_pairs(moments).T)] = True
    return dataset({"constant": constant, "identical": same[binary.pairs(moments.sites)]},
                   {"constant": ("site",), "identical": ("pair",)},
                   {"site": data["site"].values}, sampled=False)  # fmt: skip


def unconstrained(posterior: xr.DataTree) -> np.ndarray:
    """Say which couplings are hardly known better after the data than before, (pair,) of bool.

    Compared are halves of the central 68 % interval, at the posterior median of ``scale`` where the
    prior's width is inferred.
    """
    width = lambda draws: 0.5 * np.subtract(*np.quantile(draws, [0.84, 0.16], axis=0))
    after, before = posterior["posterior"], posterior["prior"]
    flat = lambda group: group["J"].values.reshape(-1, group["J"].shape[-1])
    if "scale" in after:
        unit = flat(before) / before["scale"].values.reshape(-1, 1)
        typical = float(after["scale"].median()) * width(unit.ravel())
    else:
        typical = width(flat(before).ravel())
    return width(flat(after)) >= UNCONSTRAINED * typical


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
    from bayesinf.posterior import dataset

    theta, error = (enumeration.unpack(each)[1] for each in pseudo.optimum(data))
    field = mean_field(binary.of_states(data["states"].values, data.attrs["encoding"]))
    return dataset(
        {"J": np.array([theta, field]), "J_sd": np.array([error, np.full_like(field, np.nan)])},
        {"J": ("approximation", "pair"), "J_sd": ("approximation", "pair")},
        {"approximation": ["pseudo-likelihood", "mean field"]},
        sampled=False,
    )  # fmt: skip


# Entropy


def information(
    data: xr.Dataset, theta: np.ndarray, posterior: xr.DataTree, settings: Settings = DEFAULT
) -> xr.Dataset:
    """Compute entropies in bits, and log Z.

        H1 = Σ_i H(s_i),   H2 = (log Z − θ · ⟨φ⟩) / ln 2,   H = −Σ_s p(s) log₂ p(s) of the data

    Up to 20 sites all of them are sums over all states. Above, log Z comes from annealed importance
    sampling, with its error, and the entropy of the data cannot be had from so few of them.

    Parameters
    ----------
    data : the states.
    theta : fields and couplings at which log Z and H2 are wanted, (parameter,).
    posterior : a fit, of which some draws have their H2 computed too.
    settings : for its seed.

    Returns
    -------
    a Dataset with ``H1``, ``H2``, ``log_z`` and ``log_z_converted``, that in the other encoding,
    ``log_z_error``, and up to 20 sites ``H_data``, ``H_data_corrected`` by (number of states seen −
    1) / 2M nats (Miller & Madow), and the standard deviations of H2 and H1 − H2 over the draws,
    ``H2_sd`` and ``I2_sd``.
    """
    from bayesinf.posterior import dataset

    encoding, states = data.attrs["encoding"], data["states"].values
    moments = binary.of_states(states, encoding)
    found = {"H1": _independent(moments.mean, encoding)}
    if moments.sites > enumeration.LARGEST:
        from bayesinf.models.pairwise import sampling

        rng = settings.generator("annealing")
        log_z, error, _ = sampling.annealed_log_partition(theta, encoding, rng=rng)
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


def coverage(
    data: xr.Dataset, *, replicas: int = REPLICAS, settings: Settings = DEFAULT
) -> xr.Dataset | None:
    """Measure how often intervals hold the truth, with and without the likelihood.

    Data of the same size are simulated at the optimum of these, and fitted by both routes under the
    prior ``normal``: what is counted are parameters within θ̂ ± z standard errors.

    Parameters
    ----------
    data : as for ``fit``.
    replicas : how many data sets.
    settings : for its seed.

    Returns
    -------
    a Dataset with ``inside`` (route, level, replica), the share of fields and couplings in their
    central intervals of each nominal level; None beyond 12 sites.
    """
    from scipy.special import ndtri

    from bayesinf.posterior import dataset

    encoding, states = data.attrs["encoding"], data["states"].values
    samples, sites = states.shape
    if sites > MOST_COVERED:
        return None
    prior, rng = pairwise.default(encoding), settings.generator("coverage")
    truth = _maximum(binary.of_states(states, encoding), settings, prior).theta
    reach = ndtri(0.5 + 0.5 * np.array(LEVELS))[:, None]
    inside = np.empty((2, len(LEVELS), replicas))
    for k in range(replicas):
        fake = data[["states"]].copy()
        drawn = draw_states(*enumeration.unpack(truth), encoding, samples, rng)
        fake["states"] = data["states"].copy(data=drawn)
        best = _maximum(binary.of_states(drawn, encoding), settings, prior)
        routes = (best.theta, standard_errors(best)), pseudo.optimum(fake)
        for route, (theta, error) in enumerate(routes):
            inside[route, :, k] = np.mean(np.abs(theta - truth) < reach * error, axis=1)
    return dataset(
        {"inside": inside}, {"inside": ("route", "level", "replica")},
        {"route": ["likelihood", "pseudo-likelihood"], "level": list(LEVELS)}, sampled=False,
    )  # fmt: skip


def _independent(mean, encoding):
    """Entropies in bits of independent sites of these means (..., site)."""
    from scipy.special import entr

    on = (1 + mean) / 2 if encoding == "±1" else mean
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
