"""Gaussian processes on many points: how the cost grows, and who is honest at few.

    python benchmarks/gp_regression.py [--case growth|posterior|co2|designs] [--toy] [--json FILE]

`growth`: one log marginal likelihood of a Matérn 5/2 process with noise, here (dense, and by the
Kalman filter), by scikit-learn, and by tinygp, dense and quasiseparable, and GPyTorch where they
are installed; all numbers agree, and each side's memory is that of a process of its own.
`posterior`: hyperparameters drawn by the package's own route, from optima to chains. `co2`: one log
marginal likelihood of all months of carbon dioxide at Mauna Loa, here and by scikit-learn, with the
kernel and the hyperparameters of Rasmussen & Williams, section 5.4.3. `designs`: coverage of the 95
% bands of cos(20 x) e^(−2x) over random designs, posterior and maximum likelihood, for exact and
for noisy values.
"""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from common import Table, alone, by_turns, main, timed

SIZES = (250, 500, 1000, 2000, 4000, 10_000, 100_000)
DENSE = 4000  # points up to which matrices are made
THETA = {"length_scale": 0.5, "amplitude": 1.0, "noise": 0.1, "constant": 0.0}


def data(count):
    """A smooth curve with noise, ten length scales per thousand points."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, count / 100, count))
    return x, np.sin(2 * x) + 0.1 * rng.standard_normal(count)


def sides_of(size, dense=DENSE):
    """Who evaluates the log marginal likelihood of so many points, each a function of nothing."""
    from bayesinf.models import gp
    from bayesinf.models.gp.definition import Process
    from bayesinf.models.gp.markov import Series

    theta = {name: np.array([value]) for name, value in THETA.items()}
    x, y = data(size)
    stated = gp.process(gp.data(x, y), "matern52", "constant")
    parts = {field.name: getattr(stated, field.name) for field in fields(Process)}
    series, whole = Series(**parts), Process(**parts)
    found = {"bayesinf, filter": lambda: series.log_marginal(theta)}
    if size <= dense:
        found["bayesinf, dense"] = lambda: whole.log_marginal(theta)
        found["scikit-learn"] = scikit_learn(x, y)
        found |= {"tinygp": tinygp(x, y)} if find_spec("tinygp") else {}
        found |= {"gpytorch": gpytorch(x, y)} if find_spec("gpytorch") else {}
    return found | ({"tinygp, quasisep": tinygp(x, y, True)} if find_spec("tinygp") else {})


def peak(size, name, dense):
    """Memory that one of them takes, in MiB: what it adds to the most its process ever held."""

    def held():
        lines = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        return int(lines.split()[0]) / 2**10

    sides_of(60)[name]()  # what is imported and compiled is so now
    run, before = sides_of(size, dense)[name], held()
    run()
    return {"MiB": held() - before}


def growth(sizes=SIZES, dense=DENSE, turns=3, memory=True):
    """One log marginal likelihood, by number of points: time, memory, and how both grow."""
    columns = {"points": "7d", "by": "17", "seconds": "9.2g", "MiB": "7.1f"}
    columns |= {"log p(y)": "16.6f", "grows as n^": "11.2f"}
    for peer in ("tinygp", "gpytorch"):
        if not find_spec(peer):
            print(f"{peer} is not installed, and left out")
    table, kept, before = Table(columns), {}, {}
    for size in sizes:
        sides = sides_of(size, dense)
        for run in sides.values():
            run()  # what is compiled is compiled now
        took, values = zip(*by_turns(sides, turns), strict=True)
        for name in sides:
            seconds = min(turn[name] for turn in took)
            value = float(np.ravel(values[0][name])[0])
            row = {"points": size, "by": name, "seconds": seconds, "log p(y)": value}
            if memory:
                row |= {"MiB": alone(peak, size=size, name=name, dense=dense)["MiB"]}
            if name in before:
                less, quicker = before[name]
                row["grows as n^"] = np.log(seconds / quicker) / np.log(size / less)
            table.row(row)
            before[name] = size, seconds
            kept[f"{size} {name}"] = [seconds, value] + ([row["MiB"]] if memory else [])
    return kept


def scikit_learn(x, y):
    """The same by scikit-learn."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    kernel = Matern(THETA["length_scale"], nu=2.5) + WhiteKernel(THETA["noise"] ** 2)
    model = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)

    def run():
        return model.fit(x[:, None], y).log_marginal_likelihood_value_

    return run


