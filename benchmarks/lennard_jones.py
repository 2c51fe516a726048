"""Lennard-Jones learning curves and hyperparameters against a NumPy loop and PyMC's NUTS.

    curves   two classical learning curves, scores of calibration included, against a loop of
             explicit inverses that finds errors alone: 10 sizes, 500 splits, two prior means.
    inferred milliseconds for each split whose hyperparameters are integrated over.
    ess      smallest bulk ESS of the hyperparameters per second, n = 25, against NUTS. Each side
             runs in an interpreter of its own; imports and compilation are counted.
    growth   cost of a fit over n = 25, 100, 300, 1000, each in an interpreter of its own.

Both sides run by turns, so that what else the machine does hits both alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CASES = ("curves", "inferred", "ess", "growth")
SIZES = ((25, 1000), (100, 1000), (300, 1000), (300, 200), (1000, 200))  # n and draws of a chain


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--splits", type=int, default=500, help="of each size (default: 500)")
    parser.add_argument("--turns", type=int, default=5, help="of curves and ess (default: 5)")
    parser.add_argument("--draws", type=int, help="of each chain in growth, at most")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        of, *options = arguments.alone
        return print(json.dumps({"ess": hyperparameters, "growth": grown}[of](*options)))
    results = {}
    for case in arguments.case or CASES:
        results[case] = globals()[case](arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def alone(*options):
    """Run a part of this file in a fresh interpreter; what it found, and when it was started."""
    command = [sys.executable, __file__, "--alone", *map(str, options)]
    started = time.time()
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        sys.exit(found.stderr)
    return json.loads(found.stdout.splitlines()[-1]) | {"started": started}


# Learning curves


def curves(arguments):
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data, count = lennard_jones.simulate(), arguments.splits
    r, u = data["distances"].values, data["energies"].values

    def ours(workers=None):
        settings = Settings(workers=workers)
        return lennard_jones.learning_curves(data, count=count, inferred=0, settings=settings)

    scores = ours()  # the first call pays for what is only once
    sizes = scores["size"].values
    sides = {
        "ours": ours,
        "one core": lambda: ours(1),
        "loop": lambda: loop(r, u, sizes, count),
        "shared": lambda: loop(r, u, sizes, count, shared=True),
    }
    print(f"Classical learning curves, {2 * count * len(sizes)} fits and predictions: seconds")
    print("shared: a loop that inverts once for both prior means")
    print(f"{'turn':>6} {'ours':>7} {'one core':>9} {'loop':>7} {'shared':>7} {'ours/loop':>10}"
          f" {'one core/loop':>14} {'ours/shared':>12}")  # fmt: skip
    rows, found = [], {}
    for turn in range(1, arguments.turns + 1):
        row = {}
        for name, run in sides.items():
            started = time.perf_counter()
            found[name] = run()
            row[name] = time.perf_counter() - started
        row["ours/loop"] = row["ours"] / row["loop"]
        row["one core/loop"] = row["one core"] / row["loop"]
        row["ours/shared"] = row["ours"] / row["shared"]
        rows.append(row)
        print_times(turn, row)
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print_times("median", middle, "   target: ours/loop ≤ 1")
    table = compared(scores, found["loop"], sizes)
    r_new = r[1::2] + 0.003
    away = [
        np.abs(lennard_jones.classical(r[::2], u[::2], r_new, wall=bool(gamma))
               - predicted(r[::2], u[::2], r_new, gamma)).max()
        for gamma in (0.0, 150.0)
    ]  # fmt: skip
    print(f"`classical` and the loop's formula differ by {max(away):.1e} at most"
          "   target ≤ 1e-8", flush=True)  # fmt: skip
    return {"turns": rows, "median": middle, "errors": table, "difference": max(away)}


def print_times(turn, row, remark=""):
    print("{:>6} {:>7.2f} {:>9.2f} {:>7.2f} {:>7.2f} {:>10.2f} {:>14.2f} {:>12.2f}".format(
        turn, *row.values()) + remark, flush=True)  # fmt: skip


def loop(r, u, sizes, count, shared=False):
    """Errors, (prior mean, size, split), each split by itself."""
    rng = np.random.default_rng(1)
    K = np.exp(-np.abs(r[:, None] - r) / 0.1)
    walls = [gamma * np.maximum(0.95 - r, 0) for gamma in (0.0, 150.0)]
    errors = np.empty((2, len(sizes), count))
    for i, size in enumerate(sizes):
        for k in range(count):
            order = rng.permutation(len(r))
            tr, te = order[:size], order[size:]
            for j, m in enumerate(walls):
                if j == 0 or not shared:
                    inverse = np.linalg.inv(K[np.ix_(tr, tr)] + 1e-9 * np.eye(size))
                predictions = m[te] + K[np.ix_(te, tr)] @ (inverse @ (u[tr] - m[tr]))
                errors[j, i, k] = np.mean(np.abs(predictions - u[te]))
    return errors


def predicted(r, u, at, gamma):
    """Predict by the loop's formula."""
    wall = lambda a: gamma * np.maximum(0.95 - a, 0)
    inverse = np.linalg.inv(np.exp(-np.abs(r[:, None] - r) / 0.1) + 1e-9 * np.eye(len(r)))
    return wall(at) + np.exp(-np.abs(at[:, None] - r) / 0.1) @ (inverse @ (u - wall(r)))


