"""The fit: energies as a linear model of products of spins, and what is read off its posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import loo
from bayesinf.errors import DataError, FitError
from bayesinf.inference import kinds
from bayesinf.models import binary, linear
from bayesinf.models import problem as driver
from bayesinf.models.noise import residual_memory, residual_spread
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.priors import Prior

__all__ = [
    "PRIORS",
    "OddProducts",
    "best",
    "energy_spread",
    "equivalent_penalty",
    "features",
    "fit",
    "halves",
    "has_constant",
    "known",
    "lowest_energy",
    "matrix",
    "mean_score",
    "prior_of",
    "r_squared",
    "scored_on_held_out",
    "spread_with_size",
    "test_half",
    "true_score",
]

GAUGES = ("pairs", "full")
TRIPLES = 200  # products of three spins that residuals are held against
PRIORS = ("laplace", "spike_and_slab", "normal")  # those that a workflow fits by default

EQUATION = (
    r"E(s) = %s\sum_{%s} J_{ij}\, s_i s_j + \varepsilon,\quad \varepsilon \sim N(0, \sigma^2)"
)
LOOKED_AT = 3.0  # standard errors of the mean energy within which nobody suspects a constant


def features(states: np.ndarray, gauge: str = "pairs") -> xr.DataArray:
    """Multiply the spins out.

    Parameters
    ----------
    states : ±1, (sample, site).
    gauge : ``pairs`` for i < j, or ``full`` for all L² ordered products.

    Returns
    -------
    DataArray s_i s_j, (observation, pair), with coordinates ``i`` and ``j``; pairs are labelled
    "i-j".
    """
    import xarray as xr

    states = np.asarray(states)
    if gauge not in GAUGES:
        raise DataError("unknown gauge", expected=" or ".join(GAUGES), found=gauge)
    sites = states.shape[1]
    every = np.triu_indices(sites, 1) if gauge == "pairs" else np.indices((sites, sites))
    i, j = (np.ravel(index) for index in every)
    return xr.DataArray(
        (states[:, i] * states[:, j]).astype(float),
        dims=("observation", "pair"),  # ArviZ calls draws "sample" where it joins the chains
        coords={
            "observation": np.arange(len(states)),
            "pair": [f"{a}-{b}" for a, b in zip(i, j, strict=True)],
            "i": ("pair", i),
            "j": ("pair", j),
        },
        attrs={"units": "1"},
    )


def fit(
    spins: xr.Dataset,
    prior: str | linear.WeightPrior = "laplace",
    *,
    gauge: str = "pairs",
    constant: bool | None = None,
    noise: float | Prior | None = None,
    held_out: xr.Dataset | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer all couplings from states and energies.

    Parameters
    ----------
    spins : ``states`` (sample, site) and ``energies`` (sample,), as of ``simulate`` or ``read``.
    prior : ``laplace``, ``spike_and_slab``, ``normal``, ``horseshoe``, or an instance from
        ``bayesinf.models.linear`` with scales of the caller's.
    gauge : ``pairs`` or ``full``.
    constant : whether the energies have a constant, which is then inferred as ``intercept``; None:
        where the data say so fifty to one (``has_constant``).
    noise : σ where it is known, its prior, or None to infer it under the default prior.
    held_out : the same along ``held_out``, to be predicted.
    method : None for the prior's own, or ``nuts``.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``J`` (pair; coordinates ``i``, ``j``), ``sigma``, the prior's
    hyperparameters, and ``included`` (pair) where there is a spike; the note ``left_out`` has the
    leave-one-out log score ``elpd`` and its standard error ``se``.

    Raises
    ------
    DataError : states without energies; what ``linear.regression`` refuses.
    """
    import xarray as xr

    if "energies" not in spins:
        raise DataError("the states have no energies", expected="one energy for each state")
    X, truth = features(spins["states"], gauge), noted(spins, "truth")
    constant = has_constant(spins, gauge) if constant is None else constant
    problem = linear.regression(
        X,
        spins["energies"],
        prior,
        noise=noise,
        intercept=constant,
        name="J",
        constants=spins[["states"]].drop_attrs(deep=False),
        discrepancies={
            "lowest energy": lowest_energy,
            "spread of energies": energy_spread,
            "memory of residuals from row to row": residual_memory,
            "residual spread with the energy's size": spread_with_size,
            "field or triple left over": OddProducts.of(spins["states"].values),
        },
    )
    truth = None if truth is None else _in_gauge(truth, X)
    found = driver.fit(
        problem,
        method,
        settings,
        system="ising_couplings",
        # In the full gauge the data see sums of two couplings, so of each alone no truth is known.
        notes={"truth" if gauge == "pairs" else "shared_truth": truth},
        attrs={
            "gauge": gauge,
            "data_used": _used(spins, held_out),
            "equation": EQUATION
            % ("E_0 + " if constant else "", r"i<j" if gauge == "pairs" else r"i \neq j"),
        },
    )
    left_out = loo(found)
    scored = {name: np.float64(left_out[name]) for name in ("elpd", "se")}
    found = annotated(found, left_out=dataset(scored, sampled=False))
    if held_out is not None:
        unseen = features(held_out["states"], gauge)
        predicted = linear.predict(found, unseen, name="J", settings=settings)
        targets = held_out[["states", "energies"]].drop_attrs(deep=False)
        if truth is not None:
            exact = unseen.values @ truth["J"].values
            exact = exact + (float(found["posterior"]["intercept"].mean()) if constant else 0.0)
            targets["exact"] = ("held_out", exact, held_out["energies"].attrs)
        found["predictions"] = xr.DataTree(predicted)
        found["predictions_constant_data"] = xr.DataTree(
            targets.assign_coords(held_out=predicted["held_out"])
        )
    return found


