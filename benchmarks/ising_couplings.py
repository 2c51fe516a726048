"""Ising couplings against PyMC's NUTS and scikit-learn's LassoCV, side by side in one run.

    ess      smallest bulk ESS over the couplings per second of wall time, L = 40, n = 400: each
             prior's own route against NUTS (spike and slab against NUTS on the regularised
             horseshoe). The first turn counts imports and compilation on both sides.
    lasso    L = 100, n = 2000: a spike-and-slab posterior against LassoCV(cv=5) on the same data.
    growth   cost of spike and slab over L = 20, 40, 100, 200.
    start    seconds that ``--help`` takes.

Both sides run in one process, by turns, so that what else the machine does hits both alike.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASES = ("ess", "lasso", "growth", "start")

# Prior of ours, prior of NUTS, its draws and tuning, the ratio aimed at. NUTS takes minutes for
# what takes us a second, so it runs two chains of a few hundred draws.
RACES = (
    ("normal", "normal", 500, 500, 1000),
    ("laplace", "laplace", 500, 500, 20),
    ("spike_and_slab", "horseshoe", 500, 700, 1000),
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--prior", choices=[race[0] for race in RACES], action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    results = {}
    for case in arguments.case or CASES:
        if case == "ess":
            results[case] = effective_sample_size(arguments.prior or [r[0] for r in RACES])
        else:
            results[case] = globals()[case]()
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def effective_sample_size(priors):
    rows = []
    print("Smallest bulk ESS over 780 couplings per second, L = 40, n = 400, noise 0.1")
    print(
        f"{'prior':>15} {'route':>16} {'draws':>7} {'R-hat':>6} {'min ESS':>8} {'seconds':>8}"
        f" {'ESS/s':>8}"
    )
    for prior, peer, draws, tune, target in RACES:
        if prior not in priors:
            continue
        rates = {}
        own = {"draws": OWN_DRAWS[prior], "tune": 100}
        for name, length in (
            ("nuts", {"draws": draws, "tune": tune, "chains": 2}),
            ("own", own),
            ("own, again", own),
        ):
            started = time.perf_counter()
            J = couplings(*((peer, "nuts") if name == "nuts" else (prior, None)), **length)
            seconds = time.perf_counter() - started
            ess, rhat = mixing_of(J)
            rates[name] = ess / seconds
            label = peer if name == "nuts" else prior
            route = f"{label if label != prior else ''} {name}".strip()
            print(f"{prior:>15} {route:>16} {J[..., 0].size:>7} {rhat:>6.3f} {ess:>8.0f}"
                  f" {seconds:>8.1f} {rates[name]:>8.2f}", flush=True)  # fmt: skip
            rows.append({"prior": prior, "route": name, "ess": ess, "r_hat": rhat,
                         "seconds": seconds})  # fmt: skip
        for name in ("own", "own, again"):
            ratio = rates[name] / rates["nuts"]
            print(f"{prior:>15} {name:>16} ratio {ratio:.0f}   target ≥ {target}", flush=True)
            rows.append({"prior": prior, "route": name, "ratio": ratio, "target": target})
    return rows


# Enough that drawing, and not starting, is what is measured.
OWN_DRAWS = {"normal": 5000, "laplace": 1000, "spike_and_slab": 2000}


def couplings(prior, sampler, **length):
    from bayesinf.settings import Settings
    from bayesinf.systems import ising_couplings as ising

    known, _ = ising.split(ising.simulate(40, 800, 0.1, 1))
    fit = ising.fit(known["states"], known["energies"], prior, sampler=sampler,
                    settings=Settings(**length))  # fmt: skip
    return fit["posterior"]["J"].values


def mixing_of(J):
    """Smallest bulk ESS and largest R-hat of the couplings that move.

    An R-hat far above one says that the chains have not met, and that the ESS beside it flatters.
    """
    import arviz as az
    import numpy as np

    moving = [J[..., k] for k in np.flatnonzero(np.ptp(J, axis=(0, 1)) > 0)]
    return min(float(az.ess(draws)) for draws in moving), max(float(az.rhat(d)) for d in moving)


def lasso():
    from sklearn.linear_model import LassoCV

    from bayesinf.systems import ising_couplings as ising

    spins = ising.simulate(100, 2000, 0.1, 1)
    X, y = ising.features(spins["states"]).values, spins["energies"].values
    print("L = 100, 4950 couplings, n = 2000: seconds")
    print(f"{'turn':>5} {'ours':>7} {'ESS of bonds':>13} {'LassoCV':>8} {'ratio':>6}")
    rows = []
    for turn in (1, 2):
        ours, ess, _ = posterior_of(spins)
        started = time.perf_counter()
        LassoCV(cv=5, fit_intercept=False).fit(X, y)
        theirs = time.perf_counter() - started
        rows.append({"ours": ours, "ess": ess, "lasso": theirs, "ratio": ours / theirs})
        print(f"{turn:>5} {ours:>7.1f} {ess:>13.0f} {theirs:>8.1f} {ours / theirs:>6.2f}"
              "   target ≤ 0.5, ESS ≥ 1000", flush=True)  # fmt: skip
    return rows


def growth():
    from bayesinf.systems import ising_couplings as ising

    print("Spike and slab, n = 20 L: four chains of 400 draws, 8 starts of 50 sweeps")
    print(f"{'L':>4} {'pairs':>6} {'n':>5} {'seconds':>8} {'ESS of bonds':>13} {'GiB so far':>11}"
          f" {'found':>6}")  # fmt: skip
    rows = []
    posterior_of(ising.simulate(10, 100, 0.1, 1))  # what is only once is paid here
    for sites in (20, 40, 100, 200):
        seconds, ess, found = posterior_of(ising.simulate(sites, 20 * sites, 0.1, 1))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append({"L": sites, "seconds": seconds, "ess": ess, "GiB": memory})
        pairs = sites * (sites - 1) // 2
        print(f"{sites:>4} {pairs:>6} {20 * sites:>5} {seconds:>8.1f} {ess:>13.0f}"
              f" {memory:>11.2f} {found:>6}", flush=True)  # fmt: skip
    return rows


def posterior_of(spins):
    """Seconds, smallest bulk ESS on the bonds, and how many bonds have probability ≥ 0.99."""
    import arviz as az
    import numpy as np

    from bayesinf.settings import Settings
    from bayesinf.systems import ising_couplings as ising

    started = time.perf_counter()
    settings = Settings(draws=400, tune=50)
    fit = ising.fit(spins["states"], spins["energies"], "spike_and_slab",
                    couplings=spins["couplings"], settings=settings)  # fmt: skip
    seconds = time.perf_counter() - started
    bond = fit["constant_data"]["J_true"].values != 0
    J = fit["posterior"]["J"].values[..., bond]
    included = fit["posterior"]["included"].values[..., bond].mean((0, 1))
    ess = min(float(az.ess(J[..., k])) for k in range(J.shape[-1]))
    return seconds, ess, int(np.sum(included >= 0.99))


def start():
    command = [sys.executable, str(ROOT / "workflows" / "ising_couplings.py"), "--help"]
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    print(f"ising_couplings.py --help: {min(seconds):.2f} to {max(seconds):.2f} s   target < 0.7")
    return seconds


if __name__ == "__main__":
    main()
