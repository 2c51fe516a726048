"""Spin models: sampling, exact maximum likelihood and log Z against plain loops and peers.

    spins    heat-bath updates, N = 160, one core, against a compiled loop that
             recomputes the field at each of them; balanced spins and sparse, retina-like ones.
    exact    maximum likelihood by enumeration, N = 20, 300 000 states, against plain NumPy (the
             matrix of all states; Newton, and BFGS of SciPy), and against coniii's Enumerate for
             as few sites as it can take, where --coniii names a Python that has it.
    sums     log Z with all means and pair moments, N = 12 to 20, with the exponent in the number
             of states.
    annealed log Z by annealed importance sampling over N = 10, 20, 40, 80, 160.
    growth   the posterior at N = 5, 10, 20, 40, 80, 160: 20 000 simulated states, or the
             first cells of --raster FILE. Chains up to 40 sites, a normal approximation above.
    common   processor time of the posterior of signs that follow common factors, as those of
             exchange rates do: 20 sites, summed over all states, and 26, which are too many.
    kinetic  mean squared error of 10 000 couplings, N = 100, L = 2000, against published ones, and
             smallest effective sample size and time of their posterior.

Sides run by turns in one process, so that what else the machine does hits both alike.
"""

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from common import Growth, Table, by_turns, main, timed

TOY = {
    "spins": {"sites": 12, "sweeps": 800, "turns": 1},
    "exact": {"sizes": (5, 8), "samples": 2000, "turns": 1},
    "sums": {"sizes": (6, 8), "turns": 2},
    "annealed": {"sizes": (6, 8), "chains": 100},
    "growth": {"sizes": (3, 4), "samples": 500, "draws": 20},
    "common": {"sizes": (4, 5), "samples": 500, "draws": 20},
    "kinetic": {"sites": 4, "steps": 500, "strengths": (2,), "draws": 20, "turns": 1},
}
# Mean squared error of kinetic couplings at N = 100, L = 2000: maximum likelihood, and the free
# energy minimisation of Hoang, Song, Periwal & Jo, Phys. Rev. E 99, 023311 (2019),
# doi:10.1103/PhysRevE.99.023311.
PUBLISHED = {2: {"ML": 0.0031, "FEM": 0.00222}, 4: {"ML": 0.0178, "FEM": 0.0069}}


