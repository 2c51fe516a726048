"""Ising couplings from spin configurations and their energies.

Random states of L spins on a ring have energies E = -Σ s_j s_{j+1} plus measurement noise. The fit
is not told that the couplings are those of a ring: its model is all-to-all,

    E = Σ_{i<j} J_ij s_i s_j + ε,   ε ~ N(0, σ²)

without a minus sign, so the ring reads J = -1 on 40 of 780 pairs. It is linear in J, and what
decides is the prior: a normal prior is ridge regression with error bars, a Laplace prior the lasso
with error bars, and spike and slab asks of each pair whether it is coupled at all.

In the full gauge all L² products are features. Then s_i s_j stands there twice and the data see
only J_ij + J_ji; on the diagonal s_i² = 1 they see only a constant.

Mehta et al., Phys. Rep. 810, 1 (2019), doi:10.1016/j.physrep.2019.03.001, treat the same data by
least squares, ridge and lasso.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.figures import COLORS, canvas, styled, with_units
from bayesinf.models import linear
from bayesinf.priors import Beta, HalfCauchy, InverseChi
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesinf.report import Story

GAUGES = ("pairs", "full")
PRIORS = ("laplace", "spike_and_slab", "normal")
WORDS = {"laplace": "Laplace", "spike_and_slab": "spike and slab", "normal": "normal",
         "horseshoe": "horseshoe"}  # fmt: skip

# The classical treatment's grids: R² against λ, and λ chosen by 5-fold cross-validation.
PATH = np.logspace(-4, 5, 10)
FOLDS, FOLD_PATH = 5, np.logspace(-6, 4, 9)


def simulate(
    sites: int = 40, samples: int = 10_000, noise: float = 0.1, seed: int = 1
) -> xr.Dataset:
    """Draw random states of a ring of spins and measure their energies.

        E = -Σ_j s_j s_{j+1} + noise · z,   z ~ N(0, 1)

    Parameters
    ----------
    sites : spins on the ring.
    samples : states.
    noise : standard deviation of the measurement, in units of the coupling; zero is allowed.
    seed : of states and noise.

    Returns
    -------
    Dataset with ``states`` (sample, site), int8 of ±1, ``energies`` (sample), and the true coupling
    matrix ``couplings`` (site, partner), in the convention of the fit.
    """
    if sites < 3 or samples < 2 or noise < 0:
        raise DataError(
            "no such ring",
            expected="sites ≥ 3, samples ≥ 2 and noise ≥ 0",
            found=f"{sites}, {samples} and {noise}",
        )
    settings = Settings(seed=seed)
    states = settings.generator("states").choice(np.array([-1, 1], np.int8), (samples, sites))
    bonds = np.sum(states * np.roll(states, -1, axis=1), axis=1, dtype=float)
    energies = -bonds + noise * settings.generator("noise").standard_normal(samples)
    ring = np.zeros((sites, sites))
    ring[np.arange(sites), (np.arange(sites) + 1) % sites] = -1.0
    dataset = reading.spins_from_arrays(states, energies)
    return dataset.assign(couplings=(("site", "partner"), np.triu(ring + ring.T), {"units": "1"}))


def read(path) -> xr.Dataset:
    """Read states and energies, and the true ``couplings`` where the file has them.

    Parameters
    ----------
    path : NPZ, MAT, netCDF or CSV, as ``bayesinf.data.spins`` reads them.
    """
    spins = reading.spins(path, also=("couplings",))
    matrix = spins["couplings"].values.astype(float) if "couplings" in spins else np.empty(0)
    spins = spins.drop_vars("couplings", errors="ignore")
    if matrix.shape == 2 * (spins.sizes["site"],):
        spins = spins.assign(couplings=(("site", "partner"), matrix, {"units": "1"}))
    return spins


def split(
    spins: xr.Dataset, train: int = 400, held_out: int = 400, seed: int = 1
) -> tuple[xr.Dataset, xr.Dataset]:
    """Draw states to learn from and states to predict, without overlap.

    A file with fewer states than asked for is divided in the same proportion.

    Returns
    -------
    Dataset along ``sample``, and Dataset along ``held_out``.
    """
    count = spins.sizes["sample"]
    if count < 8:
        raise DataError("too few states", expected="at least 8, to learn from and to predict",
                        found=count)  # fmt: skip
    if count < train + held_out:
        train = max(4, count * train // (train + held_out))
        held_out = count - train
    order = Settings(seed=seed).generator("split").permutation(count)
    known, unseen = order[:train], order[train : train + held_out]
    return spins.isel(sample=np.sort(known)), spins.isel(sample=np.sort(unseen)).rename(
        sample="held_out"
    )


def features(states, gauge: str = "pairs") -> xr.DataArray:
    """Multiply the spins out.

    Parameters
    ----------
    states : ±1, (sample, site).
    gauge : ``pairs`` for i < j, or ``full`` for all L² ordered products.

    Returns
    -------
    DataArray s_i s_j, (sample, pair), with coordinates ``i`` and ``j``; pairs are labelled "i-j".
    """
    import xarray as xr

    states = np.asarray(states)
    if gauge not in GAUGES:
        raise DataError("unknown gauge", expected=" or ".join(GAUGES), found=gauge)
    sites = states.shape[1]
    i, j = (
        np.triu_indices(sites, 1) if gauge == "pairs" else np.indices((sites, sites)).reshape(2, -1)
    )
    return xr.DataArray(
        (states[:, i] * states[:, j]).astype(float),
        dims=("sample", "pair"),
        coords={
            "sample": np.arange(len(states)),
            "pair": [f"{a}-{b}" for a, b in zip(i, j, strict=True)],
            "i": ("pair", i),
            "j": ("pair", j),
        },
        attrs={"units": "1"},
    )


def fit(
    states,
    energies=None,
    prior: str | linear.CoefficientPrior = "laplace",
    *,
    gauge: str = "pairs",
    sampler: str | None = None,
    noise=None,
    settings: Settings = DEFAULT,
    held_out: xr.Dataset | None = None,
    couplings=None,
) -> xr.DataTree:
    """Infer all couplings from states and energies.

    Parameters
    ----------
    states : ±1 or 0/1, (sample, site); or a Dataset of ``states`` and ``energies``.
    energies : (sample,); None where they are in the Dataset.
    prior : ``laplace``, ``spike_and_slab``, ``normal``, ``horseshoe``, or an instance from
        ``bayesinf.models.linear`` with scales of the caller's.
    gauge : ``pairs`` or ``full``.
    sampler : None for the prior's own, or ``nuts``.
    noise : σ where it is known, its prior, or None to infer it under the default prior.
    settings : length and seed.
    held_out : Dataset of ``states`` and ``energies`` to predict.
    couplings : true matrix (site, partner), where it is known, kept for the figures.

    Returns
    -------
    InferenceData with ``J`` (pair; coordinates ``i``, ``j``), ``sigma``, the prior's
    hyperparameters, and ``included`` (pair) where there is a spike.

    Raises
    ------
    DataError : states that are no spins, energies that are not finite or do not vary, wrong shapes.
    """
    import xarray as xr

    from bayesinf.posterior import dataset

    started = time.perf_counter()
    if isinstance(states, xr.Dataset):
        couplings = states.get("couplings") if couplings is None else couplings
        states, energies = states["states"], states["energies"]
    spins = reading.spins_from_arrays(states, energies)
    if "energies" not in spins:
        raise DataError("the states have no energies", expected="one energy for each state")
    X = features(spins["states"], gauge)
    unit = spins["energies"].attrs.get("units", "1")
    constant = {"states": spins["states"].values}
    dims = {"states": ("sample", "site")}
    if couplings is not None:
        i, j, matrix = X["i"].values, X["j"].values, np.asarray(couplings)
        # A matrix of pairs has nothing below its diagonal: in the full gauge halves share a bond.
        both = (matrix + matrix.T - np.diag(np.diag(matrix)))[i, j]
        constant["J_true"] = both if gauge == "pairs" else both / np.where(i == j, 1, 2)
        dims["J_true"] = ("pair",)
    tree = linear.fit(
        X,
        spins["energies"],
        prior,
        method=sampler,
        noise=noise,
        settings=settings,
        name="J",
        units={"J": unit},
        constants=dataset(constant, dims, dict(X.coords), {"J_true": unit}, sampled=False),
        discrepancies=DISCREPANCIES,
    )
    tree.attrs |= {"system": "ising_couplings", "gauge": gauge}
    tree.attrs |= {"elapsed_seconds": time.perf_counter() - started}
    if held_out is not None:
        predicted = linear.predict(tree, features(held_out["states"], gauge), name="J",
                                   settings=settings)  # fmt: skip
        tree["predictions"] = xr.DataTree(predicted)
        tree["predictions_constant_data"] = xr.DataTree(
            dataset(
                {"states": held_out["states"].values, "energies": held_out["energies"].values},
                {"states": ("held_out", "site"), "energies": ("held_out",)},
                {"held_out": predicted["held_out"].values},
                {"energies": unit},
                sampled=False,
            )
        )
    return tree


def lowest_energy(y, mean, noise):
    """Lowest energy among the states: the tail that the couplings have to reach."""
    return np.min(y, axis=-1) + 0 * mean[..., 0]


def energy_spread(y, mean, noise):
    """Standard deviation of the energies."""
    return np.std(y, axis=-1) + 0 * mean[..., 0]


DISCREPANCIES = {
    "lowest energy": lowest_energy,
    "spread of energies": energy_spread,
}


def matrix(values, i, j, sites: int | None = None) -> np.ndarray:
    """Lay couplings of pairs out as a matrix, (site, site).

    Pairs i < j fill both triangles; the full gauge fills each entry by itself.
    """
    sites = sites or int(max(np.max(i), np.max(j))) + 1
    result = np.zeros((sites, sites))
    result[i, j] = values
    return result if np.any(i > j) else result + result.T


def r_squared(observed, predicted) -> np.ndarray:
    """1 - Σ (observed - predicted)² / Σ (observed - mean)², over the last axis."""
    residual = np.sum((observed - predicted) ** 2, axis=-1)
    return 1 - residual / np.sum((observed - np.mean(observed)) ** 2)


# ── The classical side ───────────────────────────────────────────────────────────────────────────


def coefficients(X, y, penalties) -> dict[str, np.ndarray]:
    """Fit the classical estimators over a path of λ, by scikit-learn.

    λ is scikit-learn's ``alpha``: |y - XJ|² + λ |J|² for ridge, |y - XJ|² / 2n + λ |J|₁ for the
    lasso, and half of each penalty for the elastic net. Lasso and elastic net run down the path
    from the largest λ, each from the last one's solution: from a cold start coordinate descent
    takes thousands of sweeps at the small end, and stops short of it.

    Parameters
    ----------
    X, y : features (sample, pair) and energies (sample,).
    penalties : values of λ.

    Returns
    -------
    method to couplings, (penalty, pair).
    """
    from sklearn.linear_model import LinearRegression, Ridge, enet_path

    penalties = np.asarray(penalties, dtype=float)
    down = np.argsort(penalties)[::-1]
    plain = LinearRegression(fit_intercept=False).fit(X, y).coef_

    def path(share):
        found = np.empty((len(penalties), X.shape[1]))
        alphas, precise = penalties[down], {"precompute": True, "max_iter": 20_000, "tol": 1e-6}
        found[down] = enet_path(X, y, l1_ratio=share, alphas=alphas, **precise)[1].T
        return found

    return {
        "least squares": np.tile(plain, (len(penalties), 1)),
        "ridge": np.stack(
            [
                Ridge(alpha=penalty, fit_intercept=False, solver="cholesky").fit(X, y).coef_
                for penalty in penalties
            ]
        ),
        "lasso": path(1.0),
        "elastic net": path(0.5),
    }


def classical(states, energies, held_out: xr.Dataset, gauge: str = "pairs") -> dict[str, object]:
    """Fit the classical estimators as the textbook does.

    Parameters
    ----------
    states, energies : training data, (sample, site) and (sample,).
    held_out : Dataset of which the first half chooses λ and the second half tests.
    gauge : ``pairs`` or ``full``.

    Returns
    -------
    ``path``: a DataFrame of R² in training, validation and test for each method and λ of ``PATH``;
    ``folds``: R² by 5-fold cross-validation and its standard error, over ``FOLD_PATH``;
    ``chosen``: for each method the λ (``penalty``) that the validation half prefers, its R² in the
    test half, and its ``couplings`` (pair,).
    """
    import pandas as pd
    from sklearn.model_selection import KFold

    X, y = features(states, gauge).values, np.asarray(energies, dtype=float)
    others, targets = features(held_out["states"], gauge).values, held_out["energies"].values
    half = len(targets) // 2
    parts = {
        "train": (X, y),
        "validation": (others[:half], targets[:half]),
        "test": (others[half:], targets[half:]),
    }
    path, chosen = [], {}
    for method, found in coefficients(X, y, PATH).items():
        scores = {name: r_squared(b, found @ a.T) for name, (a, b) in parts.items()}
        path.append(pd.DataFrame({"method": method, "penalty": PATH, **scores}))
        best = int(np.argmax(scores["validation"]))
        chosen[method] = {
            "penalty": PATH[best],
            "couplings": found[best],
            **{name: float(score[best]) for name, score in scores.items()},
        }

    folds = [
        {
            method: r_squared(y[out], found @ X[out].T)
            for method, found in coefficients(X[kept], y[kept], FOLD_PATH).items()
        }
        for kept, out in KFold(min(FOLDS, len(y))).split(X)
    ]
    crossed = []
    for method in folds[0]:
        scores = np.stack([fold[method] for fold in folds])
        error = np.std(scores, axis=0, ddof=1) / np.sqrt(len(scores))
        crossed.append(
            pd.DataFrame(
                {
                    "method": method,
                    "penalty": FOLD_PATH,
                    "score": np.mean(scores, axis=0),
                    "error": error,
                }
            )
        )
    return {"path": pd.concat(path), "folds": pd.concat(crossed), "chosen": chosen}


def modes(states, energies, sigma: float) -> pd.DataFrame:
    """Hold the priors' modes against their classical counterparts, at the same λ.

    At noise σ the normal prior of a given scale has its mode at ridge regression with
    λ = (σ / scale)², and the Laplace prior at the lasso with λ = σ² / (n scale). The modes are
    those of the log posterior: the normal's in closed form, the Laplace's by a bound-constrained
    optimiser on the positive and the negative part of J. For the lasso λ is a hundredth of the one
    that switches every coupling off.

    Parameters
    ----------
    states, energies : training data; sigma : the noise at which the scales are stated.

    Returns
    -------
    DataFrame with the prior's scale, λ and the largest difference in any coupling.
    """
    import pandas as pd
    from scipy.optimize import minimize
    from sklearn.linear_model import Lasso, Ridge

    from bayesinf.models.linear.conditional import Factors

    X, y = features(states).values, np.asarray(energies, dtype=float)
    n, p = X.shape
    ridge_penalty, lasso_penalty = 1.0, 0.01 * float(np.max(np.abs(X.T @ y))) / n
    scale, width = sigma / np.sqrt(ridge_penalty), sigma**2 / (n * lasso_penalty)
    design, variances = Factors(X, y), np.full(p, scale**2)
    normal = design.condition(design.kernel(variances), variances, sigma).mean()

    def negative_log_posterior(parts):
        # In units of n/σ², which leaves the optimiser well-scaled numbers.
        residual = y - X @ (parts[:p] - parts[p:])
        slope, penalty = X.T @ residual / n, sigma**2 / (n * width)
        value = residual @ residual / (2 * n) + penalty * np.sum(parts)
        return value, np.concatenate([penalty - slope, penalty + slope])

    found = minimize(
        negative_log_posterior,
        np.zeros(2 * p),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * p),
        options={"maxiter": 50_000, "maxfun": 100_000, "ftol": 0, "gtol": 1e-10, "maxcor": 50},
    ).x
    ridge = Ridge(alpha=ridge_penalty, fit_intercept=False, solver="svd").fit(X, y).coef_
    precise = {"fit_intercept": False, "precompute": True, "tol": 1e-12, "max_iter": 10**6}
    lasso = Lasso(alpha=lasso_penalty, **precise).fit(X, y).coef_
    return pd.DataFrame(
        {
            "prior": ["normal", "Laplace"],
            "scale": [scale, width],
            "classical fit": ["ridge", "lasso"],
            "λ": [ridge_penalty, lasso_penalty],
            "largest difference in J": [
                np.max(np.abs(normal - ridge)),
                np.max(np.abs(found[:p] - found[p:] - lasso)),
            ],
        }
    )


# ── The story, from the fits' InferenceData alone ────────────────────────────────────────────────


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the couplings are, how sure that is, and how the classical answer compares.

    Parameters
    ----------
    fits : name to InferenceData, all of the same data and with ``predictions``.
    """
    from bayesinf.report import Story

    main = fits.get("spike_and_slab", next(iter(fits.values())))
    states, energies = main["constant_data"]["states"], main["observed_data"]["energies"]
    held_out = main["predictions_constant_data"].to_dataset()
    textbook = classical(states, energies, held_out, main.attrs["gauge"])
    return Story(
        "Ising couplings from states and energies",
        "Given spin states and their energies alone, which spins are coupled, how strongly, and "
        "how sure is that?",
        _answer(main, fits, textbook),
        _numbers(main, fits),
        _predictive(main, fits),
        _classical(main, fits, textbook),
        _priors(fits),
        (gauge_section(fits, textbook),) if main.attrs["gauge"] == "full" else (),
    )