def has_constant(spins: xr.Dataset, gauge: str = "pairs") -> bool:
    """Whether energies have a constant, fifty to one: total energies do, as a cluster expansion.

    Compared are the evidences of the normal prior with and without an intercept.

    Parameters
    ----------
    spins : ``states`` (sample, site) and ``energies`` (sample,).
    gauge : in the full one the diagonal is a constant already.
    """
    y = spins["energies"].values
    standard_error = np.std(y) / np.sqrt(len(y))
    if gauge == "full" or abs(np.mean(y)) <= LOOKED_AT * standard_error:
        return False
    X = features(spins["states"], gauge)
    models = [linear.regression(X, spins["energies"], intercept=one) for one in (True, False)]
    try:
        more, none = (model.log_evidence() for model in models)
    except FitError:
        return False
    return more - none > kinds.FIFTYFOLD


def _used(spins, held_out):
    """Say how many states a fit has seen, and how many it has not."""
    seen = f"{spins.sizes['sample']} states and their energies"
    if held_out is None:
        return f"The fit is to all {seen}."
    return f"The fit is to {seen}; {held_out.sizes['held_out']} more were held out."


def _in_gauge(truth, X):
    """What is known, with the couplings of the pairs that are features; in the full gauge halves
    share a bond, and of the pairs nothing else is known.
    """
    i, j = X["i"].values, X["j"].values
    full, sites = np.any(i >= j), int(max(i.max(), j.max())) + 1
    matrix = np.zeros((sites, sites))
    matrix[truth["i"], truth["j"]] = truth["J"]
    values = (matrix + matrix.T)[i, j] / (2 if full else 1)
    labels = {name: X.coords[name] for name in ("pair", "i", "j")}
    units = {"J": truth["J"].attrs["units"]}
    J = dataset({"J": values}, {"J": ("pair",)}, labels, units, sampled=False)
    rest = truth.drop_dims("pair") if full else truth.drop_vars("J")
    return J.merge(rest.drop_vars(["pair", "i", "j"], errors="ignore"))


