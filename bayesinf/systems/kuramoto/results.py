"""What a fit says of the network, whatever its parameters: couplings, lag, how much is decided.

A fit has couplings and one lag, known or not, or sine and cosine parts of its couplings; here they
become K and α of every draw, and which of several fits foretells best is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models.problem import Labels
from bayesinf.posterior import noted
from bayesinf.systems.kuramoto.data import pairs

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.systems.kuramoto.model import Network

__all__ = ["best", "summary"]


def summary(problem: Network, fit: xr.DataTree) -> xr.Dataset:
    """Return couplings and lag, whatever the parameters of the fit.

    Where α is no parameter it is at each draw the direction that the pairs (sine, cosine) have in
    common, their sense aside,

        α = ½ arg Σ_ij w_ij (a_ij + i b_ij)²,   K_ij = a_ij cos α + b_ij sin α,

    the weight w of a pair one over the posterior variance of its parts.

    Returns
    -------
    ``K_mean``, ``K_sd``, ``K_low``, ``K_high`` (pair), 95 % between the last two; ``decided``
    (pair), 1 less the variance of the posterior over that of its prior; ``alpha`` and ``mean_K``,
    the mean of all couplings, (chain, draw); ``order`` (instant), |mean of e^{iθ}|.
    """
    posterior = {name: values.values for name, values in fit["posterior"].data_vars.items()}
    C = pairs(problem.matrix(posterior))
    if "alpha" in posterior:
        alpha = posterior["alpha"]
    elif problem.lag is None:
        weight = 1 / (C.real.var(axis=(0, 1)) + C.imag.var(axis=(0, 1)))
        alpha = -0.5 * np.angle(C**2 @ weight)
        if np.mean(np.real(C * np.exp(1j * alpha)[..., np.newaxis])) < 0:
            alpha = alpha + np.pi
        alpha = np.angle(np.exp(1j * (alpha - _middle(alpha)))) + _middle(alpha)
    else:
        alpha = np.full(C.shape[:2], float(problem.lag))
    K = np.real(C * np.exp(1j * alpha)[..., np.newaxis])
    low, high = np.quantile(K, [0.025, 0.975], axis=(0, 1))
    width = _width(fit)
    decided = np.clip(1 - K.var(axis=(0, 1)) / width**2, 0.0, 1.0)
    arrays = {"K_mean": K.mean((0, 1)), "K_sd": K.std((0, 1)), "K_low": low, "K_high": high}
    arrays |= {"decided": decided}
    of_draw = {"alpha": alpha, "mean_K": K.mean(axis=-1)}
    unit = problem.parameters.units["omega"]
    labels = Labels(
        dict.fromkeys(arrays, ("pair",))
        | {"order": ("instant",)}
        | dict.fromkeys(of_draw, ("chain", "draw")),
        problem.parameters.coords,
        dict.fromkeys(("K_mean", "K_sd", "K_low", "K_high", "mean_K"), unit) | {"alpha": "rad"},
    )
    order = np.abs(np.exp(1j * problem.data_rows.theta).mean(axis=1))
    return labels.group(arrays | of_draw | {"order": order}, sampled=False)


def _middle(angle):
    """Mean direction of angles."""
    return float(np.angle(np.mean(np.exp(1j * angle))))


def _width(fit):
    """Typical width of the prior of a coupling, at the posterior of its scale."""
    for name in ("scale", "slab_width"):
        for group in ("posterior", "constant_data"):
            if name in fit[group]:
                return float(np.median(fit[group][name].values))
    return np.inf


def best(fits: Mapping[str, xr.DataTree]) -> str:
    """Return the name of the fit that carries the answer: it foretells left-out blocks best."""
    return max(fits, key=lambda name: float(noted(fits[name], "left_out")["elpd"]))