def _answer(main, fits, textbook):
    from bayesinf.report import Picture, Section

    states, truth = main["constant_data"]["states"], main["constant_data"].get("J_true")
    (n, sites), p = states.shape, main["posterior"].sizes["pair"]
    more = "there are more couplings than data" if p > n else "data outnumber couplings"
    return Section(
        f"Which of {p} pairs of {sites} spins are coupled?",
        (
            _answer_in_words(main, truth),
            f"The model knows all pairs alike; {n} states were shown to it, so {more} and the "
            "prior has a say.",
        ),
        (
            Picture(
                "couplings",
                couplings_figure(fits, textbook),
                "Coupling matrices: blue is negative, as on the ring, and white is none. Top: "
                + ("truth and " if truth is not None else "")
                + "posterior means under each prior. Bottom: classical fits, λ chosen on "
                "validation data. A prior that selects leaves the bonds and nothing else; one that "
                "only shrinks smears them over all pairs.",
                f"Heat maps of the {sites} by {sites} coupling matrix for each prior and each "
                "classical method.",
            ),
            Picture(
                "intervals",
                intervals_figure(fits),
                "The couplings of largest posterior mean, with 95 % intervals, and under spike and "
                "slab the probability that each pair is coupled at all. "
                + ("Green marks the true value. " if truth is not None else "")
                + "A wide interval says that data and prior leave the coupling open.",
                "Intervals of the strongest couplings under each prior, and inclusion probability "
                "of every pair.",
            ),
        ),
    )


