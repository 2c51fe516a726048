"""Forecasts of an AR(1) process against its closed form, and scores against theirs."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bayesinf import data
from bayesinf.errors import DataError
from bayesinf.forecasts import crps, forecast, log_density, references, scores
from bayesinf.models import linear
from bayesinf.settings import Settings

CHAINS, DRAWS, HORIZON, START = 4, 5000, 6, 3.0
H = np.arange(1, HORIZON + 1)


def posterior(seed=1, draws=DRAWS):
    """Draws of a memory φ and a noise σ."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(0.8, 0.05, (CHAINS, draws))
    return xr.Dataset(
        {
            "phi": (("chain", "draw"), phi),
            "sigma": (("chain", "draw"), rng.lognormal(-1, 0.3, (CHAINS, draws))),
        }
    )


def ar1(state, parameters, rng):
    return parameters["phi"] * state + parameters["sigma"] * rng.standard_normal(len(state))


def still(state, parameters, rng):
    return parameters["phi"] * state


def moments(draws):
    """Mean and variance of AR(1) forecasts at each horizon, averaged over the parameters."""
    phi, sigma = (draws[name].values.ravel()[:, np.newaxis] for name in ("phi", "sigma"))
    mean, variance = START * phi**H, sigma**2 * (1 - phi ** (2 * H)) / (1 - phi**2)
    return mean.mean(0), variance.mean(0) + mean.var(0)


def holds(found, draws):
    """A forecast's mean and variance are the closed form's within 4.5 standard errors."""
    mean, variance = moments(draws)
    paths = found["y"].values.reshape(-1, HORIZON)
    np.testing.assert_array_less(np.abs(paths.mean(0) - mean), 4.5 * np.sqrt(variance / len(paths)))
    fourth = np.mean((paths - paths.mean(0)) ** 4, axis=0)
    error = np.sqrt((fourth - paths.var(0) ** 2) / len(paths))
    np.testing.assert_array_less(np.abs(paths.var(0) - variance), 4.5 * error)


def test_each_draw_goes_its_own_way_from_its_own_state():
    draws = posterior(draws=50)
    expected = draws["phi"].values[..., np.newaxis] ** H
    for state in (START, xr.full_like(draws["phi"], START), lambda p, rng: START + 0 * p["phi"]):
        found = forecast(draws, still, state, HORIZON)
        assert found["y"].dims == ("chain", "draw", "horizon") and found.diverged == 0
        np.testing.assert_allclose(found["y"], START * expected)
    own = xr.DataArray(np.random.default_rng(2).normal(size=(CHAINS, 50)), dims=("chain", "draw"))
    found = forecast(
        draws, still, own.transpose(), HORIZON, spacing=0.5, units={"y": "V", "horizon": "s"}
    )
    np.testing.assert_allclose(found["y"], own.values[..., np.newaxis] * expected)
    np.testing.assert_allclose(found["horizon"], H / 2)
    assert found["y"].units == "V" and found["horizon"].units == "s"


def test_the_predictive_distribution_is_the_closed_form():
    draws = posterior()
    holds(forecast(draws, ar1, START, HORIZON), draws)


def one_noise(state, parameters, rng):
    return parameters["phi"] * state + parameters["sigma"] * rng.standard_normal()


def mean_parameters(state, parameters, rng):
    return ar1(state, {n: np.full_like(v, v.mean()) for n, v in parameters.items()}, rng)


@pytest.mark.parametrize("wrong", [one_noise, mean_parameters, still])
def test_the_closed_form_tells_wrong_forecasts(wrong):
    draws = posterior()
    with pytest.raises(AssertionError):
        holds(forecast(draws, wrong, START, HORIZON), draws)


