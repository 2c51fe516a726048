"""Spectra per second: a batch of bayesinf against lmfit's loop over the same spectra.

    fit      10 000 spectra of 200 points, two peaks on a constant, all bounded as lmfit is: optimum
             and covariance from the same start.
    checked  the same with all that a batch is asked: several guessed starts, residuals, draws
             weighed by the likelihood, a few kept, moments.
    counts   the same of Poisson counts, both ways, against minimising Cash's statistic one
             by one: scipy's L-BFGS-B within the bounds and from that start, then the curvature by
             differences of the slope.
    growth   time and memory against the number of spectra, written to a file as they come.

Both sides run in one process, by turns, so that what else the machine does hits both alike; lmfit
takes a share of the spectra, drawn anew each turn. The same optimum is asked of both: the largest
distance, in standard errors, is printed.
"""

import resource
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from common import Table, alone, by_turns, main

from bayesinf import parallel
from bayesinf.data.spectra import Several, Source, Spectrum
from bayesinf.systems.gaussian_peaks.batch import Model, fit_portion, write
from bayesinf.systems.gaussian_peaks.batch.fitting import PORTION
from bayesinf.systems.gaussian_peaks.batch.search import Flat, optima

POINTS = 200
START = {"background_level": 1.0, "height": (8.0, 8.0), "center": (3.3, 6.7), "sigma": (0.5, 0.5)}
TOY = {
    "fit": {"spectra": 40, "lmfits": 3, "turns": 1},
    "checked": {"spectra": 40, "lmfits": 3, "turns": 1},
    "counts": {"spectra": 40, "scipys": 3, "turns": 1},
    "growth": {"sizes": (20, 40)},
}