def tinygp(x, y, quasi=False):
    """The same by tinygp."""
    import jax
    from tinygp import GaussianProcess, kernels

    jax.config.update("jax_enable_x64", True)

    @jax.jit
    def log_probability(y):
        kernel = (kernels.quasisep if quasi else kernels).Matern52(THETA["length_scale"])
        return GaussianProcess(kernel, x, diag=THETA["noise"] ** 2).log_probability(y)

    return lambda: float(log_probability(y))


def gpytorch(x, y):
    """The same by GPyTorch, by Cholesky's factor."""
    import torch
    from gpytorch import settings
    from gpytorch.distributions import MultivariateNormal
    from gpytorch.kernels import MaternKernel

    x, y = torch.tensor(x[:, None]), torch.tensor(y)
    kernel = MaternKernel(nu=2.5).double()
    kernel.lengthscale = THETA["length_scale"]

    def run():
        with torch.no_grad(), settings.fast_computations(log_prob=False):
            covariance = kernel(x).add_jitter(THETA["noise"] ** 2)
            return float(MultivariateNormal(torch.zeros_like(y), covariance).log_prob(y))

    return run


def posterior(sizes=(500, 2000, 10_000, 100_000), draws=250):
    """Seconds from data to draws of length scale, amplitude, noise and constant."""
    from bayesinf.models import gp
    from bayesinf.models.gp.routes import mcmc
    from bayesinf.settings import Settings

    table, kept = (
        Table({"points": "7d", "seconds": "8.1f", "length scale": "17", "noise": "17"}),
        {},
    )
    for size in sizes:
        stated = gp.process(gp.data(*data(size)), "matern52", "constant")
        settings = Settings(draws=draws, chains=4)
        stated.log_density(np.zeros((1, 4)))  # what is compiled is compiled now
        seconds, found = timed(lambda: mcmc(stated, settings))  # noqa: B023 (called at once)
        said = [found.draws[name] for name in ("length_scale", "noise")]
        words = [f"{one.mean():.4f} ± {one.std():.4f}" for one in said]
        row = {"points": size, "seconds": seconds}
        table.row(row | dict(zip(("length scale", "noise"), words, strict=True)))
        kept[str(size)] = [seconds, *(float(one.mean()) for one in said)]
    return kept


CO2 = (
    "se + se * periodic(1.0) + rq + se"  # of Rasmussen & Williams, section 5.4.3, and their values
)
CO2_THETA = {
    "amplitude_1": 66.0,
    "length_scale_1": 67.0,
    "amplitude_2": 2.4,
    "length_scale_2": 90.0,
    "length_scale_3": 1.3,
    "amplitude_4": 0.66,
    "length_scale_4": 1.2,
    "alpha_4": 0.78,
    "amplitude_5": 0.18,
    "length_scale_5": 1.6,
    "noise": 0.19,
}


