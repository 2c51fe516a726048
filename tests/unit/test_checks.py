import json
import time

import numpy as np
import pytest
import straight_line
import xarray as xr
from arviz_stats import loo as arviz_loo
from arviz_stats.base import array_stats
from scipy import stats
from scipy.signal import lfilter

from bayesinf import checks, diagnostics
from bayesinf.checks import check
from bayesinf.errors import CheckFailed, DataError
from bayesinf.inference import kinds
from bayesinf.models import noise as measurement
from bayesinf.posterior import annotated, assemble, dataset, load, save
from bayesinf.settings import Settings

SETTINGS = Settings(draws=500, chains=4)


def rng(*key):
    return np.random.default_rng(key)


def autoregressive(phi, shape, seed=1):
    """AR(1) of unit variance along the last axis, stationary from the first draw."""
    noise = rng(seed).normal(size=shape)
    noise[..., 1:] *= np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise)


def fit(
    inference="nuts",
    seed=1,
    draws=None,
    dims=None,
    evidence=None,
    evidence_dims=None,
    observations=40,
    outlier=0.0,
    log_prior=None,
    attrs=None,
    coords=None,
):
    """The posterior of a normal mean with known noise: exact draws, then whatever is changed."""
    generator = rng(seed)
    y = generator.normal(size=observations)
    sd = 1 / np.sqrt(observations)
    mu = y.mean() + sd * generator.normal(size=(4, 500))
    y = y + outlier * (np.arange(observations) == 7)
    draws = {"mu": mu} if draws is None else draws
    mean = np.broadcast_to(mu[..., np.newaxis], (*mu.shape, observations))
    replicas = mean + generator.standard_normal(mean.shape)
    discrepancies = {
        name: np.stack([t(data, mean, np.ones(1)) for t in measurement.RESIDUALS.values()], axis=-1)
        for name, data in (("discrepancy", replicas), ("discrepancy_observed", y))
    }
    statistic = {"statistic": list(measurement.RESIDUALS)}
    groups = {
        "posterior_predictive": dataset({"y": replicas}, {"y": ("point",)}),
        "log_likelihood": dataset({"y": measurement.log_density(y, mean, 1.0)}, {"y": ("point",)}),
        "sample_stats": dataset(
            discrepancies, dict.fromkeys(discrepancies, ("statistic",)), statistic
        ),
    }
    evidence = dataset(evidence or {}, evidence_dims, coords, sampled=False)
    sampled = {name: v for name, v in evidence.data_vars.items() if v.dims[:1] == ("walker",)}
    assert not sampled
    groups["sample_stats"] = groups["sample_stats"].merge(evidence)
    small = dataset({"x": np.zeros(1)}, {"x": ("place",)}, sampled=False)
    log_prior = stats.norm.logpdf(mu, 0, 10) if log_prior is None else log_prior(mu)
    groups |= {
        "posterior": dataset(draws, dims, coords),
        "log_prior": dataset({"mu": log_prior}),
        **dict.fromkeys(["prior", "prior_predictive", "observed_data", "constant_data"], small),
    }
    return assemble(
        groups,
        system="normal",
        model="mean",
        inference=inference,
        settings=SETTINGS,
        data=small,
        started=time.perf_counter(),
        attrs=attrs,
    )


def with_sampled(posterior, **arrays):
    """The posterior with further statistics of each draw, (chain, draw) or (chain, draw, block)."""
    dims = {name: ("block",) for name, array in arrays.items() if array.ndim == 3}
    group = posterior["sample_stats"].to_dataset().merge(dataset(arrays, dims))
    posterior["sample_stats"] = xr.DataTree(group)
    return posterior


def named(verdict):
    return {check.name: check for check in verdict.checks}


def failed(verdict):
    return {check.name for check in verdict.checks if not check.passed}


# --- the estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("shape", [(6, 4, 400), (6, 2, 60), (6, 4, 8)])
def test_continuous_quantities_have_the_usual_diagnostics(phi, shape):
    draws = np.exp(autoregressive(phi, shape))
    rhat, bulk, tail = diagnostics.mixing(draws)
    np.testing.assert_array_equal(diagnostics.tie_weighted_mixing(draws), [rhat, bulk, tail])
    axes = {"chain_axis": 1, "draw_axis": 2}
    np.testing.assert_allclose(rhat, array_stats.rhat(draws, **axes), rtol=1e-12)
    np.testing.assert_allclose(bulk, array_stats.ess(draws, **axes), rtol=1e-9)
    if shape[2] > 10:  # shorter, and the quantile falls on the last draw
        usual = array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
        np.testing.assert_allclose(tail, usual, rtol=1e-9)


def tied():
    """Quantities whose draws tie: rare and fair indicators, spikes, integers, stuck chains."""
    noise, uniform = rng(1).normal(size=(4, 1000)), rng(2).random((4, 1000))
    sticky = autoregressive(0.95, (4, 1000))
    yield from ((uniform < share).astype(float) for share in (0.005, 0.05, 0.3, 0.5, 0.97))
    yield np.where(uniform < 0.02, noise, 0.0)
    yield np.where(uniform < 0.5, noise, 0.0)
    yield np.abs(np.where(uniform < 0.5, noise, 0.0))
    yield np.round(2 * noise)
    yield (sticky > 1).astype(float)
    yield np.round(sticky)
    yield np.where(np.arange(1000) % 2, 1.0, -1.0) * np.ones((4, 1))
    yield np.where(np.arange(4)[:, np.newaxis] == 1, uniform < 0.6, False).astype(float)


