"""The classical recipe: kernel ridge regression with an exponential kernel and fixed numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import gp
from bayesinf.systems.lennard_jones.data import scales
from bayesinf.systems.lennard_jones.level import above

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["WALLS", "classical", "kernel_ridge", "numbers"]

WALLS = ("zero", "repulsive")
# In units of σ and ε.
RECIPE = {"length_scale": 0.1, "amplitude": 1.0, "noise": 1e-9**0.5, "gamma": 150.0, "r0": 0.95}


def numbers(sigma: float, epsilon: float, wall: bool = True) -> dict[str, float]:
    """Return the recipe's hyperparameters in units of the data; without a wall its slope is 0."""
    unit = {
        "length_scale": sigma,
        "amplitude": epsilon,
        "noise": epsilon,
        "gamma": epsilon / sigma,
        "r0": sigma,
    }
    return {n: v * unit[n] for n, v in RECIPE.items()} | ({} if wall else {"gamma": 0.0})


def kernel_ridge(
    distances: np.ndarray,
    energies: np.ndarray,
    at: np.ndarray,
    *,
    sigma: float = 1.0,
    epsilon: float = 1.0,
    wall: bool = True,
) -> np.ndarray:
    """Predict energies by the classical recipe.

        U(r) = m(r) + k(r)ᵀ w,   (K + 1e-9 ε² 1) w = U − m,   K_ij = ε² exp(−|r_i − r_j| / 0.1 σ)

    Parameters
    ----------
    distances, energies : (point,), to train on.
    at : (new,), where to predict.
    sigma, epsilon : units of length and energy in which the recipe's numbers are.
    wall : whether m is the wall γ = 150 ε/σ inside r₀ = 0.95 σ, or zero.
    """
    from scipy.linalg import cho_factor, cho_solve

    r, u, at = (np.asarray(values, dtype=float) for values in (distances, energies, at))
    mean, theta = gp.Repulsive(), numbers(sigma, epsilon, wall)
    kernel = gp.Exponential()
    matrix = kernel.value(r[:, None] - r, theta) + theta["noise"] ** 2 * np.eye(len(r))
    weights = cho_solve(cho_factor(matrix, lower=True), u - mean.value(r, theta))
    return mean.value(at, theta) + kernel.value(at[:, None] - r, theta) @ weights


def classical(dataset: xr.Dataset, at: np.ndarray | None = None) -> xr.Dataset:
    """Predict a pair potential by the classical recipe, with its numbers in units of the data.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``; all of its rows are trained on, counted from the
        level that ``noticed`` has found, if any.
    at : (new,), where to predict; by default 120 distances over the range of the data.

    Returns
    -------
    a Dataset with ``curve`` over ``wall`` (zero, repulsive) and ``new``, with coordinate
    ``distances``.
    """
    import xarray as xr

    r, u = dataset["distances"], above(dataset)["energies"]
    level = dataset.attrs.get("level", 0.0)
    at = np.linspace(float(r.min()), float(r.max()), 120) if at is None else np.asarray(at)
    sigma, epsilon = scales(r, u)
    found = [
        level + kernel_ridge(r, u, at, sigma=sigma, epsilon=epsilon, wall=wall == "repulsive")
        for wall in WALLS
    ]
    return xr.Dataset(
        {"curve": (("wall", "new"), found, {"units": u.attrs.get("units", "1")})},
        {"wall": list(WALLS), "distances": ("new", at, {"units": r.attrs.get("units", "1")})},
    )