def test_noise_is_independent_of_draw_step_and_stream():
    draws = posterior(draws=1000)
    innovations = forecast(draws, lambda s, p, rng: rng.standard_normal(len(s)), 0.0, 3)["y"]
    flat = innovations.values.reshape(-1, 3)
    assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 4.5 / np.sqrt(len(flat))
    between = np.corrcoef(flat[:-1, 0], flat[1:, 0])[0, 1]
    assert abs(between) < 4.5 / np.sqrt(len(flat))

    def noisy(state, parameters, rng):
        return {"y": state, "seen": state + rng.standard_normal(len(state))}

    bare, seen = forecast(draws, ar1, START, 3), forecast(draws, ar1, START, 3, observe=noisy)
    np.testing.assert_array_equal(bare["y"], seen["y"])
    noise = (seen["seen"] - seen["y"]).values.ravel()
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    process = (bare["y"] - START * draws["phi"]).values[..., 0] / draws["sigma"].values
    first = (seen["seen"] - seen["y"]).values[..., 0]
    assert abs(np.corrcoef(process.ravel(), first.ravel())[0, 1]) < 4.5 / np.sqrt(first.size)
    longer = forecast(draws, ar1, START, 5)
    np.testing.assert_array_equal(bare["y"], longer["y"][..., :3])
    other = forecast(draws, ar1, START, 3, settings=Settings(seed=2))
    assert not (bare["y"] == other["y"]).any()