def _numbers(main, fits):
    from bayesinf.report import Section, Table, estimates

    return Section(
        "Noise, couplings, and how well held-out energies are predicted",
        ("R² is measured on the test half of the held-out states.",),
        tables=(
            Table(_summary(fits), "What each prior makes of the same data."),
            Table(
                estimates(main, _strongest(main, 12)),
                f"The twelve strongest couplings under the {_words(main)} prior.",
            ),
        ),
    )


def _predictive(main, fits):
    from bayesinf.figures import predictive_statistics
    from bayesinf.report import Picture, Section

    return Section(
        "Held-out energies, and replicas of the training data",
        (
            "The held-out states are predicted by each posterior without having been seen: 95 % of "
            "them should lie in the 95 % band. Replicas of the training data should look like the "
            "data in every statistic.",
        ),
        (
            Picture(
                "held_out",
                held_out_figure(fits),
                "Measured energies of held-out states against their prediction, with 95 % "
                "intervals. Points should straddle the diagonal and most bars touch it; the share "
                "that does is printed. Long bars are honest where the prior cannot tell couplings "
                "apart.",
                "Scatter of measured against predicted energies for each prior.",
            ),
            Picture(
                "statistics",
                predictive_statistics(main),
                f"Statistics of the data against replicas, {_words(main)} prior. A p-value near 0 "
                "or 1 would say that the model cannot make such data.",
                "Posterior predictive distributions of four statistics with the data's values.",
            ),
        ),
    )


