"""Bayesian optimisation: known minima, the user's files, the story, and what is refused."""

import json
import sys

import numpy as np
import pytest

from bayesinf import optimisation
from bayesinf.checks import check
from bayesinf.errors import BayesinfError
from bayesinf.optimisation import store
from bayesinf.posterior import load, noted, save, true_values
from bayesinf.settings import Settings
from bayesinf.systems import bayesian_optimisation as system

SHORT = Settings(draws=40, chains=4, prior_draws=20)


def rng(*key):
    return np.random.default_rng(key)


def table(tmp_path, rows, header="a (m),b,loss (J)"):
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def quadratic(count=14, failed=()):
    """Rows of a² about 0.3 and b about −1, some of them failed."""
    places = zip(rng(1).uniform(0, 1, count), rng(2).uniform(-3, 2, count), strict=True)
    return [
        f"{a:.4f},{b:.4f},{'failed' if k in failed else (a - 0.3) ** 2 + 0.2 * (b + 1) ** 2}"
        for k, (a, b) in enumerate(places)
    ]


def test_known_minima_are_those_of_the_literature():
    """Forrester, Sóbester & Keane (2008); Surjanovic & Bingham's library of test functions."""
    known = {"forrester": -6.020740, "branin": 0.397887, "hartmann": -3.32237}
    for name, value in known.items():
        one = system.objective(name)
        assert abs(one.minimum - value) < 6e-6
        low, high = np.array(list(one.bounds.values())).T
        points = low + (high - low) * rng(3).random((20_000, len(low)))
        assert one.function(points).min() >= one.minimum
        np.testing.assert_allclose(one.function(one.minima), one.minimum, atol=1e-9)


def test_a_known_minimum_lies_in_the_posterior_and_comes_back_from_the_file(tmp_path):
    fit = system.fit(system.simulate(rng=rng(4)), settings=SHORT)
    known = true_values(fit)
    assert set(known) == {"minimum", "x_at_minimum"}
    for name, value in known.items():
        draws = fit["posterior"][name].values
        assert draws.min() <= value <= draws.max()
    again = load(save(fit, tmp_path / "fit.nc"))
    told = noted(again, "evaluations")
    assert told.sizes["evaluation"] == 9 and float(told["best"][-1]) == float(told["y"].min())
    first, other = (system.story({"posterior": one}) for one in (fit, again))
    assert first.answer.paragraphs == other.answer.paragraphs
    assert first.answer.paragraphs[0].startswith("The minimum of Forrester’s function is −6")


@pytest.mark.slow
def test_the_lowest_noisy_value_is_too_deep_and_the_posterior_is_not():
    """Over campaigns: the depth that a posterior states, less the truth, in units of its sd."""
    one, low, far = system.objective("forrester"), [], []
    for seed in range(5):
        data = system.simulate(evaluations=12, noise=1.5, rng=rng(5, seed))
        draws = system.fit(data, settings=SHORT)["posterior"]["minimum"].values
        low.append(float(system.classical(data)["minimum"]) - one.minimum)
        far.append(np.mean(draws <= one.minimum))
    assert np.mean(low) < -0.8
    assert 0.02 < np.mean(far) < 0.98 and np.ptp(far) > 0.1


def test_a_table_is_read_with_its_failures_bounds_and_units(tmp_path):
    path = table(tmp_path, quadratic(failed=(2, 5)))
    data = system.read(path, bounds={"a": (0.0, 2.0)}, noise=0.0)
    campaign = system.campaign_of(data)
    a, b = campaign.inputs
    assert (a.low, a.high, a.units) == (0.0, 2.0, "m") and b.low == data["b"].min()
    assert campaign.name == "loss" and campaign.units == "J" and len(campaign.failures) == 2
    assert "bounds taken from the data: b from" in data.attrs["read_as"]
    assert "2 evaluations failed" in data.attrs["read_as"]
    fit = system.fit(data, batch=2, settings=SHORT)
    assert abs(float(fit["posterior"]["a_at_minimum"].median()) - 0.3) < 0.05
    asked = noted(fit, "next")
    assert asked.sizes["candidate"] == 2 and np.all(asked["feasible"] < 1)
    told = system.story({"posterior": fit})
    assert any("chance that it is possible" in t.frame for s in told.extra for t in s.tables)


def test_a_campaigns_own_file_is_read_as_well(tmp_path):
    path = tmp_path / "c.json"
    stated = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0, goal="maximise")
    store.create(path, stated)
    for x in (0.1, 0.4, 0.7, 0.9):
        store.tell(path, [x], -((x - 0.5) ** 2))
    fit = system.fit(system.read(path), settings=SHORT)
    assert abs(float(fit["posterior"]["x_at_maximum"].median()) - 0.5) < 0.03
    assert json.loads(fit.attrs["campaign"])["goal"] == "maximise"
    told = system.story({"posterior": fit})
    assert told.answer.paragraphs[0].startswith("The maximum of y is")


def test_several_places_of_one_depth_are_all_told():
    campaign = optimisation.campaign({"x": (-1.0, 1.0)}, noise=0.0)
    for x in np.linspace(-1, 1, 10):
        campaign = campaign.told([x], np.round((x**2 - 0.36) ** 2, 12))
    fit = system.fit(system.data_of(campaign), settings=SHORT)
    (first, *_) = system.story({"posterior": fit}).answer.paragraphs
    assert "at one of 2 places" in first


@pytest.mark.slow
def test_noise_that_nobody_stated_is_not_believed(monkeypatch):
    faults = sys.modules["bayesinf.systems.bayesian_optimisation.faults"]
    monkeypatch.setattr(faults, "SETTINGS", SHORT.replace(draws=250, workers=1))
    found = system.faults()["noise where values are said to be exact"](rng(6))
    assert not check(found).believed
    assert check(system.faults()["none, noisy values"](rng(7))).believed


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda p: system.objective("hill"), "unknown objective"),
        (lambda p: system.read(p, bounds={"z": (0, 1)}), "no input z"),
        (lambda p: system.read(p, bounds={"a": (1, 0)}), "low < high"),
        (lambda p: system.read(p, bounds={"a": (0, 0.1)}), "outside the bounds"),
        (lambda p: system.read(p, ["q"]), "no column q"),
        (lambda p: system.read(p, y="q"), "no column q"),
        (lambda p: system.read(p, ["a", "a"]), "named twice"),
        (lambda p: system.read(p, integers=["a"]), "whole"),
        (lambda p: system.fit(system.read(p.with_name("short.csv"))), "too few values"),
        (lambda p: system.read(p.with_name("words.csv")), "no numbers"),
        (lambda p: system.read(p.with_name("bad.json")), "no JSON"),
    ],
)
def test_files_that_will_not_do_are_refused_in_one_line(call, said, tmp_path):
    path = table(tmp_path, quadratic())
    (tmp_path / "short.csv").write_text("a,y\n1,2\n2,3\n")
    (tmp_path / "words.csv").write_text("a,y\n1,no\n2,no\n3,no\n")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BayesinfError) as caught:
        call(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)
