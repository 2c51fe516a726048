"""Posteriors that other libraries wrote: checks, figures and reports take them as they are."""

import json
from types import SimpleNamespace

import arviz as az
import emcee
import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayesinf
from bayesinf import checks, figures
from bayesinf.errors import DataError
from bayesinf.foreign import adopted
from bayesinf.posterior import GROUPS, REQUIRED_GROUPS


@pytest.fixture(scope="module")
def centred():
    return az.load_arviz_data("centered_eight")  # shipped with ArviZ


@pytest.fixture(scope="module")
def non_centred():
    return az.load_arviz_data("non_centered_eight")


@pytest.fixture(scope="module")
def sampled():
    """What pm.sample writes, and nothing more."""
    with pm.Model():
        m = pm.Normal("m", 0, 1)
        pm.Normal("y", m, 1, shape=5, observed=np.arange(5.0))
        quiet = {"progressbar": False, "compute_convergence_checks": False}
        return pm.sample(400, tune=300, chains=4, cores=1, random_seed=1, **quiet)


def ensemble(steps=3000, stuck=False):
    sampler = emcee.EnsembleSampler(
        32, 2, lambda x: -0.5 * (x**2).sum(-1) - 1e9 * (x[:, 0] > 90), vectorize=True
    )
    sampler.random_state = np.random.MT19937(1).state
    start = np.random.default_rng(1).normal(size=(32, 2))
    sampler.run_mcmc(start, steps)
    tree = az.from_emcee(sampler, var_names=["a", "b"])
    if stuck:
        for name in "ab":
            tree["posterior"][name].values[:, 7] = 0.1
    return tree


def failed(verdict):
    return {check.name for check in verdict.checks if not check.passed}


def test_an_arviz_file_is_checked_as_what_it_is(centred, non_centred):
    verdict = bayesinf.check(centred)
    assert verdict.inference == "nuts" and not verdict.believed
    assert {"divergences", "bulk ESS"} <= failed(verdict)
    assert "draws = " in verdict.words and "--draws" not in verdict.words
    good = bayesinf.check(non_centred)
    assert good.believed and {c.name for c in good.checks} >= {"predictive p", "LOO k̂"}
    assert list(good.unasked) == ["prior sensitivity"]
    assert good.words.endswith("Not asked: prior sensitivity (the file holds no log prior).")
    assert json.loads(json.dumps(good.to_dict()))["not_asked"] == good.unasked


def test_what_pymc_samples_is_checked_with_what_it_holds(sampled):
    verdict = bayesinf.check(sampled)
    assert verdict.inference == "nuts" and verdict.believed, verdict.words
    assert set(verdict.unasked) == set(checks.EVERY_FIT) - {"truth", "held out"}
    assert verdict.words.startswith("Believed as far as it was asked.")


def test_a_sampler_that_leaves_divergences_alone_is_nuts():
    """As NumPyro writes it: single precision, and no energies unless they were asked for."""
    rng = np.random.default_rng(2)
    told = {
        "posterior": {"mu": rng.normal(size=(4, 500)).astype("float32")},
        "sample_stats": {"diverging": np.zeros((4, 500), bool)},
    }
    verdict = bayesinf.check(
        az.from_dict(told, attrs={"posterior": {"inference_library": "numpyro"}})
    )
    assert verdict.inference == "nuts" and verdict.believed, verdict.words
    assert {"energy", "predictive check", "leave-one-out"} <= set(verdict.unasked)
    told["sample_stats"]["diverging"][1, 7] = True
    assert failed(bayesinf.check(az.from_dict(told))) == {"divergences"}


def test_walkers_are_held_to_their_autocorrelation_time():
    good, short, stuck = (bayesinf.check(e) for e in (ensemble(), ensemble(300), ensemble(3000, 1)))
    assert good.inference == "ensemble" and good.believed
    assert "acceptance_rate" in good.unasked and "acceptance rate (" in good.words
    assert failed(short) == {"length / τ"}
    assert "acceptance" in failed(stuck) and not stuck.believed


def test_the_kind_can_be_given_and_evidence_of_it_is_then_required(non_centred):
    verdict = bayesinf.check(non_centred, inference="laplace")
    assert not verdict.believed and "Pareto k̂" not in {c.name for c in verdict.checks}
    assert {"gradient", "log_weight"} <= failed(verdict)
    assert bayesinf.check(non_centred, inference="mcmc").inference == "mcmc"
    with pytest.raises(DataError, match="one of nuts, gibbs"):
        bayesinf.check(non_centred, inference="magic")