def _classical(main, fits, textbook):
    from bayesinf.report import Picture, Section, Table

    posterior, known = main["posterior"], main["constant_data"]
    sigma = float((posterior if "sigma" in posterior else known)["sigma"].mean())
    same = modes(known["states"], main["observed_data"]["energies"], sigma)
    worst = float(same["largest difference in J"].max())
    return Section(
        "Least squares, ridge, lasso and elastic net",
        (
            "The mode of the normal prior is ridge regression with λ = (σ/scale)², and the mode of "
            "the Laplace prior is the lasso with λ = σ²/(n scale); the table shows both equalities "
            f"on these data, to {worst:.0e}. A mode is one point of a posterior: ridge and lasso "
            "say where it is highest, the posterior says where it is.",
        ),
        (
            Picture(
                "penalty",
                penalty_figure(fits, textbook),
                "R² against λ on one split, and by 5-fold cross-validation with its standard "
                "error. The shaded band is the posterior of the λ that the inferred scale stands "
                "for: what cross-validation searches for on a grid, the posterior infers, with "
                "its uncertainty.",
                "R squared against the penalty for three classical methods, with the posterior of "
                "the equivalent penalty.",
            ),
        ),
        (
            Table(same, "Mode of the prior against scikit-learn's fit at the same λ."),
            Table(
                score_table(fits, textbook).reset_index(),
                "R² on the test half of the held-out states. Classical methods chose λ on the "
                "validation half; the posteriors have not seen it.",
            ),
        ),
    )


