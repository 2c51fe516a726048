"""The linear family: y = Xβ (+ intercept) + ε with a prior on β that shrinks or selects.

``fit`` is the entry. ``definition`` states the model in PyMC; the routes to its posterior are
``exact`` (normal prior), ``gibbs`` (Laplace, horseshoe), ``spike`` (spike and slab), and
``bayesinf.inference.nuts`` for every continuous prior.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.linear.definition import Regression, definition, regression
from bayesinf.models.linear.priors import (
    PRIORS,
    CoefficientPrior,
    Horseshoe,
    Laplace,
    Normal,
    SpikeAndSlab,
)
from bayesinf.models.noise import RESIDUALS, Discrepancy, predictive_groups
from bayesinf.settings import DEFAULT, Settings

__all__ = ["PRIORS", "Horseshoe", "Laplace", "Normal", "SpikeAndSlab", "definition", "fit",
           "predict", "regression"]  # fmt: skip

# Sweeps of the spike-and-slab sampler for each draw kept: they cost less than storing the draw.
SPIKE_THIN = 3

# Prior factors of the coefficients; the others are those of hyperparameters.
OF_COEFFICIENTS = ("beta", "included", "local")

# The sampler that a prior has of its own.
OWN = {Normal: "exact", Laplace: "gibbs", Horseshoe: "gibbs", SpikeAndSlab: "gibbs"}


def fit(
    X,
    y,
    prior: str | CoefficientPrior = "normal",
    *,
    sampler: str | None = None,
    noise=None,
    intercept=False,
    settings: Settings = DEFAULT,
    name: str = "beta",
    system: str = "linear",
    units: Mapping[str, str] | None = None,
    constant=None,
    discrepancies: Mapping[str, Discrepancy] = RESIDUALS,
):
    """Fit a linear model; the answer is its posterior.

        y = X β (+ intercept) + ε,   ε ~ N(0, σ²)

    Parameters
    ----------
    X : features, (observation, feature): an array, or a DataArray whose dimensions and coordinates
        then label the result.
    y : data, (observation,): an array or a DataArray, whose name and ``units`` are kept.
    prior : ``normal``, ``laplace``, ``spike_and_slab``, ``horseshoe``, or an instance of one of the
        classes with scales of the caller's.
    sampler : None for the prior's own route (``exact`` or ``gibbs``), or ``nuts``.
    noise : σ where it is known, a prior of it, or None for the default prior.
    intercept : whether there is one, or its ``Normal`` prior.
    settings : length and seed.
    name : what the coefficients are called in the result.
    system : what is fitted, for the provenance.
    units : units of ``coefficient`` and ``data`` where X and y do not carry them.
    constant : a Dataset to keep as ``constant_data`` instead of the features.
    discrepancies : statistics for the posterior predictive p-values.

    Returns
    -------
    InferenceData with the posterior of the coefficients, ``sigma``, the prior's hyperparameters,
    and ``included`` (0/1) where there is a spike. What the caller has fixed stands in
    ``constant_data``.

    Raises
    ------
    DataError : shapes that do not fit, values that are not finite, nothing that varies.
    FitError : the prior and the sampler do not go together.
    """
    import xarray as xr

    from bayesinf.posterior import assemble, dataset

    started = time.perf_counter()
    labels = _Labels.of(X, y, name, units or {})
    problem = regression(labels.X, labels.y, prior, noise=noise, intercept=intercept)
    draws, stats, marginal, inference = _sample(problem, sampler, settings)

    known_noise = np.full(problem.shape[0], problem.noise) if problem.noise_fixed else None
    groups = predictive_groups(
        problem.y,
        problem.mean(draws),
        draws.get("sigma", known_noise),
        settings.generator("posterior predictive"),
        dim=labels.row,
        coords=labels.row_coords,
        units=labels.y_units,
        name=labels.y_name,
        discrepancies=discrepancies,
    )
    if marginal is not None:
        groups["log_likelihood"] = groups["log_likelihood"].merge(
            labels.data({f"{labels.y_name}_marginal": marginal}, units="1")
        )
    groups["sample_stats"] = groups["sample_stats"].merge(labels.evidence(stats))
    if constant is None:
        constant = dataset(
            {"X": problem.X}, {"X": (labels.row, labels.column)}, labels.coords, sampled=False
        )
    fixed = problem.prior.fixed | ({"sigma": problem.noise} if problem.noise_fixed else {})
    factors = problem.log_factors(draws)
    groups |= {
        "posterior": labels.parameters(draws),
        "log_prior": dataset(labels.rename(factors)),
        "observed_data": labels.data({labels.y_name: problem.y}, sampled=False),
        "constant_data": constant.merge(
            dataset({k: np.float64(v) for k, v in fixed.items()}, sampled=False)
        ),
        **_prior_groups(problem, labels, settings),
    }
    return assemble(
        groups,
        system=system,
        model=type(problem.prior).__name__,
        inference=inference,
        settings=settings,
        data=xr.Dataset(
            {"X": ((labels.row, labels.column), problem.X), "y": (labels.row, problem.y)}
        ),
        started=started,
        attrs={
            "hyperparameters": json.dumps([k for k in factors if k not in OF_COEFFICIENTS]),
            "prior": json.dumps(problem.sentences()),
        },
    )


def _prior_groups(problem, labels, settings):
    """Draws from the prior, and the data that they would make."""
    draws = problem.sample_prior(settings.generator("prior"), settings.prior_draws)
    mean = problem.mean(draws)
    sigma = draws["sigma"][:, np.newaxis] if "sigma" in draws else problem.noise
    replicas = mean + sigma * settings.generator("prior predictive").standard_normal(mean.shape)
    return {
        "prior": labels.parameters({k: v[np.newaxis] for k, v in draws.items()}),
        "prior_predictive": labels.data({labels.y_name: replicas[np.newaxis]}),
    }


def predict(posterior, X, *, name: str = "beta", settings: Settings = DEFAULT):
    """Predict data at new features.

    Parameters
    ----------
    posterior : what ``fit`` returned.
    X : features, (observation, feature), in the order of the fit.
    name : what the coefficients are called in it.

    Returns
    -------
    Dataset with draws of the noise-free ``mean`` and of the data ``y``, (chain, draw, observation).
    """
    from bayesinf.posterior import dataset

    draws = posterior["posterior"]
    mean = draws[name].values @ np.asarray(X, dtype=float).T
    if "intercept" in draws:
        mean = mean + draws["intercept"].values[..., np.newaxis]
    source = draws if "sigma" in draws else posterior["constant_data"]
    sigma = np.broadcast_to(source["sigma"].values, mean.shape[:2])[..., np.newaxis]
    y = mean + sigma * settings.generator("predictions").standard_normal(mean.shape)
    observed = next(iter(posterior["observed_data"].data_vars.values()))
    unit = observed.attrs["units"]
    return dataset(
        {"mean": mean, "y": y},
        {"mean": ("held_out",), "y": ("held_out",)},
        {"held_out": np.arange(mean.shape[-1])},
        {"mean": unit, "y": unit},
    )


def _sample(problem: Regression, sampler: str | None, settings: Settings):
    """Run a route; draws (chain, draw, ...), statistics, marginal log likelihood, its name."""
    from threadpoolctl import threadpool_limits

    own = OWN[type(problem.prior)]
    sampler = sampler or own
    if sampler == "nuts":
        return _nuts(problem, settings)
    if sampler != own:
        raise FitError(
            f"the {type(problem.prior).__name__} prior has the samplers {own} and nuts,"
            f" not {sampler}"
        )
    if isinstance(problem.prior, SpikeAndSlab):
        from bayesinf.models.linear import spike

        design = spike.Design(problem)
        run = lambda rng: spike.chain(
            problem, design, rng, settings.draws, settings.tune, SPIKE_THIN
        )
        return *_chains(run, problem, settings), own
    # One BLAS thread each: the chains run side by side, and on matrices of this size threads that
    # wait for each other cost more than they bring.
    with threadpool_limits(1):
        if sampler == "exact":
            return *_exact(problem, settings), own
        from bayesinf.models.linear import gibbs

        run = lambda rng: gibbs.chain(problem, rng, settings.draws, settings.tune)
        return *_chains(run, problem, settings), own


def _exact(problem, settings):
    from bayesinf.models.linear import exact

    shape = (settings.chains, settings.draws)
    flat, evidence = exact.draw(problem, settings.generator("exact"), shape[0] * shape[1])
    marginal = evidence.pop("log_marginal").reshape(*shape, -1)
    return {k: v.reshape(*shape, *v.shape[1:]) for k, v in flat.items()}, evidence, marginal


def _chains(run, problem, settings):
    from bayesinf import parallel

    generators = [settings.generator("chain", i) for i in range(settings.chains)]
    label = f"{type(problem.prior).__name__} chains"
    chains = parallel.map(run, generators, workers=settings.workers, threads=True, label=label)
    draws = {k: np.stack([chain[k] for chain in chains]) for k in chains[0]}
    return draws, {}, draws.pop("log_marginal", None)


def _nuts(problem, settings):
    from bayesinf.inference import nuts

    if isinstance(problem.prior, SpikeAndSlab):
        raise FitError("NUTS moves in continuous spaces only; spike and slab has its Gibbs sampler")
    names = ["beta", *problem.prior.inferred]
    names += ["local"] if isinstance(problem.prior, Horseshoe) else []
    names += [] if problem.noise_fixed else ["sigma"]
    names += ["intercept"] if problem.intercept else []
    draws, stats = nuts.sample(definition(problem, centred=False), names, settings)
    return draws, stats, None, "nuts"


class _Labels:
    """Names, dimensions, coordinates and units of one fit."""

    @classmethod
    def of(cls, X, y, name, units):
        import xarray as xr

        self = cls()
        self.name = name
        labelled = isinstance(X, xr.DataArray)
        self.X = X.values if labelled else np.asarray(X)
        self.row, self.column = X.dims if labelled and X.ndim == 2 else ("observation", "feature")
        count = self.X.shape[1] if self.X.ndim == 2 else 0
        self.coords = dict(X.coords) if labelled else {}
        self.coords.setdefault(self.column, np.arange(count))
        self.y = y.values if isinstance(y, xr.DataArray) else np.asarray(y)
        self.coords.setdefault(self.row, np.arange(len(self.y) if self.y.ndim else 0))
        self.row_coords = {self.row: self.coords[self.row]}
        y_attrs = y.attrs if isinstance(y, xr.DataArray) else {}
        self.y_name = getattr(y, "name", None) or "y"
        self.y_units = units.get("data", y_attrs.get("units", "1"))
        per_x = units.get("coefficient", self.y_units)
        self.units = {name: per_x, "sigma": self.y_units, "intercept": self.y_units,
                      "scale": per_x, "slab_width": per_x}  # fmt: skip
        return self

    def rename(self, arrays):
        """Call the coefficients what the caller calls them."""
        return {self.name if k == "beta" else k: v for k, v in arrays.items()}

    def parameters(self, arrays):
        """A group of parameters."""
        from bayesinf.posterior import dataset

        dims = {k: (self.column,) for k in (self.name, "included", "local")}
        return dataset(self.rename(arrays), dims, self.coords, self.units)

    def data(self, arrays, sampled=True, units=None):
        """A group of values for each observation."""
        from bayesinf.posterior import dataset

        dims, units = dict.fromkeys(arrays, (self.row,)), units or self.y_units
        return dataset(arrays, dims, self.row_coords, dict.fromkeys(arrays, units), sampled=sampled)

    def evidence(self, stats):
        """What a method leaves for the checks; sampled statistics lead with chain and draw."""
        from bayesinf.posterior import dataset

        stats = {k.replace("beta_", f"{self.name}_"): v for k, v in stats.items()}
        sampled = {k: v for k, v in stats.items() if np.ndim(v) == 2}
        rest = {k: v for k, v in stats.items() if k not in sampled}
        dims = {k: (self.column,) for k, v in rest.items() if np.ndim(v) == 1}
        units = {k: self.units[self.name] for k in dims}
        return dataset(sampled).merge(dataset(rest, dims, self.coords, units, sampled=False))
