"""One contract for every system: what all of them offer, and that it does what it says.

Systems are discovered, so a new one is held to this by being there. Data come from the system's own
calibration problem, which is small and whose truth is known.
"""

import inspect
import json
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayesinf import calibration, systems
from bayesinf.checks import check
from bayesinf.errors import DataError
from bayesinf.posterior import (
    PROVENANCE,
    REQUIRED_GROUPS,
    annotated,
    element_names,
    noted,
    true_values,
)
from bayesinf.settings import Settings

SETTINGS = Settings(seed=3, draws=100, tune=100, chains=2, prior_draws=20)
NAMES = systems.names()

# Ten fits of these take from 7 to 17 s; the others stand for the frame that all share.
LONG = {
    *("bayesian_optimisation", "boltzmann_equilibrium", "deconvolution", "gaussian_peaks"),
    *("boltzmann_kinetic", "hamiltonian", "ising_couplings", "kuramoto", "spectral_analysis"),
    "thomson_surrogate",
}
DEAR = {"spectral_analysis"}  # one fit takes 16 s of processor time

# What a fit would search for, a model after the other, and the system's own tests ask.
TOLD = {"spectral_analysis": {"harmonics": 2}}

every = pytest.mark.parametrize("name", NAMES)


@cache
def small(name):
    """Data from a system's prior, with their truth, and the system's own fit of them."""
    system = systems.system(name)
    truth, data = system.calibration_problem().simulate(np.random.default_rng(5))
    return SimpleNamespace(system=system, truth=truth, data=data, fit=fitted(name, data))


def fitted(name, data):
    return systems.system(name).fit(data, settings=SETTINGS, **TOLD.get(name, {}))


def test_systems_are_found():
    assert len(NAMES) >= 5 and sorted(NAMES) == NAMES


@every
def test_it_offers_what_every_system_does(name):
    system = systems.system(name)
    assert system.__doc__ and system.__doc__.strip().splitlines()[0].strip()
    for required in ("simulate", "read", "fit", "story", "calibration_problem"):
        assert callable(getattr(system, required)), required
    parameters = {f: inspect.signature(getattr(system, f)).parameters for f in ("simulate", "fit")}
    assert parameters["simulate"]["rng"].default is None
    assert parameters["fit"]["method"].default is None
    assert parameters["fit"]["settings"].default == Settings()
    (data, *_) = parameters["fit"].values()
    assert data.default is inspect.Parameter.empty
    assert list(inspect.signature(system.story).parameters) == ["fits"]
    assert inspect.signature(system.calibration_problem).parameters["variant"].default is None


@every
def test_simulations_follow_their_generator_and_know_the_truth(name):
    simulate = systems.system(name).simulate
    one, same, other = (simulate(rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert isinstance(one, xr.Dataset) and one.identical(same) and not one.equals(other)
    assert simulate().identical(simulate())
    truth = noted(one, "truth")
    assert truth is not None and truth.data_vars
    for variable in one.data_vars:
        if not str(variable).startswith("truth."):
            assert one[variable].attrs.get("units"), f"{variable} has no units"


@every
def test_a_file_that_is_not_there_is_one_line(name, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv") as caught:
        systems.system(name).read(tmp_path / "nowhere.csv")
    assert "\n" not in str(caught.value)


@every
def test_its_fit_is_whole(name):
    fit = small(name).fit
    assert set(REQUIRED_GROUPS) <= set(fit.children)
    assert set(PROVENANCE) <= set(fit.attrs)
    assert fit.attrs["system"] == name and fit.attrs["method"]
    assert json.loads(fit.attrs["settings"])["seed"] == 3
    words = json.loads(fit.attrs["priors"])
    assert words and all(isinstance(text, str) and text for text in words.values())
    for group, node in fit.children.items():
        for variable, values in node.data_vars.items():
            assert values.attrs.get("units"), f"{group}.{variable} has no units"
            assert values.size, f"{group}.{variable} is empty"
    for variable, draws in fit["posterior"].data_vars.items():
        assert draws.dims[:2] == ("chain", "draw") and np.isfinite(draws).all(), variable
        assert len(element_names(draws)) == draws[0, 0].size
    for observed in fit["posterior_predictive"].data_vars:
        assert observed in fit["observed_data"], f"{observed} is replicated, but not observed"
    assert check(fit).checks


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in DEAR)) for n in NAMES]
)
def test_the_same_seed_gives_the_same_fit(name):
    one, again = small(name).fit, fitted(name, small(name).data)
    for group in ("posterior", "posterior_predictive", "prior", "prior_predictive"):
        assert one[group].to_dataset().identical(again[group].to_dataset()), group
    assert one.attrs["data_sha256"] == again.attrs["data_sha256"]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in DEAR)) for n in NAMES]
)
def test_a_simulated_truth_travels_with_the_fit(name):
    """Where the data know their truth, the fit does, under the names of its posterior."""
    one, posterior = small(name), small(name).fit["posterior"]
    known = {
        variable: posterior[variable].isel(chain=0, draw=0, drop=True).copy(data=value)
        for variable, value in one.truth.items()
        if variable in posterior and posterior[variable][0, 0].shape == np.shape(value)
    }
    bare = one.data.drop_vars([v for v in one.data.variables if str(v).startswith("truth.")])
    values = true_values(fitted(name, annotated(bare, truth=xr.Dataset(known))))
    assert known
    for variable, value in known.items():
        labels = element_names(posterior[variable])
        np.testing.assert_array_equal([values[n] for n in labels], np.ravel(value))


@every
def test_its_calibration_refuses_what_it_does_not_know(name):
    system = systems.system(name)
    with pytest.raises(DataError, match=r"unknown variant; expected one of .*, found nonsense"):
        system.calibration_problem("nonsense")
    machine = system.calibration_problem()
    assert isinstance(machine, calibration.Machine) and machine.name.startswith(name)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in NAMES]
)
def test_its_calibration_runs(name):
    machine = systems.system(name).calibration_problem()
    result = calibration.calibrate(machine, calibration.LEAST, seed=2)
    assert not any(result["error"].values), result["error"].values
    # One checker for all: over some data sets true values lie where the posterior says.
    ranks = np.concatenate([np.ravel(v) for n, v in result.data_vars.items() if n != "error"])
    assert ((ranks > 0) & (ranks < 1)).all() and np.ptp(ranks) > 0.3
    assert np.mean((ranks > 0.005) & (ranks < 0.995)) > 0.9
    assert 0.2 < np.mean(ranks) < 0.8 and np.mean(np.abs(ranks - 0.5) < 0.25) > 0.2