def co2(most=None):
    """Log marginal likelihood of the carbon dioxide at Mauna Loa, all months, and its rounding."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import (
        RBF,
        ConstantKernel,
        ExpSineSquared,
        RationalQuadratic,
        WhiteKernel,
    )

    from bayesinf.data import axes
    from bayesinf.models import gp
    from bayesinf.systems import gp_regression

    path = Path(__file__).resolve().parents[1] / "data" / "gp_regression" / "co2.csv"
    x, y, _ = (None if one is None else one.values[:most] for one in axes(gp_regression.read(path)))
    y, t = y - y.mean(), CO2_THETA
    theirs = ConstantKernel(t["amplitude_1"] ** 2) * RBF(t["length_scale_1"])
    theirs += (
        ConstantKernel(t["amplitude_2"] ** 2)
        * RBF(t["length_scale_2"])
        * ExpSineSquared(t["length_scale_3"], 1.0)
    )
    theirs += ConstantKernel(t["amplitude_4"] ** 2) * RationalQuadratic(
        t["length_scale_4"], t["alpha_4"]
    )
    theirs += ConstantKernel(t["amplitude_5"] ** 2) * RBF(t["length_scale_5"])
    theirs += WhiteKernel(t["noise"] ** 2)
    sides = {
        "bayesinf": lambda: gp.log_marginal_likelihood(x, y, kernel=gp.parse(CO2), **t),
        "scikit-learn": lambda: (
            GaussianProcessRegressor(theirs, alpha=0.0, optimizer=None)
            .fit(x[:, None], y)
            .log_marginal_likelihood_value_
        ),
        "long double": lambda: extended(x, y),
    }
    table = Table({"months": "6d", "by": "12", "seconds": "8.2g", "log p(y)": "18.10f"})
    kept = {}
    for name, run in sides.items():
        seconds, value = timed(run)
        kept[name] = float(value)
        cells = {"months": len(x), "by": name, "seconds": seconds, "log p(y)": kept[name]}
        table.row(cells)
    kept["apart"] = kept["bayesinf"] - kept["scikit-learn"]
    print(f"bayesinf less scikit-learn: {kept['apart']:.1e}")
    return kept


def extended(x, y):
    """The same with the digits of the machine's long double, row by row."""
    from bayesinf.models import gp

    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    kernel = gp.kernels.kernel(gp.parse(CO2))
    fixed = {name: value for name, value in kernel.parameters().items() if value is not None}
    covariance = kernel.value(x[:, None] - x, fixed | CO2_THETA)
    covariance = covariance + CO2_THETA["noise"] ** 2 * np.eye(len(x))
    lower, z = np.zeros_like(covariance), np.zeros_like(y)
    for j in range(len(x)):
        lower[j:, j] = covariance[j:, j] - lower[j:, :j] @ lower[j, :j]
        lower[j:, j] /= np.sqrt(lower[j, j])
        z[j] = (y[j] - lower[j, :j] @ z[:j]) / lower[j, j]
    volume = np.sum(np.log(np.diag(lower)))
    return -0.5 * z @ z - volume - 0.5 * len(x) * np.log(2 * np.longdouble(np.pi))


def designs(count=200, cases=((8, 0.0), (20, 0.1)), fine=33, coarse=17):
    """Coverage and half width of both 95 % bands."""
    from bayesinf.settings import Settings
    from bayesinf.systems import gp_regression

    forms = {"points": "6d", "noise": "5.2g", "kernel": "9", "band": "10"}
    forms |= {"covers": "6.3f", "error": "6.3f", "half width": "10.3f"}
    table, kept = Table(forms), {}
    for points, noise in cases:
        for kernel in ("se", "matern52"):
            grid = np.linspace(-4, 4, coarse if noise else fine)
            options = {"grid": grid, "settings": Settings()}
            found = gp_regression.designs(count, points, noise, kernel, **options)
            for band in ("posterior", "likelihood"):
                share, width = found[band].values, found[f"{band}_width"].values
                error = share.std() / np.sqrt(count)
                numbers = [share.mean(), error, width.mean()]
                cells = [points, noise, kernel, band, *numbers]
                table.row(dict(zip(forms, cells, strict=True)))
                kept[f"{points} {noise} {kernel} {band}"] = numbers
    return kept


TOY = {
    "growth": {"sizes": (50, 100), "turns": 1, "memory": False},
    "posterior": {"sizes": (500,), "draws": 20},
    "co2": {"most": 60},
    "designs": {"count": 3, "cases": ((8, 0.0),), "fine": 13},
}

if __name__ == "__main__":
    main(__doc__, (growth, posterior, co2, designs), TOY, parts=(peak,))
