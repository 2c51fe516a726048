"""Calibration: forty rows of a fixed table under priors that do not look at the data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import noted
from bayesinf.priors import HalfNormal, InverseChi, LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.regression.data import simulate
from bayesinf.systems.regression.model import problem

__all__ = ["calibration_problem"]

ROWS = 60
VARIANTS = {
    "plain": ("normal", linear.Gaussian(HalfNormal(1.0)), "y ~ a*b + x"),
    "terms": ("normal", linear.Gaussian(HalfNormal(1.0)), "y ~ a + b + s(x, 6) + (1|site)"),
    "horseshoe": (
        "normal",
        linear.Horseshoe(HalfNormal(0.5), InverseChi(4.0, 2.0)),
        "y ~ a + b + c + (1|site)",
    ),
    "laplace": ("student", linear.Laplace(HalfNormal(0.7)), "y ~ a + b + c"),
    "lasso": ("normal", linear.Laplace(HalfNormal(0.7)), "y ~ a*b + c + x"),
    "sparse": (
        "normal",
        linear.Horseshoe(HalfNormal(0.5), InverseChi(4.0, 2.0)),
        "y ~ a*b + c + x",
    ),
    "poisson": ("poisson", linear.Gaussian(HalfNormal(0.5)), "y ~ a + b + (1|site)"),
    "slopes": ("normal", linear.Gaussian(HalfNormal(1.0)), "y ~ a + b + (a|site)"),
    "exposure": (
        "poisson",
        linear.Gaussian(HalfNormal(0.5)),
        "y ~ a + (b|site) + offset(log(exposure))",
    ),
    "bernoulli": ("bernoulli", linear.Gaussian(HalfNormal(1.0)), "y ~ a + b + s(x, 6)"),
    "negbinomial": ("negbinomial", linear.Gaussian(HalfNormal(0.5)), "y ~ a + b + (1|site)"),
    "binomial": ("binomial", linear.Gaussian(HalfNormal(1.0)), "y ~ a + b + (1|site)"),
}
EXCESS = LogNormal(0.4, 0.7)  # of the variance of counts that scatter more
WIDTH = HalfNormal(0.7)  # of curves and of groups
LENGTH = Settings(draws=100, tune=200, chains=4, prior_draws=4, workers=1)


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration: a response and its terms by name."""
    variant = variant_of(variant, VARIANTS)
    return Machine(
        name=f"regression ({variant})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=LENGTH,
        log_likelihood=partial(_log_likelihood, variant),
    )


def _table():
    """Rows whose columns are the same for all."""
    table = simulate(ROWS, sites=5, rng=np.random.default_rng(16))
    table["exposure"] = "row", np.geomspace(0.2, 20.0, ROWS), {"units": "1"}
    table["trials"] = "row", np.arange(ROWS) % 12 + 1.0, {"units": "1"}
    return table.drop_vars([name for name in table.variables if str(name).startswith("truth.")])


def _stated(variant, y=None):
    """The problem with priors that are stated beforehand, of some data."""
    response, prior, formula = VARIANTS[variant]
    table = _table().assign_attrs(formula=formula)
    if response == "binomial":
        table.attrs["trials"] = "trials"
    if response in linear.LINKS:
        table["y"] = table["y"].copy(data=np.arange(ROWS) % 2.0)
    stated, _ = problem(table, response=response, prior=prior)
    own = stated.prior
    if isinstance(own, linear.Terms):
        terms = {
            k: ((linear.Gaussian(WIDTH) if k else one), n) for k, (one, n) in own.terms.items()
        }
        own = linear.Terms(terms)
    free = {name: (column, Normal(0.0, 1.0)) for name, (column, _) in stated.unshrunk.items()}
    noise = 1.0 if response in linear.LINKS else LogNormal(0.5, 0.5)
    stated = replace(stated, prior=own, unshrunk=free, noise=noise)
    if response == "negbinomial":
        law = replace(stated.likelihood, own={"noise_excess": EXCESS})
        stated = replace(stated, likelihood=law)
    return stated if y is None else replace(stated, y=np.asarray(y))


def _simulate(variant, rng):
    stated = _stated(variant)
    draws = stated.sample_prior(rng, 1)
    y = stated.replicate(draws, rng)["y"][0]
    table = _table().assign_attrs(formula=VARIANTS[variant][2])
    return {name: value[0] for name, value in draws.items()}, table.assign(
        y=table["y"].copy(data=y)
    )


def _fit(variant, table, settings):
    stated = _stated(variant, table["y"].values)
    truth = noted(table, "truth")
    return driver.fit(stated, settings=settings, system="regression", notes={"truth": truth})


def _log_likelihood(variant, truth, table):
    stated = _stated(variant, table["y"].values)
    one = {name: np.asarray(value)[np.newaxis] for name, value in truth.items()}
    return float(sum(np.sum(values) for values in stated.log_likelihood(one).values()))
