"""Lennard-Jones learning curves and hyperparameters against a NumPy loop and PyMC's NUTS.

    curves   two classical learning curves, scores of calibration included, against a loop of
             explicit inverses that finds errors alone: 10 sizes, 500 splits, two prior means.
    inferred milliseconds for each split whose hyperparameters are integrated over.
    ess      smallest bulk ESS of the hyperparameters per second, n = 25, against NUTS. Each side
             runs in an interpreter of its own; imports and compilation are counted.
    growth   cost of a fit over n = 25, 100, 300, 1000, each in an interpreter of its own.

Both sides run by turns, so that what else the machine does hits both alike.
"""

import statistics
import time
from pathlib import Path

import numpy as np
from common import Table, alone, by_turns, main, timed

# n and draws of a chain
SIZES = ((25, 1000), (100, 1000), (300, 1000), (300, 200), (1000, 200))
TOY = {
    "curves": {"splits": 4, "turns": 1},
    "inferred": {"splits": 2},
    "ess": {"turns": 1, "draws": 20},
    "growth": {"sizes": ((10, 20), (20, 20))},
}


# Learning curves


def curves(splits=500, turns=5):
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data = lennard_jones.simulate()
    r, u = data["distances"].values, data["energies"].values

    def ours(workers=None):
        settings = Settings(workers=workers)
        return lennard_jones.learning_curves(data, count=splits, inferred=0, settings=settings)

    scores = ours()  # the first call pays for what is only once
    sizes = scores["size"].values
    sides = {
        "ours": ours,
        "one core": lambda: ours(1),
        "loop": lambda: loop(r, u, sizes, splits),
        "shared": lambda: loop(r, u, sizes, splits, shared=True),
    }
    print(f"Classical learning curves, {2 * splits * len(sizes)} fits and predictions: seconds")
    print("shared: a loop that inverts once for both prior means")
    table = Table(
        {"turn": "6", "ours": "7.2f", "one core": "9.2f", "loop": "7.2f", "shared": "7.2f"}
        | {"ours/loop": "10.2f", "one core/loop": "14.2f", "ours/shared": "12.2f"}
    )
    pairs = {name: name.split("/") for name in ("ours/loop", "one core/loop", "ours/shared")}
    rows = []
    for seconds, found in by_turns(sides, turns):
        rows.append(seconds | {name: seconds[a] / seconds[b] for name, (a, b) in pairs.items()})
        errors = found["loop"]
    middle = table.turns(rows, "target: ours/loop ≤ 1")
    errors = compared(scores, errors, sizes)
    r_new = r[1::2] + 0.003
    away = 0.0
    for gamma in (0.0, 150.0):
        fixed = lennard_jones.kernel_ridge(r[::2], u[::2], r_new, wall=bool(gamma))
        away = max(away, np.abs(fixed - predicted(r[::2], u[::2], r_new, gamma)).max())
    print(f"`kernel_ridge` and the loop's formula differ by {away:.1e} at most   target ≤ 1e-8")
    return {"turns": rows, "median": middle, "errors": errors, "difference": away}


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

    def wall(distances):
        return gamma * np.maximum(0.95 - distances, 0)

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


def inferred(splits=500):
    """Integrate as ``learning_curves`` does, a curve at a time on one core, then by itself.

    Curve by curve every split's effective number of points is seen. The last row is the whole call,
    both curves side by side, worker processes and classical curves included.
    """
    from bayesinf.models.gp.splits import integrated, orders
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones
    from bayesinf.systems.lennard_jones.learning import FRACTIONS

    data, settings = lennard_jones.simulate(), Settings()
    total = data.sizes["point"]
    sizes = [round(f * total) for f in FRACTIONS]
    print(f"Hyperparameters integrated over, exponential kernel, {splits} splits of each size")
    columns = {"mean": "10", "fits": "6", "seconds": "8.1f", "ms a fit": "9.2f"}
    table = Table(
        columns | {"effective points": "17.0f", "5 %": "6.0f", "5 %, worst size": "16.0f"}
    )

    def one(wall):
        problem = lennard_jones.problem(data, wall, "exponential")
        divided = {n: orders(settings.generator("splits", n), splits, total) for n in sizes}
        found = integrated(problem, divided, settings.generator("splits", wall))
        effective = np.array([scores["effective"] for scores in found.values()])
        low, worst = np.quantile(effective, 0.05), np.quantile(effective, 0.05, axis=1).min()
        return {"effective points": np.median(effective), "5 %": low, "5 %, worst size": worst}

    def both():
        lennard_jones.learning_curves(data, count=splits, inferred=splits)
        return {}

    rows, fits = [], splits * len(sizes)
    sides = {"zero": lambda: one("zero"), "repulsive": lambda: one("repulsive"), "both": both}
    for wall, side in sides.items():
        seconds, found = timed(side)
        number = 2 * fits if wall == "both" else fits
        row = {"mean": wall, "fits": number, "seconds": seconds, "ms a fit": 1e3 * seconds / number}
        rows.append(row | found)
        table.row(rows[-1], "target ≤ 5 ms a fit")
    return rows


# Posterior of the hyperparameters