def _priors(fits):
    import json

    from bayesinf.figures import prior_posterior
    from bayesinf.report import Picture, Section

    stated = tuple(
        f"{_words(fit).capitalize()}: "
        f"{'; '.join(f'{k} ~ {v}' for k, v in json.loads(fit.attrs['priors']).items())}."
        for fit in fits.values()
    )
    hyperparameters = tuple(
        Picture(
            f"prior_{name}",
            prior_posterior(fit, _scalars(fit)),
            f"Scales under the {_words(fit)} prior: where the posterior is much narrower than the "
            "prior, the data have spoken.",
            f"Prior and posterior densities of the hyperparameters of {name}.",
        )
        for name, fit in fits.items()
        if _scalars(fit)
    )
    predictive = Picture(
        "prior_predictive",
        prior_predictive_figure(fits),
        "Energies that each prior expects before any data (one curve a prior draw), against those "
        "measured: the priors allow the data and much else.",
        "Cumulative distributions of prior predictive energies with the measured energies.",
    )
    return Section(
        "What was believed beforehand",
        (
            *stated,
            "By default widths are half-Cauchy on the scale sd(E)/√p, at which a prior predicts "
            "energies about as large as those measured, without being sure of it. The noise is "
            "inverse-χ, worth one observation of a hundredth of sd(E), which keeps σ above zero "
            "where the data show no noise.",
        ),
        (*hyperparameters, predictive),
    )


def test_scores(fit: xr.DataTree) -> np.ndarray:
    """R² of each draw's noise-free prediction on the test half, (sample,)."""
    observed = fit["predictions_constant_data"]["energies"].values
    half = len(observed) // 2
    mean = fit["predictions"]["mean"].values[..., half:]
    return r_squared(observed[half:], mean).ravel()


def mean_score(fit: xr.DataTree) -> float:
    """R² of the posterior mean's prediction on the test half."""
    observed = fit["predictions_constant_data"]["energies"].values
    half = len(observed) // 2
    mean = fit["predictions"]["mean"].mean(("chain", "draw")).values[half:]
    return float(r_squared(observed[half:], mean))


def true_score(fit: xr.DataTree) -> float:
    """R² of the posterior mean's prediction against the energies that the true couplings give.

    Against measured energies no prediction exceeds 1 - σ² / var(E); this one has no such ceiling.
    """
    X = features(fit["predictions_constant_data"]["states"], fit.attrs["gauge"]).values
    exact = X @ fit["constant_data"]["J_true"].values
    half = len(exact) // 2
    mean = fit["predictions"]["mean"].mean(("chain", "draw")).values
    return float(r_squared(exact[half:], mean[half:]))


def equivalent_penalty(fit: xr.DataTree) -> np.ndarray | None:
    """The λ of ridge or lasso that each draw of (scale, σ) stands for; None for other priors."""
    posterior, fixed = fit["posterior"], fit["constant_data"]
    if _prior_of(fit) not in ("normal", "laplace"):
        return None
    scale, sigma = (
        (posterior if name in posterior else fixed)[name].values for name in ("scale", "sigma")
    )
    if _prior_of(fit) == "normal":
        return np.ravel((sigma / scale) ** 2)
    count = fit["observed_data"].sizes["sample"]
    return np.ravel(sigma / (count * scale) if fit.attrs.get("relative") else
                    sigma**2 / (count * scale))  # fmt: skip


def score_table(fits, textbook) -> pd.DataFrame:
    """Tabulate test R² of posterior means and of classical fits, the best first."""
    import pandas as pd

    rows = {f"posterior mean, {_words(fit)} prior": (mean_score(fit), "")
            for fit in fits.values()}  # fmt: skip
    rows |= {
        method: (found["test"], f"{found['penalty']:.0e}" if method != "least squares" else "")
        for method, found in textbook["chosen"].items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["R²", "λ"])
    table["R²"] = table["R²"].astype(float)
    table = table.sort_values("R²", ascending=False).rename_axis("method")
    return table.assign(**{"R²": [f"{value:.6f}" for value in table["R²"]]})


def _words(fit):
    return WORDS[_prior_of(fit)]


def _prior_of(fit):
    names = {cls.__name__: name for name, cls in linear.PRIORS.items()}
    return names[fit.attrs["model"]]


def _scalars(fit):
    return [name for name, v in fit["posterior"].data_vars.items() if v.ndim == 2]


def _strongest(fit, count):
    mean = np.abs(fit["posterior"]["J"].mean(("chain", "draw")).values)
    i, j = (fit["posterior"][name].values for name in "ij")
    return [f"J[{i[k]}, {j[k]}]" for k in np.argsort(-mean, kind="stable")[:count]]


def _bonds(fit):
    """Which pairs are coupled in truth; None where the truth is unknown."""
    truth = fit["constant_data"].get("J_true")
    return None if truth is None else truth.values != 0


def _answer_in_words(fit, truth):
    posterior = fit["posterior"]
    if "included" not in posterior:
        low, high = posterior["J"].quantile([0.025, 0.975], ("chain", "draw"))
        clear = int(np.sum((low > 0) | (high < 0)))
        return f"The 95 % intervals of {clear} couplings leave out zero."
    probability = posterior["included"].mean(("chain", "draw")).values
    found = probability > 0.5
    words = (
        f"{int(found.sum())} pairs are coupled with a probability above one half"
        f" ({int(np.sum(probability >= 0.99))} of them at 0.99 or more)."
    )
    if truth is not None:
        bonds = truth.values != 0
        words += (
            f" Of the {int(bonds.sum())} true bonds {int(np.sum(found & bonds))} are among them,"
            f" and {int(np.sum(found & ~bonds))} pairs that are none; the least certain bond has"
            f" probability {probability[bonds].min():.3f}, the most suspect other pair"
            f" {probability[~bonds].max():.3f}."
        )
    return words


