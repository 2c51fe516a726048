"""Kinetic spins: each site of the next state follows from the present one by a logistic law.

    P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / Σ_s exp(s θ_i(t)),   θ_i(t) = h_i + Σ_j J_ij s_j(t)

where s runs over −1, 1 or over 0, 1. ``fit`` is the entry, ``maximum_likelihood`` the classical
answer. ``transitions`` holds the data and ``likelihood`` what they say, ``definition`` states the
model, ``optimum`` climbs to its top, ``nodes`` are the normals around there, ``joint`` is the
precision of symmetric couplings, ``routes`` draw from the posterior, and ``predictive`` says what
data the model expects. ``near`` draws from Laplace's approximation where the optimum is known
roughly.

Roudi & Hertz, Phys. Rev. Lett. 106, 048702 (2011), doi:10.1103/PhysRevLett.106.048702.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import binary as coding
from bayesinf.models.couplings import Prior, named
from bayesinf.models.logistic.definition import definition
from bayesinf.models.logistic.likelihood import Logistic
from bayesinf.models.logistic.nodes import LOOSE, node, settled
from bayesinf.models.logistic.optimum import Optimum, Path, gradient_descent, maximum_likelihood
from bayesinf.models.logistic.predictive import MOMENTS, STATISTICS, Predictive, statistics
from bayesinf.models.logistic.routes import ROUTES
from bayesinf.models.logistic.transitions import (
    Transitions,
    log_likelihood,
    same_time,
    transitions,
)
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Logistic", "Optimum", "Path", "Transitions", "definition", "fit", "gradient_descent",
           "log_likelihood", "maximum_likelihood", "near", "same_time", "statistics",
           "transitions"]  # fmt: skip

REPLICATED = 4e8  # draws × transitions × sites that are replicated: seconds on two cores
POINTWISE = 3e6  # draws × transitions whose log likelihood is stored, or
ALWAYS = 1000  # as many transitions, whatever the draws
KEPT = 1e6  # numbers of one predictive statistic that are stored
TOGETHER = 25  # draws whose replicas one worker makes from one stream


def fit(
    states: Transitions | np.ndarray | xr.DataArray,
    *,
    encoding: str,
    symmetric: bool = False,
    self_coupling: bool = True,
    prior: str | Prior = "inferred",
    method: str = "mcmc",
    system: str = "logistic",
    attrs: Mapping[str, object] | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer fields and couplings from transitions.

        P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / Σ_s exp(s θ_i(t)),   θ_i(t) = h_i + Σ_j J_ij s_j(t)

    Parameters
    ----------
    states : ``Transitions``, or states as ``transitions`` takes them: (repeat, time, site) or
        (time, site).
    encoding : "±1" or "0/1", of states, prior, fields and couplings.
    symmetric : whether J_ij = J_ji.
    self_coupling : whether J_ii may differ from zero; not in data of ``same_time``.
    prior : ``normal`` (of fixed widths), ``inferred`` (the couplings' width has a half-Cauchy
        prior), ``laplace``, ``horseshoe``, or a ``Prior``; the shrinking ones by gibbs or nuts.
    method : ``mcmc`` (Hamiltonian Monte Carlo around the optimum), ``laplace`` (at the posterior's
        mean), ``gibbs`` (Pólya-Gamma augmentation), or ``nuts`` (PyMC).
    system, attrs : for the provenance.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``h`` (site), ``J`` (target, source; zero on the diagonal where there is no
    self-coupling) and, where it is inferred, ``scale``. Root attributes: ``encoding``,
    ``symmetric`` and ``self_coupling`` (0 or 1), ``prior`` (JSON sentences), ``hyperparameters``.
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
    DataError : states of another encoding or form, an improper prior, self-coupling within a state.
    FitError : an unknown prior or method, a prior that the method cannot sample.
    """
    from threadpoolctl import threadpool_limits

    from bayesinf.posterior import assemble, dataset

    started = time.perf_counter()
    if method not in ROUTES:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(ROUTES)}")
    prior = named(prior, encoding) if isinstance(prior, str) else prior
    data = states if isinstance(states, Transitions) else transitions(states, encoding)
    if data.encoding != coding.known(encoding):
        raise DataError("the transitions are of another encoding", expected=encoding,
                        found=data.encoding, remedy=f"say encoding={data.encoding!r}")  # fmt: skip
    problem = Logistic(data, prior, symmetric=symmetric, self_coupling=self_coupling,
                       workers=settings.workers)  # fmt: skip
    route, inference = ROUTES[method]
    labels, count = _Labels(problem), settings.chains * settings.draws
    order = settings.generator("transitions").permutation(len(data))
    seen = int(np.clip(REPLICATED / (count * data.sites), 1, len(data)))
    pointwise = int(min(seen, max(ALWAYS, POINTWISE / count)))
    # Those with a log likelihood come first, in the order of time; then the other ones.
    which = np.concatenate([np.sort(order[:pointwise]), np.sort(order[pointwise:seen])])
    # One BLAS thread: chains, rows and draws are spread over the cores instead.
    with threadpool_limits(1):
        theta, scale, evidence = route(problem, settings)
        view = Predictive(problem, which, pointwise)
        values, replica = _look(view, theta, settings, "posterior predictive")
        h, J, prior_scale = problem.prior.sample(
            settings.generator("prior"), data.sites, problem.couplings, settings.prior_draws
        )
        prior_theta = problem.join(h, J)[None]
        # Less of the data is enough to see how wide the prior is.
        prior_view = Predictive(problem, which[: max(1, seen // 4)], 0)
        _, prior_replica = _look(prior_view, prior_theta, settings, "prior predictive")

    inferred = problem.prior.inferred
    names = ("discrepancy", "discrepancy_observed")
    stats = dataset({name: values[name] for name in names}, dict.fromkeys(names, ("statistic",)),
                    {"statistic": list(STATISTICS)}).merge(evidence)  # fmt: skip
    observed = labels.observed(which)
    groups = {
        "posterior": labels.parameters(theta, scale, inferred),
        "sample_stats": stats,
        "posterior_predictive": replica(labels),
        "log_likelihood": dataset({"states": values["log_likelihood"]},
                                  {"states": ("transition",)},
                                  {"transition": which[:pointwise]}),
        "log_prior": dataset(problem.prior.log_factors(*problem.split(theta), scale)),
        "prior": labels.parameters(prior_theta, prior_scale[None], inferred),
        "prior_predictive": prior_replica(labels),
        "observed_data": observed,
        "constant_data": dataset(
            {"transitions": np.int64(len(data)), "replicated": which},
            {"replicated": ("place",)}, sampled=False,
        ),
    }  # fmt: skip
    return assemble(
        groups,
        system=system,
        model="logistic",
        inference=inference,
        settings=settings,
        data=observed,
        started=started,
        attrs={
            "encoding": encoding,
            "symmetric": int(symmetric),
            "self_coupling": int(self_coupling),
            "prior": json.dumps(problem.prior.sentences()),
            "hyperparameters": json.dumps(["h", "scale"] if inferred else ["h", "J"]),
        }
        | dict(attrs or {}),
    )


def near(
    states: Transitions,
    h: np.ndarray,
    J: np.ndarray,
    *,
    prior: Prior,
    symmetric: bool = False,
    self_coupling: bool = True,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Draw from Laplace's approximation where its optimum is known roughly, and do nothing else.

    It is for posteriors of a part of the data, which are many times as quick to find as the first.

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
    from threadpoolctl import threadpool_limits

    rng, shape = settings.generator("near"), (settings.chains, settings.draws)
    with threadpool_limits(1):
        problem = Logistic(states, prior, symmetric=symmetric, self_coupling=self_coupling,
                           workers=settings.workers)  # fmt: skip
        start = problem.join(np.asarray(h), np.asarray(J)[problem.pairs])
        top = settled(problem, node(problem, prior.typical, start, LOOSE, wide=True), rng)
        theta = top.theta + top.draws(rng, settings.chains * settings.draws)
    theta = theta.reshape(*shape, *problem.shape)
    return _Labels(problem).parameters(theta, np.full(shape, prior.typical), False)


def _look(view, theta, settings, stream):
    """Values at each draw, name to (chain, draw, ...), and a function that labels the replicas."""
    from bayesinf import parallel

    chains, draws = theta.shape[:2]
    step = int(np.ceil(chains * draws * view.problem.sites**2 / KEPT))
    kept = np.arange(0, draws, min(step, draws))
    flat = theta.reshape(-1, *theta.shape[2:])

    def run(start):
        rng = settings.generator(stream, start)
        return [view.look(flat[k], rng, k % draws % step == 0)
                for k in range(start, min(start + TOGETHER, len(flat)))]  # fmt: skip

    # Threads cost more than few states.
    workers = settings.workers if view.count * view.problem.sites > 2e4 else 1
    parts = parallel.map(run, range(0, len(flat), TOGETHER), workers=workers, threads=True,
                         label=stream)  # fmt: skip
    found = [seen for part in parts for seen in part]
    by_draw = lambda arrays: np.reshape(arrays, (chains, len(arrays) // chains, *arrays[0].shape))
    moments = [seen.moments for seen in found if seen.moments]
    arrays = {name: by_draw([each[name] for each in moments]) for name in MOMENTS}
    values = {"log_likelihood": by_draw([seen.log_likelihood for seen in found]),
              "discrepancy": by_draw([seen.discrepancy for seen in found]),
              "discrepancy_observed": by_draw([seen.observed for seen in found])}  # fmt: skip
    return values, lambda labels: labels.moments(arrays).assign_coords(draw=kept)


class _Labels:
    """Arrays with the names of the sites."""

    def __init__(self, problem):
        self.problem, label = problem, problem.data.labels
        i, j = coding.pairs(problem.sites)
        self.coords = {
            "site": label, "target": label, "source": label, "i": ("pair", label[i]),
            "j": ("pair", label[j]), "active": np.arange(problem.sites + 1),
        }  # fmt: skip

    def moments(self, arrays, sampled=True):
        """A group of statistics of data."""
        from bayesinf.posterior import dataset

        return dataset(arrays, MOMENTS, self.coords, sampled=sampled)

    def parameters(self, theta, scale, inferred):
        """A group of fields and couplings."""
        from bayesinf.posterior import dataset

        arrays = {"h": self.problem.split(theta)[0], "J": self.problem.matrix(theta)}
        dims = {"h": ("site",), "J": ("target", "source")}
        return dataset(arrays | ({"scale": scale} if inferred else {}), dims, self.coords)

    def observed(self, which):
        """The data, and statistics of those of them that are replicated."""
        from bayesinf.posterior import dataset

        data = self.problem.data
        states = {"next": data.next} | ({} if data.same else {"now": data.now})
        arrays = statistics(data.now[which], data.next[which], data.encoding)
        return self.moments(arrays, sampled=False).merge(
            dataset(states | {"repeat": data.repeat}, {"next": ("transition", "site"),
                    "now": ("transition", "site"), "repeat": ("transition",)},
                    {"site": data.labels, "transition": np.arange(len(data))}, sampled=False)
        )  # fmt: skip
