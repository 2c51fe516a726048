"""The driver, and what every problem owes it."""

import json

import numpy as np
import pytest
from density import holds, must_fail
from straight_line import TRUTH, UNITS, StraightLine, fit

from bayesinf.errors import FitError
from bayesinf.models import linear, problem
from bayesinf.posterior import REQUIRED_GROUPS, noted
from bayesinf.settings import Settings

SHORT = Settings(draws=20, tune=20, chains=2, prior_draws=7)


def line(points=12, noise=None):
    x = np.linspace(0, 1, points)
    rng = np.random.default_rng(0)
    return StraightLine(x, TRUTH["slope"] * x + TRUTH["offset"] + rng.normal(size=points), noise)


@pytest.mark.parametrize("noise", [None, 0.7])
def test_a_small_problem_is_its_definition(noise):
    holds(line(noise=noise))


def test_the_checker_of_densities_sees_a_wrong_one():
    must_fail(line())
    X = np.random.default_rng(1).normal(size=(9, 3))
    must_fail(linear.regression(X, X[:, 0], scales=1.0), centred=True)


def test_every_group_is_there_with_its_labels():
    found = problem.fit(line(), "gibbs", SHORT, system="line", attrs={"case": "a line"})
    assert set(REQUIRED_GROUPS) <= set(found.children)
    assert found["posterior"]["slope"].shape == (2, 20) and found["prior"]["slope"].shape == (1, 7)
    assert found["posterior_predictive"]["y"].dims == ("chain", "draw", "point")
    assert found["log_likelihood"]["y"].dims == ("chain", "draw", "point")
    assert found["posterior"]["slope"].attrs["units"] == UNITS["slope"]
    assert found["observed_data"]["y"].attrs["units"] == "V"
    assert found.attrs["system"] == "line" and found.attrs["case"] == "a line"
    assert found.attrs["method"] == "gibbs" and found.attrs["inference"] == "gibbs"
    assert json.loads(found.attrs["priors"])["slope"] == str(line().scalars["slope"])
    stats = found["sample_stats"]
    assert stats["discrepancy"].dims == ("chain", "draw", "statistic")
    assert list(stats["statistic"].values) == list(line().discrepancies)


def test_stored_densities_are_the_problems():
    one, found = line(), problem.fit(line(), "gibbs", SHORT)
    draws = {name: found["posterior"][name].values for name in one.scalars}
    np.testing.assert_allclose(found["log_likelihood"]["y"], one.log_likelihood(draws)["y"])
    for name, factor in one.log_factors(draws).items():
        np.testing.assert_allclose(found["log_prior"][name], factor)


def test_notes_travel_beside_the_fit():
    labels = problem.Labels(units=UNITS)
    truth = labels.group({"slope": np.float64(47.0)}, sampled=False)
    found = problem.fit(line(), "gibbs", SHORT, notes={"truth": truth})
    assert float(noted(found, "truth")["slope"]) == 47.0


def test_a_fixed_parameter_stands_in_constant_data():
    X = np.random.default_rng(1).normal(size=(9, 3))
    found = linear.fit(X, X[:, 0], noise=0.5, settings=SHORT)
    assert float(found["constant_data"]["sigma"]) == 0.5
    assert json.loads(found.attrs["priors"])["sigma"] == "0.5 (fixed)"


def test_the_same_seed_gives_the_same_fit_and_another_another():
    one, same = (problem.fit(line(), "gibbs", SHORT) for _ in range(2))
    other = problem.fit(line(), "gibbs", SHORT.replace(seed=9))
    for group in ("posterior", "posterior_predictive", "prior_predictive"):
        assert one[group].to_dataset().identical(same[group].to_dataset())
        assert not one[group].to_dataset().equals(other[group].to_dataset())


def test_a_default_method_and_an_unknown_one():
    with pytest.raises(FitError, match="unknown method 'magic': use one of nuts, ensemble"):
        problem.fit(line(), "magic", SHORT)
    mine = problem.Route(line().routes["gibbs"].run, "gibbs")
    assert problem.fit(line(), mine, SHORT).attrs["method"] == "gibbs"


def test_nuts_agrees_with_gibbs():
    reference = problem.fit(line(), "nuts", Settings(draws=500, tune=300, chains=2))
    found = problem.fit(line(), "gibbs", Settings(draws=500, chains=2))
    for name in ("slope", "offset", "noise"):
        a, b = (f["posterior"][name] for f in (reference, found))
        assert abs(float(a.mean() - b.mean())) < 0.25 * float(b.std())
        assert float(a.std()) == pytest.approx(float(b.std()), rel=0.25)


def test_a_problem_of_other_data_keeps_its_priors():
    one = line()
    other = one.observing({"y": np.zeros(12)})
    assert other.priors == one.priors and not other.y.any() and other.x is one.x


def test_the_straight_line_is_believed():
    from bayesinf.checks import check

    assert check(fit("gibbs")).believed and check(fit("exact")).believed
