"""Regression: what has a target to do with the columns of a table?

    g(mean of y) = intercept + Σ_j x_j β_j + Σ s(x) + Σ effect of a group

Any table and a formula, as ``y ~ a*b + C(site) + poly(x, 3) + s(x) + (1|group)``: coefficients
under priors that shrink or select, smooth curves whose smoothness is inferred, effects of groups,
intercepts ``(1|group)`` and slopes ``(x|group)``, and exposures ``offset(log(time))``; normal,
Student, Poisson, negative binomial, Bernoulli and binomial responses. Least squares, ridge and
lasso stand beside the posterior.

Gelman, Hill & Vehtari, Regression and Other Stories, Cambridge 2020, doi:10.1017/9781139161879.
"""

from bayesinf.forecasts import predictions
from bayesinf.systems.regression.batch import loop, tables
from bayesinf.systems.regression.calibration import calibration_problem
from bayesinf.systems.regression.classical import classical
from bayesinf.systems.regression.data import diabetes, from_columns, new_rows, read, simulate
from bayesinf.systems.regression.faults import faults
from bayesinf.systems.regression.model import PRIORS, RESPONSES, compared, fit, predict, problem
from bayesinf.systems.regression.story import story

__all__ = [
    "PRIORS",
    "RESPONSES",
    "calibration_problem",
    "classical",
    "compared",
    "diabetes",
    "faults",
    "fit",
    "from_columns",
    "loop",
    "new_rows",
    "predict",
    "predictions",
    "problem",
    "read",
    "simulate",
    "story",
    "tables",
]
