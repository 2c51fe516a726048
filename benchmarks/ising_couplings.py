"""Ising couplings against PyMC's NUTS and scikit-learn's LassoCV, side by side in one run.

    ess      smallest bulk ESS over the couplings per second of wall time, L = 40, n = 400: each
             prior's own route against NUTS (spike and slab against NUTS on the regularised
             horseshoe). The first turn counts imports and compilation on both sides.
    lasso    L = 100, n = 2000: a spike-and-slab posterior against LassoCV(cv=5) on the same data.
    growth   cost of spike and slab over L = 20, 40, 70, 100, with the exponents, and the share
             reached of the traffic of its sweeps: a row of the Gram matrix a bond.
    start    seconds that ``--help`` takes.

Both sides run in one process, by turns, so that what else the machine does hits both alike.
"""

import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from common import Growth, Table, by_turns, main, timed

SCRIPT = Path(__file__).resolve().parents[1] / "workflows" / "ising_couplings.py"
TOY = {
    "ess": {"sites": 6, "samples": 80, "shorter": 20},
    "lasso": {"sites": 8, "samples": 100, "turns": 1},
    "growth": {"sizes": (6, 8)},
    "start": {"turns": 1},
}

# Prior of ours, prior of NUTS, its draws and tuning, the ratio aimed at, and our draws: enough that
# drawing, and not starting, is what is measured. NUTS takes minutes for what takes us a second, so
# it runs two chains of a few hundred draws.
RACES = (
    ("normal", "normal", 500, 500, 1000, 5000),
    ("laplace", "laplace", 500, 500, 20, 1000),
    ("spike_and_slab", "horseshoe", 500, 700, 1000, 2000),
)


