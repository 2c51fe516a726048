"""The linear family against PyMC's NUTS and scikit-learn's LassoCV, side by side in one run.

    exact    linear-Gaussian posterior of 500 unknowns, scale and σ inferred, 4000 independent
             draws, against NUTS on the same model: smallest bulk ESS per second, of drawing (NUTS
             without compilation) and of the whole fit.
    lasso    100 regressions of 100 features that share the scale of a Laplace prior, with their
             posterior, against LassoCV(cv=5) one after the other, for three numbers of rows.
    shared   the same regressions under a normal prior, exactly.
    growth   cost of the exact route as unknowns, rows and regressions grow.

Both sides run in one process, by turns, so that what else the machine does hits both alike.
"""

import time
import warnings
from functools import partial

import numpy as np
from common import Table, by_turns, main, timed

TOY = {
    "exact": {"unknowns": 8, "rows": 20, "turns": 1, "draws": 20},
    "lasso": {"regressions": 3, "features": 4, "rows": (30,), "turns": 1, "draws": 20},
    "shared": {"regressions": 3, "features": 4, "rows": (30,), "draws": 20},
    "growth": {"base": (10, 20, 2), "steps": 2, "draws": 20},
}


def mixing_of(draws):
    """Smallest bulk and tail ESS and largest R-hat over all elements of (chain, draw, ...)."""
    from bayesinf.diagnostics import mixing

    flat = [value.reshape(*value.shape[:2], -1).transpose(2, 0, 1) for value in draws.values()]
    rhat, bulk, tail = mixing(np.concatenate(flat))
    return {"R-hat": rhat.max(), "min bulk": bulk.min(), "min tail": tail.min()}


# One regression


def exact(unknowns=500, rows=1000, turns=2, draws=1000):
    """Fit by the closed form and by NUTS; all parameters are judged."""
    from bayesinf.models import linear
    from bayesinf.models import problem as driver
    from bayesinf.models.linear import routes
    from bayesinf.settings import Settings

    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, unknowns))
    y = X @ (0.1 * rng.normal(size=unknowns)) + rng.normal(size=rows)
    problem = linear.regression(X, y, "normal")
    ours = Settings(draws=draws, prior_draws=20)
    theirs = ours.replace(draws=min(draws, 250), tune=min(draws, 250))

    def side(run, kind, settings):
        """Seconds of drawing and of the whole fit, and how well the draws mix."""
        took = {}

        def drawing(problem, settings):
            took["drawing"], (took["CPU"], sample) = timed(
                partial(_busy, partial(run, problem, settings))
            )
            return sample

        took["fit"], fit = timed(lambda: driver.fit(problem, driver.Route(drawing, kind), settings))
        found = {name: fit["posterior"][name].values for name in ("beta", "scale", "sigma")}
        row = took | mixing_of(found)
        for name, seconds in (("ESS/s", "drawing"), ("ESS/s of fit", "fit"), ("ESS/CPU s", "CPU")):
            row[name] = row["min bulk"] / row[seconds]
        return row

    print(
        f"Linear-Gaussian, {unknowns} unknowns, {rows} rows, scale and σ inferred, 4 chains: ours"
    )
    print(f"{4 * ours.draws} independent draws, NUTS {4 * theirs.draws} after as many of tuning;")
    print("seconds of drawing (and of all cores together, CPU) and of the whole fit, and smallest")
    print("bulk ESS over all parameters per second of each")
    columns = {"turn": "6", "route": "6", "R-hat": "6.3f", "min bulk": "8.0f", "drawing": "8.2f"}
    columns |= {"fit": "8.2f", "CPU": "8.2f", "ESS/s": "9.1f", "ESS/s of fit": "12.1f"}
    columns |= {"ESS/CPU s": "9.1f"}
    table, runs, ratios = Table(columns), [], []
    side(routes.closed_form, "exact", ours.replace(draws=4))  # what is only once is paid here
    with _compiled(problem):
        for turn in range(1, turns + 1):
            pair = [
                {"turn": turn, "route": "exact"} | side(routes.closed_form, "exact", ours),
                {"turn": turn, "route": "nuts"} | side(driver.nuts, "nuts", theirs),
            ]
            for row in pair:
                table.row(row, "not converged" if row["R-hat"] > 1.01 else "")
            runs += pair
            one, other = pair
            judged = ("ESS/s", "ESS/s of fit", "ESS/CPU s")
            ratios.append({name: one[name] / other[name] for name in judged})
            said = ", ".join(f"{name} {ratio:.0f}" for name, ratio in ratios[-1].items())
            print(f"{turn:>6}  ratios: {said}   target ≥ 100", flush=True)
    return {"runs": runs, "ratios": ratios}


