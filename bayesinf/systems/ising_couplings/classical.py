"""The classical side: least squares, ridge, lasso and elastic net, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models.linear.conditional import Factors
from bayesinf.posterior import annotated, dataset
from bayesinf.systems.ising_couplings.model import best, features, r_squared

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "coefficients", "modes", "with_classical"]

# The textbook's grids: R² against λ, and λ chosen by 5-fold cross-validation.
PATH = np.logspace(-4, 5, 10)
FOLDS, FOLD_PATH = 5, np.logspace(-6, 4, 9)

ESTIMATORS = ("least squares", "ridge", "lasso", "elastic net")


def coefficients(X: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Fit the classical estimators over a path of λ.

    λ is scikit-learn's ``alpha``: |y - XJ|² + λ |J|² for ridge, |y - XJ|² / 2n + λ |J|₁ for the
    lasso, and half of each penalty for the elastic net. Lasso and elastic net run down the path
    from the largest λ, each from the last one's solution: from a cold start coordinate descent
    takes thousands of sweeps at the small end, and stops short of it.

    Parameters
    ----------
    X, y : features (sample, pair) and energies (sample,).
    penalties : values of λ, (penalty,).

    Returns
    -------
    couplings, (estimator, penalty, pair), in the order of ``ESTIMATORS``.
    """
    from sklearn.linear_model import LinearRegression, Ridge, enet_path

    down = np.sort(penalties)[::-1]
    plain = LinearRegression(fit_intercept=False).fit(X, y).coef_
    ridge = [
        Ridge(alpha=penalty, fit_intercept=False, solver="cholesky").fit(X, y).coef_
        for penalty in penalties
    ]
    fitted = [np.tile(plain, (len(penalties), 1)), np.stack(ridge)]
    for share in (1.0, 0.5):
        precise = {"precompute": True, "max_iter": 20_000, "tol": 1e-6}
        path = enet_path(X, y, l1_ratio=share, alphas=down, **precise)[1].T
        fitted.append(path[np.searchsorted(-down, -np.asarray(penalties))])
    return np.stack(fitted)


def classical(
    spins: xr.Dataset,
    held_out: xr.Dataset | None = None,
    *,
    gauge: str = "pairs",
    sigma: float | None = None,
    constant: bool = False,
) -> xr.Dataset:
    """Fit the classical estimators as the textbook does.

    Parameters
    ----------
    spins : training data, as for ``fit``.
    held_out : Dataset of which the first half chooses λ and the second half tests; without it
        5-fold cross-validation chooses.
    gauge : ``pairs`` or ``full``.
    sigma : the noise at which ``modes`` compares priors and penalties; None leaves that out.
    constant : whether the energies have a constant: then the means of what is learnt from are taken
        off all features and energies, which is least squares with an intercept.

    Returns
    -------
    a Dataset over ``estimator`` (``ESTIMATORS``) with ``path`` (estimator, part, penalty), R² in
    training and, of states held out, validation and test; ``folds`` and ``folds_error`` (estimator,
    fold_penalty), R² by 5-fold cross-validation and its standard error; ``J`` (estimator, pair) at
    the λ, ``chosen`` (estimator), that predicts best, and its R² on states that it has not seen,
    ``score`` (estimator). With ``sigma`` also the results of ``modes``.
    """
    from sklearn.model_selection import KFold

    X, y = features(spins["states"], gauge).values, spins["energies"].values
    parts = {"train": (X, y)}
    if held_out is not None:
        others, targets = features(held_out["states"], gauge).values, held_out["energies"].values
        half = len(targets) // 2
        parts["validation"] = others[:half], targets[:half]
        parts["test"] = others[half:], targets[half:]
    if constant:
        centre = X.mean(axis=0), y.mean()
        parts = {name: (a - centre[0], b - centre[1]) for name, (a, b) in parts.items()}
        X, y = parts["train"]
    fitted = coefficients(X, y, PATH)
    path = np.stack([r_squared(b, fitted @ a.T) for a, b in parts.values()], axis=1)
    folds = np.stack(
        [
            r_squared(y[out], coefficients(X[kept], y[kept], FOLD_PATH) @ X[out].T)
            for kept, out in KFold(min(FOLDS, len(y))).split(X)
        ]
    )
    every = np.arange(len(ESTIMATORS))
    if held_out is None:
        best = np.argmax(folds.mean(axis=0), axis=-1)
        J, chosen = coefficients(X, y, FOLD_PATH)[every, best], FOLD_PATH[best]
        score = folds.mean(axis=0)[every, best]
    else:
        best = np.argmax(path[:, 1], axis=-1)
        J, chosen, score = fitted[every, best], PATH[best], path[every, 2, best]
    arrays = {
        "path": path,
        "folds": folds.mean(axis=0),
        "folds_error": folds.std(axis=0, ddof=1) / np.sqrt(len(folds)),
        "J": J,
        "chosen": chosen,
        "score": score,
    }
    dims = {
        "path": ("estimator", "part", "penalty"),
        "folds": ("estimator", "fold_penalty"),
        "folds_error": ("estimator", "fold_penalty"),
        "J": ("estimator", "pair"),
        "chosen": ("estimator",),
        "score": ("estimator",),
    }
    coords = {
        "estimator": list(ESTIMATORS),
        "part": list(parts),
        "penalty": PATH,
        "fold_penalty": FOLD_PATH,
    }
    units = {"J": spins["energies"].attrs.get("units", "1")}
    result = dataset(arrays, dims, coords, units, sampled=False)
    return result if sigma is None else result.merge(modes(spins, sigma, constant))