def test_summaries_of_ties_are_those_of_arviz():
    draws = np.stack(list(tied()))
    axes = {"chain_axis": 1, "draw_axis": 2}
    rhat, bulk, tail = diagnostics.mixing(draws)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(rhat, array_stats.rhat(draws, **axes), rtol=1e-12)
    np.testing.assert_allclose(bulk, array_stats.ess(draws, **axes), rtol=1e-9)
    usual = array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
    np.testing.assert_allclose(tail, usual, rtol=1e-9)
    weighted = diagnostics.tie_weighted_mixing(draws)
    assert bulk[0] < 5000 and weighted[1, 0] > 100_000  # a rare indicator, by either
    assert not np.allclose(weighted[0], rhat)


def test_summaries_of_constants_and_of_what_is_not_finite():
    still, broken = np.full((4, 101), 2.0), rng(1).normal(size=(4, 101))
    broken[2, 17] = np.inf
    found = diagnostics.mixing(np.stack([still, broken]))
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [400, np.nan], [400, np.nan]])
    assert array_stats.ess(still, chain_axis=0, draw_axis=1) == 400
    alone = diagnostics.mixing(rng(1).normal(size=(1, 1, 400)))
    assert np.isnan(alone[0, 0]) and alone[1, 0] > 200


@pytest.mark.parametrize("phi", [-0.4, 0.0, 0.6, 0.9])
def test_effective_size_of_an_autoregression_is_known(phi):
    draws = autoregressive(phi, (60, 4, 2000))
    exact = 8000 * (1 - phi) / (1 + phi)
    _, bulk, _ = diagnostics.mixing(draws)
    assert np.mean(bulk) == pytest.approx(exact, rel=0.05)


def test_rhat_of_shifted_chains_is_known():
    # W = 1, and means 0, 0, 0, 3: each half chain has its chain's mean.
    draws = rng(2).normal(size=(1, 4, 20000)) + np.array([0, 0, 0, 3.0])[:, np.newaxis]
    means = np.repeat([0, 0, 0, 3.0], 2)
    split = np.sqrt(1 + np.var(means, ddof=1))
    rhat, _, _ = diagnostics.mixing(draws)
    assert rhat[0] == pytest.approx(split, rel=0.25)  # ranks squeeze it
    plain = np.sqrt(1 + diagnostics._variance_ratio(draws.reshape(1, 8, -1)))
    assert plain[0] == pytest.approx(split, rel=0.01)


def test_ties_weigh_what_they_can_show():
    def diagnose(*rows):
        return diagnostics.tie_weighted_mixing(np.stack(rows)).T

    still = np.zeros((4, 500))
    stuck = still + (np.arange(4) == 2)[:, np.newaxis]
    broken = rng(1).normal(size=(4, 500))
    broken[2, 17] = np.nan
    rare = (rng(2).random((4, 500)) < 0.003).astype(float)  # about six draws of two thousand
    visit = still.copy()
    visit[1, 100:115] = 1.0  # one visit of fifteen draws
    fair = (rng(3).random((4, 500)) < 0.5).astype(float)
    sticky = (autoregressive(0.99, (4, 500), seed=4) > 0).astype(float)
    lone_mode = still + (np.arange(4) == 1)[:, np.newaxis] * (rng(5).random((4, 500)) < 0.6)
    spike = np.where(rng(6).random((4, 500)) < 0.02, rng(7).normal(size=(4, 500)), 0)
    signs = np.where(np.arange(500) % 2, 1.0, -1.0) * np.ones((4, 1))
    found = diagnose(still, stuck, broken, rare, visit, fair, sticky, lone_mode, spike, signs)
    good = lambda row: row[0] <= checks.RHAT and not np.any(row[1:] < 400)

    assert found[0, 0] == 1 and np.isnan(found[0, 1:]).all()
    assert np.isinf(found[1, 0])
    assert np.isinf(found[2, 0])
    assert good(found[3]) and good(found[4]) and good(found[5]) and good(found[8])
    assert found[9, 0] <= checks.RHAT
    assert not good(found[6]) and not good(found[7])
    # unweighted, the single visit would have been held against the chains
    assert array_stats.rhat(visit, chain_axis=0, draw_axis=1) > checks.RHAT
    # a fair coin, and half of a normal, are judged as any continuous quantity
    assert found[5, 0] == pytest.approx(array_stats.rhat(fair, chain_axis=0, draw_axis=1), abs=1e-4)


def test_exact_draws_of_rare_events_pass_and_their_number_does_not_matter():
    share = np.geomspace(1e-4, 0.5, 400)[:, np.newaxis, np.newaxis]
    indicator = rng(1).random((400, 4, 1000)) < share
    rhat, bulk, tail = diagnostics.tie_weighted_mixing(
        np.where(indicator, rng(2).normal(size=(400, 4, 1000)), 0)
    )
    assert rhat.max() <= checks.RHAT
    assert np.nanmin(bulk) > 400 and np.nanmin(tail) > 400
    rhat, bulk, tail = diagnostics.tie_weighted_mixing(indicator)
    assert rhat.max() <= checks.RHAT
    assert np.nanmin(bulk) > 400 and np.nanmin(tail) > 400


