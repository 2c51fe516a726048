"""Noise that grows with the signal: its sd is a power of the size of the curve, as first estimated.

    sd(x) = noise · g(x)^noise_power,   g(x) = √(μ̂(x)² + δ²) / s

so that a power of 0 is noise alike everywhere, ½ that of counts, and 1 a share of the signal. With
the curve f itself in place of μ̂ the data would not be normal given the hyperparameters, and f could
not be integrated out. So μ̂ is an estimate of m + f: the mean of a fit with noise that is alike
everywhere, at its best hyperparameters, and then of one with noise that grows with that. What μ̂
gets wrong, above all where few points tell it, the posterior does not know of.

Goldberg, Williams & Bishop, NIPS 10, 493 (1998); Kersting, Plagemann, Pfaff & Burgard, ICML 24, 393
(2007), doi:10.1145/1273496.1273546.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bayesinf.models.gp import routes
from bayesinf.models.gp.coordinates import Shape

if TYPE_CHECKING:
    from bayesinf.models.gp.definition import Process

__all__ = ["SIGNAL", "SIZE", "Signal", "WithSignal", "estimated"]

SIGNAL = "signal"  # said of such noise
SIZE = "noise_signal"  # what g at the data is called in a file
PASSES = 2  # the second with noise that grows with the curve of the first
FROM_PRIOR, STARTS = 64, 3  # draws of the prior a parameter, and the best of them that climb


@dataclass(frozen=True)
class WithSignal:
    """Noise that grows with the signal, and by what this is measured.

    Parameters
    ----------
    scale : s, the size of the signal at which the sd is ``noise``, in units of y; by default the
        geometric mean over the data.
    floor : δ, below which a signal counts for no less, in units of y; by default the sd of noise
        that would be alike everywhere.
    """

    scale: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Signal(Shape):
    """g between the data by linear interpolation, beyond them as at their ends.

    Parameters
    ----------
    x : places, (point,), ascending.
    size : g there, (point,).
    """

    x: np.ndarray
    size: np.ndarray
    name: ClassVar[str] = "noise_power"
    word: ClassVar[str] = SIGNAL
    said: ClassVar[str] = "with the signal"
    square: ClassVar[str] = r"(|\hat\mu(x_i)| / s)^{2p}"

    def along(self, x):
        """log g, (n,)."""
        return np.log(np.interp(x, self.x, self.size))


def estimated(process: Process, grown: Callable[[Signal], Process], given: WithSignal) -> Signal:
    """Estimate g from data.

    Parameters
    ----------
    process : with noise that is alike everywhere.
    grown : from g to the process whose noise grows with it.
    given : scale and floor, where they are stated.
    """
    stated, floor = process, given.floor
    for _ in range(PASSES):
        theta = stated.theta(_best(stated)[None])
        mean = np.broadcast_to(stated.pointwise_curve(theta, stated.x)[0], (1, len(stated.y)))[0]
        if floor is None:
            floor = float(np.sqrt(np.mean(stated.noise_variance(theta))))
        size = np.hypot(mean, floor)
        scale = np.exp(np.mean(np.log(size))) if given.scale is None else given.scale
        found = Signal(stated.x, size / scale)
        stated = grown(found)
    return found


def _best(process):
    """The highest of some climbs from draws of the prior, in standardised parameters."""
    centred, size = process.centred, len(process.names)
    starts = np.random.default_rng(0).standard_normal((FROM_PRIOR * size, size))
    order = np.argsort(-centred.log_density(starts))[:STARTS]
    return max((routes.descend(centred, starts[k]) for k in order), key=lambda end: end[0])[1]
