"""Regression of a table: against PyMC, bambi and scikit-learn, and the bias and variance of curves.

horseshoe  the diabetes data (442 rows, 10 columns) under a horseshoe with slab: smallest bulk
           ESS per second of ours and of PyMC's NUTS on the same model, each in a fresh
           interpreter, start-up and compilation counted, with a seed a turn; what numba and
           PyTensor keep on disk from the first run on is there already in the others.
gallery    models as bambi's gallery has them (categories and an interaction, intercepts of groups,
           slopes by group, a logistic one, counts that scatter more), of simulated data: seconds
           of a whole process, and how far apart the answers are. Each has its own default priors.
penalised  ridge and lasso of scikit-learn against the posterior of the same data: seconds.
classics   maximum likelihood by statsmodels, where it is installed, beside the posterior of the
           same data under priors that say nothing: ordinary least squares, a mixed model,
           Poisson, logistic; seconds, and how far apart estimates and their errors are.
curve      cos(20 x) exp(−2 x) by 40 knots from 5 to 40 points: bias and variance over data sets
           of the posterior mean, its smoothness inferred, and of two ridges that are fixed.
           ``--figure FILE`` draws them.
"""

import time
import warnings
from statistics import median

import numpy as np
from common import Table, alone, main, timed

TOY = {
    "horseshoe": {"rows": 40, "draws": 60, "peer": 40, "turns": 1},
    "gallery": {"rows": 40, "draws": 60, "names": ("slopes", "counts")},
    "penalised": {"rows": 60, "turns": 1},
    "classics": {"rows": 60, "draws": 60},
    "curve": {"sets": 4, "counts": (5, 12), "knots": 10},
}


def stated(rows=442):
    """The diabetes data under a horseshoe."""
    from bayesinf.systems import regression as system

    table = system.diabetes().isel(row=slice(rows))
    return system.problem(table, prior="horseshoe")[0]


def worst(draws):
    """Smallest bulk ESS and largest R-hat over all elements of (chain, draw, ...)."""
    from bayesinf.diagnostics import mixing

    flat = [value.reshape(*value.shape[:2], -1).transpose(2, 0, 1) for value in draws.values()]
    rhat, bulk, _ = mixing(np.concatenate(flat))
    return {"R-hat": float(rhat.max()), "min bulk": float(bulk.min())}


def ours(rows, draws, seed):
    """Fit with the house's own route, groups and all."""
    from bayesinf.models import problem as driver
    from bayesinf.settings import Settings

    fit = driver.fit(stated(rows), settings=Settings(draws=draws, prior_draws=20, seed=seed))
    found = {str(name): values.values for name, values in fit["posterior"].data_vars.items()}
    return worst(found) | {"ended": time.time()}


def pymc(rows, draws, seed):
    """Sample the same model by PyMC, draws alone."""
    import pymc as pm

    warnings.simplefilter("ignore")
    problem = stated(rows)
    with problem.pymc():
        options = {"chains": 4, "random_seed": seed, "target_accept": 0.9, "progressbar": False}
        fit = pm.sample(draws, tune=1000 if draws >= 500 else draws, **options)
    names = ["beta", "scale", "slab", "sigma", "intercept"]
    return worst({name: fit["posterior"][name].values for name in names}) | {"ended": time.time()}


def horseshoe(rows=442, draws=1000, peer=1000, turns=4):
    print(
        f"horseshoe, {rows} rows, 10 columns, 4 chains; seconds from the start of the interpreter"
    )
    table = Table(
        {"turn": "6", "side": "8", "R-hat": "6.3f", "min bulk": "8.0f", "seconds": "8.2f"}
        | {"ESS/s": "9.2f", "processor": "9.2f"}
    )
    runs, ratios, processor = [], [], []
    for turn in range(1, turns + 1):
        pair = []
        for part, count in ((ours, draws), (pymc, peer)):
            found = alone(part, rows=rows, draws=count, seed=turn)
            seconds = found.pop("ended") - found.pop("started")
            row = {"turn": turn, "side": part.__name__} | found | {"seconds": seconds}
            row["ESS/s"] = row["min bulk"] / seconds
            table.row(row, "not converged" if row["R-hat"] > 1.01 else "")
            pair.append(row)
        runs += pair
        ratios.append(pair[0]["ESS/s"] / pair[1]["ESS/s"])
        own = [row["min bulk"] / row["processor"] for row in pair]
        processor.append(own[0] / own[1])
        said = f"{processor[-1]:.0f} by processor seconds"
        print(f"{turn:>6}  ratio {ratios[-1]:.0f}, {said}   target ≥ 20", flush=True)
    said = f"{median(ratios):.0f}, {median(processor):.0f} by processor seconds"
    print(f"median of {turns} turns: {said}")
    return {"runs": runs, "ratios": ratios, "by processor": processor}


