"""The classical answers: maximum likelihood, to the top by Newton, or descended for 150 steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel, posterior
from bayesinf.errors import FitError
from bayesinf.models.binary import logistic
from bayesinf.posterior import annotated
from bayesinf.systems.boltzmann_kinetic.model import transitions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "with_classical"]

RATE, ITERATIONS = 0.1, 150


def classical(
    dataset: xr.Dataset,
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
    dataset : as for ``fit``.
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
    steps = transitions(dataset)
    form = {"symmetric": symmetric, "self_coupling": self_coupling}
    path = logistic.gradient_descent(steps, rate, iterations, **form)
    arrays = {"descent_h": path.h, "descent_J": path.J, "log_likelihood": path.log_likelihood}
    try:
        top = logistic.maximum_likelihood(steps, workers=workers, **form)
    except FitError as error:
        arrays["message"] = np.array(str(error))
    else:
        arrays |= {
            "newton_h": top.h,
            "newton_J": top.J,
            "top": np.float64(top.log_likelihood),
            "gradient": np.float64(top.gradient),
            "steps": np.int64(top.steps),
        }
    dims = dict.fromkeys(("descent_h", "newton_h"), ("site",))
    dims |= dict.fromkeys(("descent_J", "newton_J"), ("target", "source"))
    dims |= {"log_likelihood": ("iteration",)}
    coords = dict.fromkeys(("site", "target", "source"), steps.labels)
    arrays |= {"rate": np.float64(rate)}
    return posterior.dataset(arrays, dims, coords, sampled=False)


def with_classical(fits: Mapping[str, xr.DataTree], dataset: xr.Dataset) -> dict[str, xr.DataTree]:
    """Put the classical answer of each fit's model beside it, as ``classical``."""

    def one(fit):
        form = {name: bool(fit.attrs[name]) for name in ("symmetric", "self_coupling")}
        return annotated(fit, classical=classical(dataset, **form))

    found = parallel.map(one, fits.values(), threads=True, label="Climbing")
    return dict(zip(fits, found, strict=True))
