"""Spin models: sampling, exact maximum likelihood and log Z against plain loops and peers.

    spins    heat bath and Metropolis updates, N = 160, one core, against a compiled loop that
             recomputes the field at each of them; balanced spins and sparse, retina-like ones.
    exact    maximum likelihood by enumeration, N = 20, 300 000 states, against plain NumPy (the
             matrix of all states; Newton, and BFGS of SciPy), and against coniii's Enumerate for
             as few sites as it can take, where --coniii names a Python that has it.
    annealed log Z by annealed importance sampling over N = 10, 20, 40, 80, 160.
    growth   the posterior at N = 5, 10, 20, 40, 80, 160: 20 000 simulated states, or the
             first cells of --raster FILE. Chains up to 40 sites, a normal approximation above.
    kinetic  mean squared error of 10 000 couplings, N = 100, L = 2000, against published ones, and
             smallest effective sample size and time of their posterior.

Sides run by turns in one process, so that what else the machine does hits both alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CASES = ("spins", "exact", "annealed", "growth", "kinetic")
# Mean squared error of kinetic couplings at N = 100, L = 2000: maximum likelihood, and the free
# energy minimisation of Hoang, Song, Periwal & Jo, Phys. Rev. E 99, 023311 (2019),
# doi:10.1103/PhysRevE.99.023311.
PUBLISHED = {2: {"ML": 0.0031, "FEM": 0.00222}, 4: {"ML": 0.0178, "FEM": 0.0069}}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--turns", type=int, default=3, help="of each race (default: 3)")
    parser.add_argument("--coniii", metavar="PYTHON", help="an interpreter that has coniii")
    parser.add_argument("--raster", type=Path, metavar="FILE", help="states for growth")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    results = {}
    for case in arguments.case or CASES:
        results[case] = globals()[case](arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def gaussian(sites, seed=1):
    """Fields and couplings of the classical test, N(0, 1/N), packed."""
    return np.random.default_rng(seed).normal(0, sites**-0.5, sites * (sites + 1) // 2)


def sparse(sites, seed=1):
    """Rarely active sites in 0/1, about 3 %, with couplings that matter, packed."""
    rng = np.random.default_rng(seed)
    h = rng.normal(-3.8, 0.7, sites)
    return np.concatenate([h, rng.normal(0, 0.3, sites * (sites - 1) // 2)])


# Spin updates


def spins(arguments):
    sites, sweeps = 160, 20_000
    kinds = {"balanced": (gaussian(sites), "±1"), "sparse": (sparse(sites), "0/1")}
    print(f"A million visits of sites a second, N = {sites}, one core")
    print("limit: the same visits if they took no more than their random bytes, and for each flip")
    print("a row of J added to the fields, rows in random order; both timed alone, at their best")
    print(f"{'spins':>9} {'dynamics':>10} {'flips':>6} {'turn':>6} {'ours':>7} {'plain':>7}"
          f" {'ratio':>6} {'limit':>7} {'of limit':>8}")  # fmt: skip
    rows = []
    for kind, (theta, encoding) in kinds.items():
        for dynamics in ("heat bath", "metropolis"):
            race = race_of_spins(theta, encoding, dynamics == "heat bath", sweeps, arguments.turns)
            flips, turns = race["flips"], race["turns"]
            middle = {name: statistics.median(row[name] for row in turns) for name in turns[0]}
            for turn, row in [*enumerate(turns, 1), ("median", middle)]:
                remark = "   target ratio ≥ 5" if turn == "median" else ""
                print(f"{kind:>9} {dynamics:>10} {flips:>6.3f} {turn:>6} {row['ours']:>7.1f}"
                      f" {row['plain']:>7.1f} {row['ratio']:>6.1f} {row['limit']:>7.1f}"
                      f" {row['of limit']:>8.2f}{remark}", flush=True)  # fmt: skip
            rows.append({"kind": kind, "dynamics": dynamics} | race | {"median": middle})
    return rows


def race_of_spins(theta, encoding, heat, sweeps, turns):
    """Million visits per second of both sides and of the limit, turn by turn."""
    import numba

    from bayesinf.models.pairwise import sampling, sampling_kernel

    h, J, _ = sampling._on_off(theta, encoding)
    sites, rng = h.size, np.random.default_rng(2)
    start = sampling.sample(theta, encoding, 8, rng=rng, chains=8, burn=500, thin=1).last == 1
    plain = numba.njit(plain_sweeps)
    adding = numba.njit(added_rows)

    def ours(sweeps=sweeps):
        on, kept = start.astype(np.int8), np.empty((len(start), 1, sites), np.int8)
        seeds = sampling._seeds(rng, len(on))
        return sampling_kernel.run(h, J, on, seeds, heat, 0, sweeps // len(on), 0, kept)

    order = rng.integers(0, sites, sweeps * sites // 4)
    share = ours() / (sweeps * sites)
    words = np.empty(sweeps * sites // (8 if heat else 2), np.uint64)
    sides = {
        "ours": (ours, sweeps * sites),
        "plain": (lambda: plain(h, J, start[0].astype(np.float64), sweeps // 8, heat),
                  sweeps // 8 * sites),
        "rows": (lambda: adding(J, h.copy(), order), order.size),
        "words": (lambda: sampling_kernel.words(sampling._seeds(rng, 1)[0], words),
                  sweeps * sites),
    }  # fmt: skip
    ns = {name: [] for name in sides}
    for _ in range(turns + 1):
        for name, (run, visits) in sides.items():
            started = time.perf_counter()
            run()
            ns[name].append(1e9 * (time.perf_counter() - started) / visits)
    # What the machine can is its best; the first turn pays for compilation.
    limit = share * min(ns["rows"][1:]) + min(ns["words"][1:])
    found = [{"ours": 1e3 / a, "plain": 1e3 / b, "ratio": b / a, "limit": 1e3 / limit,
              "of limit": limit / a}
             for a, b in zip(ns["ours"][1:], ns["plain"][1:], strict=True)]  # fmt: skip
    return {"flips": share, "turns": found}


def plain_sweeps(h, J, on, sweeps, heat):
    """Recompute the field at each visit."""
    sites = h.size
    for visit in range(sweeps * sites):
        i = visit % sites if heat else np.random.randint(sites)  # noqa: NPY002
        field = h[i]
        for j in range(sites):
            field += J[i, j] * on[j]
        u = np.random.random()  # noqa: NPY002
        if heat:
            on[i] = 1.0 if u < 1.0 / (1.0 + np.exp(-field)) else 0.0
        elif u < np.exp(field if on[i] == 0.0 else -field):
            on[i] = 1.0 - on[i]
    return on


def added_rows(J, field, order):
    """Add rows to a field, and do nothing else."""
    for i in order:
        row = J[i]
        for k in range(field.size):
            field[k] += 1e-9 * row[k]
    return field


# Exact maximum likelihood


def exact(arguments):
    from bayesinf.models import pairwise

    print("Maximum likelihood by enumeration, 300 000 states: seconds to |Δφ| ≤ 1e-10 from states;")
    print("ours on one core, NumPy's products on all")
    print(f"{'N':>3} {'turn':>6} {'ours':>7} {'Newton':>8} {'BFGS':>8} {'coniii':>8} {'ratio':>7}"
          f" {'|Δθ|':>8} {'coniii':>8}")  # fmt: skip
    results = {}
    for sites in (9, 20):
        states = drawn(sites, 300_000)
        sides = {"ours": lambda s=states: pairwise.maximum_likelihood(s, encoding="±1").theta,
                 "Newton": lambda s=states: plain_newton(s),
                 "BFGS": lambda s=states: plain_bfgs(s)}  # fmt: skip
        if sites == 20:  # its equations, written out term by term, would fill gigabytes
            sides["ours"]()
        elif arguments.coniii:
            sides["coniii"] = lambda s=states: by_coniii(arguments.coniii, s)
        rows = []
        for turn in range(1, arguments.turns + 1):
            row, found = {}, {}
            for name, run in sides.items():
                started = time.perf_counter()
                found[name] = run()
                row[name] = time.perf_counter() - started
            if "coniii" in found:  # without the start of its interpreter
                row["coniii"], found["coniii"] = found["coniii"]
            row["ratio"] = min(row["Newton"], row["BFGS"]) / row["ours"]
            row["away"] = max(np.abs(found[name] - found["ours"]).max() for name in found)
            rows.append(row)
            print_exact(sites, turn, row)
        middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        target = "   target ≤ 20 s, ratio to the faster of NumPy's ≥ 10"
        print_exact(sites, "median", middle, target if sites == 20 else "")
        results[sites] = {"turns": rows, "median": middle}
    if not arguments.coniii:
        print("coniii was not run: name an interpreter that has it by --coniii")
    return results


def print_exact(sites, turn, row, remark=""):
    peer = f"{row['coniii']:>8.2f}" if "coniii" in row else f"{'':>8}"
    times = f"{row['coniii'] / row['ours']:>7.0f}x" if "coniii" in row else ""
    print(f"{sites:>3} {turn:>6} {row['ours']:>7.3f} {row['Newton']:>8.2f} {row['BFGS']:>8.2f}"
          f" {peer} {row['ratio']:>7.1f} {row['away']:>8.0e} {times:>8}{remark}",
          flush=True)  # fmt: skip


def drawn(sites, samples):
    from bayesinf.models import binary
    from bayesinf.models.pairwise import enumeration

    _, p = enumeration.probabilities(gaussian(sites), "±1")
    numbers = np.random.default_rng(3).choice(p.size, samples, p=p / p.sum())
    return binary.decoded(numbers, sites, "±1")


def features(states):
    i, j = np.triu_indices(states.shape[1], 1)
    return np.concatenate([states, states[:, i] * states[:, j]], axis=1).astype(float)


def every_state(sites):
    """The matrix of the statistics of all states."""
    return features((2 * ((np.arange(1 << sites)[:, None] >> np.arange(sites)) & 1) - 1)
                    .astype(np.int8))  # fmt: skip


def means_of(states):
    s = states.astype(float)
    return np.concatenate([s.mean(axis=0), ((s.T @ s) / len(s))[np.triu_indices(s.shape[1], 1)]])


def weights(X, theta):
    exponent = X @ theta
    top = exponent.max()
    p = np.exp(exponent - top)
    total = p.sum()
    return top + np.log(total), p / total


def plain_newton(states):
    X, seen = every_state(states.shape[1]), means_of(states)
    theta = independent(seen, states.shape[1])
    log_z, p = weights(X, theta)
    for _ in range(50):
        phi = p @ X
        if np.abs(phi - seen).max() <= 1e-10:
            return theta
        fisher = -np.outer(phi, phi)
        for k in range(0, len(X), 2**16):  # parts that do not double the memory
            fisher += X[k : k + 2**16].T @ (X[k : k + 2**16] * p[k : k + 2**16, None])
        step, height = np.linalg.solve(fisher, seen - phi), theta @ seen - log_z
        while True:
            log_z, p = weights(X, theta + step)
            if (theta + step) @ seen - log_z >= height - 1e-12:
                break
            step /= 2
        theta = theta + step
    raise RuntimeError("plain Newton did not converge")


def independent(seen, sites):
    return np.concatenate([np.arctanh(seen[:sites]), np.zeros(len(seen) - sites)])


def plain_bfgs(states):
    from scipy.optimize import minimize

    X, seen = every_state(states.shape[1]), means_of(states)

    def loss(theta):
        log_z, p = weights(X, theta)
        return log_z - theta @ seen, p @ X - seen

    start = independent(seen, states.shape[1])
    return minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-10}).x


CONIII = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from coniii import Enumerate
states = np.load(sys.argv[1]).astype(int)
Enumerate(states[:, :], iprint=False).solve()  # compiles
started = time.perf_counter()
theta = Enumerate(states, iprint=False).solve()
print(json.dumps([time.perf_counter() - started, theta.tolist()]))
"""