def compared(scores, errors, sizes):
    """Print the errors of both, whose splits are not the same, and z, what they differ by."""
    print("Mean absolute error ± standard error, zero mean and repulsive mean")
    print(f"{'size':>6} {'ours':>15} {'loop':>15} {'z':>5}   {'ours':>15} {'loop':>15} {'z':>5}")
    table = []
    for i, size in enumerate(sizes):
        cells = []
        for k, wall in enumerate(("zero", "repulsive")):
            here = scores.sel(wall=wall, numbers="fixed", size=size)
            mean, se = float(here["error"]), float(here["error_se"])
            theirs, spread = errors[k, i].mean(), errors[k, i].std(ddof=1) / errors.shape[2] ** 0.5
            z = (mean - theirs) / np.hypot(se, spread)
            cells.append(f"{mean:.4f} ± {se:.4f} {theirs:.4f} ± {spread:.4f} {z:>5.1f}")
            table.append({"size": int(size), "wall": wall, "ours": mean, "loop": theirs, "z": z})
        print(f"{size:>6} {'   '.join(cells)}")
    print(f"largest |z| of {len(table)}: {max(abs(row['z']) for row in table):.1f}")
    return table


def inferred(arguments):
    """Integrate as ``learning_curves`` does, a curve at a time on one core, then by itself.

    Curve by curve every split's effective number of points is seen. The last row is the whole call,
    both curves side by side, worker processes and classical curves included.
    """
    from bayesinf.models import gp
    from bayesinf.models.gp import splits
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones
    from bayesinf.systems.lennard_jones.learning import FRACTIONS

    data, settings, count = lennard_jones.simulate(), Settings(), arguments.splits
    r, u = data["distances"].values, data["energies"].values
    sizes = [round(f * len(r)) for f in FRACTIONS]
    print(f"Hyperparameters integrated over, exponential kernel, {count} splits of each size")
    print(f"{'mean':>10} {'fits':>6} {'seconds':>8} {'ms a fit':>9} {'effective points':>17}"
          f" {'5 %':>6} {'5 %, worst size':>16}")  # fmt: skip
    rows = []
    for wall in ("zero", "repulsive"):
        started = time.perf_counter()
        priors = lennard_jones.default_priors(wall, *lennard_jones.scales(r, u, ("σ", "ε")))
        problem = gp.Regression(r, u, "exponential", wall, priors=priors)
        orders = {n: splits.orders(settings.generator("splits", n), count, len(r)) for n in sizes}
        found = splits.integrated(problem, orders, settings.generator("splits", wall))
        seconds = time.perf_counter() - started
        fits = count * len(sizes)
        effective = np.array([scores["effective"] for scores in found.values()])
        low, worst = np.quantile(effective, 0.05), np.quantile(effective, 0.05, axis=1).min()
        rows.append({"wall": wall, "fits": fits, "seconds": seconds, "ms": 1e3 * seconds / fits,
                     "effective": np.median(effective), "low": low, "worst": worst})  # fmt: skip
        print(f"{wall:>10} {fits:>6} {seconds:>8.1f} {1e3 * seconds / fits:>9.2f}"
              f" {np.median(effective):>17.0f} {low:>6.0f} {worst:>16.0f}"
              "   target ≤ 5 ms a fit", flush=True)  # fmt: skip
    started = time.perf_counter()
    lennard_jones.learning_curves(data, count=count, inferred=count)
    seconds, fits = time.perf_counter() - started, 2 * fits
    rows.append({"wall": "both", "fits": fits, "seconds": seconds, "ms": 1e3 * seconds / fits})
    print(f"{'both':>10} {fits:>6} {seconds:>8.1f} {1e3 * seconds / fits:>9.2f}{'':>41}"
          "   target ≤ 5 ms a fit", flush=True)  # fmt: skip
    return rows


