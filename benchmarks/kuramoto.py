"""Kuramoto couplings: error and coverage against the Cramér-Rao bound, speed against LassoCV.

    recovery error of all couplings from the phases of unsynchronised oscillators, beside the least
             that the noise allows (Cramér-Rao), coverage of the 95 % intervals, and the lag; the
             forward difference on the same phases; where PySINDy is installed, its sparse
             regression on the same phases of a few oscillators.
    speed    processor seconds from phases to the posterior of all couplings at a known lag, the
             path between instants found on the way, against scikit-learn's ``LassoCV(cv=5)`` of
             every oscillator on the same rows, whose sines are made for it and not counted; it is
             run on a few oscillators, evenly chosen, and its seconds are scaled to all, as each is
             a regression of its own.
    growth   the same seconds, and the most memory beyond the phases, as the number of oscillators
             grows, each with its exponent from the line before.

Both sides run by turns, so that what else the machine does hits both alike.
"""

import resource
import time

import numpy as np
from common import Table, by_turns, main, timed

TOY = {
    "recovery": {"oscillators": 5, "samples": 100, "few": 3},
    "speed": {"oscillators": 4, "samples": 80, "turns": 1, "peers": 2},
    "growth": {"counts": (3, 6), "samples": 80},
}
DRAWS = 400


def simulated(oscillators, samples, noise=1e-4, lag=0.3):
    from bayesinf.posterior import noted
    from bayesinf.systems import kuramoto

    rng = np.random.default_rng(5)
    phases = kuramoto.simulate(oscillators, samples, noise=noise, lag=lag, rng=rng)
    return phases, noted(phases, "truth")


def posterior(phases, lag=None):
    """Draws of all parameters, (draw, ...), in closed form."""
    from bayesinf.models.linear.routes import closed
    from bayesinf.systems.kuramoto.stating import network

    problem, rng = network(phases, lag=lag), np.random.default_rng(1)
    if lag is None:
        return problem.draw(rng, DRAWS)
    draws, _ = closed(problem.regression).draw(rng, DRAWS)
    return problem.outer(problem.regression.outer(draws))


def recovery(oscillators=100, samples=5000, few=8):
    from bayesinf.systems.kuramoto.classical import classical

    phases, truth = simulated(oscillators, samples)
    K, alpha = truth["K"].values, float(truth["alpha"])
    size = np.sqrt(np.mean(K**2))
    print(f"{oscillators} oscillators, {samples} samples one unit of time apart, noise 1e-4")
    table = Table(
        {"method": "20", "seconds": "8.1f", "error": "9.4%", "bound": "9.4%"}
        | {"coverage": "9.1%", "lag": "9.5f", "± ": "8.5f"}
    )
    rows = {}
    for name, lag in (("posterior", None), ("posterior, lag known", alpha)):
        seconds, draws = timed(lambda lag=lag: posterior(phases, lag))
        low, high = np.quantile(draws["K"], [0.025, 0.975], axis=0)
        error, spread = draws["K"].mean(axis=0) - K, draws["K"].std(axis=0)
        row = {"seconds": seconds, "error": np.sqrt(np.mean(error**2)) / size}
        row |= {"bound": np.sqrt(np.mean(spread**2)) / size}
        row |= {"coverage": np.mean((low <= K) & (high >= K))}
        if lag is None:
            row |= {"lag": draws["alpha"].mean(), "± ": draws["alpha"].std()}
        table.row({"method": name, **row})
        rows[name] = row
    seconds, found = timed(lambda: classical(phases))
    forward = found["sine"].values * np.cos(alpha) + found["cosine"].values * np.sin(alpha)
    rows["forward"] = {"seconds": seconds, "error": np.sqrt(np.mean((forward - K) ** 2)) / size}
    table.row({"method": "forward difference", **rows["forward"]})
    rows["sindy"] = sindy(few, samples, table)
    return rows


