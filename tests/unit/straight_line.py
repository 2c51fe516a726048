"""A straight line through points, fitted four ways by a few lines of NumPy: the posterior that the
tests of checks, figures and reports look at. The noise is known to the exact and Laplace fits."""

import time
from functools import cache

import numpy as np

from bayesinf.models import noise
from bayesinf.posterior import assemble, dataset
from bayesinf.settings import Settings

TRUTH = {"slope": 47.0, "offset": 0.3, "noise": 0.8}
UNITS = {"slope": "V/A", "offset": "V", "noise": "V", "y": "V", "x": "A", "residual": "V"}


@cache
def fit(inference="gibbs", seed=1, points=30):
    """An InferenceData of V = slope I + offset + ε by gibbs, exact, laplace or ensemble."""
    started, settings = time.perf_counter(), Settings(seed=seed, draws=500)
    rng = settings.generator("straight line", inference)
    x = np.linspace(0, 1, points)
    y = TRUTH["slope"] * x + TRUTH["offset"]
    y = y + TRUTH["noise"] * settings.generator("data").standard_normal(points)
    design = np.stack([x, np.ones(points)], axis=1)
    chains, draws = (32, 200) if inference == "ensemble" else (4, 500)
    shape = (chains, draws)

    # Priors N(0, 100²) on both coefficients; σ² by Gibbs where it is not known.
    precision = np.eye(2) / 100.0**2
    sigma = np.full(shape, TRUTH["noise"])
    beta = np.empty((*shape, 2))
    for chain in range(chains):
        variance = TRUTH["noise"] ** 2
        for draw in range(draws):
            root = np.linalg.cholesky(precision + design.T @ design / variance)
            centre = np.linalg.solve(root @ root.T, design.T @ y / variance)
            beta[chain, draw] = centre + np.linalg.solve(root.T, rng.standard_normal(2))
            if inference in ("gibbs", "ensemble"):
                rest = y - design @ beta[chain, draw]
                variance = (0.5**2 + rest @ rest) / rng.chisquare(points + 1)
                sigma[chain, draw] = np.sqrt(variance)
    prior = 100.0 * rng.standard_normal((1, 500, 2))
    arrays = {"slope": beta[..., 0], "offset": beta[..., 1]}
    before = {"slope": prior[..., 0], "offset": prior[..., 1]}
    if inference in ("gibbs", "ensemble"):
        arrays["noise"] = sigma
        before["noise"] = 0.5 / np.sqrt(rng.chisquare(1, (1, 500)))
    mean = beta @ design.T
    groups = noise.predictive_groups(
        y, mean, sigma, rng, dim="point", units="V",
        discrepancies=noise.RESIDUALS | {"chi square": noise.chi_square},
    )  # fmt: skip
    evidence = {
        "gibbs": {},
        "exact": {
            "condition_number": np.linalg.cond(root),
            "slope_closed_form_mean": centre[0],
            "offset_closed_form_mean": centre[1],
            "slope_closed_form_sd": np.sqrt(np.linalg.inv(root @ root.T)[0, 0]),
            "offset_closed_form_sd": np.sqrt(np.linalg.inv(root @ root.T)[1, 1]),
        },
        "ensemble": {"steps": np.array(20_000)},
        "laplace": {},
    }[inference]
    stats = groups["sample_stats"].merge(dataset(evidence, units=UNITS, sampled=False))
    if inference == "ensemble":
        stats["acceptance_rate"] = ("chain", np.full(chains, 0.45), {"units": "1"})
        stats["autocorrelation_time"] = ("parameter", np.full(3, 30.0), {"units": "1"})
    if inference == "laplace":
        stats = stats.merge(dataset({"log_weight": 1e-3 * rng.standard_normal(shape)}))
        for name, values in (("gradient", [1e-8, -1e-9]), ("hessian_eigenvalue", [0.8, 1.2])):
            stats[name] = ("parameter", np.array(values), {"units": "1"})
        stats["start_excess"] = ("start", np.zeros(3), {"units": "1"})
    log_prior = {
        name: -0.5 * (draws / 100.0) ** 2 for name, draws in arrays.items() if name != "noise"
    }
    if "noise" in arrays:
        log_prior["noise"] = -2 * np.log(sigma) - 0.5**2 / (2 * sigma**2)
    replicas = prior @ design.T + 0.5 * rng.standard_normal((1, 500, points))
    data = dataset({"x": x, "y": y}, {"x": ("point",), "y": ("point",)}, units=UNITS, sampled=False)
    groups |= {
        "posterior": dataset(arrays, units=UNITS),
        "sample_stats": stats,
        "log_prior": dataset(log_prior),
        "prior": dataset(before, units=UNITS),
        "prior_predictive": dataset({"y": replicas}, {"y": ("point",)}, units=UNITS),
        "observed_data": data[["y"]],
        "constant_data": data[["x"]],
    }
    return assemble(
        groups, system="straight_line", model="y = slope x + offset + ε", inference=inference,
        settings=settings, data=data, started=started,
    )  # fmt: skip