def test_many_quantities_are_diagnosed_alike_alone_and_together():
    draws = autoregressive(0.3, (300, 4, 500))
    together = diagnostics.mixing(draws)
    np.testing.assert_array_equal(together, diagnostics.mixing(draws, workers=1))
    np.testing.assert_allclose(together[:, 171:172], diagnostics.mixing(draws[171:172]), rtol=1e-12)


@pytest.mark.parametrize("shape", [0.1, 0.4, 0.7, 1.0, 1.5])
def test_pareto_k_of_a_known_tail_and_of_its_wrong_side(shape):
    ratios = stats.genpareto(shape, scale=1).rvs((8, 20000), random_state=3)
    log_weight = np.log(ratios)
    _, found = diagnostics.smoothed_weights(log_weight)
    assert found.mean() == pytest.approx(shape, abs=0.1)
    _, mirrored = diagnostics.smoothed_weights(-log_weight)
    # the density of 1/r near zero is flat, so that its reciprocals have k = 1 whatever the shape
    assert mirrored.mean() == pytest.approx(1.0, abs=0.1)


def test_pareto_k_of_a_normal_proposal_follows_its_width():
    # target N(0, 1), proposal N(0, s²): w ~ exp(-x²(1 - 1/s²)/2) has k = 1 - s² for s < 1
    for sd, expected in ((0.6, 0.64), (0.8, 0.36)):
        x = sd * rng(1).normal(size=(8, 40000))
        _, found = diagnostics.smoothed_weights(stats.norm.logpdf(x) - stats.norm.logpdf(x, 0, sd))
        assert found.mean() == pytest.approx(expected, abs=0.12)
    x = 1.5 * rng(1).normal(size=4000)  # a wide proposal has bounded weights
    _, found = diagnostics.smoothed_weights(stats.norm.logpdf(x) - stats.norm.logpdf(x, 0, 1.5))
    assert found < 0.2


@pytest.mark.parametrize("draws", [40, 225, 226, 800])
def test_many_rows_of_weights_are_smoothed_as_arviz_smooths_each(draws):
    shapes = np.array([[0.2], [0.6], [1.2]]).repeat(4, axis=0)
    log_weight = np.log(stats.genpareto(shapes).rvs((12, draws), random_state=5))
    log_weight[3:6] *= -1.0
    smooth, found = diagnostics.smoothed_weights(log_weight)
    # ArviZ takes the log likelihood that one leaves out, and negates it itself.
    usual, shape = array_stats.psislw(-log_weight)
    np.testing.assert_allclose(smooth, usual, rtol=1e-10)
    np.testing.assert_allclose(found, shape, rtol=1e-10)


def test_weights_that_cannot_be_smoothed():
    constant = np.full(1000, -731.25)
    smooth, shape = diagnostics.smoothed_weights(constant)
    assert shape == 0 and np.exp(smooth).sum() == pytest.approx(1)
    np.testing.assert_allclose(smooth, -np.log(1000))
    rounding = constant + 1e-9 * rng(1).normal(size=1000)
    assert diagnostics.smoothed_weights(rounding)[1] == 0
    capped = np.where(rng(1).random(1000) < 0.1, -50.0, 0.0)  # the tail is one tie
    assert diagnostics.smoothed_weights(capped)[1] == 0
    outside = np.where(rng(1).random(1000) < 0.1, -np.inf, rng(2).normal(size=1000) * 0.1)
    assert diagnostics.smoothed_weights(outside)[1] < 0.7
    assert np.isinf(diagnostics.smoothed_weights(np.where(np.arange(1000) == 3, np.nan, 0.0))[1])
    assert np.isinf(diagnostics.smoothed_weights(np.zeros(24))[1])


# --- each kind, right and wrong -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nuts", "gibbs", "mle+mcmc"])
def test_chains_that_agree_are_believed(kind):
    verdict = check(fit(kind))
    assert verdict.believed and not failed(verdict)
    assert verdict.words.startswith(
        "Believed. All 6 checks pass: the chains agree (R-hat at most 1.0"
    )
    assert set(named(verdict)) == {
        "R-hat",
        "bulk ESS",
        "tail ESS",
        "predictive p",
        "LOO k̂",
        "prior",
    }


