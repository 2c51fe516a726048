"""The classical answers: maximum likelihood, to the top by Newton, or descended for 150 steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import logistic
from bayesinf.posterior import dataset
from bayesinf.systems.boltzmann_kinetic.process import transitions

if TYPE_CHECKING:
    import xarray as xr

RATE, ITERATIONS = 0.1, 150


def classical(
    data: xr.Dataset | logistic.Transitions,
    *,
    symmetric: bool = False,
    self_coupling: bool = True,
    rate: float = RATE,
    iterations: int = ITERATIONS,
    workers: int | None = None,
) -> xr.Dataset:
    """Maximise the likelihood by Newton's method, and by gradient descent of a fixed length.

    Parameters
    ----------
    data : as for ``fit``.
    symmetric, self_coupling : as for ``fit``.
    rate, iterations : η of the descent, whose step is η times the slope of the mean log likelihood
        of a transition, and its length.
    workers : as for ``parallel.map``.

    Returns
    -------
    a Dataset with ``descent_h``, ``descent_J`` and ``log_likelihood`` (iteration), before each step
    and after the last; and, where the likelihood has a top, ``newton_h``, ``newton_J``, and the
    scalars ``top``, ``gradient`` (largest slope for each transition) and ``steps``; else
    ``message``, which says why: a site that is constant, say, drives its field to infinity.

    References
    ----------
    Roudi & Hertz, Phys. Rev. Lett. 106, 048702 (2011), doi:10.1103/PhysRevLett.106.048702.
    """
    steps = transitions(data)
    kind = {"symmetric": symmetric, "self_coupling": self_coupling}
    path = logistic.gradient_descent(steps, rate, iterations, **kind)
    arrays = {"descent_h": path.h, "descent_J": path.J, "log_likelihood": path.log_likelihood}
    try:
        top = logistic.maximum_likelihood(steps, workers=workers, **kind)
    except FitError as error:
        arrays["message"] = np.array(str(error))
    else:
        arrays |= {"newton_h": top.h, "newton_J": top.J, "top": np.float64(top.log_likelihood),
                   "gradient": np.float64(top.gradient), "steps": np.int64(top.steps)}  # fmt: skip
    pairs = ("target", "source")
    dims = {"descent_h": ("site",), "newton_h": ("site",), "descent_J": pairs, "newton_J": pairs,
            "log_likelihood": ("iteration",)}  # fmt: skip
    coords = {"site": steps.labels, "target": steps.labels, "source": steps.labels}
    found = dataset(arrays, dims, coords, sampled=False)
    return found.assign(rate=((), rate, {"units": "1"}))
