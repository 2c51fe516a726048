"""Spectra per second: a batch of bayesinf against lmfit's loop over the same spectra.

    fit      10 000 spectra of 200 points, two peaks on a constant, all bounded as lmfit is: optimum
             and covariance from the same start.
    checked  the same with all that a batch is asked: several guessed starts, residuals, draws
             weighed by the likelihood, a few kept, moments.
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
    "growth": {"sizes": (20, 40)},
}


def simulated(count, seed=1):
    """Spectra with two peaks apart, each with parameters of its own."""
    rng, x = np.random.default_rng(seed), np.linspace(0, 10, POINTS)
    low, high = [0.5, 5, 3, 0.4, 5, 6, 0.4], [2, 15, 4, 0.7, 15, 7, 0.8]
    theta = rng.uniform(low, high, (count, 7))
    level, *lines = theta.T[:, :, None]
    y = level + 0.5 * rng.standard_normal((count, POINTS))
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


def checked(spectra=10_000, lmfits=100, turns=5):
    def run(every, model):
        parts = [
            fit_portion(every[first : first + PORTION], model, number=first // PORTION)
            for first in range(0, len(every), PORTION)
        ]
        return tuple(np.concatenate([part[name] for part in parts]) for name in ("theta", "error"))

    return against(run, spectra, lmfits, turns, 30)


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
    main(__doc__, [fit, checked, growth], TOY, parts=[written])