def test_one_bad_coupling_among_many_is_named():
    couplings = rng(1).normal(size=(4, 500, 300))
    couplings[2, :, 123] += 0.6
    labels = {"i": ("pair", np.arange(300) // 20), "j": ("pair", 20 + np.arange(300) % 20)}
    verdict = check(
        fit(
            "gibbs",
            draws={"J": couplings, "sigma": rng(2).random((4, 500))},
            dims={"J": ("pair",)},
            coords=labels,
        )
    )
    assert not verdict.believed
    assert verdict.words.startswith("Do not believe yet: R-hat of J[6, 23] is 1.0")
    assert verdict.words.endswith("; run longer (--draws 4000).")
    with pytest.raises(CheckFailed, match=r"R-hat of J\[6, 23\]") as caught:
        verdict.require()
    assert caught.value.verdict is verdict


def test_slow_chains_are_told_how_much_longer():
    slow = autoregressive(0.97, (4, 500))
    verdict = check(fit("nuts", draws={"mu": slow}))
    assert {"bulk ESS"} <= failed(verdict)
    remedy = named(verdict)["bulk ESS"].remedy
    draws = int(remedy.split("--draws ")[1].rstrip(")"))
    longer = diagnostics.mixing(autoregressive(0.97, (1, 4, draws)))
    assert longer[1, 0] >= 400


def test_stuck_chains_and_single_chains():
    stuck = np.zeros((4, 500)) + np.arange(4)[:, np.newaxis]
    verdict = check(fit("gibbs", draws={"mu": stuck}))
    assert "mu is stuck at different values" in verdict.words
    still = check(
        fit("gibbs", draws={"mu": np.full((4, 500), 2.0), "x": fit()["posterior"]["mu"].values})
    )
    assert still.believed
    assert "(undefined for 1 elements)" in still.words
    alone = check(fit("nuts", draws={"mu": rng(1).normal(size=(1, 2000))}))
    assert failed(alone) == {"R-hat"} and "--chains 4" in alone.words


def test_remedies_are_spelt_as_the_fit_was_made():
    """A script has options; whoever called a family has arguments."""
    slow = fit("nuts", draws={"mu": autoregressive(0.97, (1, 500))})
    assert "--chains 4" in check(slow).words
    called = slow.copy()
    called.attrs |= {"system": "linear", "family": "linear"}
    assert "chains = 4" in check(called).words and "--" not in check(called).words


def test_divergences_and_energy():
    sound = {"diverging": np.zeros((4, 500), bool), "energy": rng(1).normal(size=(4, 500))}
    verdict = check(with_sampled(fit("nuts"), **sound))
    assert verdict.believed and {"divergences", "E-BFMI"} <= set(named(verdict))
    assert named(verdict)["E-BFMI"].value == pytest.approx(2, rel=0.15)
    sound["diverging"][3, 7] = True
    sound["energy"][1] = autoregressive(0.9, (500,))
    verdict = check(with_sampled(fit("nuts"), **sound))
    assert failed(verdict) == {"divergences", "E-BFMI"}
    assert "1 transition diverged" in verdict.words


def ensemble(tau=(40.0, 20.0), steps=4000, acceptance=0.4, draws=None):
    evidence = {
        "autocorrelation_time": np.array(tau),
        "steps": steps,
        "acceptance_rate": np.full(4, acceptance),
    }
    posterior = fit(
        "ensemble",
        draws=draws,
        evidence=evidence,
        coords={"parameter": ["mu", "sigma"]},
        evidence_dims={"autocorrelation_time": ("parameter",), "acceptance_rate": ("chain",)},
    )
    return posterior


def test_ensembles():
    verdict = check(ensemble())
    assert verdict.believed and "R-hat" not in named(verdict)
    assert named(verdict)["length / τ"].value == 100
    short = check(ensemble(tau=(20.0, 100.0)))
    assert (
        failed(short) == {"length / τ"} and "40 autocorrelation times of sigma only" in short.words
    )
    assert failed(check(ensemble(tau=(np.nan, 20.0)))) == {"length / τ"}
    assert failed(check(ensemble(acceptance=0.03))) == {"acceptance"}
    assert failed(check(ensemble(acceptance=0.95))) == {"acceptance"}


def test_walkers_that_stay_apart_are_seen():
    """Each about its own mean: an autocorrelation time, which is about that mean, says nothing."""
    values = rng(3).standard_normal((4, 500))
    assert named(check(ensemble(draws={"mu": values})))["walkers"].passed
    apart = values + np.array([[3.0], [3.0], [-3.0], [-3.0]])
    verdict = check(ensemble(draws={"mu": apart}))
    assert failed(verdict) == {"walkers"} and "walkers stay apart along mu" in verdict.words
    # Of a run that is too short by itself it would say the same again.
    assert failed(check(ensemble(tau=(20.0, 100.0), draws={"mu": apart}))) == {"length / τ"}
    constant = check(ensemble(draws={"mu": values, "c": np.ones((4, 500))}))
    assert named(constant)["walkers"].passed


def laplace(gradient=1e-5, eigenvalue=0.3, excess=(0.0, 1e-6, 40.0), log_weight=None):
    evidence = {
        "gradient": np.array([gradient, 0.0]),
        "start_excess": np.array(excess),
        "hessian_eigenvalue": np.array([1.0, eigenvalue]),
    }
    posterior = fit(
        "laplace",
        evidence=evidence,
        coords={"parameter": ["mu", "sigma"]},
        evidence_dims={
            "gradient": ("parameter",),
            "start_excess": ("start",),
            "hessian_eigenvalue": ("parameter",),
        },
    )
    log_weight = np.full((4, 500), -12.5) if log_weight is None else log_weight
    return with_sampled(posterior, log_weight=log_weight)


def test_laplace():
    verdict = check(laplace())
    assert verdict.believed and not failed(verdict)
    assert named(verdict)["Pareto k̂"].value == 0
    assert failed(check(laplace(gradient=-0.2))) == {"gradient"}
    assert "along mu" in check(laplace(gradient=-0.2)).words
    assert failed(check(laplace(eigenvalue=-1e-9))) == {"Hessian"}
    assert failed(check(laplace(excess=(0.0, 12.0)))) == {"starts"}
    assert failed(check(laplace(excess=(0.0, 0.0, 1.2)))) == {"starts"}
    assert failed(check(laplace(gradient=np.nan))) == {"gradient"}
    heavy = stats.genpareto(1.2).rvs((4, 500), random_state=1)
    assert failed(check(laplace(log_weight=np.log(heavy)))) == {"Pareto k̂"}
    light = stats.uniform.rvs(size=(4, 500), random_state=1)
    assert check(laplace(log_weight=np.log(light))).believed


@pytest.mark.parametrize(("noise", "believed"), [(1e-14, False), (1e-6, True)])
def test_residuals_that_are_rounding_are_called_so(noise, believed):
    """Of a curve without noise there is no posterior, whatever slopes and bends come out."""
    import lmfit

    from bayesinf.data import curve_from_arrays
    from bayesinf.models import curve
    from bayesinf.models.problem import fit as fitted

    x = np.linspace(0, 2, 24)
    y = 2.0 * np.exp(-1.3 * x) + 3.0 + noise * rng(3).normal(size=24)
    model = lmfit.Model(lambda x, a, k, c: a * np.exp(-k * x) + c)
    stated = curve.problem(model, model.make_params(a=1, k=1, c=1), curve_from_arrays(x, y))
    verdict = check(fitted(stated, "laplace", Settings(draws=250, chains=4, prior_draws=5)))
    assert verdict.believed is believed
    if not believed:
        assert {"gradient", "Hessian"} <= failed(verdict)
        assert "the residuals are rounding" in verdict.words
        assert "is no maximum" not in verdict.words and "exact but for rounding" in verdict.words


def test_few_draws_are_trusted_with_a_lighter_tail_only():
    """The limit of Pareto k̂ is 1 − 1 / log₁₀ S: 0.5 of a hundred draws, 0.7 of thousands."""
    weights = stats.genpareto(0.6).ppf((np.arange(2000) + 0.5) / 2000)
    many = laplace(log_weight=np.log(weights).reshape(4, 500))
    assert named(check(many))["Pareto k̂"].passed
    few = laplace(log_weight=np.log(weights[10::20]).reshape(4, 25).repeat(20, axis=1))
    few = check(few.isel(draw=slice(None, None, 20)))
    assert 0.5 < named(few)["Pareto k̂"].value < 0.7 and "Pareto k̂" in failed(few)


def test_a_block_of_importance_weights_is_not_hidden_by_the_size_of_another():
    """Blocks that were drawn apart have weights of their own, each of an unknown size."""
    light = np.log(stats.uniform.rvs(size=(4, 500, 2), random_state=1))
    assert check(laplace(log_weight=np.add(light, [100.0, 0.0]))).believed
    heavy = np.log(stats.genpareto(1.2).rvs((4, 500, 1), random_state=1))
    both = np.concatenate([light[..., :1] + 100.0, heavy], axis=-1)
    assert failed(check(laplace(log_weight=both))) == {"Pareto k̂"}


def exact(condition=1e4, scale=1.0, shift=0.0, degrees=None):
    z = (
        rng(1).normal(size=(4, 500, 50))
        if degrees is None
        else rng(1).standard_t(degrees, (4, 500, 50))
    )
    sd = np.linspace(0.1, 10, 50)
    closed_sd = sd * (1 if degrees is None else np.sqrt(degrees / (degrees - 2)))
    z[..., 31] = scale * z[..., 31] + shift
    evidence = {
        "condition_number": condition,
        "beta_closed_form_mean": np.arange(50.0),
        "beta_closed_form_sd": closed_sd,
    }
    return fit(
        "exact",
        draws={"beta": np.arange(50) + sd * z},
        dims={"beta": ("feature",)},
        evidence=evidence,
        evidence_dims={"beta_closed_form_mean": ("feature",), "beta_closed_form_sd": ("feature",)},
    )


def test_a_classical_estimate_must_be_an_optimum_and_no_more():
    heavy = np.log(stats.genpareto(1.2).rvs((4, 500), random_state=1))
    fit = laplace(log_weight=heavy)
    assert failed(check(fit)) == {"Pareto k̂"}
    fit.attrs["classical"] = "maximum likelihood"
    verdict = check(fit)
    assert verdict.believed and "quadratic approximation misses" in verdict.words
    off = laplace(gradient=-0.2)
    off.attrs["classical"] = "maximum likelihood"
    assert not check(off).believed


def test_closed_forms():
    assert not failed(check(exact()))
    # Fifty means and fifty variances have one chance in a thousand together.
    limit = stats.norm.isf(1e-3 / 100 / 2)
    assert named(check(exact()))["moments"].threshold == f"|z| ≤ {limit:.1f}"
    assert not failed(check(exact(degrees=8)))
    assert failed(check(exact(condition=1e13))) == {"condition"}
    assert failed(check(exact(condition=np.nan))) == {"condition"}
    assert failed(check(exact(scale=1.25))) == {"moments"}
    assert failed(check(exact(scale=0.8))) == {"moments"}
    shifted = check(exact(shift=0.15))
    assert failed(shifted) == {"moments"} and "the mean of beta[31] is" in shifted.words


def test_the_variance_of_a_heavy_tail_is_not_asked():
    """As of a direction that the data leave to a prior whose width is inferred."""
    assert not failed(check(exact(degrees=2.5)))
    assert "moments" in failed(check(exact(degrees=2.5, shift=3.0)))


def test_moments_of_right_draws_are_accepted_at_the_rate_that_was_promised():
    limit = stats.norm.isf(checks.MOMENTS_P / 200)
    scores = []
    for seed in range(200):
        z = rng(seed).normal(size=(50, 2000))
        noise = np.sqrt((np.mean(z**4, 1) / np.mean(z**2, 1) ** 2 - 1) / 2000)
        scores.append(np.abs(3 * (np.cbrt(np.mean(z**2, 1)) - 1) / noise).max())
    assert np.mean(np.array(scores) > limit) <= 0.01


# --- every fit ------------------------------------------------------------------------------------


def test_an_outlier_is_found_by_the_predictive_check():
    verdict = check(fit(outlier=8.0))
    assert "predictive p" in failed(verdict) and not verdict.believed
    assert "the data's largest residual" in verdict.words
    assert "is not what the model predicts (p < 0.001" in verdict.words


def test_weights_may_narrow_an_approximation_and_not_widen_it():
    """Draws that were spread too wide cover the posterior; too narrow ones have not seen it."""
    dims = dict.fromkeys(("weight_shift", "weight_log_ratio"), ("parameter",))
    for log_ratio, said in ((0.6, set()), (-0.6, {"moments"})):
        evidence = {"pareto_k": 0.1, "effective_draws": 1500.0, "weight_shift": np.zeros(1)}
        evidence |= {"weight_log_ratio": np.array([log_ratio])}
        evidence = {name: np.asarray(value) for name, value in evidence.items()}
        coords = {"parameter": ["mu"]}
        found = fit("importance", evidence=evidence, evidence_dims=dims, coords=coords)
        assert failed(check(found)) == said


def test_predictive_p_values_allow_for_their_number():
    right = [named(check(fit(seed=seed)))["predictive p"].passed for seed in range(30)]
    assert all(right)
    broken = fit()
    broken["sample_stats"]["discrepancy"][0, 0, 0] = np.nan
    assert failed(check(broken)) == {"predictive p"}


def test_a_rare_indicator_fails_no_fit_and_is_summed_up_by_the_standard():
    from bayesinf.workflow import summary

    rare = (rng(3).random((4, 500, 40)) < 0.003).astype(float)
    rare[1, 100:116, 7] = 1.0  # a visit
    posterior = fit(
        "gibbs", draws={"mu": fit()["posterior"]["mu"].values, "on": rare}, dims={"on": ("pair",)}
    )
    assert check(posterior).believed
    table = summary({"gibbs": posterior}).set_index("variable")
    for k in (0, 7):
        usual = array_stats.ess(rare[..., k], chain_axis=0, draw_axis=1)
        assert table.loc[f"on[{k}]", "ess_bulk"] == pytest.approx(usual, rel=1e-9)
        assert table.loc[f"on[{k}]", "r_hat"] == pytest.approx(
            array_stats.rhat(rare[..., k], chain_axis=0, draw_axis=1), rel=1e-9
        )
    assert table.loc["on[7]", "r_hat"] > checks.RHAT


def declared(**changes):
    fields = {
        "name": "stock",
        "variable": "stock",
        "worst": "min",
        "limit": 10.0,
        "relation": "≥",
        "required": True,
        "said": "the stock is {value:.1f}",
        "remedy": "buy",
    }
    return kinds.declare(kinds.Question(**fields | changes))


def test_a_family_declares_questions_of_its_own(tmp_path):
    stock = np.full((4, 500), 20.0)
    good = with_sampled(fit(attrs=declared()), stock=stock)
    assert named(check(good))["stock"].message == "the stock is 20.0" and check(good).believed
    stock[2, 3] = 9.0
    empty = check(load(save(with_sampled(fit(attrs=declared()), stock=stock), tmp_path / "a.nc")))
    (answer,) = (item for item in empty.checks if item.name == "stock")
    assert not empty.believed and answer.value == 9.0 and answer.threshold == "≥ 10"
    assert empty.words == "Do not believe yet: the stock is 9.0 (limit 10); buy."
    assert check(with_sampled(fit(attrs=declared(required=False)), stock=stock)).believed
    assert not failed(check(with_sampled(fit(attrs=declared(worst="max")), stock=stock)))
    stock[0, 0] = np.nan
    assert failed(check(with_sampled(fit(attrs=declared(worst="max")), stock=stock))) == {"stock"}
    assert "carries no stock" in check(fit(attrs=declared())).words
    with pytest.raises(ValueError, match="worst is min or max"):
        declared(relation="=")


@pytest.mark.parametrize("relation", kinds.RELATIONS)
def test_a_limit_is_met_or_not(relation):
    question = kinds.declared(declared(relation=relation))[0]
    answers = [question.answered(value) for value in (9.0, 10.0, 11.0, np.nan)]
    expected = {"≤": (1, 1, 0), "<": (1, 0, 0), "≥": (0, 1, 1), ">": (0, 0, 1)}[relation]
    assert answers == [*map(bool, expected), False]


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_each_kind_of_inference_is_known_to_every_stage(kind):
    from bayesinf.figures import traces

    one = kinds.KINDS[kind]
    assert set(one.questions) <= set(checks.QUESTIONS) and one.drawn in traces._COLUMNS
    assert "fit 7" in one.caption.format(name="fit 7")
    assert "3" in one.said(1, 3) and one.said(1, 3).endswith(".")
    for name in one.evidence:  # what is not stored is missed
        assert f"carries no {name}" in check(fit(kind)).words


def test_leave_one_out_is_the_closed_form():
    # y_i | y_-i ~ N(mean of the others, 1 + 1/(n-1)), flat prior
    y = rng(1).normal(size=40)
    others = (y.sum() - y) / 39
    exact_elpd = stats.norm.logpdf(y, others, np.sqrt(1 + 1 / 39)).sum()
    result = checks.loo(fit())
    assert result["elpd"] == pytest.approx(exact_elpd, abs=0.15)
    assert result["p"] == pytest.approx(1, abs=0.35)
    whole = arviz_loo(fit())
    assert result["se"] == pytest.approx(whole.se * np.sqrt(39 / 40), rel=1e-9)  # n, not n − 1
    assert result["p"] == pytest.approx(whole.p, rel=1e-9)
    usual = array_stats.loo(np.moveaxis(fit()["log_likelihood"]["y"].values, 2, 0))
    np.testing.assert_allclose(result["pareto_k"], usual[1])
    np.testing.assert_allclose(result["pointwise"], usual[0])
    assert result["names"][7] == "y[7]" and result["draws"] == 2000


def test_predictive_p_values_are_two_sided_and_ties_count_half():
    posterior = fit()
    stored = posterior["sample_stats"].to_dataset()
    ranks = np.broadcast_to(np.arange(2000.0).reshape(4, 500, 1), stored["discrepancy"].shape)
    for replicas, observed, p in ((ranks, 199.5, 0.2), (ranks, 1799.5, 0.2), (0 * ranks, 0.0, 1.0)):
        stored["discrepancy"] = stored["discrepancy"].copy(data=replicas)
        stored["discrepancy_observed"] = xr.full_like(stored["discrepancy"], observed)
        posterior["sample_stats"] = xr.DataTree(stored)
        assert named(check(posterior))["predictive p"].value == pytest.approx(p)


@pytest.mark.parametrize("make", ["standard_normal", "standard_exponential"])
def test_a_p_value_is_no_smaller_than_its_replicas_can_say(make):
    """Of 400 replicas none is beyond right data in 1 of 200: more than a limit of 0.001 allows."""
    count, draws, generator = 8000, 400, np.random.default_rng(0)
    replicas = getattr(generator, make)((1, draws, count)).astype(np.float32)
    observed = np.broadcast_to(getattr(generator, make)(count), replicas.shape)
    dims = ("chain", "draw", "statistic")
    names = {"statistic": np.arange(count)}
    stored = {"discrepancy": replicas, "discrepancy_observed": observed}
    stored = xr.Dataset({name: (dims, values) for name, values in stored.items()}, names)
    p = np.array([*checks.p_values(xr.DataTree.from_dict({"sample_stats": stored})).values()])
    assert np.mean(p < 0.001) <= 0.0015 and np.mean(p < 0.05) == pytest.approx(0.05, abs=0.01)
    far = stored.isel(statistic=slice(0, 50)).assign_coords(statistic=np.arange(50))
    far["discrepancy_observed"] = far["discrepancy_observed"] * 0 + 14.0
    p = np.array([*checks.p_values(xr.DataTree.from_dict({"sample_stats": far})).values()])
    assert (p < 1e-3).all()


def test_an_influential_observation_is_advice_and_the_marginal_is_preferred():
    posterior = fit()
    wild = posterior["log_likelihood"].to_dataset()
    wild["y"][..., 11] = -5 * rng(1).exponential(size=(4, 500))
    posterior["log_likelihood"] = xr.DataTree(wild)
    verdict = check(posterior)
    assert verdict.believed and failed(verdict) == {"LOO k̂"}
    assert verdict.words.startswith("Believed: all required checks pass. Keep in mind that 1 of 40")
    assert "at y[11]" in verdict.words
    tame = fit()["log_likelihood"]["y"].rename("y_marginal")
    posterior["log_likelihood"] = xr.DataTree(wild.assign(y_marginal=tame))
    assert not failed(check(posterior))


def test_prior_sensitivity_is_advice():
    strong = check(fit(log_prior=lambda mu: stats.norm.logpdf(mu, 2, 0.1)))
    assert strong.believed and failed(strong) == {"prior"}
    assert "the prior of mu pulls against the data" in strong.words
    flat = check(fit(log_prior=np.zeros_like))
    assert named(flat)["prior"].value == 0 and not failed(flat)


def test_power_scaling_reads_only_the_hyperparameters_that_are_named():
    posterior = fit(log_prior=lambda mu: stats.norm.logpdf(mu, 2, 0.1))
    factors = (
        posterior["log_prior"].to_dataset().assign(tau=xr.zeros_like(posterior["log_prior"]["mu"]))
    )
    posterior["log_prior"] = xr.DataTree(factors)
    assert failed(check(posterior)) == {"prior"}
    posterior.attrs["hyperparameters"] = json.dumps(["tau"])
    assert not failed(check(posterior))


def test_power_scaling_agrees_with_arviz():
    from arviz_stats import psense

    posterior = fit(log_prior=lambda mu: stats.norm.logpdf(mu, 1, 0.4))
    usual = psense(posterior)
    assert named(check(posterior))["prior"].value == pytest.approx(usual["mu"].item(), rel=1e-3)


# --- the verdict ----------------------------------------------------------------------------------


def test_missing_evidence_is_a_failed_check():
    verdict = check(fit("ensemble"))
    assert not verdict.believed and "carries no autocorrelation_time" in verdict.words
    assert not check(fit("exact")).believed
    assert not check(fit("laplace")).believed


def test_an_unknown_kind_of_inference_is_a_clear_error():
    with pytest.raises(DataError, match=r"expected one of nuts, gibbs.*found guesswork"):
        check(fit("guesswork"))


def test_a_verdict_is_the_same_from_the_file_and_fits_into_json(tmp_path):
    stuck = np.zeros((4, 500)) + np.arange(4)[:, np.newaxis]
    for posterior in (laplace(), fit("gibbs", draws={"mu": stuck})):
        verdict = check(posterior)
        assert check(load(save(posterior, tmp_path / "fit.nc"))) == verdict
        again = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
        assert again["believed"] is verdict.believed and again["words"] == verdict.words
        assert len(again["checks"]) == len(verdict.checks)
    assert verdict.to_dict()["checks"][0]["value"] is None


def test_elements_have_their_physical_names():
    labels = {"i": ("pair", [0, 3]), "j": ("pair", [1, 7]), "time": [0.5, 1.5]}
    group = dataset(
        {"J": np.zeros((1, 1, 2, 2)), "sigma": np.zeros((1, 1))}, {"J": ("pair", "time")}, labels
    )
    assert checks.element_name(group["J"], 3) == "J[3, 7, 1.5]"
    assert checks.element_name(group["J"], 3, bare=True) == "3, 7, 1.5"
    assert checks.element_name(group["sigma"], 0) == "sigma"


# --- what is known beforehand ---------------------------------------------------------------------


def known(offset, names=("slope", "offset", "noise")):
    """The straight line with a truth that lies so many posterior sd off."""
    tree = straight_line.fit()
    means = {name: tree["posterior"][name].mean() for name in names}
    sds = {name: tree["posterior"][name].std() for name in names}
    return annotated(tree, truth=xr.Dataset({n: means[n] + offset * sds[n] for n in names}))


def test_a_truth_among_the_draws_passes_and_is_counted():
    (answer,) = [one for one in check(known(0.5)).checks if one.name == "truth"]
    assert answer.passed and answer.message == "3 of 3 known values lie within their 95 % intervals"


@pytest.mark.parametrize("offset", [5.0, 20.0, -8.0])
def test_a_truth_far_from_the_draws_is_not_believed(offset):
    verdict = check(known(offset))
    (answer,) = [one for one in verdict.checks if one.name == "truth"]
    assert not answer.passed and not verdict.believed
    assert "posterior sd from its known value" in answer.message


def test_the_limit_of_the_truth_is_a_chance_of_two_in_a_thousand():
    """Known answer: a right posterior, normal with correlated elements, fails as often as stated;
    one that is twice too narrow almost always."""
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky(0.5 * np.eye(20) + 0.5)
    draws = root @ rng.normal(size=(20, 4000))

    def refused(known):
        found = diagnostics.coverage(draws, known)
        return found.covered < found.fewest or found.p_farthest < checks.TRUTH_P

    right = sum(refused(root @ rng.normal(size=20)) for _ in range(1000))
    wrong = sum(refused(4.0 * root @ rng.normal(size=20)) for _ in range(200))
    assert right <= 8 and wrong >= 150


def test_a_value_that_never_moves_is_met_or_missed():
    draws = np.zeros((2, 1000))
    assert diagnostics.coverage(draws, np.zeros(2)).distance == 0.0
    for away in (0.1, 40.0):  # the second lies beyond what numbers hold, in sds
        assert diagnostics.coverage(draws, np.array([0.0, away])).p_farthest < checks.TRUTH_P


def test_an_optimum_at_an_edge_is_called_so():
    """Neither a slope of inf nor an eigenvalue of nan is printed."""
    tree = straight_line.fit("laplace")
    tree["sample_stats"]["gradient"][0] = np.inf
    tree["sample_stats"]["hessian_eigenvalue"][0] = np.nan
    words = check(tree).words
    assert "is at an edge of what its prior allows" in words and "no curvature" in words
    assert "inf" not in words.split() and "nan" not in words.split()
