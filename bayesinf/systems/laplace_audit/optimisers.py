"""Three ways down the loss of a peak, many starts side by side, and which start ends where.

    L(θ) = ½ Σ (y_i − f(x_i; θ))² / error_i²

Gradient descent takes steps of a fixed rate, Newton's method H⁻¹∇ with the full Hessian, and
Levenberg and Marquardt's (JᵀJ + λ D)⁻¹ Jᵀr with a damping that grows until a step gains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.inference.scoring import descend
from bayesinf.posterior import dataset
from bayesinf.systems.laplace_audit.data import NAMES, peak

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ENDS", "Loss", "basins", "gradient_descent", "levenberg_marquardt", "newton"]

ENDS = ("the mode", "its mirror image, σ < 0", "a saddle, or another top", "not there yet", "lost")
GRID = 31  # starts a side
DESCENT = 1000  # steps of gradient descent from each
THERE = 0.5  # sd from the mode, within which a start has come there
FLAT = 0.01  # Newton decrement in sd, below which a place is stationary
FAR = 20.0  # beyond which, in μ or σ, a start is lost


class Loss:
    """The loss of a peak, with its derivatives, at many points at once.

    Parameters
    ----------
    data : x, y and error bars; without those the noise is that of the residuals at the best fit.
    """

    def __init__(self, data: xr.Dataset):
        x, y, error = axes(data)
        self.x, self.y = x.values.astype(float), y.values.astype(float)
        self.error = None if error is None else error.values.astype(float)
        self.weight = 1.0 / (1.0 if self.error is None else self.error) * np.ones(len(self.x))

    def rescaled(self, noise: float) -> Loss:
        """Return the same with noise of a known size."""
        import copy

        other = copy.copy(self)
        other.weight = np.full(len(self.x), 1 / noise)
        return other

    def mean(self, theta: np.ndarray) -> np.ndarray:
        """The peak, (..., parameter) -> (..., point)."""
        return peak(self.x, *(theta[..., k, None] for k in range(4)))

    def score(self, mean: np.ndarray):
        """Deviance, residuals and weights, as ``inference.scoring`` asks for them."""
        residual = (self.y - mean) * self.weight
        return np.sum(residual**2, axis=-1), residual, self.weight + 0 * mean

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """The loss, (..., parameter) -> (...)."""
        return 0.5 * self.score(self.mean(theta))[0]

    def derivatives(self, theta: np.ndarray, second: bool = True):
        """Gradient (..., parameter) and Hessian (..., parameter, parameter) of the loss."""
        a, mu, sigma, _ = (theta[..., k, None] for k in range(4))
        u = (self.x - mu) / sigma
        g = np.exp(-0.5 * u**2)
        slopes = np.stack([g, a * g * u / sigma, a * g * u**2 / sigma, np.ones_like(g)], axis=-1)
        slopes *= self.weight[:, None]
        residual = (self.y - self.mean(theta)) * self.weight
        gradient = -np.einsum("...n,...nk->...k", residual, slopes)
        if not second:
            return gradient, None
        hessian = np.einsum("...nk,...nl->...kl", slopes, slopes)
        pairs = {
            (0, 1): g * u / sigma,
            (0, 2): g * u**2 / sigma,
            (1, 1): a * g * (u**2 - 1) / sigma**2,
            (1, 2): a * g * (u**3 - 2 * u) / sigma**2,
            (2, 2): a * g * (u**4 - 3 * u**2) / sigma**2,
        }
        for (i, j), bend in pairs.items():
            found = np.sum(residual * self.weight * bend, axis=-1)
            hessian[..., i, j] -= found
            if i != j:
                hessian[..., j, i] -= found
        return gradient, hessian


@np.errstate(all="ignore")  # a step may lead where the peak overflows
def gradient_descent(loss: Loss, start: np.ndarray, steps: int, rate: float) -> np.ndarray:
    """Take steps θ ← θ − rate ∇L from each start, (..., parameter)."""
    theta = np.array(start, dtype=float)
    for _ in range(steps):
        theta -= rate * loss.derivatives(theta, second=False)[0]
    return theta


@np.errstate(all="ignore")
def newton(loss: Loss, start: np.ndarray, steps: int = 50) -> np.ndarray:
    """Take undamped steps θ ← θ − H⁻¹∇L: towards any stationary point, a saddle too."""
    theta = np.array(start, dtype=float)
    flat = theta.reshape(-1, theta.shape[-1])
    live = np.ones(len(flat), dtype=bool)
    for _ in range(steps):
        gradient, hessian = loss.derivatives(flat[live])
        usable = np.isfinite(hessian).all(axis=(1, 2)) & (np.abs(np.linalg.det(hessian)) > 0)
        index = np.flatnonzero(live)
        live[index[~usable]] = False
        if not usable.any():
            break
        step = np.linalg.solve(hessian[usable], gradient[usable][..., None])[..., 0]
        flat[index[usable]] -= step
    return flat.reshape(theta.shape)


def levenberg_marquardt(loss: Loss, start: np.ndarray) -> np.ndarray:
    """Descend with damping, (start, parameter), by ``inference.scoring``."""
    wide = np.full(4, np.inf)
    return descend(loss.mean, loss.score, np.atleast_2d(start), -wide, wide, most=200)[0]


def basins(data: xr.Dataset, mode: np.ndarray, sd: np.ndarray, rate: float, size: int = GRID):
    """Map which start ends where, over a grid in μ and σ, A and B begun at 0.5 and 0.2.

    Parameters
    ----------
    data : the peak.
    mode, sd : the best optimum, (parameter,), and standard deviations there.
    rate : of gradient descent.
    size : starts a side.

    Returns
    -------
    Dataset over ``optimiser``, ``sigma_start`` and ``mu_start``: ``end``, a position in ``ENDS``.
    """
    loss = Loss(data)
    if loss.error is None:
        residual = loss.y - loss.mean(mode[None])[0]
        loss = loss.rescaled(float(residual.std()))
    mu = np.linspace(loss.x.min(), loss.x.max(), size)
    sigma = np.linspace(0.05, 0.5, size) * np.ptp(loss.x)
    sigmas, mus = np.meshgrid(sigma, mu, indexing="ij")
    half, low = 0.5 * np.ptp(loss.y), float(np.min(loss.y)) + 0.2 * np.ptp(loss.y)
    start = np.stack([0 * mus + half, mus, sigmas, 0 * mus + low], axis=-1).reshape(-1, 4)
    ends = {
        "gradient descent": gradient_descent(loss, start, DESCENT, rate),
        "Newton": newton(loss, start),
        "Levenberg–Marquardt": levenberg_marquardt(loss, start),
    }
    found = [_ended(loss, end, mode, sd).reshape(size, size) for end in ends.values()]
    return dataset(
        {"end": np.stack(found), "start": np.array([half, low])},
        {"end": ("optimiser", "sigma_start", "mu_start"), "start": ("fixed",)},
        {
            "optimiser": list(ends),
            "sigma_start": sigma,
            "mu_start": mu,
            "fixed": ["A", "B"],
            "parameter": list(NAMES),
        },
        sampled=False,
    )


@np.errstate(all="ignore")
def _ended(loss, theta, mode, sd):
    """Which of ``ENDS`` each end is."""
    mirror = mode * np.array([1, 1, -1, 1])
    at_mode, at_mirror = (
        np.max(np.abs(theta - place) / sd, axis=1) < THERE for place in (mode, mirror)
    )
    gradient, hessian = loss.derivatives(theta)
    finite = np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
    finite &= (np.abs(theta[:, 1]) < FAR * np.ptp(loss.x)) & (
        np.abs(theta[:, 2]) < FAR * np.ptp(loss.x)
    )
    step = np.full(theta.shape, np.inf)
    whole = finite & (np.linalg.cond(np.where(finite[:, None, None], hessian, np.eye(4))) < 1e12)
    step[whole] = np.linalg.solve(hessian[whole], gradient[whole][..., None])[..., 0]
    decrement = np.sqrt(np.abs(np.einsum("ij,ij->i", step, np.where(finite[:, None], gradient, 0))))
    kind = np.where(finite, 3, 4)
    kind = np.where(whole & (decrement < FLAT), 2, kind)
    return np.where(at_mode, 0, np.where(at_mirror, 1, kind))