def sindy(oscillators, samples, table):
    """Sparse regression on sines of all differences, of fewer oscillators as it has N² of them."""
    try:
        import pysindy
    except ImportError:
        print("PySINDy is not installed: its side is left out")
        return {}
    phases, truth = simulated(oscillators, samples, lag=0.0)
    theta, size = phases["phase"].values[0], np.sqrt(np.mean(truth["K"].values ** 2))
    library = pysindy.CustomLibrary(
        [lambda x: 1.0 + 0 * x, lambda x, y: np.sin(y - x)],
        [lambda x: "1", lambda x, y: f"sin({y}-{x})"],
    )

    def run():
        model = pysindy.SINDy(feature_library=library, optimizer=pysindy.STLSQ(threshold=1e-4))
        return model.fit(theta, t=1.0)

    seconds, model = timed(run)
    names = [f"x{k}" for k in range(oscillators)]
    labels = model.feature_library.get_feature_names(names)
    found = np.zeros((oscillators, oscillators))
    for i in range(oscillators):
        for j in range(oscillators):
            if i != j:
                a, b = min(i, j), max(i, j)
                value = model.coefficients()[i, labels.index(f"sin({names[b]}-{names[a]})")]
                found[i, j] = oscillators * (value if i < j else -value)
    own = posterior(phases, 0.0)
    error = found[~np.eye(oscillators, dtype=bool)] - truth["K"].values
    row = {"seconds": seconds, "error": float(np.sqrt(np.mean(error**2)) / size)}
    table.row({"method": f"PySINDy, {oscillators} of them", **row})
    ours = own["K"].mean(axis=0) - truth["K"].values
    same = {"error": float(np.sqrt(np.mean(ours**2)) / size)}
    table.row({"method": "posterior, the same", **same})
    return row | {"ours": same["error"]}


def lasso(rows):
    """Cross-validated lasso of every oscillator."""
    from sklearn.linear_model import LassoCV

    return [LassoCV(cv=5).fit(X, y).coef_ for X, y in rows]


def speed(oscillators=100, samples=5000, turns=2, peers=10):
    from bayesinf.systems.kuramoto.drift import Increments, Path

    phases, truth = simulated(oscillators, samples)
    alpha, data = float(truth["alpha"]), Increments.of(phases)
    path, rows = Path.of(data, None), []
    for target in range(0, oscillators, oscillators // peers):
        sine, cosine = path.features(target)
        rows.append((sine * np.cos(alpha) - cosine * np.sin(alpha), data.velocity[:, target]))
    print(f"{oscillators} oscillators, {samples} samples; {DRAWS} draws of all couplings")
    print(f"LassoCV of {len(rows)} of them, its seconds times {oscillators / len(rows):g}")
    table = Table({"turn": "6", "ours": "8.1f", "LassoCV": "8.1f", "ratio": "6.2f"})
    found = []
    sides = {"ours": lambda: posterior(phases, alpha), "LassoCV": lambda: lasso(rows)}
    for times, _ in by_turns(sides, turns, time.process_time):
        times["LassoCV"] *= oscillators / len(rows)
        found.append(times | {"ratio": times["ours"] / times["LassoCV"]})
    return table.turns(found, "processor seconds; target: ratio ≤ 1")


def growth(counts=(25, 50, 100, 200, 400), samples=2000):
    print(f"processor seconds from {samples} phases to the posterior of all couplings, lag known")
    table = Table(
        {"oscillators": "11", "couplings": "9", "seconds": "8.2f", "exponent": "8.2f"}
        | {"MB": "8.0f", "of memory": "9.2f"}
    )
    rows, before = [], _peak()
    for count in counts:
        phases, truth = simulated(count, samples)
        seconds, _ = timed(
            lambda phases=phases, truth=truth: posterior(phases, float(truth["alpha"])),
            time.process_time,
        )
        row = {"oscillators": count, "couplings": count * (count - 1), "seconds": seconds}
        row["MB"] = _peak() - before
        if rows:
            apart = np.log(count / rows[-1]["oscillators"])
            row["exponent"] = np.log(seconds / rows[-1]["seconds"]) / apart
            row["of memory"] = np.log(max(row["MB"], 1) / max(rows[-1]["MB"], 1)) / apart
        rows.append(row)
        table.row({k: (str(v) if isinstance(v, int) else v) for k, v in row.items()})
    return rows


def _peak():
    """Most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(__doc__, [recovery, speed, growth], TOY)