def _summary(fits):
    import pandas as pd

    from bayesinf.report import number

    rows = {}
    for fit in fits.values():
        posterior = fit["posterior"]
        unit = posterior["J"].attrs["units"]
        score = test_scores(fit)
        row = {
            "test R², posterior mean": f"{mean_score(fit):.6f}",
            "test R² of a draw, 95 %": " to ".join(
                f"{q:.5f}".replace("-", "−") for q in np.quantile(score, [0.025, 0.975])
            ),
        }
        for name in _scalars(fit):
            label = with_units(name, posterior[name].attrs["units"])
            values = posterior[name].values
            row[label] = number(float(values.mean()), float(values.std()))
        bonds = _bonds(fit)
        if bonds is not None:
            row["R² against true energies"] = f"{true_score(fit):.6f}"
            J = posterior["J"].values
            error = J.mean((0, 1)) - fit["constant_data"]["J_true"].values
            row[with_units("rms error of bonds", unit)] = (
                f"{np.sqrt(np.mean(error[bonds] ** 2)):.4f}"
            )
            row[with_units("rms error of other pairs", unit)] = (
                f"{np.sqrt(np.mean(error[~bonds] ** 2)):.4f}"
            )
        rows[_words(fit)] = row
    return pd.DataFrame(rows).fillna("").rename_axis("quantity")


# ── Figures: InferenceData in, matplotlib Figure out ─────────────────────────────────────────────


@styled
def couplings_figure(fits: Mapping[str, xr.DataTree], textbook: Mapping) -> object:
    """Draw coupling matrices as heat maps: truth, each posterior mean, each classical fit."""
    some = next(iter(fits.values()))
    i, j = (some["posterior"][name].values for name in "ij")
    sites = some["constant_data"].sizes["site"]
    top = {}
    if "J_true" in some["constant_data"]:
        top["truth"] = some["constant_data"]["J_true"].values
    for fit in fits.values():
        top[f"{_words(fit)}, R² {mean_score(fit):.4f}"] = (
            fit["posterior"]["J"].mean(("chain", "draw")).values
        )
    bottom = {
        f"{method}, R² {found['test']:.4f}": found["couplings"]
        for method, found in textbook["chosen"].items()
    }
    columns = max(len(top), len(bottom))
    limit = float(max(np.quantile(np.abs(v), 0.999) for v in top.values()))
    fig, axes = canvas(2, columns, height=4.3, squeeze=False, sharex=True, sharey=True)
    roles = ["truth" if name == "truth" else "posterior" for name in top]
    for row, entries, colors in zip(
        axes, (top, bottom), (roles, ["classical"] * len(bottom)), strict=True
    ):
        for axis in row[len(entries) :]:
            axis.set_axis_off()
        for axis, (title, values), role in zip(row, entries.items(), colors, strict=False):
            image = axis.imshow(
                matrix(values, i, j, sites), cmap="RdBu_r", vmin=-limit, vmax=limit,
                interpolation="nearest",
            )  # fmt: skip
            axis.set_title(title, color=COLORS[role], fontsize=9)
            axis.tick_params(length=2)
    for axis in axes[-1]:
        axis.set_xlabel("site j")
    for axis in axes[:, 0]:
        axis.set_ylabel("site i")
    unit = some["posterior"]["J"].attrs["units"]
    fig.colorbar(image, ax=axes, label=with_units("coupling J", unit), shrink=0.7)
    return fig


