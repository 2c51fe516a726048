"""Derivatives of functions that give values only, by differences with steps that suit.

A step must be small against the curvature of the function and large against the rounding of its
values, and both are in units that nobody states: a frequency in Hz, a time in seconds since 1970.
So no step is taken from the size of a parameter. ``steps`` tries them over all magnitudes and
takes those from which the derivative depends least on the step; ``extrapolated`` takes central
differences at many steps and extrapolates them to zero (Ridders 1982), to about ten digits.

Ridders, Advances in Engineering Software 4, 75 (1982), doi:10.1016/S0141-1195(82)80057-0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["central", "extrapolated", "steps"]

DECADES = 10.0 ** np.arange(-14, 3)  # of steps, in units of a parameter
AROUND_ZERO = 10.0 ** np.linspace(-22, 10, 17)  # where it is zero and says nothing of its unit
AGREE = 1e-6  # relative difference of derivatives over neighbouring steps that is small enough
LEVELS = 12  # steps of the extrapolation, each half the one before


def central(function: Callable, theta: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Take central differences: (..., parameter) -> (..., value, parameter).

    Parameters
    ----------
    function : (..., parameter) -> (..., value). One that has a method ``around`` of its own,
        (θ, steps) -> the values with each parameter moved up and down, is asked by that.
    theta, step : (..., parameter).
    """
    shift = step[..., None, :] * np.eye(theta.shape[-1])
    with np.errstate(all="ignore"):
        if hasattr(function, "around"):
            up, down = function.around(theta, step)
        else:
            up, down = function(theta[..., None, :] + shift), function(theta[..., None, :] - shift)
        width = np.sum((theta[..., None, :] + shift) - (theta[..., None, :] - shift), axis=-1)
        return np.moveaxis((up - down) / width[..., None], -2, -1)


def steps(function: Callable, theta: np.ndarray) -> np.ndarray:
    """Find steps of central differences that suit, (..., parameter).

    All decades are tried. Of two neighbours that agree the larger is taken, and of those that agree
    to ``AGREE`` the largest: over steps so small that few values change at all they agree as well.

    Parameters
    ----------
    function : (..., parameter) -> (..., value).
    theta : (..., parameter).
    """
    lead = (slice(None), *[np.newaxis] * theta.ndim)
    tried = np.where(theta == 0, AROUND_ZERO[lead], DECADES[lead] * np.abs(theta))
    # Two at a time: of many points all of them would not fit into the processor's memory.
    norms, gaps, before = [], [], None
    with np.errstate(all="ignore"):
        for step in tried:
            found = central(function, theta, step)
            norms.append(np.linalg.norm(found, axis=-2))
            gaps += [] if before is None else [np.linalg.norm(found - before, axis=-2)]
            before = found
        apart = np.stack(gaps) / np.minimum(norms[1:], norms[:-1])
    apart = np.where(np.isfinite(apart), apart, np.inf)
    enough = apart <= np.maximum(AGREE, 10 * apart.min(axis=0))
    largest = len(apart) - np.argmax(enough[::-1], axis=0)
    return np.take_along_axis(tried, largest[np.newaxis], axis=0)[0]


def extrapolated(function: Callable, theta: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Extrapolate central differences to a step of zero: (parameter,) -> (value, parameter).

    Of Neville's table that entry is kept, for each parameter, which differs least from its
    neighbours.

    Parameters
    ----------
    function : (..., parameter) -> (..., value).
    theta : (parameter,).
    largest : step with which to begin, (parameter,).
    """
    first = np.stack([central(function, theta, largest * 0.5**k) for k in range(LEVELS)])
    best, error = first[-1], np.full(len(theta), np.inf)
    before = first[:0]
    table = [first[0]]
    for k in range(1, LEVELS):
        before, table = table, [first[k]]
        for order in range(1, k + 1):
            factor = 4.0**order
            with np.errstate(all="ignore"):
                entry = (factor * table[-1] - before[order - 1]) / (factor - 1)
                off = np.maximum(
                    np.linalg.norm(entry - table[-1], axis=0),
                    np.linalg.norm(entry - before[order - 1], axis=0),
                )
            better = off < error
            best, error = np.where(better, entry, best), np.where(better, off, error)
            table.append(entry)
    return best