def ess(turns=5, draws=1000):
    print(f"Smallest bulk ESS of 5 hyperparameters per second, n = 25, 4 chains of {draws} draws;")
    print("drawing: without imports, and for NUTS without compilation")
    columns = {"turn": "6", "route": "6", "R-hat": "6.3f", "min ESS": "8.0f", "seconds": "8.2f"}
    columns |= {"ESS/s": "8.1f", "drawing": "8.2f", "ESS/s drawing": "13.1f"}
    table, rows = Table(columns), []
    for turn in range(1, turns + 1):
        for route in ("mcmc", "nuts"):
            row = {"turn": turn, "route": route} | alone(hyperparameters, route=route, draws=draws)
            row["seconds"] = row["ended"] - row["started"]
            row["ESS/s"] = row["min ESS"] / row["seconds"]
            row["ESS/s drawing"] = row["min ESS"] / row["drawing"]
            rows.append(row)
            table.row(row, "not converged" if row["R-hat"] > 1.01 else "")
    ratios = {}
    for name in ("ESS/s", "ESS/s drawing"):
        rate = [row[name] for row in rows]
        ratios[name] = statistics.median(a / b for a, b in zip(rate[::2], rate[1::2], strict=True))
    print(
        f"median ratio of ESS/s: {ratios['ESS/s']:.0f}   target ≥ 20; of drawing alone: "
        f"{ratios['ESS/s drawing']:.0f}"
    )
    ours, theirs = rows[:2]
    away = np.subtract(ours["mean"], theirs["mean"]) / theirs["sd"]
    print(f"posterior means of both differ by {np.abs(away).max():.2f} sd at most")
    return {"runs": rows, "ratio": ratios}


def hyperparameters(route, draws):
    """Draw by one route: when that was done, how long drawing took, and how well it mixed."""
    from threadpoolctl import threadpool_limits

    from bayesinf.models import problem as driver
    from bayesinf.models.gp import routes
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data = lennard_jones.simulate()
    problem = lennard_jones.problem(data.isel(point=data["training"].values), "repulsive")
    settings = Settings(draws=draws, tune=min(draws, Settings.tune), chains=4)
    run = {"mcmc": routes.mcmc, "nuts": driver.nuts}[route]
    if route == "nuts":
        import nutpie

        compiled = nutpie.compile_pymc_model(problem.pymc())
        # The route compiles by itself: it is handed what was compiled, to be timed apart.
        nutpie.compile_pymc_model = lambda model: compiled
    with threadpool_limits(1):  # as in the driver
        drawing, sample = timed(lambda: run(problem, settings))
    theta = sample.draws
    ended = time.time()
    flat = [np.ravel(theta[name]) for name in problem.names]
    moments = {"mean": [a.mean() for a in flat], "sd": [a.std() for a in flat]}
    quality = mixing_of(np.stack([theta[name] for name in problem.names], axis=-1))
    return quality | moments | {"ended": ended, "drawing": drawing}


def mixing_of(draws):
    """Smallest bulk ESS and largest R-hat, of draws (chain, draw, parameter)."""
    import arviz as az

    each = np.moveaxis(draws, -1, 0)
    return {
        "min ESS": min(map(float, map(az.ess, each))),
        "R-hat": max(map(float, map(az.rhat, each))),
    }


def growth(sizes=SIZES):
    print("Fits of lennard_jones.problem, noise 0.02, 4 chains; ms: of a density evaluation, many")
    print("at a time; exponents: of the evaluation and of the whole fit, over the next smaller n")
    print("of as many draws")
    columns = {"n": "5", "draws": "6", "evaluations": "12", "ms": "8.3f", "seconds": "8.1f"}
    columns |= {"GiB": "6.2f", "min ESS": "8.0f", "R-hat": "6.3f"}
    table, rows = Table(columns | {"exponent": "8.2f", "of fit": "6.2f"}), []
    for n, draws in sizes:
        row = {"n": n, "draws": draws} | alone(grown, n=n, draws=draws)
        before = [other for other in rows if other["draws"] == draws and other["n"] < n]
        if before:
            for name, time_of in (("exponent", "ms"), ("of fit", "seconds")):
                growing = np.log(row[time_of] / before[-1][time_of])
                row[name] = growing / np.log(n / before[-1]["n"])
        rows.append(row)
        table.row(row, "target ≤ 3")
    return rows


def grown(n, draws):
    """Fit n points: seconds, memory and mixing; then time evaluations where the draws lie."""
    from bayesinf.models import gp
    from bayesinf.models import problem as driver
    from bayesinf.settings import Settings
    from bayesinf.systems import lennard_jones

    data = lennard_jones.simulate(np.linspace(0.9, 2.0, n), noise=0.02)
    state = lennard_jones.problem(data, "repulsive")
    seconds, fit = timed(lambda: driver.fit(state, settings=Settings(draws=draws)))
    # Of this process alone: ru_maxrss begins at what the process that started it had.
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    memory = int(status.split()[0]) / 2**20
    problem, drawn = gp.rebuild(fit), gp.thinned(fit, 40 if n > 300 else 1000)
    theta = {name: value.values for name, value in drawn.items()}
    times = [timed(lambda: problem.log_marginal(theta))[0] for _ in range(3)]
    found = fit["posterior"].to_dataset().to_dataarray().transpose("chain", "draw", "variable")
    evaluation = 1e3 * statistics.median(times) / theta["noise"].size
    return mixing_of(found.values) | {
        "seconds": seconds,
        "GiB": memory,
        "ms": evaluation,
        "evaluations": int(fit["sample_stats"]["evaluations"]),
    }


if __name__ == "__main__":
    options = {
        "splits": {"type": int, "help": "of each size (default: 500)"},
        "turns": {"type": int, "help": "of curves and ess (default: 5)"},
    }
    main(__doc__, [curves, inferred, ess, growth], TOY, options, parts=[hyperparameters, grown])
