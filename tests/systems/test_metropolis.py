"""Samplers at work: closed forms, the integral behind the mistake, and what the checks must see."""

import numpy as np
import pytest
from scipy import integrate

from bayesinf import check
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import metropolis as system
from bayesinf.systems.metropolis import kernel, samplers, targets
from bayesinf.systems.metropolis.accepted import COVARIANCE, MEAN
from bayesinf.systems.metropolis.trials import drawn

SHORT = Settings(draws=500, chains=4, prior_draws=20)


@pytest.fixture(scope="module")
def data():
    return system.simulate()


@pytest.mark.parametrize("method", list(samplers.SAMPLERS))
def test_each_sampler_draws_the_closed_form(data, method):
    fit = system.fit(data, scatter=system.SCATTER, method=method, settings=SHORT)
    assert check(fit).believed, check(fit).words
    note = noted(fit, "target")
    mean = np.stack([data["x"].values, data["y"].values]).mean(axis=1)
    np.testing.assert_allclose(note["mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(note["covariance"], system.SCATTER / 20, rtol=1e-4)
    draws = np.stack([fit["posterior"][name].values.ravel() for name in ("mu_x", "mu_y")])
    sd = note["sd"].values
    np.testing.assert_allclose((draws.mean(axis=1) - mean) / sd, 0, atol=0.15)
    np.testing.assert_allclose(np.cov(draws), system.SCATTER / 20, atol=0.2 * sd[0] ** 2)


def test_units_make_no_difference(data):
    """A place far from zero, in other units for each coordinate."""
    from bayesinf.data import curve_from_arrays

    x, y = 1e3 * data["x"].values + 5e5, 1e-4 * data["y"].values
    fit = system.fit(curve_from_arrays(x, y, sort=False), settings=SHORT.replace(draws=1000))
    assert check(fit).believed, check(fit).words
    for name, values in (("mu_x", x), ("mu_y", y)):
        off = (fit["posterior"][name].values.mean() - values.mean()) / values.std()
        assert abs(off) < 0.1


def test_the_likelihood_is_that_of_the_joint_normal(data):
    from scipy.stats import multivariate_normal

    found = system.model.problem(data, system.SCATTER).log_likelihood(
        {"mu_x": np.array([0.3, 2.0]), "mu_y": np.array([1.5, -1.0])}
    )
    total = sum(each.sum(axis=-1) for each in found.values())
    rows = np.stack([data["x"].values, data["y"].values], axis=1)
    known = [
        multivariate_normal(place, system.SCATTER).logpdf(rows).sum()
        for place in ([0.3, 1.5], [2.0, -1.0])
    ]
    np.testing.assert_allclose(total, known)


@pytest.mark.parametrize("name", list(system.TARGETS))
def test_targets_have_the_gradient_and_the_moments_that_they_state(name):
    target = system.TARGETS[name]
    rng = np.random.default_rng(3)
    for point in rng.standard_normal((5, target.size)):
        slope = np.empty(target.size)
        value = kernel.look(target.kind, target.known, point, slope)
        assert value == pytest.approx(float(target.log_density(point)))
        step = 1e-6 * np.eye(target.size)
        ends = [target.log_density(point + side * step) for side in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-5)
    if target.size > 2:
        return
    # Moments by quadrature over the plane, along the ridge where there is one.
    x = np.linspace(-7, 7, 1401)
    off = np.linspace(-8, 8, 1601)
    if name == "banana":
        y = targets.BEND * (x[:, None] ** 2 - 1) + 0.1 * off
    else:
        y = np.broadcast_to(off, (len(x), len(off)))
    points = np.stack([np.broadcast_to(x[:, None], y.shape), y], axis=-1)
    p = np.exp(target.log_density(points))
    p /= p.sum()
    mean = np.einsum("ij,ijk->k", p, points)
    sd = np.sqrt(np.einsum("ij,ijk->k", p, (points - mean) ** 2))
    np.testing.assert_allclose(mean, target.mean, atol=1e-3)
    np.testing.assert_allclose(sd, target.sd, rtol=1e-3)


# --- the mistake ----------------------------------------------------------------------------------


def test_the_integral_is_that_of_one_dimension():
    """Of two coordinates that do not know of each other the sum over the second is done apart."""
    wide = 1e8  # a coordinate in which the proposal never meets the density's slope
    covariance, rate = system.accepted_only(np.diag([0.05, wide]), 0.05)

    def chance(x):
        s = np.sqrt(0.05)

        def each(d):
            fall = ((x + d) ** 2 - x**2) / 0.1
            return np.exp(-0.5 * (d / s) ** 2 - max(fall, 0.0)) / (s * np.sqrt(2 * np.pi))

        kinks = sorted((0.0, -2 * x))
        return integrate.quad(each, -2, 2, points=kinks, limit=200)[0]

    def density(x):
        return np.exp(-(x**2) / 0.1) / np.sqrt(0.1 * np.pi)

    grid = np.linspace(-1.4, 1.4, 201)
    taken = np.array([density(x) * chance(x) for x in grid])
    accepted = np.trapezoid(taken, grid)
    variance = np.trapezoid(taken * grid**2, grid) / accepted
    assert rate == pytest.approx(accepted, rel=1e-3)
    assert covariance[0, 0] == pytest.approx(variance, rel=1e-3)
    # In one dimension the acceptance has a closed form: (2/π) arctan(2 σ / s).
    assert accepted == pytest.approx(2 / np.pi * np.arctan(2.0), rel=1e-5)


def test_accepted_moves_alone_lose_what_the_integral_says():
    found = system.mistake(runs=60)
    values = found["variance"].values
    error = values.std(axis=0) / np.sqrt(60)
    limits = found["integral"].values
    assert limits[1] == pytest.approx(0.0482, abs=1e-4)
    assert (np.abs(values.mean(axis=0) - limits) < 4 * error).all()
    # The two rules are of the same chains, so that their difference is known far better.
    lost = values[:, 0] - values[:, 1]
    assert lost.mean() == pytest.approx(limits[0] - limits[1], abs=4 * lost.std() / np.sqrt(60))
    assert float(found["acceptance"].mean()) == pytest.approx(
        float(found["acceptance_integral"]), abs=2e-3
    )


def test_the_chain_is_the_same_whatever_the_number_of_workers():
    one, two = (system.mistake(6, 2000, settings=Settings(workers=n)) for n in (1, 2))
    assert one.identical(two)


def test_states_are_recorded_where_the_chain_stays():
    target = targets.normal(MEAN, COVARIANCE, ("x", "y"))
    rng = np.random.default_rng(1)
    chain, accepted = samplers.chain_of(target, MEAN, 5 * np.eye(2), 4000, rng)
    moved = np.any(np.diff(chain, axis=0) != 0, axis=1)
    np.testing.assert_array_equal(moved, accepted[1:])
    assert 0 < accepted.mean() < 0.1


# --- what the checks must say ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial():
    return system.trial(Settings(draws=500, chains=4, prior_draws=20))


def test_the_easy_target_is_right_and_believed(trial):
    one = trial.sel(target="normal")
    assert one["right"].all() and one["believed"].all()


@pytest.mark.parametrize("name", ["banana", "funnel", "two modes, begun at both"])
def test_the_checks_refuse_every_sampler_that_fails(trial, name):
    one = trial.sel(target=name)
    assert not (one["believed"] & ~one["right"]).any(), dict(
        zip(one["sampler"].values, one["bias"].values, strict=True)
    )
    assert not one["believed"].all()


def test_walkers_that_stay_in_their_modes_are_seen(trial):
    one = trial.sel(target="two modes, begun at both", sampler="emcee")
    assert str(one["failed"].values) == "walkers"  # neither their length nor their moves tell


def test_a_mode_that_all_missed_is_seen_by_no_check(trial):
    """Nor can it be: the page says so, where the verdicts stand."""
    one = trial.sel(target="two modes, begun at one")
    assert one["believed"].sum() >= 3 and not one["right"].any()
    fit = drawn(system.TARGETS["banana"], "metropolis", SHORT.replace(draws=100))
    assert fit.attrs["method"] == "metropolis"


def test_bad_input_is_one_line(data, tmp_path):
    with pytest.raises(FitError, match="unknown sampler 'gibbs'"):
        system.fit(data, method="gibbs", settings=SHORT)
    with pytest.raises(DataError, match="no scatter"):
        system.fit(data, scatter=np.ones(3), settings=SHORT)
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "\n".join(f"{k},{2 * k}" for k in range(9)))
    with pytest.raises(DataError, match="lie on a line"):
        system.fit(system.read(path), settings=SHORT)
