"""Mackey-Glass: readouts against reservoirpy and ridge, and what a likelihood costs.

    one_step   errors one step ahead on 2000 points of the τ = 17 series, of which the last fifth is
               held out, and seconds: exact posteriors of readouts, beside reservoirpy's echo state
               network (several of its settings, where it is installed) and scikit-learn's ridge on
               the features of our own reservoir. Published: RMSE 0.0020, R² 0.99992.
    noisy      the same with noise in what is measured: how often 95 % intervals hold what came.
    likelihood milliseconds of the delay equation's likelihood at 1000 samples, its histories given
               and integrated out; beside jitcdde and ddeint, where installed, on the same solution.

All sides of a case run by turns in one process, so that what else the machine does hits all alike.
"""

import numpy as np
from common import Table, by_turns, main, timed

TOY = {
    "one_step": {"count": 300, "units": 30, "turns": 1},
    "noisy": {"count": 300, "units": 30},
    "likelihood": {"count": 60, "turns": 2},
}
KINDS = ("polynomial", "random", "reservoir")
PEERS = {  # leak, spectral radius, ridge: three of reservoirpy's settings, none the best for all
    "reservoirpy, leak 0.3, radius 1.25": (0.3, 1.25, 1e-8),
    "reservoirpy, leak 0.5, radius 0.9": (0.5, 0.9, 1e-8),
    "reservoirpy, leak 1, radius 0.9": (1.0, 0.9, 1e-10),
}


def simulated(count, **options):
    from bayesinf.systems import mackey_glass

    return mackey_glass.simulate(count, rng=np.random.default_rng(1), **options)


def posterior(series, kind, draws=250, **options):
    """Mean, 95 % interval and truth of the held-out targets, one step ahead."""
    from bayesinf.posterior import noted
    from bayesinf.settings import Settings
    from bayesinf.systems import mackey_glass

    settings = Settings(draws=draws, prior_draws=10)
    found = mackey_glass.fit(series, kind, horizon=0, settings=settings, **options)
    return noted(found, "ahead")


