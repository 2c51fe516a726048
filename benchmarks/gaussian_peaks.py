"""emcee draws per second: bayesinf against lmfit.minimize(method="emcee") on the same model.

    ensemble  the posterior of NIST Gauss1 (8 parameters and the noise), with as many walkers and
              steps and emcee's stretch move. lmfit evaluates one walker after the other; here the
              ensemble is one call on arrays.

Both sides run in one process, by turns, so that what else the machine does hits both alike.
"""

import contextlib
import io
from pathlib import Path

import emcee
import lmfit
import numpy as np
from common import Table, by_turns, main

from bayesinf.models import curve
from bayesinf.systems import gaussian_peaks as peaks

GAUSS1 = Path(__file__).parents[1] / "data" / "gaussian_peaks" / "Gauss1.dat"
TOY = {"ensemble": {"walkers": 20, "steps": 10, "turns": 1}}


def ensemble(walkers=64, steps=300, turns=5):
    data = peaks.nist(GAUSS1)
    x, y = data["x"].values, data["y"].values
    model = sum_of_two()
    lines = {"a_amplitude": 4000, "a_center": 65, "a_sigma": 14, "b_amplitude": 2900}
    lines |= {"b_center": 178, "b_sigma": 12}
    params = model.make_params(bg_amplitude=97, bg_decay=100, **lines)
    best = model.fit(y, params, x=x).params
    problem = curve.problem(model, best, data)
    theta = np.append(problem.optimum.theta, problem.optimum.scale)
    start = theta * (1 + 1e-4 * np.random.default_rng(1).standard_normal((walkers, len(theta))))

    def ours():
        sampler = emcee.EnsembleSampler(walkers, len(theta), problem.log_density, vectorize=True)
        sampler.run_mcmc(start, steps)

    def theirs():
        guess = best.copy()
        guess.add("__lnsigma", value=np.log(theta[-1]), min=-10, max=10)
        log_start = np.column_stack([start[:, :-1], np.log(start[:, -1])])
        options = {"nwalkers": walkers, "steps": steps, "pos": log_start, "seed": 1}
        options |= {"is_weighted": False, "progress": False}
        with contextlib.redirect_stdout(io.StringIO()):  # lmfit remarks that the run is short
            lmfit.minimize(lambda p: model.eval(p, x=x) - y, guess, method="emcee", **options)

    ours()  # the first call pays for what is only once
    rows = []
    for seconds, _ in by_turns({"bayesinf": ours, "lmfit": theirs}, turns):
        row = {name: walkers * steps / each for name, each in seconds.items()}
        rows.append(row | {"ratio": row["bayesinf"] / row["lmfit"]})
    print(f"NIST Gauss1, {walkers} walkers, {steps} steps: draws per second")
    table = Table({"turn": "6", "bayesinf": "10.0f", "lmfit": "10.0f", "ratio": "7.1f"})
    middle = table.turns(rows, "target ≥ 8")
    return {"turns": rows, "median": middle, "walkers": walkers, "steps": steps, "target": 8}


def sum_of_two():
    """Two Gaussians on a decaying exponential, of lmfit's own line shapes."""
    models = lmfit.models
    lines = models.GaussianModel(prefix="a_") + models.GaussianModel(prefix="b_")
    return lines + models.ExponentialModel(prefix="bg_")


if __name__ == "__main__":
    main(__doc__, [ensemble], TOY)