def test_states_of_several_numbers_and_parameters_with_axes():
    draws = posterior(draws=20).assign(
        A=(("chain", "draw", "to", "from"), np.tile([[0.0, 1.0], [-1.0, 0.0]], (CHAINS, 20, 1, 1)))
    )

    def turn(state, parameters, rng):
        return {"v": np.einsum("nij,nj->ni", parameters["A"], state["v"]), "t": state["t"] + 1}

    found = forecast(draws, turn, {"v": [1.0, 0.0], "t": 10.0}, 4)
    assert found["v"].dims == ("chain", "draw", "horizon", "v_dim_0")
    np.testing.assert_array_equal(found["v"][0, 0], [[0, -1], [-1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(found["t"][3, 19], [11, 12, 13, 14])
    few = forecast(draws, turn, {"v": [1.0, 0.0], "t": 10.0}, 4, most=20)
    assert few["v"].shape[:2] == (4, 5)


def test_draws_that_run_away_are_counted_and_have_no_score():
    draws = posterior(draws=10)
    draws["phi"][0, 0] = 1e200
    found = forecast(draws, still, START, HORIZON)
    assert found.diverged == pytest.approx(1 / 40)
    with pytest.raises(DataError, match=r"no score; expected finite draws, found 2\.50%"):
        scores(found["y"], np.zeros(HORIZON))


def test_what_cannot_be_forecast_is_refused():
    draws = posterior(draws=5)
    with pytest.raises(DataError, match="no draws to forecast from"):
        forecast(xr.DataTree(), ar1, 0.0, 2)
    with pytest.raises(DataError, match="no step to forecast"):
        forecast(draws, ar1, 0.0, 0)
    with pytest.raises(
        DataError, match="y is not given for each draw; expected a first axis of 20"
    ):
        forecast(draws, lambda s, p, rng: 1.0, 0.0, 2)
    with pytest.raises(DataError, match="a density is asked of nothing"):
        forecast(draws, ar1, 0.0, 2, density=lambda s, p, y: 0.0)


# --- scores ---------------------------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6)


@given(arrays(float, st.tuples(st.integers(1, 3), st.integers(2, 9)), elements=numbers), numbers)
def test_crps_is_its_slow_twin(draws, y):
    apart = np.abs(draws[:, :, np.newaxis] - draws[:, np.newaxis]).sum((1, 2)) / 2
    count, near = draws.shape[1], np.abs(draws - y).mean(1)
    size = np.abs(draws).max() + abs(y) + 1
    for fair, pairs in ((True, count * (count - 1)), (False, count**2)):
        found = crps(draws, np.full(len(draws), y), fair=fair)
        np.testing.assert_allclose(found, near - apart / pairs, atol=1e-12 * size)


def normal_crps(y, mean, sd):
    """Gneiting & Raftery (2007), eq. 21."""
    z = (y - mean) / sd
    return sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


def test_crps_of_a_normal_is_the_closed_form():
    y = np.array([-3.0, 0.0, 0.4, 2.5])
    evenly = 1e8 + 2 * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)  # its quantiles
    np.testing.assert_allclose(
        crps(np.tile(evenly, (4, 1)), 1e8 + y, fair=False), normal_crps(y, 0, 2), rtol=2e-4
    )
    few = np.random.default_rng(1).normal(0, 2, (40_000, 4, 5))
    found = crps(few, np.tile(y, (40_000, 1)))
    error = found.std(0) / np.sqrt(len(few))
    np.testing.assert_array_less(np.abs(found.mean(0) - normal_crps(y, 0, 2)), 4.5 * error)
    biased = crps(few, np.tile(y, (40_000, 1)), fair=False).mean(0)
    assert (np.abs(biased - normal_crps(y, 0, 2)) > 20 * error).all()


def test_crps_of_one_number_and_of_draws_that_are_none():
    assert crps([[3.0], [5.0]], [1.0, 5.0]).tolist() == [2.0, 0.0]
    padded = crps([1.0, 4.0, 9.0, np.nan, np.nan], 2.0)
    assert padded == pytest.approx(crps([1.0, 4.0, 9.0], 2.0))
    assert np.isnan(crps([1.0, 2.0], np.nan))


@pytest.mark.parametrize("change", [(0.5, 1.0), (0.0, 1.6), (0.0, 0.6)], ids=str)
def test_the_true_predictive_wins_in_expectation(change):
    """Scores are proper: whoever says another mean or another spread than the true one loses."""
    shift, stretch = change
    rng = np.random.default_rng(3)
    centre, y = rng.normal(size=800), rng.normal(size=800)
    draws = rng.normal(size=(800, 400))
    other = shift + stretch * rng.normal(size=(800, 400))
    for lost in (
        crps(centre[:, None] + other, centre + y) - crps(centre[:, None] + draws, centre + y),
        log_density(draws, y) - log_density(other, y),
    ):
        assert lost.mean() > 3 * lost.std() / np.sqrt(len(lost))


def test_a_smoothed_log_density_is_near_the_normal_where_the_draws_are():
    draws = np.random.default_rng(4).normal(5, 2, (3, 20_000))
    y = np.array([1.0, 5.0, 8.0])
    np.testing.assert_allclose(log_density(draws, y), stats.norm.logpdf(y, 5, 2), atol=0.04)
    assert log_density(np.ones(9), 1.5) == -np.inf


def test_the_density_of_each_draw_gives_the_exact_log_score():
    draws = posterior()
    fixed = draws.assign(phi=0 * draws["phi"] + 0.8, sigma=0 * draws["sigma"] + 0.5)
    came = np.array([2.0, 3.0, 0.0, 1.0, -1.0, 0.5])

    def density(state, parameters, value):
        return stats.norm.logpdf(value, parameters["phi"] * state, parameters["sigma"])

    found = forecast(fixed, ar1, START, HORIZON, density=density, observed=came)
    scored = scores(found["y"], came, log_densities=found["log_density"])
    mean, variance = moments(fixed)
    exact = stats.norm.logpdf(came, mean, np.sqrt(variance))
    assert float(scored["log_score"][0]) == pytest.approx(exact[0], abs=1e-9)
    np.testing.assert_allclose(scored["log_score"], exact, atol=0.08)
    assert scored.log_score_by == "mean of the density over the draws"
    smooth = scores(found["y"], came)
    np.testing.assert_allclose(smooth["log_score"], exact, atol=0.2)
    assert "kernels" in smooth.log_score_by
    np.testing.assert_allclose(scored["crps"], normal_crps(came, mean, variance**0.5), rtol=0.05)
    assert np.isnan(scored["crps_error"]).all()  # of one origin


def many_origins(count=3000, members=39, stretch=1.0, seed=5):
    """Forecasts of white noise, as wide as it or not, from many origins."""
    rng = np.random.default_rng(seed)
    draws = stretch * rng.normal(size=(count, members, 2))
    return xr.DataArray(draws, dims=("origin", "member", "horizon")), rng.normal(size=(count, 2))


def test_intervals_of_a_true_forecast_cover_as_often_as_they_say():
    found = scores(*many_origins(), levels=(0.5, 0.8, 0.9))
    off = found["coverage"] - found["level"]
    assert found["coverage"].dims == ("level", "horizon")
    assert (np.abs(off) < 4 * found["coverage_error"]).all() and (found["origins"] == 3000).all()
    sure = scores(many_origins(50)[0], np.zeros((50, 2)))  # always in the middle
    assert (sure["coverage"] == 1).all()
    np.testing.assert_allclose(sure["coverage_error"][0], np.sqrt(0.25 / 50))
    expected = np.sqrt(found["level"] * (1 - found["level"]) / 3000)
    np.testing.assert_allclose(found["coverage_error"], expected.broadcast_like(off), rtol=0.1)
    narrow = scores(*many_origins(stretch=0.5), levels=(0.5, 0.8, 0.9))
    assert (narrow["coverage"] < narrow["level"] - 10 * narrow["coverage_error"]).all()


def test_what_ties_with_the_draws_ranks_amid_them():
    still = xr.DataArray(np.zeros((4, 9, 1)), dims=("origin", "member", "horizon"))
    assert (scores(still, np.zeros((4, 1)))["coverage"] == 1).all()
    steps = xr.DataArray(np.arange(1.0, 10)[None, :, None], dims=("origin", "member", "horizon"))
    inside = [scores(steps, [[y]], levels=[0.79])["coverage"].item() for y in np.arange(0.5, 10)]
    assert inside == [0, *[1] * 8, 0]  # of ten ranks that are as likely, eight


def test_standard_errors_take_blocks_of_origins_that_hang_together():
    """Over many worlds a mean is as far off as its standard error says, if blocks are asked for."""
    z = {1: [], 20: []}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        shocks = np.repeat(rng.normal(size=60), 10)  # ten origins see the same
        draws = xr.DataArray(np.zeros((600, 1, 1)), dims=("origin", "member", "horizon"))
        for block, found in z.items():
            scored = scores(draws, np.abs(shocks)[:, None], block=block)
            found.append((scored["crps"] - np.sqrt(2 / np.pi)) / scored["crps_error"])
    assert 0.85 < np.std(z[20]) < 1.25
    assert np.std(z[1]) > 2


def test_origins_that_lack_a_horizon_are_left_out():
    draws, came = many_origins(50)
    came[:20, 1] = np.nan
    found = scores(draws, came)
    assert found["origins"].values.tolist() == [50, 30]
    part = scores(draws[20:], came[20:])
    for name in ("crps", "crps_error", "log_score", "coverage"):
        np.testing.assert_allclose(found[name][..., 1], part[name][..., 1])


def test_skill_is_against_whoever_knows_no_model():
    rng = np.random.default_rng(6)
    past = np.zeros(400)
    for k in range(1, 400):
        past[k] = 0.9 * past[k - 1] + rng.normal()
    known = references(past, 3)
    np.testing.assert_array_equal(known["climatology"][:, 2], past)
    changes = known["persistence"][:, 1].dropna("member") - past[-1]
    np.testing.assert_allclose(changes, past[2:] - past[:-2])
    with pytest.raises(DataError, match="too short for references"):
        references(past[:4], 3)
    draws, came = many_origins(200)
    wide = 3 * draws
    found = scores(draws, came, references={"itself": draws, "wide": wide})
    assert (found["skill"].sel(reference="itself") == 0).all()
    alone = scores(wide, came)
    expected = 1 - found["crps"] / alone["crps"]
    np.testing.assert_allclose(found["skill"].sel(reference="wide"), expected)
    assert (found["skill"].sel(reference="wide") > 5 * found["skill_error"][1]).all()


def test_a_series_is_learnt_and_forecast_at_rolling_origins():
    """From a series to scores: the memory is inferred at each origin, and what comes is covered."""
    rng, x = np.random.default_rng(7), np.zeros(700)
    for k in range(1, len(x)):
        x[k] = 0.85 * x[k - 1] + 0.5 * rng.normal()
    series = data.series_from_arrays(0.1 * np.arange(len(x)), {"x": x})
    draws, came, others, short = [], [], [], Settings(draws=250, chains=2, prior_draws=10)

    def step(state, parameters, rng):
        noise = rng.standard_normal(len(state))
        return parameters["beta"][:, 0] * state + parameters["sigma"] * noise

    for split in data.rolling_origins(series, horizon=0.5, least=40.0):
        past = split.past(data.lagged(series, 1))
        fit = linear.fit(past["x_lagged"].values, past["x"].values, settings=short)
        draws.append(forecast(fit, step, past["x"].values[-1], 5, settings=short)["y"])
        came.append(split.future(series)["x"].values)
        others.append(references(past["x"].values, 5))
    found = scores(
        xr.concat(draws, "origin"),
        np.array(came),
        references={
            name: xr.concat([other[name] for other in others], "origin", join="outer")
            for name in ("climatology", "persistence")
        },
    )
    assert (found["origins"] == len(draws)).all() and len(draws) == 59
    assert (np.abs(found["coverage"] - found["level"]) < 3.5 * np.sqrt(0.25 / 59)).all()
    skill = found["skill"].sel(reference="climatology")
    assert skill[0] > 0.3 and skill[0] > skill[4] and found["crps"][0] < found["crps"][4]
    assert (found["skill"].sel(reference="persistence")[1:] > 0).all()


def test_a_fan_shows_the_draws_what_came_and_the_scores():
    from bayesinf import figures

    draws = posterior(draws=200)
    found = forecast(draws, ar1, START, HORIZON, spacing=0.5, units={"y": "V", "horizon": "s"})["y"]
    came = START * 0.8**H
    joined = xr.concat([found, found + 0.1], "origin")
    others = {"climatology": references(np.sin(np.arange(40)), HORIZON)["climatology"]}
    others = {n: xr.concat([d, d], "origin") for n, d in others.items()}
    scored = scores(joined, np.stack([came, came]), references=others)
    crps_, coverage, fan = figures.forecast_fan(found, came, scored, past=[1.0, 2.0, 3.0]).axes
    assert fan.dataLim.ymax == pytest.approx(np.quantile(found.values, 0.975, axis=(0, 1)).max())
    assert fan.get_ylabel() == "y (V)" and fan.get_xlabel() == "time after the origin (s)"
    assert crps_.get_ylabel() == "CRPS (V)" and len(crps_.lines) >= 2
    assert {"50%", "80%", "95%"} == {t.get_text() for t in coverage.get_legend().get_texts()}
    assert len(figures.forecast_fan(found).axes) == 1
    with pytest.raises(DataError, match="no draws of one forecast"):
        figures.forecast_fan(joined)


def test_forecasts_and_data_that_do_not_fit_together_are_refused():
    draws, came = many_origins(5)
    with pytest.raises(DataError, match="expected 5 origins and 2 horizons, found 4 and 2"):
        scores(draws, came[:4])
    with pytest.raises(DataError, match="what came has the wrong shape"):
        scores(draws, came[0])
    with pytest.raises(DataError, match="forecasts have other axes"):
        scores(draws.rename(member="site"), came)
