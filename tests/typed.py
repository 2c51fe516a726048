"""What a user's type checker sees: checked by ``make types`` in its strict mode, never run."""

import numpy as np
import xarray as xr

import bayesinf
from bayesinf import curve, density, figures, gp, linear, logistic, pairwise
from bayesinf.priors import LogNormal, Normal

X, y, t = np.ones((9, 2)), np.ones(9), np.arange(9.0)
states = np.ones((9, 3))
settings: bayesinf.Settings = bayesinf.QUICK.replace(seed=2)

weights: xr.DataTree = linear.fit(X, y, linear.Gaussian(scale=1.0), noise=0.1, settings=settings)
more: xr.DataTree = linear.update(weights, X, y)
new: xr.Dataset = linear.predict(linear.combine(weights, more), X)
written: xr.DataTree = curve.fit(
    expression="a*exp(-t/tau)", data={"t": t, "n": y}, params={"a": 1.0, "tau": LogNormal(1, 1)}
)
decays: xr.Dataset = curve.predict(written, [0.0, 1.0], error=0.1)
process: xr.DataTree = gp.fit(t, y, 0.1, kernel=gp.Matern32() + gp.SquaredExponential())
band: xr.Dataset = gp.predict(process, t)
ties: xr.DataTree = pairwise.fit(states, encoding="±1")
chances: xr.Dataset = pairwise.predict(ties, states)
steps: xr.Dataset = logistic.predict(logistic.fit(states, encoding="±1"), states)
own: xr.DataTree = bayesinf.fit(density.LogDensity({"a": Normal()}, lambda a: -a * a))

verdict: bayesinf.Verdict = bayesinf.check(own)
believed: bool = verdict.believed
words: str = verdict.words
answer: bayesinf.Summary = bayesinf.summary(own)
bayesinf.save(own, "fit.nc")
again: xr.DataTree = bayesinf.load("fit.nc")
bayesinf.write_report(own, "folder", title="A fit", question="What is it?")
forest = figures.forest(own, ["a"])
version: str = bayesinf.__version__
