"""Bayesian optimisation against its peers: how deep after so many evaluations, and at what cost.

    python benchmarks/bayesian_optimisation.py [--case regret|noisy] [--seeds N] [--keep FOLDER]

`regret`: how far the best value is above the true minimum after so many evaluations of Forrester's,
Branin's and Hartmann's function, median over seeds; and the median of processor seconds that a step
takes beside the evaluation itself, all sides on one thread. Against random search, Sobol points
and, where they are installed, the packages bayesian-optimization and botorch. All begin with the
same places, seed by seed. `noisy`: the same with noise, which is the same for all, the regret being
that of the place which each would recommend: here the least mean of the curve, of the others the
least mean at the places measured, or the lowest value where there is no model.

Where a median is above the best peer's, their ratio is printed with its 95 % interval, seeds drawn
with replacement and both sides' curves with them. `--keep` keeps the peers' curves, so that each
runs once.
"""

from __future__ import annotations

import json
import time
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from common import Table, main

STEPS = {"forrester": 20, "branin": 40, "hartmann": 60}
NOISE = {"forrester": 1.0, "branin": 5.0, "hartmann": 0.1}
LOOK = (5, 10, 15, 20, 25, 30, 40, 50, 60)  # evaluations after which the regret is printed
FROM = 10  # evaluations from which regrets are compared
TRACE = 1e-8  # variance that stands for none
RESAMPLED = 2000  # sets of seeds behind an interval
ROUNDING = 1e-13  # of the first regret, below which regrets are alike


class Random:
    """Places drawn evenly, without a model: what every side can do."""

    package, model = None, False

    def __init__(self, bounds, noisy, rng):
        self.low, self.high = np.array(bounds).T
        self.x, self.y, self.rng = [], [], rng

    def tell(self, x, y):
        self.x.append(np.array(x))
        self.y.append(y)

    def ask(self):
        return self.low + (self.high - self.low) * self.rng.random(len(self.low))

    def recommended(self):
        return self.x[int(np.argmin(self.y))]


class Sobol(Random):
    """Scrambled Sobol points."""

    def __init__(self, bounds, noisy, rng):
        from scipy.stats import qmc

        super().__init__(bounds, noisy, rng)
        self.points = iter(qmc.Sobol(len(bounds), rng=rng).random_base2(7))

    def ask(self):
        return self.low + (self.high - self.low) * next(self.points)


class Ours(Random):
    """bayesinf's ``optimisation``."""

    model = True

    def __init__(self, bounds, noisy, rng):
        from bayesinf import optimisation

        super().__init__(bounds, noisy, rng)
        named = {f"x{k}": ends for k, ends in enumerate(bounds)}
        seed = int(rng.integers(2**31))
        noise = None if noisy else 0.0
        self.campaign = optimisation.campaign(named, noise=noise, seed=seed, starts=2)

    def tell(self, x, y):
        super().tell(x, y)
        self.campaign = self.campaign.told(x, y)

    def ask(self):
        from bayesinf import optimisation

        asked = optimisation.ask(self.campaign)
        return np.array([float(asked[one.name][0]) for one in self.campaign.inputs])

    def recommended(self):
        from bayesinf import optimisation

        return np.array(optimisation.recommended(self.campaign))


class Nogueira(Random):
    """The package bayesian-optimization, as it is by default; it maximises."""

    package, model = "bayes_opt", True

    def __init__(self, bounds, noisy, rng):
        from bayes_opt import BayesianOptimization

        super().__init__(bounds, noisy, rng)
        self.named = {f"x{k}": tuple(ends) for k, ends in enumerate(bounds)}
        seed = int(rng.integers(2**31))
        self.noise = noisy
        self.optimiser = BayesianOptimization(
            None, self.named, random_state=seed, verbose=0, allow_duplicate_points=True
        )

    def tell(self, x, y):
        super().tell(x, y)
        self.optimiser.register(dict(zip(self.named, x, strict=True)), -y)
        if self.noise and len(set(self.y)) > 1:  # its values are standardised, its noise is not
            self.optimiser.set_gp_params(alpha=float(self.noise / np.std(self.y)) ** 2)

    def ask(self):
        found = self.optimiser.suggest()
        return np.array([found[name] for name in self.named])

    def recommended(self):
        from sklearn.base import clone

        x = np.array(self.x)
        gp = clone(self.optimiser._gp).fit(x, -np.array(self.y))
        return x[int(np.argmax(gp.predict(x)))]


