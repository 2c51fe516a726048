"""The fit of a portion of spectra at once: optima, covariances, weighed draws and checks.

The least misfit within the bounds (``search``) is the optimum that ``NonlinearRegression.optimum``
finds. Around it draws are made and weighed by likelihood and prior (``weighing``); where the
weights say that the normal misses the posterior, or residuals are not what the model leaves
(``residuals``), the spectrum is doubted, with a reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from bayesinf.batches.verdict import BELIEVED, DOUBTED, FAILED
from bayesinf.checks.weights import AGREEING, PARETO_K
from bayesinf.data.spectra import Spectrum
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.gaussian_peaks.batch.residuals import STATISTICS
from bayesinf.systems.gaussian_peaks.batch.search import Flat, factors, looked, optima
from bayesinf.systems.gaussian_peaks.batch.statement import Model
from bayesinf.systems.gaussian_peaks.batch.tails import tails

__all__ = ["DRAWS", "KEPT", "PORTION", "fit_portion"]

PORTION = 1024  # spectra fitted together; the draws of a spectrum depend on it
DRAWS = 128  # weighed for each spectrum
KEPT = 16  # drawn from those by their weights, and kept
P_VALUE = 0.01  # smallest p-value, times the number of statistics
CONVERGED = 1e-4  # standard errors that the last step may be long
DEGENERATE = 1e7  # condition of the slopes from which the data leave something open
EFFECTIVE = 0.25  # share of the draws that weighted ones must be worth
EVEN = 0.9  # share at which weights are so even that their tail decides nothing
NARROW = 1.02  # times its lowest, up to which a width stands on one point alone
EDGE = 1e-3  # share of the range of x from its ends where a peak shows its flank alone
NOISELESS = 1e-6  # share of the range of y, at which residuals are rounding


def fit_portion(
    spectra: Sequence[Spectrum], model: Model, settings: Settings = DEFAULT, number: int = 0
) -> dict[str, np.ndarray]:
    """Fit a portion of a batch.

    Parameters
    ----------
    spectra : as they come; those that cannot be fitted are rows with a reason.
    model : of each.
    settings : its seed decides the draws.
    number : of the portion.

    Returns
    -------
    arrays with one row a spectrum: ``theta``, ``error`` and ``covariance`` of the optimum,
    ``noise``, ``mean`` and ``sd`` of the posterior, ``draws`` with ``draws_noise`` and
    ``log_likelihood``, ``pareto_k``, ``effective``, ``moved``, ``p_value`` (statistic), ``z``,
    ``condition``, ``step``, ``agreeing``, ``rivals``, ``rss``, ``points``, ``code`` (``BELIEVED``,
    ``DOUBTED`` or ``FAILED``) and ``reason``; NaN where there is none. Besides ``sha256`` of all.
    """
    rows = _empty(len(spectra), len(model.free))
    usable = []
    for row, one in enumerate(spectra):
        reason = one.reason or _unusable(one, model)
        rows["points"][row] = 0 if one.y is None else len(one.y)
        rows["code"][row], rows["reason"][row] = (FAILED, reason) if reason else (BELIEVED, "")
        if not reason:
            usable.append(row)
    rows["sha256"] = _digest(spectra)
    if usable:
        _fill(rows, np.array(usable), [spectra[row] for row in usable], model, settings, number)
    return rows


def _digest(spectra):
    """SHA-256 of the numbers of a portion, (32,)."""
    digest = hashlib.sha256()
    for one in spectra:
        for array in (one.x, one.y, one.error):
            digest.update(b"-" if array is None else np.ascontiguousarray(array, float).tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _empty(count, size):
    nan = {
        "theta": (size,),
        "error": (size,),
        "covariance": (size, size),
        "noise": (),
        "mean": (size,),
        "sd": (size,),
        "draws": (KEPT, size),
        "draws_noise": (KEPT,),
        "log_likelihood": (KEPT,),
        "pareto_k": (),
        "effective": (),
        "moved": (),
        "p_value": (len(STATISTICS),),
        "z": (4,),
        "condition": (),
        "step": (),
        "rss": (),
    }
    rows = {name: np.full((count, *shape), np.nan) for name, shape in nan.items()}
    rows |= {name: np.zeros(count, dtype=int) for name in ("agreeing", "rivals", "points", "code")}
    return rows | {"reason": np.full(count, "", dtype=object)}


def _unusable(one, model):
    """Why a spectrum cannot be fitted; "" where it can."""
    needed = len(model.free) + (one.error is None and not model.counted) + 1
    if len(one.y) < needed:
        return f"{len(one.y)} points cannot determine {needed - 1} parameters"
    bars = None if model.counted else one.error
    arrays = [one.x, one.y] + ([] if bars is None else [bars])
    bad = np.sum(~np.isfinite(np.stack(arrays)).all(axis=0))
    if bad:
        return f"{bad} of {len(one.y)} points hold no finite number"
    if bars is not None and not np.all(bars > 0):
        return f"{np.sum(~(bars > 0))} error bars are not above zero"
    if model.counted:
        odd = np.sum((one.y < 0) | (one.y != np.round(one.y)))
        if odd:
            return f"{odd} of {len(one.y)} points hold no counts"
    if np.ptp(one.y) == 0:
        return f"y does not vary: {one.y[0]:g} at every point"
    if np.ptp(one.x) == 0:
        return f"x does not vary: {one.x[0]:g} at every point"
    return ""


def _fill(rows, at, spectra, model, settings, number):
    """Fit those spectra that can be, and fill in their rows."""
    inferred = np.array([one.error is None and not model.counted for one in spectra])
    for known in (True, False):  # the compiled loops take one kind at a time
        some = np.flatnonzero(inferred != known)
        if len(some):
            flat = Flat.of([spectra[k] for k in some], model)
            rng = settings.generator("batch", number, int(known))
            found = _fitted(flat, model, not known, rng)
            for name, values in found.items():
                rows[name][at[some]] = values


def _fitted(flat, model, inferred, rng):
    """Rows of spectra that can be fitted."""
    best = optima(flat, model, inferred)
    count, size = best["theta"].shape
    dof = np.diff(flat.at) - size
    z, p, condition = looked(flat, model, inferred, best)
    # A wrong end leaves residuals that no noise makes: those spectra are searched thoroughly.
    again = np.flatnonzero(~(np.nanmin(p, axis=1, initial=1.0) >= P_VALUE / len(STATISTICS)))
    if len(again):
        part = Flat.of([flat.spectra[k] for k in again], model)
        other = optima(part, model, inferred, thorough=True)
        better = other["rss"] <= best["rss"][again]
        for name, found in other.items():
            best[name][again[better]] = found[better]
        now = {name: found[again] for name, found in best.items()}
        z[again], p[again], condition[again] = looked(part, model, inferred, now)
    scale = np.sqrt(best["rss"] / dof) if inferred else np.ones(count)
    rows = {name: best[name] for name in ("theta", "rss", "step", "agreeing", "rivals")}
    rows["noise"] = scale if inferred else np.full(count, np.nan)
    rows["covariance"] = best["covariance"] * (scale**2)[:, None, None]
    with np.errstate(invalid="ignore"):
        rows["error"] = np.sqrt(np.diagonal(rows["covariance"], axis1=1, axis2=2))
    rows |= {"condition": condition, "z": z, "p_value": p}
    rows |= _weighed(flat, model, inferred, best, scale, dof, rng)
    reasons = _reasons(flat, model, inferred, best["exists"], rows)
    rows["code"] = np.array([code for code, _ in reasons])
    rows["reason"] = np.array([reason for _, reason in reasons], dtype=object)
    lost = rows["code"] == FAILED
    for values in rows.values():
        if values.dtype.kind == "f":
            values[lost] = np.nan
    return rows


def _weighed(flat, model, inferred, best, scale, dof, rng):
    """Weigh draws of the approximation, and read moments and a few draws off them."""
    from scipy import special

    from bayesinf.systems.gaussian_peaks.batch.weighing import bends, weigh

    count, size = best["theta"].shape
    normals = rng.standard_normal((count, DRAWS, size))
    noise = np.ones((count, DRAWS))
    if inferred:
        noise = np.sqrt(best["rss"][:, None] / rng.chisquare(dof[:, None], (count, DRAWS)))
    points, squared = (np.full((count, DRAWS, *more), np.nan) for more in ((size,), ()))
    log_weight, bend = np.full((count, DRAWS), np.nan), np.empty((count, size, size, size))
    around = best["theta"], factors(best["covariance"]), bend
    bends(*flat.curves, *around[:2], scale, bend)
    bend[:] = (bend + np.swapaxes(bend, 2, 3)) / 2
    shift = -np.einsum("sab,sbcc->sa", around[1], bend) / 2  # of the mean of θ, over noise²
    weigh(
        *flat.curves,
        flat.lower,
        flat.upper,
        *around,
        best["rss"],
        model.ascending,
        normals,
        noise,
        points,
        squared,
        log_weight,
    )
    with np.errstate(all="ignore"):
        log_weight = log_weight + model.log_prior(points, noise)
        log_weight = np.where(np.isnan(log_weight), -np.inf, log_weight)
        shape = tails(log_weight)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        weight = np.where(np.isfinite(weight), weight, 0.0)
        weight /= weight.sum(axis=1, keepdims=True)
        raw = points.mean(axis=1)
        mean = np.einsum("sd,sda->sa", weight, points)
        square = np.einsum("sd,sda->sa", weight, (points - mean[:, None]) ** 2)
        spread = ((points - raw[:, None]) ** 2).mean(axis=1)
        # The normal's own moments are known: draws tell only what the weights change of them.
        wide = (scale**2 * (dof / np.maximum(dof - 2, 1) if inferred else 1.0))[:, None]
        variance = np.diagonal(best["covariance"], axis1=1, axis2=2) * wide
        moved = np.abs(mean - raw) / np.sqrt(square)
        changed = np.abs(np.log(square / spread)) / 2
        effective = 1 / np.sum(weight**2, axis=1)
    weight = np.where(np.isfinite(weight), weight, 1 / DRAWS)
    chosen = _resampled(weight, rng)
    rows = np.arange(count)[:, None]
    taken, sd = squared[rows, chosen], noise[rows, chosen]
    sizes = np.diff(flat.at)[:, None]
    if flat.counted:  # the deviance is taken from a curve through every point
        highest = special.xlogy(flat.y, flat.y) - flat.y - special.gammaln(flat.y + 1)
        likelihood = np.add.reduceat(highest, flat.at[:-1])[:, None] - taken / 2
    else:
        known = np.add.reduceat(np.log(flat.weight), flat.at[:-1])[:, None]
        likelihood = known - sizes * np.log(np.sqrt(2 * np.pi) * sd) - taken / sd**2 / 2
    return {
        "mean": best["theta"] + shift * wide + mean - raw,
        "sd": np.sqrt(variance * square / spread),
        "pareto_k": shape,
        "effective": effective,
        "moved": np.maximum(moved, changed).max(axis=1),
        "draws": points[rows, chosen],
        "draws_noise": sd if inferred else np.full_like(sd, np.nan),
        "log_likelihood": likelihood,
    }


def _resampled(weight, rng):
    """Positions of draws, as many of each as its weight says, in random order, (spectrum, KEPT)."""
    count = len(weight)
    ends = np.cumsum(weight, axis=1)
    ticks = (np.arange(KEPT) + rng.random((count, 1))) / KEPT * ends[:, -1:]
    chosen = np.sum(ends[:, None, :] < ticks[:, :, None], axis=2)
    return rng.permuted(np.minimum(chosen, weight.shape[1] - 1), axis=1)


# --- what is to be doubted ------------------------------------------------------------------------


def _reasons(flat, model, inferred, exists, rows):
    """Code and reason of each spectrum."""
    names = model.free
    called = [model.stated.called([name]) for name in names]
    heights = {a: name for a, name in enumerate(names) if name.endswith("_height")}
    known = {name.partition("[")[0] for name in model.priors} & {"center", "height"}
    asked = np.isfinite(rows["p_value"]).sum(axis=1)
    found = []
    for s, one in enumerate(flat.spectra):
        theta, error = rows["theta"][s], rows["error"][s]
        if not np.isfinite(rows["rss"][s]):
            found.append((FAILED, "no start leads to a finite curve"))
            continue
        if not exists[s] or not rows["condition"][s] < DEGENERATE:
            found.append((FAILED, "the data do not tell the parameters from each other"))
            continue
        said = []
        low, high = flat.lower[s], flat.upper[s]
        held = (theta <= low) | (theta >= high)  # a step that would cross a bound ends on it
        if held.any():
            said.append(f"{', '.join(np.array(called)[held])} at the edge of what is allowed")
        elif rows["step"][s] > CONVERGED:
            said.append(f"the descent did not end (last step {rows['step'][s]:.1g} sd)")
        if inferred and rows["noise"][s] < NOISELESS * np.ptp(one.y):
            said.append("the residuals are rounding, and no noise can be read from them")
        if rows["agreeing"][s] < 2:
            said.append("only one start found this optimum")
        elif rows["rivals"][s]:
            said.append(f"{rows['rivals'][s]} starts found another optimum nearly as good")
        if not known:
            clear = np.sqrt(len(model.lines.of_peaks) * np.log(len(one.x)))
            faint = [called[a] for a in heights if not abs(theta[a]) > clear * error[a]]
            if faint:
                said.append(f"{', '.join(faint)} no more than noise may make")
        said += _misplaced(model, one, theta, low, called, names)
        p, limit = rows["p_value"][s], P_VALUE / max(asked[s], 1)
        bad = [(p[k], STATISTICS[k]) for k in np.flatnonzero(p < limit)]
        said += [f"{name} (p = {value:.1g})" for value, name in sorted(bad)]
        k, worth, moved = rows["pareto_k"][s], rows["effective"][s], rows["moved"][s]
        heavy = k > PARETO_K and not (k < 1 and worth >= EVEN * DRAWS)
        if heavy or not (worth >= EFFECTIVE * DRAWS and moved <= AGREEING):
            said.append(f"the normal misses the posterior (k̂ {k:.2f}, weights move {moved:.2f} sd)")
        found.append((DOUBTED, "; ".join(said)) if said else (BELIEVED, ""))
    return found


def _misplaced(model, one, theta, low, called, names):
    """Peaks at the edge of the data, or on a single point."""
    width, said = one.x[-1] - one.x[0], []
    for a, name in enumerate(names):
        if name in model.given:
            continue
        if name.endswith("_center"):
            if min(theta[a] - one.x[0], one.x[-1] - theta[a]) < EDGE * width:
                said.append(f"{called[a]} at the edge of the data")
        elif name.endswith("_sigma") and theta[a] < NARROW * low[a]:
            said.append(f"{called[a]} as narrow as one point")
    return said