def test_chains_of_an_unknown_sampler_must_mix():
    draws = np.random.default_rng(1).normal(size=(4, 500))
    good = az.from_dict({"posterior": {"x": draws}})
    assert bayesinf.check(good).inference == "mcmc" and bayesinf.check(good).believed
    bad = az.from_dict({"posterior": {"x": draws + 3 * np.arange(4)[:, None]}})
    assert "R-hat" in failed(bayesinf.check(bad))
    alone = az.from_dict({"posterior": {"x": draws[:1]}})
    assert not bayesinf.check(alone).believed


def test_replicas_that_miss_the_data_are_seen(non_centred):
    moved = non_centred.copy(deep=True)
    moved["observed_data"]["obs"].values[:] += 100
    assert "predictive p" in failed(bayesinf.check(moved))


def test_what_is_no_posterior_is_refused():
    for wrong in (
        3,
        xr.Dataset({"a": 1}),
        xr.DataTree(),
        az.from_dict({"prior": {"a": np.ones((1, 9))}}),
    ):
        with pytest.raises(DataError, match="expected InferenceData with a group 'posterior'"):
            bayesinf.check(wrong)


def test_a_file_is_to_be_opened_first(tmp_path):
    for path in ("fit.nc", tmp_path / "fit.nc"):
        with pytest.raises(
            DataError, match=r"found (str|PosixPath); open a file first, by bayesinf"
        ):
            bayesinf.check(path)


def test_the_older_container_is_read(non_centred):
    parts = {name: node.to_dataset() for name, node in non_centred.children.items()}

    class InferenceData(SimpleNamespace):
        def groups(self):
            return list(parts)

        def __getitem__(self, name):
            return parts[name]

    assert bayesinf.check(InferenceData()).words == bayesinf.check(non_centred).words


def test_adopting_leaves_the_file_as_it_was_and_what_is_ours_alone(non_centred):
    before = non_centred.copy(deep=True)
    tree = adopted(non_centred)
    xr.testing.assert_identical(non_centred, before)
    assert set(REQUIRED_GROUPS) <= set(tree.children) <= set(GROUPS)
    assert adopted(tree) is tree and tree.attrs["library"].startswith("pymc")
    assert adopted(tree, "mcmc").attrs["inference"] == "mcmc" and tree.attrs["inference"] == "nuts"


def test_every_figure_draws_a_foreign_posterior(non_centred, sampled):
    names = figures.representative(non_centred)
    assert names[:2] == ["mu", "tau"]
    for draw in (figures.pair, figures.prior_posterior, figures.forest, figures.trace_rank):
        assert draw(non_centred, names[:3]).axes
    assert figures.pair({"one": non_centred, "two": non_centred}, ["mu", "tau"]).axes
    assert figures.predictive_statistics(non_centred).axes
    assert figures.abscissa(non_centred) is None  # sigma is an error bar
    assert figures.elements(non_centred, ["mu"])["mu"].units == "1"
    assert figures.trace_rank(ensemble(200)).axes
    with pytest.raises(DataError, match="no statistics of replicas"):
        figures.predictive_statistics(sampled)
    with pytest.raises(DataError, match="the data have no abscissa"):
        figures.predictive_band(sampled)


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_a_foreign_posterior_is_read_and_told_again(centred, sampled, tmp_path):
    page = bayesinf.write_report(
        centred, tmp_path / "a", title="Eight schools", question="Does coaching help?"
    )
    text = page.read_text()
    for part in (
        "Eight schools",
        "Does coaching help?",
        "Not to be believed",
        "Not asked: prior",
        "Side by side",
        "What was believed before",
        "replicas",
    ):
        assert part in text
    written = {path.name for path in page.parent.rglob("*") if path.is_file()}
    assert written >= {
        "posterior.nc",
        "summary.csv",
        "verdict.json",
        "answer.png",
        "forest_theta.png",
        "diagnostics_posterior.png",
    }
    again = bayesinf.load(page.parent / "posterior.nc")
    assert bayesinf.check(again).words == bayesinf.check(centred).words
    assert "Does coaching help?" in bayesinf.retell(page.parent).read_text()

    several = {"chains": sampled, "walkers": ensemble(400)}
    text = bayesinf.write_report(several, tmp_path / "b").read_text()
    assert "Ensemble of 32 walkers" in text and "NUTS" in text
    assert "The data, and replicas" not in text and "What was believed before" not in text
    assert "<h2>Priors" not in text