class Botorch(Random):
    """botorch: a SingleTaskGP as it is by default, and the log of the expected improvement."""

    package, model = "botorch", True

    def __init__(self, bounds, noisy, rng):
        import torch

        super().__init__(bounds, noisy, rng)
        torch.set_num_threads(1)
        torch.manual_seed(int(rng.integers(2**31)))
        self.noisy = noisy

    def fitted(self):
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        unit = (np.array(self.x) - self.low) / (self.high - self.low)
        x = torch.tensor(unit, dtype=torch.double)
        y = -torch.tensor(self.y, dtype=torch.double)[:, None]
        known = {} if self.noisy else {"train_Yvar": torch.full_like(y, TRACE)}
        model = SingleTaskGP(x, y, **known)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model, x, y

    def ask(self):
        import torch
        from botorch.acquisition import LogExpectedImprovement
        from botorch.optim import optimize_acqf

        model, x, y = self.fitted()
        best = model.posterior(x).mean.max() if self.noisy else y.max()
        box = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
        found, _ = optimize_acqf(
            LogExpectedImprovement(model, best_f=best), box, 1, num_restarts=5, raw_samples=128
        )
        return self.low + (self.high - self.low) * found[0].numpy()

    def recommended(self):
        model, x, _ = self.fitted()
        return self.x[int(model.posterior(x).mean.argmax())]


METHODS = {
    "bayesinf": Ours,
    "random": Random,
    "Sobol": Sobol,
    "bayesian-optimization": Nogueira,
    "botorch": Botorch,
}


def run(objective, method, seed, steps, noise):
    """Regret after each evaluation, and the seconds of each step beside the evaluation."""
    from bayesinf import optimisation

    stream = np.random.SeedSequence(entropy=seed, spawn_key=(list(STEPS).index(objective.name),))
    of_start, of_method, of_noise = map(np.random.default_rng, stream.spawn(3))
    bounds = list(objective.bounds.values())
    count = max(3, len(bounds) + 1)  # few, so that it is the models that choose
    seed_of_start = int(of_start.integers(2**31))
    first = optimisation.campaign(objective.bounds, seed=seed_of_start, starts=count)
    start = optimisation.ask(first, count)
    start = np.stack([start[name].values for name in objective.bounds], axis=1)
    side, regret, seconds, best = METHODS[method](bounds, noise, of_method), [], [], np.inf
    for k in range(steps):
        begun = time.process_time()
        x = start[k] if k < len(start) else side.ask()
        if k >= len(start):
            seconds.append(time.process_time() - begun)
        x = np.clip(x, *np.array(bounds).T)
        true = objective(x)
        side.tell(x, true + noise * of_noise.standard_normal())
        best = min(best, true)
        if noise and k + 1 >= FROM:
            best = objective(side.recommended())
        regret.append(best - objective.minimum)
    return regret, seconds


def kept_run(objective, method, seed, steps, noise, keep):
    """``run``, or what a run of a peer left in the folder ``keep``."""
    package = METHODS[method].package
    if keep is None or method == "bayesinf":
        return run(objective, method, seed, steps, noise)
    version = metadata.version(method) if package else "0"
    name = f"{method}-{version}-{objective.name}-{noise:g}-{steps}-{seed}.json"
    path = Path(keep) / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run(objective, method, seed, steps, noise)))
    return json.loads(path.read_text())


def compared(objectives, seeds, steps, methods, keep, noisy):
    """Run all sides seed by seed, and print medians as they are known at the end."""
    from bayesinf.systems.bayesian_optimisation import objective

    asked = [methods] if isinstance(methods, str) else list(methods)
    asked = [name for one in asked for name in one.split(",")]
    for name in asked:
        if METHODS[name].package and not find_spec(METHODS[name].package):
            print(f"{name} is not installed: left out")
    there = [n for n in asked if not METHODS[n].package or find_spec(METHODS[n].package)]
    objectives = objectives.split(",") if isinstance(objectives, str) else objectives
    kept = {}
    for name in objectives:
        one, count = objective(name), (steps or STEPS)[name]
        noise = NOISE[name] if noisy else 0.0
        regrets, seconds = {m: [] for m in there}, {m: [] for m in there}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the peers, which warn at every step
            run(one, there[0], 0, min(count, 12), noise)  # what is compiled is compiled now
            for seed in range(1, int(seeds) + 1):
                for method in there:
                    regret, took = kept_run(one, method, seed, count, noise, keep)
                    regrets[method].append(regret)
                    seconds[method].append(np.median(took) if took else 0.0)
        kept[name] = told(name, regrets, seconds)
    return kept


