"""The classical side: Tikhonov regularisation, and three ways to choose its λ.

    minimise |y − A f|² + λ |D f|²,   D the differences of order 1 or 2 between neighbours

What D does not see, the level (and slope), is fitted freely. In the singular value decomposition of
the rest every λ costs a line: Hansen, Rank-Deficient and Discrete Ill-Posed Problems, SIAM 1998,
doi:10.1137/1.9780898719697.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.systems.deconvolution.model import SMOOTH, WIDTHS, best, compare, noise_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RULES", "Tikhonov", "classical", "with_comparison"]

FIXED = 1e-4  # the λ of the textbook recipe
RULES = ("fixed", "cross-validation", "L-curve", "discrepancy")
TRIALS = 240  # values of λ at which the rules look


class Tikhonov:
    """One decomposition that answers for every λ.

    Parameters
    ----------
    A : response, (point, position).
    y : data, (point,).
    order : of the differences, 1 or 2.
    """

    def __init__(self, A: np.ndarray, y: np.ndarray, order: int = 1):
        p = A.shape[1]
        # D C = 1 and D N = 0: sums undo differences, and N is a constant (and a straight line).
        sums = np.tril(np.ones((p, p)), -1)
        self.C = np.linalg.matrix_power(sums, order)[:, : p - order]
        self.N = np.vander(np.linspace(-1.0, 1.0, p), order, increasing=True)
        Q, X = np.linalg.qr(A @ self.N)[0], A @ self.C
        U, self.s, Vt = np.linalg.svd(X - Q @ (Q.T @ X), full_matrices=False)
        rest = y - Q @ (Q.T @ y)
        self.A, self.y, self.order, self.V, self.b = A, y, order, Vt.T, U.T @ rest
        self.beyond = float(np.sum((rest - U @ self.b) ** 2))

    @property
    def trials(self) -> np.ndarray:
        """Values of λ from far below to far above all that matters, (trial,)."""
        top = self.s[0] ** 2
        return np.geomspace(1e-14 * top, 1e2 * top, TRIALS)

    def signal(self, penalty: float) -> np.ndarray:
        """The minimum at one λ, (position,)."""
        curve = self.C @ (self.V @ (self.s * self.b / (self.s**2 + penalty)))
        free = np.linalg.lstsq(self.A @ self.N, self.y - self.A @ curve)[0]
        return curve + self.N @ free

    def at(self, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """|y − A f|², |D f|² and the degrees of freedom at each λ."""
        s2 = self.s**2
        kept = s2 / (s2 + np.asarray(penalty)[..., np.newaxis])
        residual = self.beyond + np.sum(((1 - kept) * self.b) ** 2, axis=-1)
        size = np.sum((kept * self.b) ** 2 / s2, axis=-1)
        return residual, size, self.order + np.sum(kept, axis=-1)

    def cross_validation(self, penalty: np.ndarray) -> np.ndarray:
        """Generalised cross-validation, n |y − A f|² / (n − degrees of freedom)², at each λ.

        Golub, Heath & Wahba, Technometrics 21, 215 (1979), doi:10.1080/00401706.1979.10489751.
        """
        residual, _, freedom = self.at(penalty)
        return len(self.y) * residual / np.maximum(len(self.y) - freedom, 1e-9) ** 2

    def choose(self, rule: str, sigma: float) -> float:
        """The λ that a rule of ``RULES`` chooses, at a noise of standard deviation σ.

        The discrepancy principle takes the λ at which |y − A f|² = n σ² (Morozov 1966); the L-curve
        has its corner where log |D f|² against log |y − A f|² is bent most (Hansen & O'Leary 1993,
        doi:10.1137/0914086).
        """
        from scipy.optimize import brentq, minimize_scalar

        if rule == "fixed":
            return FIXED
        trials = np.log(self.trials)
        if rule == "cross-validation":

            def score(log):
                return float(self.cross_validation(np.exp(log)))

            best = int(np.argmin(self.cross_validation(np.exp(trials))))
            around = trials[max(best - 1, 0)], trials[min(best + 1, TRIALS - 1)]
            return float(np.exp(minimize_scalar(score, bounds=around, method="bounded").x))
        if rule == "L-curve":
            residual, size, _ = (np.log(v) for v in self.at(np.exp(trials)))
            one = [np.gradient(v, trials) for v in (residual, size)]
            two = [np.gradient(v, trials) for v in one]
            bend = (one[0] * two[1] - two[0] * one[1]) / np.hypot(*one) ** 3
            return float(np.exp(trials[2 + int(np.argmax(np.nan_to_num(bend[2:-2])))]))

        def excess(log):
            return float(self.at(np.exp(log))[0]) - len(self.y) * sigma**2

        if excess(trials[0]) >= 0 or excess(trials[-1]) <= 0:  # no λ leaves so much, or so little
            return float(np.exp(trials[0 if excess(trials[0]) >= 0 else -1]))
        return float(np.exp(brentq(excess, trials[0], trials[-1])))


def classical(blurred: xr.Dataset, *, order: int = 1, sigma: float | None = None) -> xr.Dataset:
    """Deblur by Tikhonov regularisation, λ fixed and by three rules.

    Parameters
    ----------
    blurred : as of ``simulate``; where it has error bars, data and response are divided by them.
    order : of the differences that are penalised.
    sigma : noise for the discrepancy principle, in units of the error bars where there are any;
        None takes the noise left over by cross-validation, |y − A f|² / (n − degrees of freedom).

    Returns
    -------
    Dataset over ``rule`` (``RULES``) with ``penalty`` λ, ``signal`` (rule, position) and
    ``freedom``, the degrees of freedom; over ``trial``, the values of λ, ``score`` (of
    cross-validation), ``residual`` |y − A f|² and ``size`` |D f|².

    Raises
    ------
    DataError : an order other than 1 and 2.
    """
    if order not in (1, 2):
        raise DataError("no such differences", expected="order 1 or 2", found=order)
    _, y, bars = reading.axes(blurred)
    error = 1.0 if bars is None else bars.values
    A = blurred["response"].values / np.reshape(error, (-1, 1))
    solver = Tikhonov(A, y.values / error, order)
    if sigma is None:
        residual, _, freedom = solver.at(solver.choose("cross-validation", 1.0))
        sigma = float(np.sqrt(residual / (len(y) - freedom)))
    chosen = np.array([solver.choose(rule, sigma) for rule in RULES])
    residual, size, _ = solver.at(solver.trials)
    arrays = {
        "penalty": chosen,
        "signal": np.stack([solver.signal(penalty) for penalty in chosen]),
        "freedom": solver.at(chosen)[2],
        "score": solver.cross_validation(solver.trials),
        "residual": residual,
        "size": size,
    }
    dims = {"penalty": ("rule",), "signal": ("rule", "position"), "freedom": ("rule",)}
    dims |= dict.fromkeys(("score", "residual", "size"), ("trial",))
    coords = {"rule": list(RULES), "trial": solver.trials, "position": blurred["position"]}
    units = {"signal": blurred.attrs["signal_units"]}
    return dataset(arrays, dims, coords, units, sampled=False).assign_attrs(order=order)


def with_comparison(
    fits: Mapping[str, xr.DataTree],
    blurred: xr.Dataset,
    *,
    widths: Sequence[float] = WIDTHS,
    **options,
) -> dict[str, xr.DataTree]:
    """Put the evidence of the smooth priors and the classical answers beside the best fit.

    Parameters
    ----------
    fits : name to fit.
    widths : as for ``compare``.
    blurred, **options : what they were fitted to, and how, as for ``problem``.
    """
    name, among = best(fits), [prior for prior in SMOOTH if prior in fits]
    sigma = float(noise_of(fits[name]).mean())
    notes = {
        "evidence": compare(blurred, among, widths=widths, **options),
        "classical": classical(blurred, order=1, sigma=sigma),
        "classical_second": classical(blurred, order=2, sigma=sigma),
    }
    return {**fits, name: annotated(fits[name], **notes)}
