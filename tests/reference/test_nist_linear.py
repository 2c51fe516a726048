"""NIST's certified linear regressions, of which the checkout does not ship the data."""

import json

import numpy as np
import pytest

from bayesinf.models import linear
from bayesinf.models.linear import exact, regression
from bayesinf.priors import LogUniform


def loaded(folder, name):
    """Features and data of a set, as NIST states its model."""
    values = np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1)
    y, x = values[:, 0], values[:, 1:]
    degrees = {"filip": 10, "pontius": 2}
    if name in degrees:
        return np.vander(x[:, 0], degrees[name] + 1, increasing=True), y
    return np.column_stack([np.ones(len(y)), x]), y


@pytest.mark.parametrize("name", ["filip", "pontius", "longley"])
@pytest.mark.parametrize("prior", ["flat", linear.Gaussian(1e13)], ids=["flat", "stated"])
def test_certified_parameters_and_standard_errors(reference_data, name, prior):
    folder = reference_data / "nist"
    certified = json.loads((folder / "linear_certified.json").read_text())[name]
    X, y = loaded(folder, name)
    parameters, errors = (np.array(certified[key], dtype=float) for key in ("beta", "se"))
    sd, dof = float(certified["resid_sd"]), certified["n"] - certified["p"]
    for noise, factor in (
        (sd, 1.0),
        (LogUniform(1e-6 * sd, 1e6 * sd), np.sqrt(dof / (dof - 2))),
    ):
        posterior = exact.Posterior(regression(X, y, prior, noise=noise))
        mean, found = posterior.moments()
        np.testing.assert_allclose(mean, parameters, rtol=1e-6)
        np.testing.assert_allclose(found, factor * errors, rtol=1e-4)
        assert posterior.condition_number() < 1e12
    # The default prior of the noise is no prior of a size: within half a percent of it.
    found = exact.Posterior(regression(X, y, prior)).moments()[1]
    np.testing.assert_allclose(found, factor * errors, rtol=5e-3)