@styled
def intervals_figure(fits: Mapping[str, xr.DataTree], count: int = 60) -> object:
    """Draw the strongest couplings with intervals, and each pair's inclusion probability."""
    spiked = [fit for fit in fits.values() if "included" in fit["posterior"]]
    rows = len(fits) + bool(spiked)
    fig, axes = canvas(rows, 1, height=0.4 + 1.75 * rows, squeeze=False)
    axes = axes[:, 0]
    for axis, fit in zip(axes, fits.values(), strict=False):
        J, truth = fit["posterior"]["J"], fit["constant_data"].get("J_true")
        mean = J.mean(("chain", "draw")).values
        order = np.argsort(-np.abs(mean), kind="stable")[:count]
        low, high = np.quantile(J.values[..., order], [0.025, 0.975], axis=(0, 1))
        x = np.arange(len(order))
        if truth is not None:
            axis.plot(x, truth.values[order], "_", color=COLORS["truth"], ms=7, mew=1.5)
        axis.vlines(x, low, high, color=COLORS["posterior"], lw=2)
        axis.plot(x, mean[order], ".", color=COLORS["posterior"], ms=4)
        axis.axhline(0, color=COLORS["prior"], lw=0.6)
        axis.set_title(f"{_words(fit)} prior", color=COLORS["posterior"])
        axis.set_ylabel(with_units("J", J.attrs["units"]))
        axis.set_xlim(-1, len(order))
        axis.set_xlabel(f"the {len(order)} strongest of {len(mean)} couplings, in order")
    if spiked:
        fit, axis = spiked[0], axes[-1]
        probability = np.sort(fit["posterior"]["included"].mean(("chain", "draw")).values)[::-1]
        floor = 0.5 / (fit["posterior"].sizes["chain"] * fit["posterior"].sizes["draw"])
        axis.plot(np.arange(1, len(probability) + 1), np.maximum(probability, floor), ".",
                  color=COLORS["posterior"], ms=3)  # fmt: skip
        axis.axhline(0.5, color=COLORS["prior"], lw=0.8, ls="--")
        axis.annotate("one half", (1, 0.5), (0, 3), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", color=COLORS["prior"])  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("pair, in order of its inclusion probability")
        axis.set_ylabel("P(included)")
        axis.set_title("spike and slab: is the pair coupled at all?", color=COLORS["posterior"])
    return fig


@styled
def held_out_figure(fits: Mapping[str, xr.DataTree]) -> object:
    """Draw measured against predicted energies of the held-out states."""
    fig, axes = canvas(1, len(fits), height=2.9, squeeze=False, sharex=True, sharey=True)
    for axis, fit in zip(axes[0], fits.values(), strict=True):
        observed = fit["predictions_constant_data"]["energies"]
        draws = fit["predictions"]["energies"].values
        low, centre, high = np.quantile(draws, [0.025, 0.5, 0.975], axis=(0, 1))
        inside = np.mean((observed.values >= low) & (observed.values <= high))
        axis.axline((0, 0), slope=1, color=COLORS["prior"], lw=0.8)
        axis.vlines(observed, low, high, color=COLORS["posterior"], lw=0.5, alpha=0.5)
        axis.plot(observed, centre, ".", color=COLORS["posterior"], ms=3)
        unit = observed.attrs["units"]
        axis.set_xlabel(with_units("measured energy", unit))
        axis.set_title(
            f"{_words(fit)}: R² {mean_score(fit):.4f}\n{100 * inside:.1f} % in the 95 % band",
            color=COLORS["posterior"],
        )
    axes[0, 0].set_ylabel(with_units("predicted energy", unit))
    return fig


@styled
def penalty_figure(fits: Mapping[str, xr.DataTree], textbook: Mapping) -> object:
    """Draw R² against λ for each classical method, with the posterior of the equivalent λ."""
    from matplotlib.ticker import LogLocator, NullLocator

    path, folds = textbook["path"], textbook["folds"]
    methods = ["ridge", "lasso", "elastic net"]
    fig, axes = canvas(2, len(methods), height=4.6, sharex="col", sharey=True)
    equivalents = {{"normal": "ridge", "laplace": "lasso"}.get(_prior_of(fit)): fit
                   for fit in fits.values()}  # fmt: skip
    plain = path[path["method"] == "least squares"]["test"].iloc[0]
    for column, method in enumerate(methods):
        upper, lower = axes[:, column]
        part, fold = path[path["method"] == method], folds[folds["method"] == method]
        upper.plot(part["penalty"], part["train"], ls="--", color=COLORS["classical"])
        upper.plot(part["penalty"], part["test"], color=COLORS["classical"])
        upper.axhline(plain, color=COLORS["prior"], lw=0.8, ls=":")
        lower.errorbar(fold["penalty"], fold["score"], fold["error"], color=COLORS["classical"],
                       marker=".", lw=1)  # fmt: skip
        fit = equivalents.get(method)
        if fit is not None:
            low, centre, high = np.quantile(equivalent_penalty(fit), [0.025, 0.5, 0.975])
            for axis in (upper, lower):
                axis.axvspan(low, high, color=COLORS["posterior"], alpha=0.2, lw=0)
                axis.axvline(centre, color=COLORS["posterior"], lw=1)
            upper.axhline(mean_score(fit), color=COLORS["posterior"], lw=0.8, ls="-.")
        upper.set_title(method, color=COLORS["classical"])
        upper.set_xscale("log")
        upper.set_ylim(-0.08, 1.08)
        upper.xaxis.set_major_locator(LogLocator(numticks=6))
        upper.xaxis.set_minor_locator(NullLocator())
        lower.set_xlabel("λ")
    axes[0, 0].set_ylabel("R², one split")
    axes[1, 0].set_ylabel("R², 5-fold")
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    classical_, posterior_ = COLORS["classical"], COLORS["posterior"]
    fig.legend(
        [
            Line2D([], [], color=classical_),
            Line2D([], [], color=classical_, ls="--"),
            Line2D([], [], color=COLORS["prior"], ls=":"),
            Patch(color=posterior_, alpha=0.2),
            Line2D([], [], color=posterior_, lw=0.8, ls="-."),
        ],
        ["test", "training", "least squares, test", "posterior of λ, 95 %", "posterior mean, test"],
        loc="outside lower center",
        ncols=5,
        fontsize=8.5,
    )
    return fig


@styled
def prior_predictive_figure(fits: Mapping[str, xr.DataTree]) -> object:
    """Draw the energies that each prior expects, against those measured."""
    fig, axes = canvas(1, len(fits), height=2.4, squeeze=False, sharex=True)
    for axis, fit in zip(axes[0], fits.values(), strict=True):
        observed = np.sort(fit["observed_data"]["energies"].values)
        replicas = fit["prior_predictive"]["energies"].values
        replicas = np.sort(replicas.reshape(-1, observed.size), axis=-1)
        level = (np.arange(observed.size) + 0.5) / observed.size
        limit = 20 * np.std(observed)
        for replica in replicas[:60]:
            axis.plot(replica, level, color=COLORS["prior"], lw=0.5, alpha=0.5)
        axis.plot(observed, level, color=COLORS["data"], lw=2)
        axis.set_xlim(-limit, limit)
        unit = fit["observed_data"]["energies"].attrs["units"]
        axis.set_xlabel(with_units("energy", unit))
        axis.set_title(f"{_words(fit)} prior")
        axis.annotate("data", (0.97, 0.08), xycoords="axes fraction", ha="right", fontsize=9,
                      color=COLORS["data"])  # fmt: skip
        axis.annotate("prior draws", (0.97, 0.2), xycoords="axes fraction", ha="right", fontsize=9,
                      color=COLORS["prior"])  # fmt: skip
    axes[0, 0].set_ylabel("share of states below")
    return fig


def gauge_section(fits: Mapping[str, xr.DataTree], textbook: Mapping):
    """Show what the full gauge leaves open: J_ij - J_ji."""
    from bayesinf import report

    fit = next((f for f in fits.values() if _prior_of(f) == "normal"), next(iter(fits.values())))
    split = {}
    for method in ("ridge", "lasso"):
        upper, lower = _halves(fit, textbook["chosen"][method]["couplings"])
        strong = np.argsort(-np.abs(upper + lower))[: fit["constant_data"].sizes["site"]]
        split[method] = float(np.mean(np.abs(upper - lower)[strong]))
    return report.Section(
        "What the full gauge leaves open",
        (
            "Every product stands there twice, so the data see J_ij + J_ji alone. Under the normal "
            "prior the posterior of J_ij − J_ji must be its prior, and is. Ridge splits each bond "
            f"evenly (mean |J_ij − J_ji| on the strongest bonds: {split['ridge']:.2g}); the lasso "
            f"puts it on one side or the other ({split['lasso']:.2g}), for no reason in the data.",
        ),
        (
            report.Picture(
                "gauge",
                gauge_figure(fit),
                "Posterior of J_ij − J_ji, all pairs and draws, against its prior given the same "
                "scale: the curves coincide. The sum J_ij + J_ji, which the data do see, does not "
                "look like its prior.",
                "Density of coupling differences on top of the prior, and of coupling sums.",
            ),
        ),
    )


def _halves(fit, values):
    """Entries above and below the diagonal, pair by pair: values (..., pair) of the full gauge."""
    i, j = (fit["posterior"][name].values for name in "ij")
    sites = fit["constant_data"].sizes["site"]
    above, below = np.triu_indices(sites, 1)
    index = np.empty((sites, sites), dtype=int)
    index[i, j] = np.arange(len(i))
    return values[..., index[above, below]], values[..., index[below, above]]


@styled
def gauge_figure(fit: xr.DataTree) -> object:
    """Draw the posterior of J_ij - J_ji and of J_ij + J_ji against their priors."""
    J = fit["posterior"]["J"].values
    upper, lower = _halves(fit, J)
    scale = fit["posterior"]["scale"].values if "scale" in fit["posterior"] else float(
        fit["constant_data"]["scale"]
    )  # fmt: skip
    rng = np.random.default_rng(0)
    prior = (np.sqrt(2) * np.broadcast_to(scale, J.shape[:2])[..., np.newaxis]
             * rng.standard_normal(upper.shape))  # fmt: skip
    fig, axes = canvas(1, 2, height=2.7)
    limit = 1.2 * np.quantile(np.abs(prior), 0.9999)
    for axis, values, name in ((axes[0], upper - lower, "−"), (axes[1], upper + lower, "+")):
        span = limit if name == "−" else max(limit, 1.1 * np.max(np.abs(values)))
        bins = np.linspace(-span, span, 81)
        for draws, role in ((values, "posterior"), (prior, "prior")):
            height, _ = np.histogram(draws, bins, density=True)
            axis.stairs(np.where(height > 0, height, np.nan), bins, color=COLORS[role],
                        lw=1.8 if role == "posterior" else 1.2)  # fmt: skip
        axis.set_yscale("log")
        unit = fit["posterior"]["J"].attrs["units"]
        axis.set_xlabel(with_units(rf"$J_{{ij}} {name} J_{{ji}}$", unit))
        axis.set_ylabel("density")
    for height, role in ((0.94, "posterior"), (0.84, "prior")):
        axes[0].annotate(role, (0.03, height), xycoords="axes fraction", color=COLORS[role])
    return fig


# ── Calibration ──────────────────────────────────────────────────────────────────────────────────

# Small enough for hundreds of fits, with priors that do not look at the data, as the method needs.
CALIBRATION_SITES, CALIBRATION_SAMPLES = 5, 24
CALIBRATION_NOISE = InverseChi(4.0, 0.5)
CALIBRATION_PRIORS = {
    "spike_and_slab": linear.SpikeAndSlab(Beta(2.0, 2.0), InverseChi(6.0, 1.0)),
    "laplace": linear.Laplace(HalfCauchy(0.5)),
    "normal": linear.Normal(HalfCauchy(0.5)),
    "horseshoe": linear.Horseshoe(HalfCauchy(0.3), InverseChi(6.0, 1.0)),
}


def calibration_problem(variant: str | None = None):
    """State the problem for simulation-based calibration: five spins, ten couplings, 24 states."""
    from bayesinf.calibration import Machine

    prior = variant or "spike_and_slab"
    if prior not in CALIBRATION_PRIORS:
        raise DataError("unknown variant", expected=f"one of {', '.join(CALIBRATION_PRIORS)}",
                        found=prior)  # fmt: skip
    return Machine(
        f"ising_couplings ({WORDS[prior]})",
        partial(_simulate_from_prior, CALIBRATION_PRIORS[prior]),
        partial(_fit_simulated, CALIBRATION_PRIORS[prior]),
        Settings(draws=500, tune=300, chains=2, prior_draws=4, workers=1),
        _log_likelihood,
    )


def _log_likelihood(truth, data):
    from bayesinf.models.noise import log_density

    mean = features(data["states"]).values @ truth["J"]
    return float(np.sum(log_density(data["energies"].values, mean, truth["sigma"])))


def _simulate_from_prior(prior, rng):
    import xarray as xr

    states = rng.choice(np.array([-1, 1], np.int8), (CALIBRATION_SAMPLES, CALIBRATION_SITES))
    X = features(states).values
    problem = linear.regression(X, X[:, 0], prior, noise=CALIBRATION_NOISE)
    truth = {k: v[0] for k, v in problem.sample_prior(rng, 1).items()}
    energies = X @ truth["beta"] + truth["sigma"] * rng.standard_normal(len(X))
    data = xr.Dataset({"states": (("sample", "site"), states), "energies": ("sample", energies)})
    return {"J" if k == "beta" else k: v for k, v in truth.items()}, data


def _fit_simulated(prior, data, settings):
    return fit(data["states"], data["energies"], prior, noise=CALIBRATION_NOISE, settings=settings)