def gaussian(sites, seed=1):
    """Fields and couplings of the classical test, N(0, 1/N), packed."""
    return np.random.default_rng(seed).normal(0, sites**-0.5, sites * (sites + 1) // 2)


def sparse(sites, seed=1):
    """Rarely active sites in 0/1, about 3 %, with couplings that matter, packed."""
    rng = np.random.default_rng(seed)
    h = rng.normal(-3.8, 0.7, sites)
    return np.concatenate([h, rng.normal(0, 0.3, sites * (sites - 1) // 2)])


# Spin updates


def spins(sites=160, sweeps=200_000, turns=3):
    kinds = {"balanced": (gaussian(sites), "±1"), "sparse": (sparse(sites), "0/1")}
    print(f"A million visits of sites a second, N = {sites}, one core")
    print("limit: the same visits if they took no more than their random bytes, and for each flip")
    print("a row of J added to the fields, rows in random order; both timed alone, at their best")
    columns = {"spins": "9", "flips": "6.3f", "turn": "6", "ours": "7.1f"}
    columns |= {"plain": "7.1f", "ratio": "6.1f", "limit": "7.1f", "of limit": "8.2f"}
    table, results = Table(columns), []
    for kind, (theta, encoding) in kinds.items():
        flips, rows = race_of_spins(theta, encoding, sweeps, turns)
        same = {"spins": kind, "flips": flips}
        middle = table.turns(rows, "target ratio ≥ 5", **same)
        results.append(same | {"turns": rows, "median": middle})
    return results


def race_of_spins(theta, encoding, sweeps, turns):
    """Share of visits that flip, and by turn million visits a second: both sides, and the limit."""
    import numba

    from bayesinf.models import binary
    from bayesinf.models.binary.pairwise import enumeration
    from bayesinf.models.binary.pairwise.large import sampling, sampling_kernel

    h, J, _ = binary.convert(*enumeration.unpack(theta), encoding, "0/1")
    sites, rng = h.size, np.random.default_rng(2)
    J = binary.matrix(J, sites)
    at = {"rng": rng, "workers": 1}
    start = sampling.sample(theta, encoding, 8, chains=8, burn=500, thin=1, **at).last
    first = (start[0] == 1).astype(np.float64)
    plain, adding = numba.njit(plain_sweeps), numba.njit(added_rows)
    fewer = sweeps // 80  # of the plain loop, which is slow

    order = rng.integers(0, sites, sweeps * sites // 40)
    words = np.empty(sweeps * sites // 80, np.uint64)  # 8 visits share one
    seed = rng.integers(0, 2**64, 4, dtype=np.uint64)
    sides = {
        "ours": lambda: sampling.sample(
            theta, encoding, len(start), start=start, burn=0, thin=sweeps // len(start), **at
        ),
        "plain": lambda: plain(h, J, first, fewer),
        "rows": lambda: adding(J, h.copy(), order),
        "words": lambda: sampling_kernel.words(seed, words),
    }
    visits = {"ours": sweeps // len(start) * len(start) * sites, "plain": fewer * sites}
    visits |= {"rows": order.size, "words": 8 * words.size}
    next(by_turns(sides, 1))  # compiles
    ns = []
    for seconds, found in by_turns(sides, turns):
        ns.append({name: 1e9 * seconds[name] / visits[name] for name in sides})
        flips = found["ours"].flips
    # What the machine can is its best.
    limit = flips * min(row["rows"] for row in ns) + min(row["words"] for row in ns)
    rows = []
    for row in ns:
        rates = {"ours": 1e3 / row["ours"], "plain": 1e3 / row["plain"]}
        rates |= {"ratio": row["plain"] / row["ours"], "limit": 1e3 / limit}
        rows.append(rates | {"of limit": limit / row["ours"]})
    return flips, rows


def plain_sweeps(h, J, on, sweeps):
    """Recompute the field at each visit."""
    sites = h.size
    for visit in range(sweeps * sites):
        i = visit % sites
        field = h[i]
        for j in range(sites):
            field += J[i, j] * on[j]
        u = np.random.random()  # noqa: NPY002
        on[i] = 1.0 if u < 1.0 / (1.0 + np.exp(-field)) else 0.0
    return on


def added_rows(J, field, order):
    """Add rows to a field, and do nothing else."""
    for i in order:
        row = J[i]
        for k in range(field.size):
            field[k] += 1e-9 * row[k]
    return field


# Exact maximum likelihood


def exact(sizes=(9, 20), samples=300_000, turns=3, coniii=None):
    from bayesinf.models.binary import pairwise

    print(f"Maximum likelihood by enumeration, {samples} states: seconds to |Δφ| ≤ 1e-10 from")
    print("states; ours on one core, NumPy's products on all; |Δθ|: largest difference from ours")
    columns = {"N": "3", "turn": "6", "ours": "7.3f", "Newton": "8.2f", "BFGS": "8.2f"}
    columns |= {"coniii": "8.2f", "ratio": "7.1f", "|Δθ|": "8.0e", "coniii/ours": "8.0f"}
    table, results = Table(columns), {}
    for sites in sizes:
        states = drawn(sites, samples)
        sides = {
            "ours": lambda s=states: pairwise.maximum_likelihood(s, encoding="±1").theta,
            "Newton": lambda s=states: plain_newton(s),
            "BFGS": lambda s=states: plain_bfgs(s),
        }
        if sites > 10:
            sides["ours"]()
        elif coniii:  # its equations, written out term by term, would fill gigabytes for more
            sides["coniii"] = lambda s=states: by_coniii(coniii, s)
        rows = []
        for row, found in by_turns(sides, turns):
            if "coniii" in found:  # without the start of its interpreter
                row["coniii"], found["coniii"] = found["coniii"]
                row["coniii/ours"] = row["coniii"] / row["ours"]
            row["ratio"] = min(row["Newton"], row["BFGS"]) / row["ours"]
            row["|Δθ|"] = max(np.abs(theta - found["ours"]).max() for theta in found.values())
            rows.append(row)
        target = "target ≤ 20 s, ratio to the faster of NumPy's ≥ 10" if sites == 20 else ""
        results[sites] = {"turns": rows, "median": table.turns(rows, target, N=sites)}
    if not coniii:
        print("coniii was not run: name an interpreter that has it by --coniii")
    return results


def drawn(sites, samples):
    from bayesinf.models import binary
    from bayesinf.models.binary.pairwise import enumeration

    _, p = enumeration.probabilities(gaussian(sites), "±1")
    numbers = np.random.default_rng(3).choice(p.size, samples, p=p / p.sum())
    return binary.decoded(numbers, sites, "±1")


def features(states):
    i, j = np.triu_indices(states.shape[1], 1)
    return np.concatenate([states, states[:, i] * states[:, j]], axis=1).astype(float)


def every_state(sites):
    """The matrix of the statistics of all states."""
    return features(
        (2 * ((np.arange(1 << sites)[:, None] >> np.arange(sites)) & 1) - 1).astype(np.int8)
    )


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
        done = subprocess.run(
            [python, "-c", CONIII, f"{folder}/states.npy"], capture_output=True, text=True
        )
    if done.returncode:
        sys.exit(done.stderr)
    seconds, theta = json.loads(done.stdout.splitlines()[-1])
    return seconds, np.array(theta)


# Sums over all states

PER_STATE = 8  # operations: three to build its weight, five to add it to sums and means


def sums(sizes=(12, 14, 16, 18, 20), turns=10):
    from bayesinf.models.binary.pairwise import enumeration

    print("log Z, means and pair moments by a sum over all states, one core, best of the turns")
    table, rows = Table({"N": "3", "states": "8", "ms": "8.3f", "ns a state": "10.2f"}), []
    grown = Growth("sums over all states of a pairwise model", "states", "arithmetic")
    enumeration.expectations(gaussian(4), "±1")
    for sites in sizes:
        theta = gaussian(sites)
        run = lambda theta=theta: enumeration.expectations(theta, "±1")
        seconds = min(timed(run)[0] for _ in range(turns))
        row = {"N": sites, "states": 2**sites, "ms": 1e3 * seconds}
        rows.append(row | {"ns a state": 1e9 * seconds / 2**sites})
        table.row(rows[-1])
        grown.add(2**sites, seconds, PER_STATE * 2**sites)
    return [*rows, grown.told()]


# log Z


def annealed(sizes=(10, 20, 40, 80, 160), chains=1000):
    from bayesinf.models.binary.pairwise import enumeration
    from bayesinf.models.binary.pairwise.large import annealing

    print(f"log Z by annealed importance sampling, h, J ~ N(0, 1/N), {chains} chains; z: its")
    print("distance from enumeration in standard errors")
    columns = {"N": "4", "log Z": "9.3f", "error": "7.4f", "z": "5.1f", "effective": "9.0f"}
    table, rows = Table(columns | {"seconds": "8.2f"}), []
    log_z_of = annealing.annealed_log_partition
    log_z_of(gaussian(4), "±1", rng=np.random.default_rng(4))
    for sites in sizes:
        theta, rng = gaussian(sites), np.random.default_rng(5)
        seconds, (log_z, error, effective) = timed(
            lambda: log_z_of(theta, "±1", rng=rng, chains=chains)  # noqa: B023
        )
        row = {"N": sites, "log Z": log_z, "error": error, "effective": effective}
        row["seconds"] = seconds
        if sites <= enumeration.LARGEST:
            row["z"] = float((log_z - enumeration.log_partition(theta, "±1")) / error)
        rows.append(row)
        table.row(row, "target: error ≤ 0.02" if sites == 40 else "")
    return rows


# The posterior in equilibrium


def growth(sizes=(5, 10, 20, 40, 80, 160), samples=20_000, draws=1000, raster=None):
    """Seconds, effective draws and memory of the posterior as the number of sites grows."""
    import resource

    import arviz

    from bayesinf.settings import DEFAULT
    from bayesinf.systems import boltzmann_equilibrium as system

    columns = {"N": "4", "states": "8", "sample/s": "8.1f", "fit/s": "7.1f", "route": "8"}
    columns |= {"draws": "6", "min ESS": "8.0f", "R-hat": "6.3f", "GB": "5.2f", "exponent": "9.1f"}
    table, rows = Table(columns), []
    for sites in sizes:
        population = (
            system.read(raster, cells=f"0-{sites - 1}")
            if raster
            else system.simulate(sites, samples)
        )
        method, settings, _ = system.plan(population, None, DEFAULT.replace(draws=draws))
        draw, how = system.draw_reweighting_sample, {"settings": settings}
        sampling, how["reweighting"] = timed(lambda: draw(population, settings=settings))  # noqa: B023
        fitting, fit = timed(lambda: system.fit(population, method=method, **how))  # noqa: B023
        found = fit["posterior"].to_dataset()
        row = {"N": sites, "states": population.sizes["sample"], "sample/s": sampling}
        row |= {
            "fit/s": fitting,
            "route": method,
            "draws": found.sizes["chain"] * found.sizes["draw"],
        }
        if method == "mcmc":  # independent draws have nothing to tell there
            row["min ESS"] = min(float(each.min()) for each in arviz.ess(found).values())
            row["R-hat"] = max(float(each.max()) for each in arviz.rhat(found).values())
        row["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        row["seconds"] = sampling + fitting
        if rows:
            longer, larger = row["seconds"] / rows[-1]["seconds"], sites / rows[-1]["N"]
            row["exponent"] = np.log(longer) / np.log(larger)
        rows.append(row)
        table.row(row)
    return rows


def common(sizes=(20, 26), samples=4500, draws=1000):
    import arviz
    from threadpoolctl import threadpool_limits

    from bayesinf.settings import DEFAULT
    from bayesinf.systems import boltzmann_equilibrium as system

    print(f"{samples} states of signs with three common factors: processor seconds of all cores")
    columns = {"N": "4", "sample": "8.1f", "fit": "7.1f", "draws": "6", "min ESS": "8.0f"}
    table, rows = Table(columns | {"R-hat": "6.4f"}), []
    for sites in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "signs.npz")
            np.savez(path, states=signs(sites, samples))
            population = system.read(path)
        method, settings, _ = system.plan(population, None, DEFAULT.replace(draws=draws))
        with threadpool_limits(1):
            how = {"settings": settings}
            drawn = partial(system.draw_reweighting_sample, population, **how)
            sampling, how["reweighting"] = timed(drawn, time.process_time)
            fitted = partial(system.fit, population, method=method, **how)
            fitting, fit = timed(fitted, time.process_time)
        found = fit["posterior"].to_dataset()
        row = {"N": sites, "sample": sampling, "fit": fitting}
        row["draws"] = found.sizes["chain"] * found.sizes["draw"]
        row["min ESS"] = min(float(each.min()) for each in arviz.ess(found).values())
        row["R-hat"] = max(float(each.max()) for each in arviz.rhat(found).values())
        rows.append(row)
        table.row(row, "target: 60 s in all")
    return rows


def signs(sites, samples, seed=5):
    """Signs (sample, site) of normal numbers that share one strong and two weak factors."""
    rng = np.random.default_rng(seed)
    strong = 0.6 + 0.2 * rng.random(sites)
    weak = [[0.5], [0.3]] * rng.standard_normal((2, sites))
    factors = rng.standard_normal((samples, 3))
    own = 0.8 * rng.standard_normal((samples, sites))
    return np.where(factors @ np.vstack([strong, weak]) + own > 0, 1, -1).astype(np.int8)


# The kinetic problem of the literature


KINETIC = ("ML", "mode", "mean", "laplace", "mcmc")


def kinetic(sites=100, steps=2000, strengths=tuple(PUBLISHED), draws=400, turns=3):
    from bayesinf.settings import Settings

    print(f"Mean squared error of {sites**2} couplings, N = {sites}, L = {steps}, w ~ N(0, g²/N):")
    print("maximum likelihood; mode and mean where that prior is known; ours, its width inferred,")
    print("and the seconds of whole fits, smallest effective sizes and largest R-hat of the chains")
    columns = {"g": "2", "seed": "4"} | dict.fromkeys(KINETIC, "8.5f")
    columns |= {"laplace s": "9.1f", "mcmc s": "6.1f", "ESS": "5.0f", "tail": "5.0f"}
    table, rows = Table(columns | {"R-hat": "6.3f"}), []
    for g in strengths:
        published = PUBLISHED[g]
        for seed in range(1, turns + 1):
            tune = min(100, draws)
            settings = Settings(seed=seed, draws=draws, tune=tune, chains=4, prior_draws=20)
            rows.append({"g": g, "seed": seed} | kinetic_errors(g, settings, sites, steps))
            table.row(rows[-1])
        print(
            f"   published: ML {published['ML']}, FEM {published['FEM']}, which laplace and mcmc"
            " are to beat; target: ESS ≥ 400 within 30 s"
        )
    return rows


def kinetic_errors(g, settings, sites, steps):
    """Errors by method, w ~ N(0, g²/N), all sites on at the start."""
    from bayesinf.diagnostics import mixing
    from bayesinf.models.binary import logistic
    from bayesinf.models.binary.couplings import CouplingPrior
    from bayesinf.priors import Normal
    from bayesinf.systems import boltzmann_kinetic as kinetic

    rng = settings.generator("literature", g)
    data = kinetic.simulate(sites, steps, 1, width=g, start="ones", rng=rng)
    moves, truth = kinetic.transitions(data), data["truth.J"].values

    def error(J):
        return float(np.mean((J - truth) ** 2))

    known = CouplingPrior(h=Normal(0.0, 0.01), J=Normal(0.0, g / np.sqrt(sites)))
    mode = logistic.maximum_likelihood(moves, prior=known)
    mean = logistic.near(moves, mode.h, mode.J, prior=known, settings=settings)
    found = {
        "ML": error(logistic.maximum_likelihood(moves).J),
        "mode": error(mode.J),
        "mean": error(mean["J"].mean(("chain", "draw")).values),
    }
    for method in ("laplace", "mcmc"):
        fit_by = partial(logistic.fit, moves, encoding="±1", method=method, settings=settings)
        found[f"{method} s"], fit = timed(fit_by)
        draws = fit["posterior"]["J"].transpose("target", "source", "chain", "draw").values
        found[method] = error(draws.mean((2, 3)))
        if method == "mcmc":
            shape, bulk, tail = mixing(draws.reshape(-1, *draws.shape[2:]))
            found |= {"R-hat": shape.max(), "ESS": bulk.min(), "tail": tail.min()}
    return found


if __name__ == "__main__":
    options = {
        "turns": {"type": int, "help": "of each race (default: 3)"},
        "coniii": {"metavar": "PYTHON", "help": "an interpreter that has coniii"},
        "raster": {"type": Path, "metavar": "FILE", "help": "states for growth"},
    }
    main(__doc__, [spins, exact, sums, annealed, growth, common, kinetic], TOY, options)