def ess(sites=40, samples=800, shorter=1, prior=None):
    print(
        f"Smallest bulk ESS over {sites * (sites - 1) // 2} couplings per second, L = {sites},"
        f" n = {samples // 2}, noise 0.1"
    )
    columns = {"draws": "7", "R-hat": "6.3f", "min ESS": "8.0f", "seconds": "8.1f", "ESS/s": "8.2f"}
    table = Table({"prior": "15", "route": "16"} | columns)
    rows = []
    for own, peer, draws, tune, target, own_draws in RACES:
        if own not in (prior or [own]):
            continue
        nuts = {"draws": draws // shorter, "tune": tune // shorter, "chains": 2}
        ours = {"draws": own_draws // shorter, "tune": 100 // shorter}
        sides = {
            "nuts" if peer == own else f"{peer} nuts": (peer, "nuts", nuts),
            "own": (own, None, ours),
            "own, again": (own, None, ours),
        }
        rates = []
        for route, side in sides.items():
            seconds, J = timed(lambda side=side: couplings(sites, samples, *side))
            least, rhat = mixing_of(J)
            row = {"prior": own, "route": route, "draws": J[..., 0].size, "R-hat": rhat}
            row |= {"min ESS": least, "seconds": seconds, "ESS/s": least / seconds}
            rates.append(row["ESS/s"])
            rows.append(row)
            table.row(row)
        for route, rate in zip(("own", "own, again"), rates[1:], strict=True):
            ratio = rate / rates[0]
            print(f"{own:>15} {route:>16} ratio {ratio:.0f}   target ≥ {target}", flush=True)
            rows.append({"prior": own, "route": route, "ratio": ratio, "target": target})
    return rows


def couplings(sites, samples, prior, method, length):
    """Draws (chain, draw, pair) of the couplings, simulation included."""
    from bayesinf.settings import Settings
    from bayesinf.systems import ising_couplings as ising

    known, _ = ising.split(ising.simulate(sites, samples))
    settings = Settings(**length)
    fit = ising.fit(known, prior, method=method, settings=settings)
    return fit["posterior"]["J"].values


def mixing_of(J):
    """Smallest bulk ESS and largest R-hat of the couplings that move.

    An R-hat far above one says that the chains have not met, and that the ESS beside it flatters.
    """
    import arviz as az
    import numpy as np

    moving = [J[..., k] for k in np.flatnonzero(np.ptp(J, axis=(0, 1)) > 0)]
    return min(float(az.ess(draws)) for draws in moving), max(float(az.rhat(d)) for d in moving)


def lasso(sites=100, samples=2000, turns=4):
    from sklearn.linear_model import LassoCV
    from threadpoolctl import threadpool_limits

    from bayesinf.systems import ising_couplings as ising

    spins = ising.simulate(sites, samples)
    X, y = ising.features(spins["states"]).values, spins["energies"].values
    print(f"L = {sites}, {X.shape[1]} couplings, n = {samples}: seconds by the clock, and of all")
    print("cores together; products of matrices on one, where LassoCV is quickest")
    columns = {"turn": "6", "ours": "6.2f", "LassoCV": "7.2f", "ratio": "5.2f", "CPU": "6.2f"}
    columns |= {"LassoCV CPU": "11.2f", "CPU ratio": "9.2f", "ESS of bonds": "12.0f"}
    table, rows = Table(columns), []
    sides = {
        "ours": partial(timed, partial(selecting, spins), time.process_time),
        "LassoCV": partial(
            timed, partial(LassoCV(cv=5, fit_intercept=False).fit, X, y), time.process_time
        ),
    }
    selecting(ising.simulate(10, 100))  # what is only once is paid here
    with threadpool_limits(1):
        for seconds, found in by_turns(sides, turns):
            (cpu, fit), (lasso_cpu, _) = found["ours"], found["LassoCV"]
            row = seconds | {"ratio": seconds["ours"] / seconds["LassoCV"]}
            row |= {"CPU": cpu, "LassoCV CPU": lasso_cpu, "CPU ratio": cpu / lasso_cpu}
            rows.append(row | {"ESS of bonds": bonds_of(fit)[0]})
    return table.turns(rows, "target: ratio ≤ 0.25, ESS ≥ 1000")


def growth(sizes=(20, 40, 70, 100)):
    from bayesinf.systems import ising_couplings as ising

    print("Spike and slab, n = 20 L: four chains of 400 draws, 8 starts of 50 sweeps; processor")
    print("time of all cores")
    columns = {"L": "4", "pairs": "6", "n": "5", "seconds": "8.1f", "ESS of bonds": "13.0f"}
    table, rows = Table(columns | {"GiB so far": "11.2f", "found": "6"}), []
    selecting(ising.simulate(10, 100))  # what is only once is paid here
    grown = Growth("spike and slab of Ising couplings", "L", "memory")
    for sites in sizes:
        select = partial(selecting, ising.simulate(sites, 20 * sites))
        seconds, fit = timed(select, time.process_time)  # of all cores; the limit is that of one
        least, found = bonds_of(fit)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        row = {"L": sites, "pairs": sites * (sites - 1) // 2, "n": 20 * sites, "seconds": seconds}
        rows.append(row | {"ESS of bonds": least, "GiB so far": memory, "found": found})
        table.row(rows[-1])
        # Four chains of 8 · 50 + 2 · 400 sweeps: each bond reads a row of the Gram matrix, and four
        # of them share a pass over the sums.
        grown.add(sites, seconds, 4 * 1200 * sites * row["pairs"] * (4 + (8 + 8) / 4))
    return [*rows, grown.told()]


def selecting(spins):
    """Fit of spike and slab."""
    from bayesinf.settings import Settings
    from bayesinf.systems import ising_couplings as ising

    return ising.fit(spins, "spike_and_slab", settings=Settings(draws=400, tune=50))


def bonds_of(fit):
    """Smallest bulk ESS on the bonds, and how many bonds have probability ≥ 0.99."""
    import arviz as az
    import numpy as np

    J = fit["posterior"]["J"]
    apart, sites = (J["j"] - J["i"]).values, int(J["j"].max()) + 1
    bond = (apart == 1) | (apart == sites - 1)  # of the ring
    included = fit["posterior"]["included"].values[..., bond].mean((0, 1))
    draws = J.values[..., bond]
    least = min(float(az.ess(draws[..., k])) for k in range(draws.shape[-1]))
    return least, int(np.sum(included >= 0.99))


def start(turns=5):
    command = [sys.executable, str(SCRIPT), "--help"]
    run = lambda: subprocess.run(command, check=True, capture_output=True)
    seconds = [timed(run)[0] for _ in range(turns)]
    print(f"ising_couplings.py --help: {min(seconds):.2f} to {max(seconds):.2f} s   target < 0.7")
    return seconds


if __name__ == "__main__":
    options = {"prior": {"choices": [race[0] for race in RACES], "action": "append"}}
    main(__doc__, [ess, lasso, growth, start], TOY, options)
