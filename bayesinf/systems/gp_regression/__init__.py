"""Gaussian-process regression: a curve through points, of any shape that its kernel allows.

    y_i = m(x_i) + f(x_i) + ε_i,   f ~ GP(0, k),   ε_i ~ N(0, error_i² + noise²)

Any data of one input or several, a kernel as it is written (``matern52 + periodic(1.0) * se``), a
trend by formula, error bars, noise that is inferred, stated as none, or grows along x. Type-II
maximum likelihood stands beside the posterior, and over many random designs it is shown what
leaving out the uncertainty of the hyperparameters costs.

Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006).
"""

from bayesinf.forecasts import predictions
from bayesinf.systems.gp_regression.calibration import calibration_problem
from bayesinf.systems.gp_regression.classical import classical, designs, maximum
from bayesinf.systems.gp_regression.data import (
    carbon_dioxide,
    new_rows,
    read,
    simulate,
    split,
    wave,
)
from bayesinf.systems.gp_regression.faults import faults
from bayesinf.systems.gp_regression.model import (
    KERNEL,
    RIVALS,
    chosen,
    compared,
    fit,
    noise_of,
    plan,
    predict,
    problem,
)
from bayesinf.systems.gp_regression.story import story

__all__ = [
    "KERNEL",
    "RIVALS",
    "calibration_problem",
    "carbon_dioxide",
    "chosen",
    "classical",
    "compared",
    "designs",
    "faults",
    "fit",
    "maximum",
    "new_rows",
    "noise_of",
    "plan",
    "predict",
    "predictions",
    "problem",
    "read",
    "simulate",
    "split",
    "story",
    "wave",
]