def simulated(count, seed=1, noise=0.5):
    """Spectra with two peaks apart, each with parameters of its own."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 10, POINTS)
    low, high = [0.5, 5, 3, 0.4, 5, 6, 0.4], [2, 15, 4, 0.7, 15, 7, 0.8]
    theta = rng.uniform(low, high, (count, 7))
    level, *lines = theta.T[:, :, None]
    y = level + noise * rng.standard_normal((count, POINTS))
    for h, c, s in (lines[:3], lines[3:]):
        y += h * np.exp(-0.5 * ((x - c) / s) ** 2)
    return [Spectrum(str(k), x, each) for k, each in enumerate(y)]


def of_lmfit(spectra, model):
    """Fit each by lmfit, within the same bounds and from the same start; optima and covariances."""
    lines = model.lines
    built, params = lines.lmfit()
    lower, upper = model.boxes(spectra)
    starts = lines.flat(START)
    found = []
    for one, low, high in zip(spectra, lower, upper, strict=True):
        for name, least, most in zip(model.free, low, high, strict=True):
            params[name].set(value=starts[name], min=least, max=most)
        result = built.fit(one.y, params, x=one.x)
        found.append([result.params[name].value for name in model.free])
    return np.array(found)


def against(run, spectra, lmfits, turns, target):
    """Time both by turns; return the rows and their medians."""
    model, every = Model(peaks=2), simulated(spectra)
    some = np.random.default_rng(2)
    run(every[:PORTION], model)  # the first call pays for what is only once
    chosen = some.choice(spectra, lmfits, replace=False)
    of_lmfit([every[chosen[0]]], model)
    sides = {
        "bayesinf": lambda: run(every, model),
        "lmfit": lambda: of_lmfit([every[k] for k in chosen], model),
    }
    rows, table = [], Table({"turn": "6", "bayesinf": "10.1f", "lmfit": "10.0f", "ratio": "7.0f"})
    for seconds, found in by_turns(sides, turns):
        ours, theirs = seconds["bayesinf"] / spectra * 1e6, seconds["lmfit"] / lmfits * 1e6
        rows.append({"bayesinf": ours, "lmfit": theirs, "ratio": theirs / ours})
        theta, error = found["bayesinf"]
        apart = np.abs(theta[chosen] - found["lmfit"]) / error[chosen]
        chosen = some.choice(spectra, lmfits, replace=False)
    middle = table.turns(rows, f"microseconds a spectrum; target ≥ {target}")
    print(f"farthest apart: {np.quantile(apart, 0.99):.1e} (99 %), {apart.max():.1e} sd")
    return {"turns": rows, "median": middle, "apart": float(apart.max()), "target": target}


def fit(spectra=10_000, lmfits=100, turns=5):
    def run(every, model):
        start = [[*model.lines.flat(START).values()]]
        order = [list(model.lines.flat(START)).index(name) for name in model.free]
        theta, error = [], []
        for first in range(0, len(every), PORTION):
            flat = Flat.of(every[first : first + PORTION], model)
            best = optima(flat, model, True, np.array(start)[:, order])
            noise = best["rss"] / (POINTS - len(model.free))
            variance = np.diagonal(best["covariance"], axis1=1, axis2=2) * noise[:, None]
            theta.append(best["theta"])
            error.append(np.sqrt(variance))
        return np.concatenate(theta), np.concatenate(error)

    return against(run, spectra, lmfits, turns, 300)


def fitted(every, model):
    """Optima and standard errors of a batch, with all checks."""
    parts = [
        fit_portion(every[first : first + PORTION], model, number=first // PORTION)
        for first in range(0, len(every), PORTION)
    ]
    return tuple(np.concatenate([part[name] for part in parts]) for name in ("theta", "error"))


def checked(spectra=10_000, lmfits=100, turns=5):
    return against(fitted, spectra, lmfits, turns, 30)


def counted(count, seed=3):
    """Counts of thirty at the background to some hundreds at the peaks."""
    rng = np.random.default_rng(seed)
    means = simulated(count, seed, noise=0.0)
    return [Spectrum(one.name, one.x, rng.poisson(30 * one.y).astype(float)) for one in means]


def peaks(theta, x):
    """Two Gaussians on a constant with their slopes, (point,) and (parameter, point)."""
    mean, slopes = np.full(len(x), theta[0]), [np.ones(len(x))]
    for h, c, s in theta[1:].reshape(2, 3):
        z = (x - c) / s
        line = np.exp(-0.5 * z**2)
        mean = mean + h * line
        slopes += [line, h * line * z / s, h * line * z**2 / s]
    return mean, np.array(slopes)


def of_scipy(spectra, model):
    """Maximum of the Poisson likelihood of each, and the covariance, as one writes it by hand."""
    from scipy.optimize import minimize

    lower, upper = model.boxes(spectra)
    start, theta = np.array([30.0, 240.0, 3.3, 0.5, 240.0, 6.7, 0.5]), []
    for one, low, high in zip(spectra, np.maximum(lower, 1e-3), upper, strict=True):

        def cash(scaled, one=one):
            mean, slopes = peaks(scaled * start, one.x)
            value = np.sum(mean - one.y * np.log(mean))
            return value, slopes @ (1 - one.y / mean) * start

        options = {"ftol": 1e-13, "gtol": 1e-6, "maxls": 50}
        bounds = list(zip(low / start, high / start, strict=True))
        first = np.ones(len(start))
        best = minimize(cash, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        step = 1e-4 * np.eye(len(start))
        curvature = np.array([(cash(best + e)[1] - cash(best - e)[1]) / 2e-4 for e in step])
        np.linalg.pinv((curvature + curvature.T) / 2)  # the covariance
        theta.append(best * start)
    return np.array(theta)


def counts(spectra=10_000, scipys=100, turns=5):
    model, every = Model(peaks=2, likelihood="poisson"), counted(spectra)
    some, start = np.random.default_rng(4), np.array([[30.0, 240.0, 3.3, 0.5, 240.0, 6.7, 0.5]])

    def optimum():
        for first in range(0, len(every), PORTION):
            optima(Flat.of(every[first : first + PORTION], model), model, False, start)

    fitted(every[:PORTION], model)
    chosen = some.choice(spectra, scipys, replace=False)
    sides = {
        "fit": optimum,
        "checked": lambda: fitted(every, model),
        "scipy": lambda: of_scipy([every[k] for k in chosen], model),
    }
    heading = {"fit": "7.1f", "checked": "7.1f", "scipy": "7.0f", "ratio": "5.0f", "whole": "5.1f"}
    rows, table = [], Table({"turn": "6"} | heading)
    for seconds, found in by_turns(sides, turns):
        sizes = {"fit": spectra, "checked": spectra, "scipy": scipys}
        row = {name: seconds[name] / size * 1e6 for name, size in sizes.items()}
        row |= {"ratio": row["scipy"] / row["fit"], "whole": row["scipy"] / row["checked"]}
        rows.append(row)
        theta, error = found["checked"]
        apart = np.abs(theta[chosen] - found["scipy"]) / error[chosen]
        chosen = some.choice(spectra, scipys, replace=False)
    middle = table.turns(rows, "microseconds a spectrum, and times as fast as scipy")
    alike = np.mean(apart.max(axis=1) < 0.01)  # scipy has one start, and may end elsewhere
    print(f"median distance {np.median(apart):.1e} sd; {alike:.0%} ended at the same place")
    return {"turns": rows, "median": middle, "alike": float(alike)}


class Made(Source):
    """Spectra that are simulated as they are asked for, so that none is held."""

    def part(self, first, end):
        """Return some."""
        return Several(tuple(simulated(end - first, seed=first)))


def written(spectra):
    """Fit and write so many in this process; return seconds of processor time and memory."""
    names = range(spectra)
    labels = {"x": ("x", "1"), "y": ("y", "1")}
    source = Made("", [str(k) for k in names], labels, "simulated", {"spectrum": spectra})
    model, settings = Model(peaks=2), _settings()
    fit_portion(simulated(4), model)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as folder:
        file = write(source, model, settings, Path(folder), partial(parallel.map, workers=1))
        size = file.stat().st_size
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": spent, "memory": after.ru_maxrss / 1024, "file": size / 1e6}


def _settings():
    from bayesinf.settings import DEFAULT

    return DEFAULT


def growth(sizes=(2000, 8000)):
    table = Table({"spectra": "8", "seconds": "8.1f", "memory": "8.0f", "file": "8.1f"})
    rows = []
    for spectra in sizes:
        found = alone(written, spectra=spectra)
        rows.append({"spectra": spectra} | {n: found[n] for n in ("seconds", "memory", "file")})
        table.row(rows[-1], "MiB of memory at most, MB of file")
    first, last = rows[0], rows[-1]
    spread = np.log(last["spectra"] / first["spectra"])
    exponents = {n: np.log(last[n] / first[n]) / spread for n in ("seconds", "memory", "file")}
    print("exponents: " + ", ".join(f"{name} {value:.2f}" for name, value in exponents.items()))
    return {"rows": rows, "exponents": exponents}


if __name__ == "__main__":
    main(__doc__, [fit, checked, counts, growth], TOY, parts=[written])