# Posterior of the hyperparameters


def ess(arguments):
    print("Smallest bulk ESS of 5 hyperparameters per second, n = 25, 4 chains of 1000 draws;")
    print("drawing: without imports, and for NUTS without compilation")
    print(f"{'turn':>6} {'route':>6} {'R-hat':>6} {'min ESS':>8} {'seconds':>8} {'ESS/s':>8}"
          f" {'drawing':>8} {'ESS/s':>8}")  # fmt: skip
    rows = []
    for turn in range(1, arguments.turns + 1):
        for route in ("mcmc", "nuts"):
            row = alone("ess", route)
            row |= {"route": route, "seconds": row["ended"] - row["started"]}
            rows.append(row)
            remark = "   not converged" if row["r_hat"] > 1.01 else ""
            print(f"{turn:>6} {route:>6} {row['r_hat']:>6.3f} {row['ess']:>8.0f}"
                  f" {row['seconds']:>8.2f} {row['ess'] / row['seconds']:>8.1f}"
                  f" {row['drawing']:>8.2f} {row['ess'] / row['drawing']:>8.1f}{remark}",
                  flush=True)  # fmt: skip
    ratios = {}
    for name in ("seconds", "drawing"):
        rate = [row["ess"] / row[name] for row in rows]
        ratios[name] = statistics.median(a / b for a, b in zip(rate[::2], rate[1::2], strict=True))
    print(f"median ratio of ESS/s: {ratios['seconds']:.0f}   target ≥ 20;"
          f" of drawing alone: {ratios['drawing']:.0f}")  # fmt: skip
    away = [(a - b) / rows[1]["sd"][i] for i, (a, b) in
            enumerate(zip(rows[0]["mean"], rows[1]["mean"], strict=True))]  # fmt: skip
    print(f"posterior means of both differ by {max(map(abs, away)):.2f} sd at most")
    return {"runs": rows, "ratio": ratios["seconds"], "ratio of drawing": ratios["drawing"]}


