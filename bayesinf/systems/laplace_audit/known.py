"""Claims that are fine, or wrong in one way each: what the audit has to say of them is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import audits
from bayesinf.models.density import LogDensity
from bayesinf.posterior import dataset
from bayesinf.priors import LogNormal
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.laplace_audit.data import peak

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CASES", "boxbod", "cases"]

# y over x of NIST's StRD set BoxBOD (Box, Hunter & Hunter 1978, p. 483): a public domain data set.
LEAST = 1000  # draws a chain: of fewer, one in a far tail weighs too much
WIDTH = 0.4  # of the peaks
BOXBOD = ((1, 2, 3, 5, 7, 10), (109, 149, 149, 191, 213, 224))


def _peaks(rng, heights, noise=0.05):
    """x, y and error bars of a peak at −1 and one at 1."""
    x = np.linspace(-3, 3, 120)
    y = sum(peak(x, height, at, WIDTH, 0.0) for height, at in zip(heights, (-1, 1), strict=True))
    return x, y + noise * rng.standard_normal(len(x)), np.full(len(x), noise)


def good(rng, settings):
    """A peak, by curve_fit with its error bars."""
    x, y, error = _peaks(rng, (0, 1))
    return _fitted(peak, x, y, (1, 1, 0.5, 0), error, settings, absolute_sigma=True)


def boxbod(rng, settings):
    """BoxBOD: where the rate is large the curve has no more to lose."""
    x, y = np.array(BOXBOD, dtype=float)

    def demand(x, b1, b2):
        return b1 * (1 - np.exp(-b2 * x))

    return _fitted(demand, x, y, (100, 0.75), None, settings)


def edge(rng, settings):
    """A background that may not be negative, and that the data would have below zero."""
    x = np.linspace(0, 4, 40)

    def decay(x, amplitude, rate, background):
        return amplitude * np.exp(-rate * x) + background

    noise = 0.03 * rng.standard_normal(len(x))
    y = decay(x, 1.0, 1.0, -0.01) + noise
    bounds = ([0, 0, 0], [np.inf, np.inf, np.inf])
    error = np.full(len(x), 0.03)
    return _fitted(decay, x, y, (1, 1, 0.1), error, settings, absolute_sigma=True, bounds=bounds)


def scale(rng, settings):
    """A size that was measured four times, each time right to within a factor."""
    y = 0.7 * np.exp(0.6 * rng.standard_normal(4))

    def log_likelihood(size):
        off = np.log(y) - np.log(np.asarray(size))[..., None]
        return -0.5 * np.sum((off / 0.6) ** 2, axis=-1)

    prior = {"size": LogNormal(1.0, 3.0)}
    model = LogDensity(prior, log_likelihood, vectorised=True)
    return audits.audit(model, settings=settings)


def confusion(rng, settings):
    """Known error bars, and curve_fit left to its default, absolute_sigma=False."""
    x, y, error = (each[::5] for each in _peaks(rng, (0, 1)))
    # The error bars are right, and χ² is 0.6 per degree of freedom: so it is in one set of ten.
    truth = peak(x, 1, 1, WIDTH, 0)
    share = np.mean(((y - truth) / error) ** 2)
    y = truth + np.sqrt(0.6 / share) * (y - truth)
    return _fitted(peak, x, y, (1, 1, 0.5, 0), error, settings)


def saddle(rng, settings):
    """A peak of known width that Newton's method put in the middle between two equal ones."""
    x, y, error = _peaks(rng, (1, 1))
    y = (y + y[::-1]) / 2  # an even function, so that the middle is stationary
    g = peak(x, 1, 0, WIDTH, 0)
    height = float(g @ y / (g @ g))
    slopes = np.stack([g, height * g * x / WIDTH**2], axis=1) / error[:, None]
    covariance = np.diag(1 / np.sum(slopes**2, axis=0))
    return audits.audit(_fixed, x, y, (height, 0.0), covariance, error, settings=settings)


def other(rng, settings):
    """A peak of known width begun at the smaller of two."""
    x, y, error = _peaks(rng, (0.6, 1))
    return _fitted(_fixed, x, y, (0.6, -1), error, settings, absolute_sigma=True)


def _fixed(x, height, mu):
    return peak(x, height, mu, WIDTH, 0.0)


# Case to: what it is, whether its covariance may be used, the check that must fail.
CASES: dict[str, tuple[Callable, bool, str]] = {
    "a good fit": (good, True, ""),
    "BoxBOD": (boxbod, False, "range"),
    "at an edge": (edge, False, "Hessian"),
    "a scale": (scale, False, "shape"),
    "absolute_sigma forgotten": (confusion, False, "curvature"),
    "a saddle": (saddle, False, "Hessian"),
    "a better optimum elsewhere": (other, False, "optima"),
}


def cases(settings: Settings = DEFAULT) -> xr.Dataset:
    """Audit every case, and note what was said and whether it was right.

    Parameters
    ----------
    settings : length and seed.

    Returns
    -------
    Dataset over ``case``: ``what`` it is, ``answer``, ``failed`` (the checks that did), ``fine``
    and whether it ``should_be``, and ``right``.
    """
    settings, rows = settings.replace(draws=max(settings.draws, LEAST)), []
    for name, (make, fine, must) in CASES.items():
        fit = make(settings.generator("case", name), settings)
        judged = audits.verdict(fit)
        failed = [one.name for one in judged.checks if one.required and not one.passed]
        right = judged.believed == fine and (not must or must in failed)
        what = " ".join(make.__doc__.split())
        rows.append((what, fit.attrs["answer"], ", ".join(failed), judged.believed, fine, right))
    names = ("what", "answer", "failed", "fine", "should_be", "right")
    columns = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return dataset(columns, dict.fromkeys(names, ("case",)), {"case": list(CASES)}, sampled=False)


def _fitted(f, x, y, start, error, settings, bounds=None, absolute_sigma=False):
    """What SciPy's curve_fit says, audited as its user would."""
    import warnings

    from scipy.optimize import OptimizeWarning, curve_fit

    limits = (-np.inf, np.inf) if bounds is None else bounds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        popt, pcov = curve_fit(f, x, y, start, error, absolute_sigma, bounds=limits)
    return audits.audit(f, x, y, popt, pcov, error, bounds=bounds, settings=settings)