def by_coniii(python, states):
    """Seconds and parameters of coniii, in its own interpreter, what is compiled being so."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "states.npy", states)
        done = subprocess.run([python, "-c", CONIII, f"{folder}/states.npy"],
                              capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    seconds, theta = json.loads(done.stdout.splitlines()[-1])
    return seconds, np.array(theta)


# log Z


def annealed(arguments):
    from bayesinf.models.pairwise import enumeration, sampling

    print("log Z by annealed importance sampling, h, J ~ N(0, 1/N), 1000 chains; z: its distance")
    print("from enumeration in standard errors")
    print(f"{'N':>4} {'log Z':>9} {'error':>7} {'z':>5} {'effective':>9} {'seconds':>8}")
    rows = []
    sampling.annealed_log_partition(gaussian(4), "±1", rng=np.random.default_rng(4))
    for sites in (10, 20, 40, 80, 160):
        theta, rng = gaussian(sites), np.random.default_rng(5)
        started = time.perf_counter()
        log_z, error, effective = sampling.annealed_log_partition(theta, "±1", rng=rng)
        seconds = time.perf_counter() - started
        row = {"N": sites, "log Z": log_z, "error": error, "effective": effective,
               "seconds": seconds}  # fmt: skip
        z = ""
        if sites <= enumeration.LARGEST:
            row["z"] = float((log_z - enumeration.log_partition(theta, "±1")) / error)
            z = f"{row['z']:.1f}"
        rows.append(row)
        remark = "   target: error ≤ 0.02" if sites == 40 else ""
        print(f"{sites:>4} {log_z:>9.3f} {error:>7.4f} {z:>5} {effective:>9.0f} {seconds:>8.2f}"
              f"{remark}", flush=True)  # fmt: skip
    return rows


# The kinetic problem of the literature


KINETIC = ("ML", "mode", "mean", "laplace", "mcmc")
COLUMNS = {"laplace s": (9, ".1f"), "mcmc s": (6, ".1f"), "ESS": (5, ".0f"), "tail": (5, ".0f"),
           "R-hat": (6, ".3f")}  # fmt: skip


def growth(arguments):
    """Seconds, effective draws and memory of the posterior as the number of sites grows."""
    import resource

    import arviz

    from bayesinf.settings import DEFAULT
    from bayesinf.systems import boltzmann_equilibrium as boltzmann

    rows = []
    print(f"{'N':>4} {'states':>8} {'bank/s':>7} {'fit/s':>7} {'route':>8} {'draws':>6} "
          f"{'min ESS':>8} {'R-hat':>6} {'GB':>5}  exponent")  # fmt: skip
    for sites in (5, 10, 20, 40, 80, 160):
        population = (
            boltzmann.read(arguments.raster, cells=f"0-{sites - 1}")
            if arguments.raster
            else boltzmann.simulate(sites)
        )
        method = boltzmann.default_method(sites)
        settings = boltzmann.affordable(
            DEFAULT.replace(draws=max(DEFAULT.draws, 400)), sites, independent=method != "mcmc"
        )
        start = time.perf_counter()
        bank = boltzmann.draw_bank(population, settings=settings)
        middle = time.perf_counter()
        found = boltzmann.fit(population, method=method, bank=bank, settings=settings)["posterior"]
        end = time.perf_counter()
        ess = rhat = float("nan")  # independent draws have nothing to tell there
        if method == "mcmc":
            ess = min(float(each.min()) for each in arviz.ess(found.to_dataset()).values())
            rhat = max(float(each.max()) for each in arviz.rhat(found.to_dataset()).values())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        power = np.log((end - start) / rows[-1]["seconds"]) / np.log(2) if rows else float("nan")
        rows.append({"sites": sites, "seconds": end - start, "ess": ess, "rhat": rhat,
                     "gigabytes": memory, "exponent": power})  # fmt: skip
        draws = found.sizes["chain"] * found.sizes["draw"]
        print(f"{sites:4d} {population.sizes['sample']:8d} {middle - start:7.1f} "
              f"{end - middle:7.1f} {method:>8} {draws:6d} {ess:8.0f} {rhat:6.3f} {memory:5.2f} "
              f"{power:9.1f}", flush=True)  # fmt: skip
    return rows


def kinetic(arguments):
    from bayesinf.settings import Settings

    print("Mean squared error of 10 000 couplings, N = 100, L = 2000, w ~ N(0, g²/N): maximum")
    print("likelihood; mode and mean where that prior is known; ours, its width inferred, and the")
    print("seconds of whole fits, smallest effective sizes and largest R-hat of the chains")
    print(f"{'g':>2} {'seed':>4}", *(f"{name:>8}" for name in KINETIC),
          *(f"{name:>{wide}}" for name, (wide, _) in COLUMNS.items()))  # fmt: skip
    rows = []
    for g, published in PUBLISHED.items():
        for seed in range(1, arguments.turns + 1):
            settings = Settings(seed=seed, draws=400, tune=100, chains=4, prior_draws=20)
            found = {"g": g, "seed": seed} | kinetic_errors(g, settings)
            rows.append(found)
            print(f"{g:>2} {seed:>4}", *(f"{found[name]:>8.5f}" for name in KINETIC),
                  *(f"{found[name]:>{wide}{form}}" for name, (wide, form) in COLUMNS.items()),
                  flush=True)  # fmt: skip
        print(f"   published: ML {published['ML']}, FEM {published['FEM']}, which laplace and mcmc"
              " are to beat; target: ESS ≥ 400 within 30 s")  # fmt: skip
    return rows


def kinetic_errors(g, settings, sites=100, steps=2000):
    """Errors by method, w ~ N(0, g²/N), all sites on at the start."""
    from bayesinf.diagnostics import mixing
    from bayesinf.models import logistic
    from bayesinf.models.couplings import Prior
    from bayesinf.priors import Normal
    from bayesinf.systems import boltzmann_kinetic as glauber

    rng = settings.generator("literature", g)
    data = glauber.simulate(sites, steps, 1, width=g, start="ones", rng=rng)
    moves, truth = glauber.transitions(data), data["truth.J"].values
    error = lambda J: float(np.mean((J - truth) ** 2))
    known = Prior(h=Normal(0.0, 0.01), J=Normal(0.0, g / np.sqrt(sites)))
    mode = logistic.maximum_likelihood(moves, prior=known)
    mean = logistic.near(moves, mode.h, mode.J, prior=known, settings=settings)
    found = {"ML": error(logistic.maximum_likelihood(moves).J), "mode": error(mode.J),
             "mean": error(mean["J"].mean(("chain", "draw")).values)}  # fmt: skip
    for method in ("laplace", "mcmc"):
        started = time.perf_counter()
        fit = logistic.fit(moves, encoding="±1", method=method, settings=settings)
        found[f"{method} s"] = time.perf_counter() - started
        draws = fit["posterior"]["J"].transpose("target", "source", "chain", "draw").values
        found[method] = error(draws.mean((2, 3)))
        if method == "mcmc":
            shape, bulk, tail = mixing(draws.reshape(-1, *draws.shape[2:]))
            found |= {"R-hat": shape.max(), "ESS": bulk.min(), "tail": tail.min()}
    return found


if __name__ == "__main__":
    main()