def with_classical(
    fits: Mapping[str, xr.DataTree], spins: xr.Dataset, held_out: xr.Dataset | None
) -> dict[str, xr.DataTree]:
    """Put the classical answer beside the fit that carries the answer, at the noise it found.

    Parameters
    ----------
    fits : name to fit.
    spins, held_out : what they were fitted to, and what they predict, if anything.
    """
    name = best(fits)
    fit = fits[name]
    group = "posterior" if "sigma" in fit["posterior"] else "constant_data"
    sigma = float(fit[group]["sigma"].mean())
    constant = "intercept" in fit["posterior"]
    beside = classical(spins, held_out, gauge=fit.attrs["gauge"], sigma=sigma, constant=constant)
    return {**fits, name: annotated(fit, classical=beside)}


def modes(spins: xr.Dataset, sigma: float, constant: bool = False) -> xr.Dataset:
    """Hold the priors' modes against their classical counterparts, at the same λ.

    At noise σ the normal prior of a given scale has its mode at ridge regression with
    λ = (σ / scale)², and the Laplace prior at the lasso with λ = σ² / (n scale). The modes are
    those of the log posterior: the normal's in closed form, the Laplace's by a bound-constrained
    optimiser on the positive and the negative part of J. For the lasso λ is a hundredth of the one
    that switches every coupling off.

    Parameters
    ----------
    spins : training data, as for ``fit``.
    sigma : the noise at which the scales are stated.
    constant : whether means are taken off first, as of ``classical``.

    Returns
    -------
    Dataset over ``mode_prior`` (normal, Laplace) with the prior's ``mode_scale``, ``mode_penalty``
    λ, and ``mode_difference``, the largest in any coupling.
    """
    from scipy.optimize import minimize
    from sklearn.linear_model import Lasso, Ridge

    X, y = features(spins["states"]).values, spins["energies"].values
    X, y = (X - X.mean(axis=0), y - y.mean()) if constant else (X, y)
    n, p = X.shape
    ridge_penalty, lasso_penalty = 1.0, 0.01 * float(np.max(np.abs(X.T @ y))) / n
    scale, width = sigma / np.sqrt(ridge_penalty), sigma**2 / (n * lasso_penalty)
    factors, variances = Factors(X, y), np.full(p, scale**2)
    normal = factors.condition(factors.kernel(variances), variances, sigma).mean()

    def negative_log_posterior(parts):
        # In units of n/σ², which leaves the optimiser well-scaled numbers.
        residual = y - X @ (parts[:p] - parts[p:])
        slope, penalty = X.T @ residual / n, sigma**2 / (n * width)
        value = residual @ residual / (2 * n) + penalty * np.sum(parts)
        return value, np.concatenate([penalty - slope, penalty + slope])

    laplace = minimize(
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
    apart = np.abs(normal - ridge), np.abs(laplace[:p] - laplace[p:] - lasso)
    unit = spins["energies"].attrs.get("units", "1")
    names = ("mode_scale", "mode_penalty", "mode_difference")
    return dataset(
        {
            "mode_scale": np.array([scale, width]),
            "mode_penalty": np.array([ridge_penalty, lasso_penalty]),
            "mode_difference": np.array([difference.max() for difference in apart]),
        },
        dict.fromkeys(names, ("mode_prior",)),
        {"mode_prior": ["normal", "Laplace"]},
        {"mode_scale": unit, "mode_difference": unit},
        sampled=False,
    )
