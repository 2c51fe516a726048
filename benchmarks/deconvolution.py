"""Deconvolution: accuracy and coverage over seeds, and speed against CUQIpy, SciPy and Tikhonov.

    accuracy rms error of the posterior mean of exp(−x²) behind a box, under each prior and under
             the one that evidence chooses, against Tikhonov with generalised cross-validation on
             the same data; coverage of the point-wise and of the simultaneous 95 % band.
    speed    effective draws per second of signal, scale and noise under first differences: the
             closed form against a Gibbs sampler of CUQIpy, on the same data; and seconds for the
             answer of Tikhonov: one decomposition with cross-validation, against SciPy's least
             squares at one λ. Without CUQIpy its side is left out, and said to be.

Both sides run by turns, so that what else the machine does hits both alike.
"""

import numpy as np
from common import Table, by_turns, main

TOY = {
    "accuracy": {"seeds": 2, "points": 60, "draws": 20},
    "speed": {"points": 40, "draws": 40, "peer": 30, "turns": 1},
}


def accuracy(seeds=20, points=500, draws=50):
    from bayesinf.models.linear.exact import Posterior
    from bayesinf.posterior import noted
    from bayesinf.settings import Settings
    from bayesinf.systems import deconvolution as system

    settings = Settings(draws=draws, prior_draws=20)
    columns = ["first", "second", "squared exp.", "chosen", "GCV, first", "GCV, second"]
    print(f"rms error of exp(−x²), {points} points, box of width 3, noise 0.01; coverage of the")
    print("95 % bands of the prior chosen: share of points, and whether all at once")
    table = Table(
        {"seed": "6", **dict.fromkeys(columns, "9.4f"), "points": "6.3f", "whole": "5"}
        | {"prior": "20"}
    )
    rows, priors = [], []
    for seed in range(seeds):
        blurred = system.simulate(points, rng=np.random.default_rng(seed))
        truth = noted(blurred, "truth")["signal"].values

        def rms(signal, truth=truth):
            return float(np.sqrt(np.mean((signal - truth) ** 2)))

        stated = {prior: system.problem(blurred, prior) for prior in system.SMOOTH}
        evidence = {prior: problem.log_evidence() for prior, problem in stated.items()}
        name = max(evidence, key=evidence.get)
        *differences, smooth = stated
        errors = [rms(Posterior(stated[prior]).moments()[0]) for prior in differences]
        fit = system.fit(blurred, smooth, settings=settings)
        errors.append(rms(noted(fit, "band")["mean"].values))
        errors.append(errors[list(stated).index(name)])
        fit = fit if name == smooth else system.fit(blurred, name, settings=settings)
        band = noted(fit, "band")
        for order in (1, 2):
            textbook = system.classical(blurred, order=order)["signal"]
            errors.append(rms(textbook.sel(rule="cross-validation").values))
        away = np.abs(band["mean"].values - truth) / band["sd"].values
        row = dict(zip(columns, errors, strict=True))
        row["points"] = float(np.mean((band["low"] <= truth) & (truth <= band["high"])))
        row["whole"] = int(np.all(away <= float(band["factor"])))
        table.row({"seed": str(seed), **row, "prior": name})
        rows.append(row)
        priors.append(name)
    middle = {name: float(np.median([row[name] for row in rows])) for name in columns}
    covered = {name: float(np.mean([row[name] for row in rows])) for name in ("points", "whole")}
    table.row({"seed": "median", **middle})
    print(f"coverage: {covered['points']:.3f} of the points, {covered['whole']:.3f} of the signals")
    print(f"chosen/GCV, first {middle['chosen'] / middle['GCV, first']:.2f}   target ≤ 1")
    return {"median": middle, "coverage": covered, "rows": rows, "prior": priors}


def speed(points=200, draws=1000, peer=200, turns=2):
    from bayesinf.models.linear.exact import Posterior
    from bayesinf.systems import deconvolution as system
    from bayesinf.systems.deconvolution.classical import Tikhonov

    blurred = system.simulate(points)
    A, y = blurred["response"].values, blurred["blurred"].values
    roughness = np.diff(np.eye(points), axis=0)

    def ours():
        problem = system.problem(blurred, "first_differences")
        found, _ = Posterior(problem).draw(np.random.default_rng(1), draws)
        found = problem.outer(found)
        return effective({name: found[name] for name in ("signal", "scale", "sigma")})

    def tikhonov():
        solver = Tikhonov(A, y)
        return solver.signal(solver.choose("cross-validation", 0.01))

    def least_squares():
        from scipy.linalg import lstsq

        return lstsq(np.vstack([A, roughness]), np.r_[y, np.zeros(points - 1)])[0]

    sides = {"ours": ours, "Tikhonov": tikhonov, "lstsq, one λ": least_squares}
    try:
        import cuqi  # noqa: F401

        sides["CUQIpy"] = lambda: effective(gibbs(A, y, peer))
    except ImportError:
        print("CUQIpy is not installed: its side is left out (pip install cuqipy)")
    print(f"{points} points: seconds, and effective draws per second of the slowest quantity;")
    print(f"{draws} independent draws of ours, {peer} of CUQIpy's Gibbs sampler after {peer // 2}")
    rates = {"ours": "ours ESS/s", "CUQIpy": "CUQIpy ESS/s"}
    columns = {"turn": "6", **{f"{name} s": "10.3f" for name in sides}}
    columns |= {rates[name]: "12.1f" for name in sides if name in rates}
    columns |= {"ratio": "8.0f"} if "CUQIpy" in sides else {}
    table, rows = Table(columns), []
    for name in sides:  # the first call pays for what is only once
        sides[name]()
    for seconds, found in by_turns(sides, turns):
        row = {f"{name} s": value for name, value in seconds.items()}
        row |= {rates[name]: found[name] / seconds[name] for name in sides if name in rates}
        if "CUQIpy" in sides:
            row["ratio"] = row["ours ESS/s"] / row["CUQIpy ESS/s"]
        rows.append(row)
    return table.turns(rows)


def effective(draws):
    """Smallest bulk effective sample size over all quantities, each (draw, ...)."""
    from bayesinf.diagnostics import mixing

    flat = [np.reshape(values, (1, len(values), -1)) for values in draws.values()]
    return float(np.nanmin(mixing(np.moveaxis(np.concatenate(flat, axis=2), 2, 0))[1]))


def gibbs(A, y, draws):
    """First differences by CUQIpy, zero at the edges; conjugate updates of both precisions."""
    import contextlib
    import io

    from cuqi.distribution import GMRF, Gamma, Gaussian, JointDistribution
    from cuqi.model import LinearModel
    from cuqi.sampler import Conjugate, HybridGibbs, LinearRTO

    count = A.shape[1]
    d, precision = Gamma(1, 1e-4, name="d"), Gamma(1, 1e-4, name="precision")
    x = GMRF(np.zeros(count), prec=lambda d: d, bc_type="zero", name="x")
    data = Gaussian(LinearModel(A)(x), prec=lambda precision: precision, name="data")
    target = JointDistribution(d, precision, x, data)(data=y)
    moves = {"x": LinearRTO(maxit=200), "d": Conjugate(), "precision": Conjugate()}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        sampler = HybridGibbs(target, moves)
        sampler.warmup(draws // 2)
        sampler.sample(draws)
        samples = sampler.get_samples()
    return {name: samples[name].samples.T[-draws:] for name in ("x", "d", "precision")}


if __name__ == "__main__":
    main(__doc__, [accuracy, speed], TOY)