def hyperparameters(route):
    """Draw by one route: when that was done, how long drawing took, and how well it mixed."""
    from threadpoolctl import threadpool_limits

    from bayesinf.inference import nuts
    from bayesinf.models import gp
    from bayesinf.models.gp import routes
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data = lennard_jones.simulate()
    data = data.isel(point=np.flatnonzero(data["training"]))
    priors = lennard_jones.default_priors("repulsive", 1.0, 1.0)
    problem = gp.Regression(data["distances"], data["energies"], "squared_exponential",
                            "repulsive", priors=priors)  # fmt: skip
    settings = Settings(draws=1000, chains=4)
    if route == "mcmc":
        drawing = time.time()
        with threadpool_limits(1):  # as in gp.fit
            theta, _ = routes.mcmc(problem, settings)
    else:
        import nutpie

        model = gp.definition(problem)
        compiled = nutpie.compile_pymc_model(model)
        # nuts.sample compiles by itself: it is handed what was compiled, to be timed apart.
        nutpie.compile_pymc_model = lambda model: compiled
        drawing = time.time()
        with threadpool_limits(1):
            theta, _ = nuts.sample(model, problem.names, settings)
    ended = time.time()
    quality = mixing_of(np.stack([theta[name] for name in problem.names], axis=-1))
    flat = [np.ravel(theta[name]) for name in problem.names]
    moments = {"mean": [a.mean() for a in flat], "sd": [a.std() for a in flat]}
    return quality | moments | {"ended": ended, "drawing": ended - drawing}


def mixing_of(draws):
    """Smallest bulk ESS and largest R-hat, of draws (chain, draw, parameter)."""
    import arviz as az

    each = np.moveaxis(draws, -1, 0)
    return {"ess": min(float(az.ess(a)) for a in each),
            "r_hat": max(float(az.rhat(a)) for a in each)}  # fmt: skip


def growth(arguments):
    print("lennard_jones.fit, noise 0.02, 4 chains; ms: of a density evaluation, many at a time;")
    print("exponents: of the evaluation and of the whole fit, over the next smaller n of as many")
    print("draws")
    print(f"{'n':>5} {'draws':>6} {'evaluations':>12} {'ms':>8} {'seconds':>8} {'GiB':>6}"
          f" {'min ESS':>8} {'R-hat':>6} {'exponents':>12}")  # fmt: skip
    rows = []
    for n, draws in SIZES:
        draws = min(draws, arguments.draws or draws)
        if any((row["n"], row["draws"]) == (n, draws) for row in rows):
            continue
        row = {"n": n, "draws": draws} | alone("growth", n, draws)
        before = [other for other in rows if other["draws"] == draws and other["n"] < n]
        slopes = ""
        if before:
            by = lambda name: np.log(row[name] / before[-1][name]) / np.log(n / before[-1]["n"])  # noqa: B023
            row |= {"exponent": by("ms"), "exponent of fit": by("seconds")}
            slopes = f"{row['exponent']:.2f}, {row['exponent of fit']:.2f}"
        rows.append(row)
        print(f"{n:>5} {draws:>6} {row['evaluations']:>12} {row['ms']:>8.3f} {row['seconds']:>8.1f}"
              f" {row['GiB']:>6.2f} {row['ess']:>8.0f} {row['r_hat']:>6.3f} {slopes:>12}"
              "   target ≤ 3", flush=True)  # fmt: skip
    return rows


def grown(n, draws):
    """Fit n points: seconds, memory and mixing; then time evaluations where the draws lie."""
    from bayesinf.models import gp
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data = lennard_jones.simulate(np.linspace(0.9, 2.0, int(n)), noise=0.02)
    started = time.perf_counter()
    fit = lennard_jones.fit(data["distances"], data["energies"],
                            settings=Settings(draws=int(draws)))  # fmt: skip
    seconds = time.perf_counter() - started
    # Of this process alone: ru_maxrss begins at what the process that started it had.
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    memory = int(status.split()[0]) / 2**20
    problem, drawn = gp.rebuild(fit), gp.thinned(fit, 40 if int(n) > 300 else 1000)
    theta = {name: value.values for name, value in drawn.items()}
    times = []
    for _ in range(3):
        at = time.perf_counter()
        problem.log_marginal(theta)
        times.append((time.perf_counter() - at) / theta["noise"].size)
    found = fit["posterior"].to_dataset().to_dataarray().transpose("chain", "draw", "variable")
    evaluations = int(fit["sample_stats"]["evaluations"])
    return {"seconds": seconds, "GiB": memory, "ms": 1e3 * statistics.median(times),
            "evaluations": evaluations} | mixing_of(found.values)  # fmt: skip


if __name__ == "__main__":
    main()
