"""emcee draws per second: bayesinf against lmfit.minimize(method="emcee") on the same model.

Both sample the posterior of NIST Gauss1 (8 parameters and the noise) with as many walkers and steps
and emcee's stretch move, in one process, by turns, so that what else the machine does hits both
alike. lmfit evaluates one walker after the other; here the ensemble is one call on arrays.
"""

import argparse
import contextlib
import io
import json
import statistics
import time
from pathlib import Path

import emcee
import lmfit
import numpy as np

from bayesinf.models import curve
from bayesinf.systems import gaussian_peaks as peaks

WALKERS, STEPS, TURNS = 64, 300, 5
GAUSS1 = Path(__file__).parents[1] / "data" / "gaussian_peaks" / "Gauss1.dat"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    target = parser.parse_args().json

    data = peaks.nist(GAUSS1)
    x, y = data["x"].values, data["y"].values
    model = sum_of_two()
    lines = {"a_amplitude": 4000, "a_center": 65, "a_sigma": 14, "b_amplitude": 2900}
    lines |= {"b_center": 178, "b_sigma": 12}
    params = model.make_params(bg_amplitude=97, bg_decay=100, **lines)
    best = model.fit(y, params, x=x).params
    problem = curve.Problem(model, best, x, y)
    theta = np.append(problem.optimum.theta, problem.optimum.scale)
    start = theta * (1 + 1e-4 * np.random.default_rng(1).standard_normal((WALKERS, len(theta))))

    def ours():
        sampler = emcee.EnsembleSampler(WALKERS, len(theta), problem.log_density, vectorize=True)
        sampler.run_mcmc(start, STEPS)

    def theirs():
        guess = best.copy()
        guess.add("__lnsigma", value=np.log(theta[-1]), min=-10, max=10)
        log_start = np.column_stack([start[:, :-1], np.log(start[:, -1])])
        lmfit.minimize(
            lambda p: model.eval(p, x=x) - y, guess, method="emcee", nwalkers=WALKERS, steps=STEPS,
            pos=log_start, is_weighted=False, progress=False, seed=1,
        )  # fmt: skip

    ours()  # the first call pays for what is only once
    rates = {"bayesinf": [], "lmfit": []}
    for _ in range(TURNS):
        for name, run in (("bayesinf", ours), ("lmfit", theirs)):
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):  # lmfit remarks that the run is short
                run()
            rates[name].append(WALKERS * STEPS / (time.perf_counter() - started))
    ratios = [a / b for a, b in zip(rates["bayesinf"], rates["lmfit"], strict=True)]

    print(f"NIST Gauss1, {WALKERS} walkers, {STEPS} steps: draws per second")
    print(f"{'turn':>6} {'bayesinf':>10} {'lmfit':>10} {'ratio':>7}")
    for i, row in enumerate(zip(rates["bayesinf"], rates["lmfit"], ratios, strict=True), 1):
        print("{:>6} {:>10.0f} {:>10.0f} {:>7.1f}".format(i, *row))
    medians = [statistics.median(values) for values in (rates["bayesinf"], rates["lmfit"], ratios)]
    print("{:>6} {:>10.0f} {:>10.0f} {:>7.1f}   target ≥ 8".format("median", *medians))
    if target is not None:
        result = dict(zip(("bayesinf", "lmfit", "ratio"), medians, strict=True))
        result |= {
            "walkers": WALKERS,
            "steps": STEPS,
            "turns": rates | {"ratio": ratios},
            "target": 8,
        }
        target.write_text(json.dumps(result, indent=1) + "\n")


def sum_of_two():
    """Two Gaussians on a decaying exponential, of lmfit's own line shapes."""
    models = lmfit.models
    lines = models.GaussianModel(prefix="a_") + models.GaussianModel(prefix="b_")
    return lines + models.ExponentialModel(prefix="bg_")


if __name__ == "__main__":
    main()