def lowest_energy(y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Lowest energy among the states: the tail that the couplings have to reach."""
    return _to_digits(np.min(y, axis=-1), mean)


def energy_spread(y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Standard deviation of the energies."""
    return _to_digits(np.std(y, axis=-1), mean)


def _to_digits(statistic, mean):
    """A statistic to a part in 10⁹: exact energies hit it where rounding scatters replicas."""
    step = 1e-9 * np.max(np.abs(mean), axis=-1)
    # Where no pair is coupled the mean is zero throughout, and no energy is met exactly.
    coarse = np.rint(statistic / np.where(step > 0, step, 1.0)) * step
    return np.where(step > 0, coarse, statistic)


def spread_with_size(y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Correlation of the residuals' size with |energy|: energies of both signs in two units.

    Of 40 rings with a quarter of the energies twice as large 35 were caught without it and 40 with
    it, and of 40 right ones none was refused (``workflows/trials.py ising_couplings``).
    """
    size = np.abs(mean)
    return residual_spread(y - mean + size, size, noise)


@dataclass(frozen=True, eq=False)
class OddProducts:
    """Largest correlation of the residuals with a product of one or three spins, times √n.

    A model of pairs knows neither fields nor triples, and pairs cannot make up for them: it shows
    in the residuals if the energies have them.

    Parameters
    ----------
    products : (sample, product), of mean square 1; signs, which single precision holds.
    """

    products: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, most: int = TRIPLES) -> OddProducts:
        """Multiply states (sample, site) out: each site, all together, and so many triples."""
        spins = states.astype(float)
        i, j, k = binary.triples(spins.shape[1], most).T
        total = spins.sum(axis=1, keepdims=True) / np.sqrt(spins.shape[1])
        triples = spins[:, i] * spins[:, j] * spins[:, k]
        return cls(np.hstack([spins, total, triples]).astype(np.float32))

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., observation)."""
        z = (y - mean) / noise
        rms = np.sqrt(np.mean(z * z, axis=-1, keepdims=True))
        z = (z / np.maximum(rms, np.finfo(float).tiny)).astype(np.float32)
        return np.abs(z @ self.products).max(axis=-1) / np.sqrt(z.shape[-1])


# What is read off a posterior


def r_squared(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 - Σ (observed - predicted)² / Σ (observed - mean)², over the last axis."""
    residual = np.sum((observed - predicted) ** 2, axis=-1)
    return 1 - residual / np.sum((observed - np.mean(observed)) ** 2)


def known(fit: xr.DataTree) -> xr.Dataset | None:
    """Return the true couplings, where they are known; in the full gauge halves share a bond."""
    return noted(fit, "truth" if fit.attrs["gauge"] == "pairs" else "shared_truth")


def scored_on_held_out(fit: xr.DataTree) -> bool:
    """Whether a fit has states to predict that it has not seen."""
    return "predictions" in fit.children


def test_half(fit: xr.DataTree, name: str = "energies") -> tuple[np.ndarray, np.ndarray]:
    """Held-out energies that no classical method has chosen λ by, and their noise-free draws.

    Returns
    -------
    ``name`` of ``predictions_constant_data``, (held_out,), and (chain, draw, held_out): the second
    half of either.
    """
    observed = fit["predictions_constant_data"][name].values
    half = len(observed) // 2
    return observed[half:], fit["predictions"]["mean"].values[..., half:]


def mean_score(fit: xr.DataTree) -> float:
    """R² of the posterior mean's prediction on the test half."""
    observed, draws = test_half(fit)
    return float(r_squared(observed, draws.mean((0, 1))))


def true_score(fit: xr.DataTree) -> float:
    """R² of the posterior mean's prediction against the energies that the true couplings give.

    Against measured energies no prediction exceeds 1 - σ² / var(E); this one has no such ceiling.
    """
    exact, draws = test_half(fit, "exact")
    return float(r_squared(exact, draws.mean((0, 1))))


def best(fits: Mapping[str, xr.DataTree]) -> str:
    """Return the name of the fit that carries the answer: it foretells left-out energies best."""
    return max(fits, key=lambda name: float(noted(fits[name], "left_out")["elpd"]))


def prior_of(fit: xr.DataTree) -> str:
    """Return the name of a fit's prior, as ``fit`` takes it."""
    names = {cls.__name__: name for name, cls in linear.PRIORS.items()}
    return names[fit.attrs["model"]]


def equivalent_penalty(fit: xr.DataTree) -> np.ndarray | None:
    """The λ of ridge or lasso that each draw of (scale, σ) stands for; None for other priors.

    ridge  λ = (σ / scale)²,   lasso  λ = σ² / (n scale), or σ / (n scale) for a relative scale
    """
    prior, posterior, fixed = prior_of(fit), fit["posterior"], fit["constant_data"]
    if prior not in ("normal", "laplace"):
        return None
    scale, sigma = ((posterior if n in posterior else fixed)[n].values for n in ("scale", "sigma"))
    if prior == "normal":
        return np.ravel((sigma / scale) ** 2)
    width = scale * sigma if fit.attrs["relative"] else scale
    return np.ravel(sigma**2 / (fit["observed_data"]["energies"].size * width))


def matrix(values: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Lay couplings of pairs out as a matrix, (site, site).

    Pairs i < j fill both triangles; the full gauge fills each entry by itself.
    """
    sites = int(max(np.max(i), np.max(j))) + 1
    result = np.zeros((sites, sites))
    result[i, j] = values
    return result if np.any(i > j) else result + result.T


def halves(fit: xr.DataTree, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take apart what the full gauge has twice: values (..., pair) above and below the diagonal."""
    i, j = (fit["posterior"][name].values for name in "ij")
    sites = fit["constant_data"].sizes["site"]
    above, below = np.triu_indices(sites, 1)
    index = np.empty((sites, sites), dtype=int)
    index[i, j] = np.arange(len(i))
    return values[..., index[above, below]], values[..., index[below, above]]
