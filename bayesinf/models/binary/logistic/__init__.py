"""Kinetic spins: each site of the next state follows from the present one by a logistic law.

    P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / Σ_s exp(s θ_i(t)),   θ_i(t) = h_i + Σ_j J_ij s_j(t)

where s runs over −1, 1 or over 0, 1. ``problem`` states the model and ``fit`` its posterior,
``maximum_likelihood`` is the classical answer. ``transitions`` holds the data, ``definition`` the
problem and its model in PyMC. Inside, parameters stand in blocks: ``likelihood`` has their density
and slopes, ``optimum`` climbs to its top, ``widths`` are the normals around there, ``joint`` is the
precision of symmetric couplings, ``routes`` draw from the posterior, and ``predictive`` says what
data the model expects. ``predict`` follows a posterior to new states, ``near`` draws from Laplace's
approximation where the optimum is known roughly.

Roudi & Hertz, Phys. Rev. Lett. 106, 048702 (2011), doi:10.1103/PhysRevLett.106.048702.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf import parallel
from bayesinf.models import problem as driver
from bayesinf.models.binary import ENCODINGS
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.logistic.definition import KineticIsing, problem
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.optimum import (
    LogisticOptimum,
    Path,
    gradient_descent,
    maximum_likelihood,
)
from bayesinf.models.binary.logistic.predictive import statistics
from bayesinf.models.binary.logistic.transitions import (
    Transitions,
    log_likelihood,
    same_time,
    transitions,
)
from bayesinf.models.binary.logistic.widths import at_mean, at_width
from bayesinf.models.binary.predictions import predicted
from bayesinf.models.binary.widths import LOOSE
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "KineticIsing",
    "Logistic",
    "LogisticOptimum",
    "Path",
    "Transitions",
    "fit",
    "gradient_descent",
    "log_likelihood",
    "maximum_likelihood",
    "near",
    "predict",
    "problem",
    "same_time",
    "statistics",
    "transitions",
]


def fit(
    states: Transitions | np.ndarray | xr.DataArray,
    *,
    encoding: str,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options: Any,
) -> xr.DataTree:
    """Infer fields and couplings from transitions.

        P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / Σ_s exp(s θ_i(t)),   θ_i(t) = h_i + Σ_j J_ij s_j(t)

    Parameters
    ----------
    states : ``Transitions``, or states (repeat, time, site) or (time, site).
    encoding : "±1" or "0/1", of states, prior, fields and couplings.
    method : ``mcmc`` (Hamiltonian Monte Carlo around the optimum; the default), ``laplace`` (at the
        posterior's mean), ``gibbs`` (Pólya-Gamma augmentation), or ``nuts`` (PyMC).
    settings : length and seed.
    **options : as for ``problem``: ``prior``, ``symmetric``, ``self_coupling``.

    Returns
    -------
    InferenceData with ``h`` (site), ``J`` (target, source; zero on the diagonal where there is no
    self-coupling) and, where it is inferred, ``scale``. Root attributes: ``encoding``,
    ``symmetric`` and ``self_coupling`` (0 or 1).
    ``log_likelihood`` holds ``states`` (transition), log P of the next state of all sites. Where
    draws × transitions × sites are very many it is that of random transitions, the same for each
    model of the same data and seed; ``constant_data`` has the number of all, ``transitions``, and
    the positions ``replicated`` of those that are compared with replicas. ``observed_data`` and
    ``posterior_predictive`` hold their ``mean`` (site), ``delayed`` (target, source), ``equal``
    (pair) and ``population`` (active), as of ``statistics``, the latter one step ahead of the
    present states of the data, of every so many-th draw where they are large.

    With N sites a draw takes 8 N² bytes: 1000 of 160 sites 0.2 GB. ``mcmc`` and ``laplace`` hold
    16 N³ bytes at each width they look at, or for symmetric couplings 2 N⁴ as far as 3000
    parameters, beyond which ``laplace`` needs no more than 16 N³ either.

    Raises
    ------
    DataError : as of ``problem``.
    FitError : an unknown prior or method, a prior that the method cannot sample.
    """
    stated = problem(states, encoding=encoding, workers=settings.workers, **options)
    return driver.fit(stated, method, settings)


def predict(
    posterior: xr.DataTree,
    states: np.ndarray | xr.DataArray,
    *,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Predict the next state after each of some present ones.

        P(s_i(t+1) = on | s(t)) = σ(k (h_i + Σ_j J_ij s_j(t))),   k = 2 for ±1, 1 for 0/1

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    states : present states, (new, site), in the encoding of the fit.
    most : draws of the posterior, taken evenly, that are followed.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over chain, draw, ``new`` and ``site``: the ``probability`` that the site is on next,
    and ``next``, a state drawn from it.

    Raises
    ------
    DataError : states of another encoding, or of other sites.
    """
    found = predicted(posterior, states, most, np.asarray)
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("predictions")
    on = found["probability"] > rng.random(found["probability"].shape)
    low = ENCODINGS[posterior.attrs["encoding"]]
    drawn = np.where(on.values, 1, low).astype(np.int8)
    return found.assign(next=on.copy(data=drawn).assign_attrs(units="1"))


def near(
    states: Transitions,
    h: np.ndarray,
    J: np.ndarray,
    *,
    prior: CouplingPrior,
    symmetric: bool = False,
    self_coupling: bool = True,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Draw from Laplace's approximation where its optimum is known roughly, and do nothing else.

    Use it to fit a part of the data again: from the optimum of all of them that takes a fraction of
    the time of a first fit.

    Parameters
    ----------
    states : the transitions.
    h, J : fields (site,) and couplings (target, source) near the optimum.
    prior : a normal one of fixed widths.
    symmetric, self_coupling : as of ``fit``.
    settings : length and seed.

    Returns
    -------
    the group ``posterior`` of a fit.
    """
    rng, shape = settings.generator("near"), (settings.chains, settings.draws)
    with parallel.one_blas_thread():
        form = {"symmetric": symmetric, "self_coupling": self_coupling}
        law = Logistic(states, prior, workers=settings.workers, **form)
        start = law.join(np.asarray(h), np.asarray(J)[law.pairs])
        top = at_width(law, prior.typical, start, LOOSE, unwritten=True)
        top = at_mean(law, top, rng)
        theta = top.theta + top.normal.draws(rng, settings.chains * settings.draws)
    named = KineticIsing(law)
    return named.parameters.group(named.draws(theta.reshape(*shape, *law.shape), None))