class _compiled:
    """Hand the route of NUTS its model compiled, so that its drawing alone is timed."""

    def __init__(self, problem):
        self.problem = problem

    def __enter__(self):
        import nutpie

        self.plain, compiled = nutpie.compile_pymc_model, None
        seconds, compiled = timed(lambda: self.plain(self.problem.pymc()))
        print(f"(NUTS compiles for {seconds:.1f} s, which is left out)")
        nutpie.compile_pymc_model = lambda model: compiled

    def __exit__(self, *_):
        import nutpie

        nutpie.compile_pymc_model = self.plain


# Many regressions


def data_of(regressions, features, rows, seed=0):
    """Neighbouring features correlate by a half; coefficients are Laplace, their width 0.2."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(regressions * rows, features))
    for j in range(1, features):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    groups = np.repeat(np.arange(regressions), rows)
    beta = 0.2 * rng.laplace(size=(regressions, features))
    y = np.sum(X * beta[groups], axis=1) + rng.normal(size=len(groups))
    return X, y, groups, beta


def lasso(regressions=100, features=100, rows=(200, 500, 2000), turns=3, draws=None):
    """Sample the posterior of all regressions, and fit them by LassoCV."""
    from sklearn.linear_model import LassoCV
    from threadpoolctl import threadpool_limits

    from bayesinf.models import linear
    from bayesinf.models.linear import routes
    from bayesinf.settings import Settings

    print(
        f"{regressions} regressions of {features} features, Laplace prior, one scale: 4 chains of"
    )
    print(
        "ours on all cores, LassoCV one after the other as it is by default, on one; seconds by the"
    )
    print(
        "clock and of all cores together; errors: rms of posterior means and LassoCV's coefficients"
    )
    columns = {"n": "5", "turn": "6", "draws": "5", "ours": "6.2f", "LassoCV": "7.2f"}
    columns |= {"ratio": "6.2f", "CPU": "6.2f", "LassoCV CPU": "11.2f", "CPU ratio": "9.2f"}
    columns |= {"R-hat": "6.4f", "min bulk": "8.0f", "min tail": "8.0f", "error": "6.4f"}
    table, results = Table(columns | {"LassoCV's": "9.4f"}), []
    for count in rows:
        X, y, groups, beta = data_of(regressions, features, count)
        # The fewer rows a feature, the longer the draws of a chain depend on each other.
        settings = Settings(draws=draws or (1000 if count < 4 * features else 600), tune=50)

        def ours(X=X, y=y, groups=groups, settings=settings):
            problem = linear.regression(X, y, "laplace", groups=groups)
            draws = routes.shrinking(problem, settings).draws
            return {name: draws[name] for name in ("beta", "scale", "sigma")}

        def theirs(X=X, y=y, groups=groups):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted = [
                    LassoCV(cv=5).fit(X[groups == g], y[groups == g]) for g in range(regressions)
                ]
            return np.array([model.coef_ for model in fitted])

        turned, sides = [], {"ours": partial(_busy, ours), "LassoCV": partial(_busy, theirs)}
        with threadpool_limits(1):
            ours(settings=settings.replace(draws=4, tune=0))  # what is only once is paid here
            for seconds, found in by_turns(sides, turns):
                (cpu, drawn), (lasso_cpu, fitted) = found["ours"], found["LassoCV"]
                row = seconds | {"ratio": seconds["ours"] / seconds["LassoCV"]}
                row |= {"CPU": cpu, "LassoCV CPU": lasso_cpu, "CPU ratio": cpu / lasso_cpu}
                row |= mixing_of(drawn) | {"error": np.std(drawn["beta"].mean((0, 1)) - beta)}
                turned.append(row | {"LassoCV's": np.std(fitted - beta)})
        same = {"n": count, "draws": settings.draws}
        middle = table.turns(turned, "target: ratio ≤ 1, R-hat ≤ 1.01, ESS ≥ 400", **same)
        results.append(same | middle)
    return results


def _busy(run):
    """Seconds that all cores together spent on it, and what it returned."""
    started = time.process_time()
    found = run()
    return time.process_time() - started, found


def shared(regressions=100, features=100, rows=(80, 200, 500), draws=500):
    """Draw from the closed form of all regressions under a normal prior."""
    from bayesinf.models import linear
    from bayesinf.models.linear import shared as closed

    print(f"{regressions} regressions of {features} features, normal prior, one scale, exactly;")
    print(f"seconds: of all decompositions, of evidence, of moments, of {4 * draws} draws with the")
    print("density of every observation given the others")
    columns = {"rows": "5", "decompose": "9.2f", "evidence": "8.2f", "moments": "7.2f"}
    table, results = Table(columns | {"draw": "6.2f", "log evidence": "12.1f"}), []
    for count in rows:
        X, y, groups, _ = data_of(regressions, features, count)
        problem = linear.regression(X, y, "normal", groups=groups)
        row = {"rows": count}
        row["decompose"], posterior = timed(lambda problem=problem: closed.Posterior(problem))
        row["evidence"], row["log evidence"] = timed(lambda p=posterior: p.log_evidence)
        row["moments"], _ = timed(posterior.moments)
        rng = np.random.default_rng(0)
        row["draw"], _ = timed(lambda p=posterior, rng=rng: p.draw(rng, 4 * draws))
        table.row(row)
        results.append(row)
    return results


def growth(base=(100, 200, 10), steps=3, draws=250):
    """Double unknowns, rows and regressions in turn."""
    from threadpoolctl import threadpool_limits

    from bayesinf.models import linear
    from bayesinf.models.linear import routes
    from bayesinf.settings import Settings

    print("Drawing, normal prior exactly and Laplace prior by Gibbs, 4 chains; exponents over the")
    print("next smaller size, of which unknowns, rows or regressions are doubled")
    columns = {"features": "8", "rows": "5", "regressions": "11", "exact": "7.2f", "gibbs": "7.2f"}
    table = Table(columns | {"exact exponent": "14.2f", "gibbs exponent": "14.2f"})
    settings, results = Settings(draws=draws, tune=50), []
    for which in range(3):
        before = None
        for step in range(steps):
            size = list(base)
            size[which] *= 2**step
            if which == 0:
                size[1] = base[1] * 2**step  # rows with them, or the problem is another one
            X, y, groups, _ = data_of(size[2], size[0], size[1])
            row = dict(zip(("features", "rows", "regressions"), size, strict=True))
            for name, prior, run in (
                ("exact", "normal", routes.closed_form),
                ("gibbs", "laplace", routes.shrinking),
            ):
                problem = linear.regression(X, y, prior, groups=groups)
                with threadpool_limits(1):
                    if not results:
                        run(problem, settings.replace(draws=4, tune=0))
                    row[name], _ = timed(lambda r=run, p=problem: r(p, settings))
                if before:
                    row[f"{name} exponent"] = np.log2(row[name] / before[name])
            table.row(row)
            results.append(row)
            before = row
    return results


if __name__ == "__main__":
    options = {"turns": {"type": int, "help": "of exact (default: 2) and lasso (default: 3)"}}
    main(__doc__, [exact, lasso, shared, growth], TOY, options)