def behind(regrets, middle, peers):
    """Numbers of evaluations at which a peer's median is the lower, with the ratio of both.

    Returns
    -------
    evaluations to the best peer, our median over its, and the 95 % interval of this ratio.
    """
    ours, rng = np.array(regrets["bayesinf"]), np.random.default_rng(1)
    chosen, found = rng.integers(len(ours), size=(RESAMPLED, len(ours))), {}
    for k in range(FROM - 1, ours.shape[1]):
        peer = min(peers, key=lambda m: middle[m][k])
        least = ROUNDING * np.median(ours[:, 0])
        sides = [np.maximum(side[:, k], least) for side in (ours, np.array(regrets[peer]))]
        if np.median(sides[0]) > np.median(sides[1]):
            one, other = (np.median(side[chosen], axis=1) for side in sides)
            low, high = np.quantile(one / other, [0.025, 0.975])
            found[k + 1] = peer, float(np.median(sides[0]) / np.median(sides[1])), low, high
    return found


def told(name, regrets, seconds):
    """Print the medians of one objective, and whether the target is met."""
    middle = {m: np.median(r, axis=0) for m, r in regrets.items()}
    size = len(next(iter(middle.values())))
    look = [k for k in LOOK if k < size] + [size]
    table = Table({"objective": "9", "evaluations": "11d"} | dict.fromkeys(middle, "9.2g"))
    for k in look:
        row = {m: float(values[k - 1]) for m, values in middle.items()}
        table.row({"objective": name, "evaluations": k, **row})
    spent = {m: float(np.median(took)) for m, took in seconds.items()}
    table.row({"objective": name, "evaluations": "s a step"} | spent)
    kept = {"regret": {m: v.tolist() for m, v in middle.items()}, "seconds": spent}
    peers = [m for m in middle if m != "bayesinf"]
    if peers and "bayesinf" in middle and size >= FROM:
        kept["behind"] = behind(regrets, middle, peers)
        said = "at none" if not kept["behind"] else "at"
        print(f"{name}: worse than the best peer's median, from {FROM} evaluations on: {said}")
        for k, (peer, ratio, low, high) in kept["behind"].items():
            print(f"  {k}: {ratio:.3g} times {peer}'s (95 %: {low:.2g} to {high:.2g})")
    models = [m for m in peers if METHODS[m].model]
    if models and "bayesinf" in middle:
        quickest = min(models, key=spent.get)
        kept["share"] = spent["bayesinf"] / spent[quickest]
        print(f"{name}: {kept['share']:.2f} of the time of {quickest}, the quicker model")
    return kept


def regret(objectives=tuple(STEPS), seeds=20, steps=None, methods=tuple(METHODS), keep=None):
    """Regret by number of evaluations, values exact."""
    return compared(objectives, seeds, steps, methods, keep, False)


def noisy(objectives=tuple(STEPS), seeds=20, steps=None, methods=tuple(METHODS), keep=None):
    """Regret of the recommended place, values with noise."""
    return compared(objectives, seeds, steps, methods, keep, True)


TOY = {
    "regret": {"objectives": ("forrester",), "seeds": 2, "steps": {"forrester": 6}},
    "noisy": {"objectives": ("forrester",), "seeds": 1, "steps": {"forrester": 5}},
}
OPTIONS = {
    "objectives": {"help": "such as forrester,branin"},
    "seeds": {"type": int},
    "methods": {"help": "such as bayesinf,botorch"},
    "keep": {"help": "folder of the peers' curves, made where they are missing"},
}

if __name__ == "__main__":
    main(__doc__, (regret, noisy), TOY, OPTIONS)