def reservoirpy(values, cut, units, leak, radius, ridge):
    """Forecasts of an echo state network, one step ahead of each held-out value."""
    from reservoirpy.nodes import Reservoir, Ridge

    x = values[:, np.newaxis]
    network = Reservoir(units=units, lr=leak, sr=radius, seed=1) >> Ridge(ridge=ridge)
    network.fit(x[: cut - 1], x[1:cut], warmup=min(100, cut // 5))
    return np.asarray(network.run(x[cut - 1 : -1]))[:, 0]


def sklearn(series, units):
    """Ridge, its penalty by cross-validation, on the features of our own reservoir."""
    from bayesinf.systems import mackey_glass

    found = mackey_glass.classical(series, "reservoir", units=units)
    return float(found["rmse"][0]), float(found["r_squared"][0])


def one_step(count=2000, units=300, turns=3):
    from bayesinf.systems.mackey_glass.data import values_of

    series = simulated(count)
    values, cut = values_of(series).values, count - round(0.2 * count)
    came = values[cut:]
    sides = {
        kind: lambda kind=kind: posterior(
            series, kind, **({"units": units} if kind == "reservoir" else {})
        )
        for kind in KINDS
    }
    sides["ridge (scikit-learn)"] = lambda: sklearn(series, units)
    try:
        import reservoirpy as _  # noqa: F401

        for name, numbers in PEERS.items():
            sides[name] = lambda numbers=numbers: reservoirpy(values, cut, units, *numbers)
    except ImportError:
        print("reservoirpy is not installed: its side is left out")
    print(f"{count} points of the τ = 17 series, step 1, {units} units; the last fifth held out")
    table = Table({"side": "36", "seconds": "8.2f", "RMSE": "9.2e", "1 − R²": "9.2e"})
    seconds, found = {name: [] for name in sides}, {}
    for times, each in by_turns(sides, turns):
        found = each
        for name, one in times.items():
            seconds[name].append(one)
    rows = {}
    for name, one in found.items():
        if name in KINDS:
            rmse, share = float(one["rmse"]), float(one["r_squared"])
        elif isinstance(one, tuple):
            rmse, share = one
        else:
            rmse = float(np.sqrt(np.mean((one - came) ** 2)))
            share = 1 - rmse**2 / np.var(came)
        rows[name] = {"seconds": float(np.median(seconds[name])), "RMSE": rmse}
        table.row({"side": name, **rows[name], "1 − R²": 1 - share})
    peers = [row["RMSE"] for name, row in rows.items() if name in PEERS]
    if peers:
        ratio = min(peers) / min(rows[kind]["RMSE"] for kind in KINDS)
        print(f"best of reservoirpy over best of ours: {ratio:.1f} (RMSE); published 0.0020")
        rows["ratio"] = ratio
    return rows


def noisy(count=2000, units=300, noise=0.01):
    series = simulated(count, noise=noise)
    print(f"the same, each value measured with noise {noise:g}")
    table = Table({"readout": "12", "RMSE": "8.4f", "held by 95 %": "12.1%"})
    rows = {}
    for kind in KINDS:
        options = {"units": units} if kind == "reservoir" else {}
        one = posterior(series, kind, **options)
        rows[kind] = {"RMSE": float(one["rmse"]), "held by 95 %": float(one["coverage"])}
        table.row({"readout": kind, **rows[kind]})
    return rows


def likelihood(count=1000, turns=20):
    from bayesinf.systems.mackey_glass import mechanism
    from bayesinf.systems.mackey_glass.delay import LITERATURE, trajectory

    problem = mechanism.stated(simulated(count, noise=0.02))
    cut, values = problem.windows, (*LITERATURE.numbers, 0.02)
    point = {n: np.array([v]) for n, v in zip(mechanism.PARAMETERS, values, strict=True)}
    times, past = np.arange(float(count)), 0.9

    def given():
        """Of one solution from a history that is given."""
        x = trajectory(LITERATURE, times, past, steps=mechanism.STEPS)
        return -0.5 * np.sum(((cut.y - x) / 0.02) ** 2) - count * np.log(0.02 * np.sqrt(2 * np.pi))

    sides = {
        "history given": given,
        "histories integrated out": lambda: cut.log_likelihood(**point),
    }
    for side in sides.values():
        side()  # compiled
    peers = libraries(times, past)
    print(f"likelihood of {count} samples, {len(cut.edges) - 1} windows; best of {turns} turns")
    table = Table({"side": "26", "ms": "9.3f"})
    found = list(by_turns(sides, turns))
    rows = {name: 1e3 * min(times[name] for times, _ in found) for name in sides}
    for name, one in rows.items():
        table.row({"side": name, "ms": one})
    for name, run in peers.items():
        seconds, x = timed(run)
        off = np.abs(x - trajectory(LITERATURE, times, past, steps=160)).max()
        rows[name] = 1e3 * seconds
        table.row({"side": name, "ms": rows[name]}, f"error {off:.1e}")
    return rows


def libraries(times, past):
    """Solutions by libraries that are installed."""
    found = {}
    try:
        from ddeint import ddeint

        def slope(x, t):
            y = x(t - 17.0)
            return 0.2 * y / (1 + y**10) - 0.1 * x(t)

        found["ddeint"] = lambda: np.ravel(ddeint(slope, lambda t: past, times))
    except ImportError:
        print("ddeint is not installed: its side is left out")
    try:
        from jitcdde import jitcdde, t, y

        late = y(0, t - 17.0)
        solver = jitcdde([0.2 * late / (1 + late**10) - 0.1 * y(0)], verbose=False)
        solver.compile_C()

        def run():
            solver.constant_past([past])
            solver.adjust_diff()
            return np.array([solver.integrate(max(s, solver.t))[0] for s in times])

        found["jitcdde (compiled before)"] = run
    except Exception as error:  # it compiles C: whatever fails there, its side is left out
        print(f"jitcdde is left out: {type(error).__name__}")
    return found


if __name__ == "__main__":
    main(__doc__, [one_step, noisy, likelihood], TOY)