GALLERY = {
    "categories": ("y ~ a*kind + b", "y ~ a*kind + b", "normal", "gaussian"),
    "groups": ("y ~ a + (1|site)", "y ~ a + (1|site)", "normal", "gaussian"),
    "slopes": ("y ~ a + (a|site)", "y ~ a + (a|site)", "normal", "gaussian"),
    "logistic": ("z ~ a + b", "z ~ a + b", "bernoulli", "bernoulli"),
    "counts": ("n ~ a + b", "n ~ a + b", "negbinomial", "negativebinomial"),
}


def columns(rows):
    """Data of all models."""
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, rows))
    kind, site = rng.integers(0, 3, rows), rng.integers(0, 12, rows)
    eta = 0.5 + a - 0.5 * b + np.array([0.0, 0.4, -0.3])[kind] + 0.3 * a * (kind == 1)
    y = eta + rng.normal(0, 0.5, 12)[site] + 0.6 * rng.standard_normal(rows)
    z = (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(float)
    words = {"kind": np.array(["u", "v", "w"])[kind], "site": np.array([f"s{k:02}" for k in site])}
    n = rng.poisson(np.exp(0.5 * eta) * rng.gamma(2.0, 0.5, rows)).astype(float)
    return {"a": a, "b": b, **words, "y": y, "z": z, "n": n}


def by_bayesinf(name, rows, draws):
    from bayesinf.settings import Settings
    from bayesinf.systems import regression as system

    formula, _, response, _ = GALLERY[name]
    table = system.from_columns(columns(rows), formula)
    fit = system.fit(table, response=response, settings=Settings(draws=draws, prior_draws=20))
    beta = fit["posterior"]["beta"].sel(feature="a").values
    return {"mean": beta.mean(), "sd": beta.std(), "ended": time.time()}


def by_bambi(name, rows, draws):
    import bambi
    import pandas as pd

    warnings.simplefilter("ignore")
    _, formula, _, family = GALLERY[name]
    model = bambi.Model(formula, pd.DataFrame(columns(rows)), family=family)
    fit = model.fit(draws=draws, tune=draws, chains=4, random_seed=1, progressbar=False)
    beta = fit["posterior"]["a"].values
    return {"mean": beta.mean(), "sd": beta.std(), "ended": time.time()}


def gallery(rows=300, draws=1000, turns=1, names=None):
    print(f"{rows} rows, 4 chains of {draws} draws; seconds of a whole process; slope of a")
    table = Table(
        {"model": "10", "turn": "4", "side": "12", "mean": "8.4f", "sd": "7.4f", "seconds": "8.2f"}
        | {"processor": "9.2f"}
    )
    runs = []
    for name in names or GALLERY:
        for turn in range(1, turns + 1):
            pair = []
            for part in (by_bayesinf, by_bambi):
                found = alone(part, name=name, rows=rows, draws=draws)
                seconds = found.pop("ended") - found.pop("started")
                row = {"model": name, "turn": turn, "side": part.__name__} | found
                table.row(row | {"seconds": seconds})
                pair.append(row | {"seconds": seconds})
            apart = abs(pair[0]["mean"] - pair[1]["mean"]) / pair[1]["sd"]
            faster = pair[1]["processor"] / pair[0]["processor"]
            print(f"{'':>10}  {faster:.1f} times fewer processor seconds, {apart:.2f} sd apart")
            runs += pair
    return {"runs": runs}


def penalised(rows=442, turns=3):
    from sklearn.linear_model import LassoCV, RidgeCV

    from bayesinf.models import problem as driver
    from bayesinf.settings import Settings
    from bayesinf.systems import regression as system

    data = system.diabetes().isel(row=slice(rows))
    problem, design = system.problem(data)
    Z = design.columns()
    Z, y = (Z - Z.mean(axis=0)) / Z.std(axis=0), design.target.values
    settings = Settings(draws=1000, prior_draws=20)
    sides = {
        "posterior": lambda: (
            driver.fit(problem, None, settings)["posterior"]["beta"].mean(("chain", "draw")).values
            * design.columns().std(axis=0)
        ),
        "RidgeCV": lambda: RidgeCV(np.logspace(-4, 4, 33) * rows).fit(Z, y).coef_,
        "LassoCV": lambda: LassoCV(cv=5).fit(Z, y).coef_,
    }
    print("seconds, and the largest difference of a coefficient from the posterior mean")
    table, runs = Table({"turn": "4", "side": "10", "seconds": "8.3f", "apart": "7.4f"}), []
    for turn in range(1, turns + 1):
        found = {name: timed(run) for name, run in sides.items()}
        middle = found["posterior"][1]
        for name, (seconds, beta) in found.items():
            row = {"turn": turn, "side": name, "seconds": seconds}
            row["apart"] = float(np.max(np.abs(beta - middle)))
            table.row(row)
            runs.append(row)
    return {"runs": runs}


# Formula of ours and of statsmodels, which has the groups beside it, and the response.
CLASSICS = {
    "least squares": ("y ~ a + b + C(kind)", "y ~ a + b + C(kind)", "normal"),
    "mixed": ("y ~ a + b + (1|site)", "y ~ a + b", "normal"),
    "poisson": ("n ~ a + b", "n ~ a + b", "poisson"),
    "logistic": ("z ~ a + b", "z ~ a + b", "bernoulli"),
}


def classics(rows=1000, draws=1000):
    try:
        import statsmodels.api as sm
        import statsmodels.formula.api as smf
    except ImportError:
        print("statsmodels is not installed: nothing to compare with")
        return {"runs": []}
    import pandas as pd

    from bayesinf.models import linear
    from bayesinf.settings import Settings
    from bayesinf.systems import regression as system

    data = columns(rows)
    rng = np.random.default_rng(6)
    data["n"] = rng.poisson(np.exp(0.5 + 0.3 * data["a"] - 0.2 * data["b"])).astype(float)
    frame, settings = pd.DataFrame(data), Settings(draws=draws, prior_draws=20)
    families = {"poisson": sm.families.Poisson(), "bernoulli": sm.families.Binomial()}

    def theirs(name):
        _, formula, response = CLASSICS[name]
        if name == "mixed":
            return smf.mixedlm(formula, frame, groups=frame["site"]).fit()
        if response == "normal":
            return smf.ols(formula, frame).fit()
        return smf.glm(formula, frame, family=families[response]).fit()

    def ours(name):
        formula, _, response = CLASSICS[name]
        table = system.from_columns(data, formula)
        wide = linear.Gaussian(100.0)  # in the unit of the target a standard deviation
        return system.fit(table, response=response, prior=wide, settings=settings)

    print(f"{rows} rows; slopes of a and b: estimates apart in standard errors, sds over them")
    table = Table({"model": "13", "ours": "8.2f", "theirs": "8.3f", "apart": "7.3f", "sds": "14"})
    runs = []
    for name in CLASSICS:
        seconds, fit = timed(lambda name=name: ours(name))
        their_seconds, found = timed(lambda name=name: theirs(name))
        beta = fit["posterior"]["beta"].sel(feature=["a", "b"])
        mean, sd = (getattr(beta, f)(("chain", "draw")).values for f in ("mean", "std"))
        errors = found.bse[["a", "b"]].values
        apart = float(np.max(np.abs(mean - found.params[["a", "b"]].values) / errors))
        row = {"model": name, "ours": seconds, "theirs": their_seconds, "apart": apart}
        row["sds"] = ", ".join(f"{ratio:.3f}" for ratio in sd / errors)
        table.row(row)
        runs.append(row)
    return {"runs": runs}


def wave(x):
    return np.cos(20 * x) * np.exp(-2 * x)


# Widths of the weights that are fixed, in the unit of the data; None is inferred.
WIDTHS = {"inferred": None, "stiff ridge": 0.3, "loose ridge": 30.0}


def curve(sets=200, counts=(5, 10, 20, 40), knots=40, noise=0.1, figure=None):
    from bayesinf.models import linear
    from bayesinf.models.linear.exact import Posterior

    at = np.linspace(0, 1, 201)
    print(f"cos(20x) exp(−2x), {knots} knots, noise {noise}, {sets} data sets: root mean square of")
    print("bias and of the scatter of the curve over x, and coverage of its 95 % band")
    table = Table(
        {"points": "6", "side": "12", "bias": "7.3f", "scatter": "7.3f", "error": "7.3f"}
        | {"coverage": "8.3f"}
    )
    runs, drawn = [], {}
    for count in counts:
        found = {name: [] for name in WIDTHS}
        inside = {name: [] for name in found}
        for seed in range(sets):
            rng = np.random.default_rng([count, seed])
            x = np.sort(rng.uniform(0, 1, count))
            y = wave(x) + noise * rng.standard_normal(count)
            smooth = linear.smooth(x, knots)
            for name, width in WIDTHS.items():
                problem = linear.regression(
                    smooth.columns(x), y, linear.Gaussian(width), scales=np.ones(knots - 2),
                    intercept=True, unshrunk={"slope": smooth.line(x)}, noise=noise,
                )  # fmt: skip
                posterior = Posterior(problem)
                draws = problem.outer(posterior.draw(rng, 200)[0])
                mean = draws["beta"] @ smooth.columns(at).T + draws["intercept"][:, np.newaxis]
                mean += draws["slope"][:, np.newaxis] * smooth.line(at)
                low, high = np.quantile(mean, [0.025, 0.975], axis=0)
                within = (at >= x[0]) & (at <= x[-1])
                found[name].append(np.where(within, mean.mean(axis=0), np.nan))
                inside[name].append(np.mean(((low < wave(at)) & (wave(at) < high))[within]))
        for name, curves in found.items():
            curves = np.array(curves)
            seen = np.sum(np.isfinite(curves), axis=0) >= max(2, sets // 4)
            centre, spread = np.nanmean(curves[:, seen], 0), np.nanstd(curves[:, seen], 0)
            bias = centre - wave(at[seen])
            row = {"points": count, "side": name, "bias": np.sqrt(np.mean(bias**2))}
            row |= {"scatter": np.sqrt(np.mean(spread**2))}
            row |= {"error": np.hypot(row["bias"], row["scatter"])}
            row |= {"coverage": float(np.mean(inside[name]))}
            table.row(row)
            runs.append(row)
            drawn[count, name] = at[seen], centre, spread
    if figure:
        _draw(drawn, counts, figure)
    return {"runs": runs}


def _draw(drawn, counts, figure):
    from bayesinf.figures import COLORS, canvas, styled

    @styled
    def picture():
        fig, axes = canvas(
            len(WIDTHS), len(counts), height=6.6, squeeze=False, sharex=True, sharey=True
        )
        for (count, name), (x, centre, spread) in drawn.items():
            color = "posterior" if name == "inferred" else "classical"
            axis = axes[list(WIDTHS).index(name)][counts.index(count)]
            axis.plot(x, wave(x), color=COLORS["truth"], lw=1)
            axis.plot(x, centre, color=COLORS[color])
            axis.fill_between(x, centre - spread, centre + spread, color=COLORS[color], alpha=0.3)
            axis.set_title(f"{name}, {count} points", fontsize="small")
        for axis in axes[-1]:
            axis.set_xlabel("x")
        for axis in axes[:, 0]:
            axis.set_ylabel("y")
        axes[0][0].set_ylim(-1.4, 1.4)
        return fig

    picture().savefig(figure)


if __name__ == "__main__":
    main(
        __doc__,
        [horseshoe, gallery, penalised, classics, curve],
        TOY,
        options={"figure": {"metavar": "FILE", "help": "draw bias and variance of the curves"}},
        parts=[ours, pymc, by_bayesinf, by_bambi],
    )
