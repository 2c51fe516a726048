"""Thomson scattering: features of known peaks, posteriors side by side, and what is refused."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesinf import check
from bayesinf.checks import p_values
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import noted
from bayesinf.priors import LogNormal, Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems import thomson_surrogate as system
from bayesinf.systems.thomson_surrogate import inverse, model, routes, surrogate
from bayesinf.systems.thomson_surrogate.data import CHANNELS, TRUTH, counts_of, shift_of
from bayesinf.systems.thomson_surrogate.features import Features
from bayesinf.systems.thomson_surrogate.knowledge import with_knowledge
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Setup, Spectrometer

SHORT = Settings(draws=250, chains=4, prior_draws=50)
SPECTROMETER = Spectrometer(Setup(), CHANNELS)
NARROW = {"electron_density": 2.51, "ion_mass": 12.5, "charge": 4.73, "electron_temperature": 903.0}
NARROW |= {"ion_temperature": 189.0, "ion_flow": -13.7, "electron_drift": 132.0}


@pytest.fixture(scope="module")
def data():
    return system.simulate()


@pytest.fixture(scope="module")
def fit(data):
    return system.fit(data, settings=SHORT)


@pytest.fixture(scope="module")
def network():
    return system.train(SPECTROMETER, 1500, steps=400, settings=SHORT)


@pytest.fixture(scope="module")
def by_features(data, network):
    return system.fit_features(data, network, settings=SHORT.replace(draws=1000))


# --- features -------------------------------------------------------------------------------------


def peaks(apart=0.66, heights=(900.0, 600.0), sd=0.05, pedestal=20.0, shift=0.0):
    ends = shift + apart / 2 * np.array([-1, 1])
    lines = np.exp(-0.5 * ((CHANNELS[:, None] - ends) / sd) ** 2)
    return lines @ np.array(heights) + pedestal


@pytest.mark.parametrize("shift", [0.0, 0.007, -0.15])
def test_features_are_those_of_known_peaks(shift):
    found = Features(SPECTROMETER).of(peaks(shift=shift))
    assert found[0] == pytest.approx(0.66, abs=2e-4)
    assert found[1] == pytest.approx(-300 / 1500, abs=1e-3)
    assert found[2] == pytest.approx(1.0, abs=1e-3)
    wide = Features(SPECTROMETER).of(peaks(apart=0.5, heights=(500.0, 500.0), sd=0.12))
    smooth = np.hypot(0.12, 0.7 * 0.06 / 2.3548)
    assert wide[2] == pytest.approx(1 - 2 * np.exp(-0.5 * (0.25 / smooth) ** 2), abs=0.03)


def test_features_know_no_unit_of_the_counts_and_turn_with_the_spectrum():
    asked = Features(SPECTROMETER)
    np.testing.assert_allclose(asked.of(7 * peaks()), asked.of(peaks()), rtol=1e-12)
    turned = asked.of(peaks()[::-1])
    np.testing.assert_allclose(turned, asked.of(peaks()) * [1, -1, 1], atol=1e-12)


def test_a_peak_a_tenth_as_high_as_the_other_is_found():
    found = Features(SPECTROMETER).of(peaks(heights=(1000.0, 80.0)))
    assert found[0] == pytest.approx(0.66, abs=1e-3) and found[1] < -0.8


def test_the_noise_of_features_is_that_of_many_spectra():
    asked, rng = Features(SPECTROMETER), np.random.default_rng(0)
    mean = SPECTROMETER.counts(TRUTH)
    seen = [asked.seen(rng.poisson(mean), rng) for _ in range(60)]
    known = asked.of(rng.poisson(mean, (4000, len(mean))))
    sd = np.sqrt(np.mean([np.diag(one.covariance) for one in seen], axis=0))
    np.testing.assert_allclose(sd, known.std(axis=0), rtol=0.15)
    off = np.mean([one.value for one in seen], axis=0) - asked.of(mean)
    assert (np.abs(off) < 4 * sd / np.sqrt(60) + 0.3 * sd).all()


# --- the posterior by all channels ----------------------------------------------------------------


def test_it_is_believed_and_holds_the_truth(fit):
    verdict = check(fit)
    assert verdict.believed, verdict.words
    for name, truth in TRUTH.items():
        low, high = np.quantile(fit["posterior"][name], [0.001, 0.999])
        assert low < truth < high, name
    assert float(fit["sample_stats"]["pareto_k"]) < 0.7


def test_the_density_in_outer_coordinates_is_that_of_the_model(data):
    """Between two points it differs by likelihood, priors, and the logarithms of the Jacobian."""
    stated = system.problem(data)
    space = routes.Space(stated)
    z = 0.2 * np.random.default_rng(0).standard_normal((6, space.size))
    z[:, -2:] = 0.0
    points, draws = space.outer(z), space.inner(z)
    for name, values in space.at(points).items():
        np.testing.assert_allclose(values, draws[name], rtol=1e-9)
    step = 1e-5

    def log_volume(point):
        """log |d (z of the parameters) / d point|, by differences."""
        sides = []
        for k in range(space.size):
            up, down = (space.at(point + s * step * np.eye(space.size)[k]) for s in (1, -1))
            sides.append([(up[n] - down[n]) / (2 * step) for n in stated.stated_priors])
        return np.linalg.slogdet(np.array(sides))[1]

    expected = stated.total(draws) + sum(stated.log_factors(draws).values())
    expected = expected + np.array([log_volume(point) for point in points])
    found = space.log_density(points)
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-4)


def test_population_monte_carlo_finds_the_same(data, fit):
    other = system.fit(data, method="population", settings=SHORT)
    for name in UNITS:
        one, two = (np.ravel(each["posterior"][name]) for each in (fit, other))
        sd = two.std()
        assert abs(one.mean() - two.mean()) < 0.2 * sd and 0.8 < one.std() / sd < 1.25, name


def test_more_photons_say_more_by_their_root():
    sds = []
    for photons in (4e3, 4e5):
        found = system.fit(system.simulate({"photons": photons}), settings=SHORT)
        sds.append(float(found["posterior"]["ion_flow"].std()))
    assert sds[0] / sds[1] == pytest.approx(10, rel=0.25)


def test_a_wrong_scattering_angle_is_another_plasma():
    """k → s k, T → T / s², speeds → speeds / s: the same light, as the page says."""
    s, plasma = 1.1, {name: np.float64(value) for name, value in TRUTH.items()}
    wider = Setup(angle=2 * np.degrees(np.arcsin(s * np.sin(np.radians(Setup().angle / 2)))))
    powers = {"electron_temperature": 2, "ion_temperature": 2, "ion_flow": 1, "electron_drift": 1}
    other = plasma | {name: plasma[name] / s**power for name, power in powers.items()}
    one, two = (
        Spectrometer(setup, CHANNELS).shapes(of)
        for setup, of in ((Setup(), plasma), (wider, other))
    )
    np.testing.assert_allclose(two, one, atol=1e-4 * one.max())
    changed = Spectrometer(wider, CHANNELS).shapes(plasma)
    assert np.abs(changed - one).max() > 0.05 * one.max()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["an instrument twice as wide as stated"])
def test_the_checks_see_a_fault(fault):
    verdict = check(system.faults()[fault](np.random.default_rng(2)))
    assert not verdict.believed


def test_a_background_that_is_stated_away_is_refused_and_one_that_is_there_is_not(data):
    """Spectra that a plasma without background describes, which is another plasma."""
    seed = np.random.SeedSequence(1).spawn(1)[0]
    found = system.faults()["a background that is left out"](np.random.default_rng(seed))
    refused = [one.name for one in check(found).checks if one.required and not one.passed]
    assert "stated photons and background" in refused
    assert "predictive p" not in refused  # no residual shows it
    known = {"background": LogNormal(TRUTH["background"], 0.2)}
    right = system.fit(data, priors=known, settings=SHORT.replace(workers=1))
    assert float(right["sample_stats"]["nuisance_evidence"]) < 2.0


def test_a_mixture_that_missed_something_is_fitted_anew():
    """A plasma of the prior of which the first mixture leaves weights with k̂ = 0.75."""
    seed = np.random.SeedSequence(1).spawn(5)[4]
    found = system.faults()["none"](np.random.default_rng(seed))
    assert float(found["sample_stats"]["pareto_k"]) < 0.6


def test_peaks_far_from_the_middle_are_found():
    """Ions that flow at three sds of the prior: no start overlaps with both of such peaks."""
    seed = np.random.SeedSequence(1).spawn(400)[396]
    found = system.faults()["none, of few photons"](np.random.default_rng(seed))
    assert check(found).believed
    assert found["posterior"]["ion_flow"].mean() == pytest.approx(86.4, abs=1.5)


@pytest.mark.slow
def test_peaks_too_narrow_for_the_inner_grid_are_refused():
    """Ions so cold that nothing damps the wave, seen by many photons."""
    cold = {"ion_temperature": 12.0, "electron_drift": 90.0, "photons": 2e5}
    priors = {"ion_temperature": LogNormal(12.0, 0.02), "electron_drift": Normal(90.0, 1.0)}
    found = system.fit(system.simulate(cold), priors=priors, settings=SHORT)
    assert "inner grid" in {c.name for c in check(found).checks if c.required and not c.passed}


def test_narrow_peaks_are_fitted_on_a_finer_inner_grid():
    """Hot electrons and cold ions of a plasma of the prior, whose waves are hardly damped."""
    found = system.fit(system.simulate(NARROW), settings=SHORT)
    verdict = check(found)
    assert verdict.believed, str(verdict)
    once, twice = (Spectrometer(Setup(), CHANNELS, k).counts(TRUTH | NARROW) for k in (1, 2))
    assert np.max(np.abs(once - twice) / np.sqrt(twice)) > 0.3
    draws = {n: v.values[0, :3] for n, v in found["posterior"].data_vars.items()}
    seen, (kept,) = found["observed_data"]["counts"].values, found["log_likelihood"].values()
    mean = Spectrometer(Setup(), CHANNELS, 2).counts(draws)
    np.testing.assert_allclose(kept[0, :3], stats.poisson.logpmf(seen, mean), rtol=1e-6)


# --- surrogates -----------------------------------------------------------------------------------


def test_the_network_knows_spectra_that_it_has_not_seen(network):
    found = system.judged(SPECTROMETER, network, held_out=400, processes=0, settings=SHORT)
    (rms,) = found["rms"].sel(region="prior").values
    assert (rms < 0.15 * found["spread"].values).all()
    share = found["covered"].sel(surrogate="network", region="prior", level=0.95).values
    assert (share > 0.9).all()
    # One growth in all directions leaves tails, and 0.60 to 0.74 in the middle.
    middle = found["covered"].sel(surrogate="network", region="prior", level=0.5).values
    assert (np.abs(middle - 0.5) < 0.09).all()
    # What so short a training leaves has tails; the shipped one has none.
    assert p_values(network.posterior)["residual tails"] < 0.02
    beyond = found["rms"].sel(region="beyond the range").values[0]
    assert (beyond > 3 * rms).all()
    slow, fast = found["microseconds"].values
    assert slow > 3 * fast


@pytest.mark.slow
def test_the_same_seed_trains_the_same_network(network):
    again = system.train(SPECTROMETER, 1500, steps=400, settings=SHORT)
    np.testing.assert_array_equal(again.weight, network.weight)
    np.testing.assert_array_equal(
        again.posterior["posterior"]["beta"], network.posterior["posterior"]["beta"]
    )


def test_bands_of_the_last_layer_are_those_of_its_draws(network):
    z = np.random.default_rng(0).standard_normal((20, len(UNITS)))
    mean, variance = network.predict(z)
    draws = (
        network.posterior["posterior"].to_dataset().sel(output=["separation", "asymmetry", "dip"])
    )
    _, h2 = surrogate.LAYERS.hidden(z, network.weight)
    each = np.einsum("cdof,nf->cdno", draws["beta"].values, h2)
    each = each + draws["intercept"].values[:, :, None, :]
    np.testing.assert_allclose(mean, each.mean(axis=(0, 1)), rtol=1e-8, atol=1e-10)
    inputs = len(UNITS)
    growth = np.exp(2 * (z @ network.growth[:, :inputs].T + z**2 @ network.growth[:, inputs:].T))
    own = np.mean(draws["sigma"].values ** 2, axis=(0, 1)) * growth
    np.testing.assert_allclose(variance, each.var(axis=(0, 1)) + own, rtol=1e-6)


def test_features_say_what_all_channels_say_but_less(fit, by_features):
    assert check(by_features).believed, check(by_features).words
    for name in UNITS:
        one, two = (np.ravel(each["posterior"][name]) for each in (fit, by_features))
        assert abs(one.mean() - two.mean()) < 3 * two.std(), name
        assert two.std() > 0.75 * one.std(), name
    known = noted(by_features, "known")
    ratio = (known["sd"] / known["prior_sd"]).to_series()
    assert ratio["ion_flow"] > 0.8 and ratio["acoustic speed"] < 0.1
    assert ratio["T_i / m_i"] < 0.5 < ratio["ion_mass"]


def test_where_one_draw_has_all_weight_there_is_no_correlation_to_tell(fit):
    groups = {name: fit[name].to_dataset() for name in ("prior", "posterior")}
    groups["posterior"] = groups["posterior"].isel(chain=[0], draw=[5, 5])
    one = xr.DataTree.from_dict(groups | {"constant_data": xr.Dataset()})
    r = noted(with_knowledge(one, Setup()), "known")["r"]
    assert np.isnan(r.values).all()


def test_beyond_the_training_the_features_posterior_is_refused(network):
    hot = {"electron_temperature": 1500.0}
    data = system.simulate(hot, shift=CHANNELS)
    priors = {"electron_temperature": Normal(1500.0, 20.0)}
    try:
        found = system.fit_features(data, network, priors=priors, settings=SHORT)
    except (DataError, FitError):
        return
    failed = {c.name for c in check(found).checks if c.required and not c.passed}
    assert inverse.WITHIN.name in failed


def test_features_of_no_plasma_are_one_line(network):
    narrow = system.data.spectrum(CHANNELS, np.round(peaks(apart=0.3)), Setup())
    with pytest.raises(
        DataError, match="the separation of the peaks is that of no plasma"
    ) as caught:
        system.fit_features(narrow, network, settings=SHORT)
    assert "\n" not in str(caught.value)


def test_noise_has_no_features(network):
    flat = np.random.default_rng(0).poisson(50.0, len(CHANNELS))
    with pytest.raises(DataError, match="does not have two peaks"):
        system.fit_features(system.data.spectrum(CHANNELS, flat, Setup()), network, settings=SHORT)


# --- files ----------------------------------------------------------------------------------------


def written(tmp_path, x, counts, header="wavelength (nm),counts"):
    path = tmp_path / "spectrum.csv"
    rows = [
        f"{a!r},{b!r}"
        for a, b in zip(np.asarray(x).tolist(), np.asarray(counts).tolist(), strict=True)
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_wavelengths_shifts_and_angstroms_are_one_spectrum(tmp_path, data):
    counts = counts_of(data).astype(int)
    for x, header in (
        (CHANNELS, "shift (nm),counts"),
        (532 + CHANNELS, "wavelength (nm),counts"),
        (5320 + 10 * CHANNELS, "wavelength (Å),counts"),
    ):
        found = system.read(written(tmp_path, x, counts, header))
        np.testing.assert_allclose(shift_of(found), CHANNELS, atol=1e-9)
        np.testing.assert_array_equal(counts_of(found), counts)


def test_a_gain_turns_signal_into_photons(tmp_path, data):
    counts = counts_of(data)
    found = system.read(written(tmp_path, CHANNELS, 2.5 * counts), gain=2.5)
    np.testing.assert_array_equal(counts_of(found), counts)


@pytest.mark.parametrize(
    ("x", "counts", "header", "said"),
    [
        (CHANNELS, np.full(121, 3.5) + np.arange(121), "shift (nm),counts", "photons are counted"),
        (CHANNELS, np.arange(121) - 2, "shift (nm),counts", "photons are counted"),
        (
            694 + CHANNELS,
            np.arange(121),
            "wavelength (nm),counts",
            "neither wavelengths around 532",
        ),
        (CHANNELS, np.arange(121), "shift (eV),counts", "unit of x is no length"),
        (CHANNELS[:8], np.arange(8), "shift (nm),counts", "row"),
        (np.repeat(CHANNELS[:60], 2), np.arange(120), "shift (nm),counts", "the same wavelength"),
    ],
)
def test_what_is_no_spectrum_is_one_line(tmp_path, x, counts, header, said):
    with pytest.raises(DataError, match=said) as caught:
        system.read(written(tmp_path, x, counts, header))
    assert "\n" not in str(caught.value)


def test_priors_that_cannot_be_are_one_line(data):
    with pytest.raises(DataError, match="no such parameter"):
        system.problem(data, priors={"density": Normal(1.0, 1.0)})
    with pytest.raises(FitError, match="unknown method"):
        system.fit(data, method="magic", settings=SHORT)
    unstable = {"electron_drift": Uniform(9e3, 1e4)}
    with pytest.raises(FitError, match="stable plasma"):
        system.fit(data, priors=unstable, settings=SHORT)


def test_an_optimum_at_the_edge_of_what_is_stable_is_one_line(data, monkeypatch):
    """Counts that the model cannot make pull it to where differences leave the stable plasmas."""
    optimum = routes._optimum

    def at_the_edge(*given):
        best, root = optimum(*given)
        best[list(TRUTH).index("electron_drift")] = -7.4
        return best, np.full_like(root, np.nan)

    monkeypatch.setattr(routes, "_optimum", at_the_edge)
    with pytest.raises(FitError, match="cease to be stable, with electron_drift 7 standard"):
        system.fit(data)


def test_priors_are_said(fit):
    words = json.loads(fit.attrs["priors"])
    assert set(words) == {*model.PRIORS, "photons", "background"}
