"""The definition: a Gaussian process in PyMC, to which the fast routes are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.gp.regression import NOISE, Regression

if TYPE_CHECKING:
    import pymc as pm


def definition(problem: Regression) -> pm.Model:
    """State the model in PyMC, as a ``gp.Marginal`` without jitter.

    PyMC measures distances as √(d² + 1e-12), which kernels with a kink at zero can feel.
    """
    import pymc as pm
    import pytensor.tensor as pt

    class PriorMean(pm.gp.mean.Mean):
        def __init__(self, theta):
            self.theta = theta

        def __call__(self, X):
            return problem.mean.pymc(problem.x, self.theta)

    with pm.Model() as model:
        theta = {name: prior.pymc(name) for name, prior in problem.priors.items()}
        theta |= {name: np.float64(value) for name, value in problem.fixed.items()}
        try:
            mean = PriorMean(theta)
            pt.as_tensor_variable(mean(None))
        except Exception as error:  # whatever a function does that was never meant for symbols
            raise FitError(
                f"the mean {problem.mean.name!r} has no form in PyMC ({type(error).__name__}): "
                "write it with operators and NumPy's functions, or use the method mcmc"
            ) from error
        noise = pt.sqrt(theta[NOISE] ** 2 + problem.variance)
        process = pm.gp.Marginal(mean_func=mean, cov_func=problem.kernel.pymc(theta))
        process.marginal_likelihood(
            "y", X=problem.x[:, None], y=problem.y, sigma=pm.gp.cov.WhiteNoise(noise), jitter=0.0
        )
    return model
