"""Kuramoto oscillators: truth recovered, the path between instants, what data leave open, files."""

import numpy as np
import pytest

from bayesinf.checks import check
from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.models.linear.exact import Spectrum
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import kuramoto
from bayesinf.systems.kuramoto.classical import ranked
from bayesinf.systems.kuramoto.data import from_arrays, pairs
from bayesinf.systems.kuramoto.drift import Drift, Increments, Path
from bayesinf.systems.kuramoto.stating import network
from tests.unit import density

SETTINGS = Settings(draws=100, chains=4, prior_draws=20)


def phases(seed=1, oscillators=6, samples=400, **options):
    return kuramoto.simulate(oscillators, samples, rng=np.random.default_rng(seed), **options)


def test_velocities_are_sums_of_sines():
    rng = np.random.default_rng(2)
    theta, omega, K = rng.uniform(0, 6, 5), rng.normal(size=5), rng.normal(size=(5, 5))
    drift = Drift.of(omega, K * np.exp(-0.4j))
    by_hand = [
        omega[i] + sum(K[i, j] * np.sin(theta[j] - theta[i] - 0.4) for j in range(5) if j != i) / 5
        for i in range(5)
    ]
    np.testing.assert_allclose(drift.velocity(theta), by_hand, rtol=1e-12)


def test_the_path_is_of_fourth_order():
    drift = Drift.of(np.array([0.3, -0.2]), np.array([[0, 0.6], [0.6, 0]]) + 0j)
    start = np.array([[0.2, 1.0]])

    def after(theta, times):
        for time in times:
            theta = drift.moved(theta, np.array([[time]]))
        return theta

    fine = after(start, [1e-3] * 400)
    errors = [np.abs(after(start, times) - fine).max() for times in ([0.4], [0.2, 0.2])]
    assert errors[0] < 1e-5 and 10 < errors[0] / errors[1] < 30


def test_the_truth_is_recovered_where_the_forward_difference_is_not():
    data = phases()
    fit = kuramoto.fit(data, settings=SETTINGS)
    forward = kuramoto.fit(data, along_path=False, settings=SETTINGS)
    assert check(fit).believed
    assert not check(forward).believed
    found, truth = noted(fit, "network"), noted(data, "truth")
    inside = (found["K_low"] <= truth["K"].values) & (truth["K"].values <= found["K_high"])
    assert np.mean(inside) > 0.8
    alpha = found["alpha"].values
    assert abs(alpha.mean() - 0.3) < 4 * alpha.std() < 0.05


def test_a_truth_is_told_with_the_sign_of_the_fit():
    # (α + π, −K) is the same model as (α, K); a fit tells of couplings above zero on average.
    data = phases(couplings=np.full((6, 6), -0.1), lag=0.5, samples=150)
    fit = kuramoto.fit(data, "mean_field", settings=SETTINGS)
    truth, alpha = noted(fit, "couplings"), fit["posterior"]["alpha"].values
    np.testing.assert_allclose(truth["K"], 0.1)
    assert abs(np.cos(float(truth["alpha"]) - 0.5) + 1) < 1e-12
    assert abs(alpha.mean() - float(truth["alpha"])) < 4 * alpha.std() < 0.1
    assert noted(fit, "network")["K_mean"].values.min() > 0


@pytest.mark.parametrize(("prior", "lag"), [("normal", 0.3), ("spike_and_slab", None)])
def test_what_is_true_stands_beside_a_fit_of_every_kind(prior, lag):
    data = phases(samples=60, oscillators=4)
    fit = kuramoto.fit(data, prior, lag=lag, settings=Settings(draws=20, chains=2, prior_draws=5))
    assert ({"K"} if lag else {"sine", "cosine"}) <= {*noted(fit, "truth")}
    np.testing.assert_array_equal(noted(fit, "couplings")["K"], noted(data, "truth")["K"])
    assert abs(float(noted(fit, "network")["alpha"].mean()) - 0.3) < 0.05


@pytest.mark.slow
def test_one_lag_in_closed_form_is_that_of_nuts():
    # With noise of 0.05 one chain of NUTS in four rests where couplings have the other sign.
    data = phases(samples=40, oscillators=3, noise=0.02, couplings=np.full((3, 3), 0.3))
    settings = Settings(draws=1000, chains=4, tune=1000, prior_draws=20)
    exact, nuts = (
        kuramoto.fit(data, method=method, settings=settings)["posterior"]
        for method in (None, "nuts")
    )
    for name in ("alpha", "K", "omega", "sigma", "scale"):
        one, other = exact[name], nuts[name]
        both = ("chain", "draw")
        sd = other.std(both)
        assert np.all(np.abs(one.mean(both) - other.mean(both)) < 0.15 * sd), name
        assert np.all(np.abs(np.log(one.std(both) / sd)) < 0.15), name


def test_few_rows_are_as_good_as_all():
    data = phases(samples=60, step=0.4)
    problem = network(data, lag=0.3)
    rows = problem.data_rows
    scale, sigma = problem.regression.prior.scale, problem.regression.noise
    for target in (0, 3):
        sine, cosine = problem.path.features(target)
        X = sine * np.cos(0.3) - cosine * np.sin(0.3)
        one = linear.regression(
            X,
            rows.velocity[:, target],
            linear.Gaussian(scale),
            unshrunk={"omega": (np.ones(len(X)), problem.regression.unshrunk["omega"][1])},
            scales=1.0,
            noise=sigma,
            error=1 / np.sqrt(rows.interval),
        )
        design = problem.regression.designs[target]
        assert len(design.t) == 6 and design.count == len(X)
        for log_rho, noise in ((1.0, 1e-3), (9.0, 3e-4)):
            few, every = (
                Spectrum.of(d).products(np.array([log_rho])).log_density(np.array([noise]), d.count)
                + d.total_log_jacobian
                for d in (design, one.design)
            )
            np.testing.assert_allclose(few, every, rtol=1e-9)


@pytest.mark.parametrize("prior", ["normal", "mean_field"])
@pytest.mark.parametrize("lag", [None, 0.2])
def test_densities_are_those_of_the_model(prior, lag):
    problem = network(phases(samples=30, oscillators=3, step=0.4), prior, lag=lag)
    # PyMC's couplings are free in units of their scale, which its density counts.
    (free,) = {v.name for v in problem.pymc().free_RVs} - {"omega", "sigma", "scale", "alpha"}
    count = problem.regression.weights * problem.count

    def values(one):
        return {**one, free: problem.inner(one)["coupling"] / one["scale"]}

    def stretched(one):
        return count * np.log(one["scale"])

    density.holds(problem, values=values, extra=stretched)


def test_means_along_the_path_are_the_regressions():
    problem = network(phases(samples=40))
    draws = problem.sample_prior(np.random.default_rng(1), 2)
    inner = problem.inner(draws)["coupling"]
    for target in range(problem.count):
        sine, cosine = problem.path.features(target)
        columns = sine * np.cos(draws["alpha"][1]) - cosine * np.sin(draws["alpha"][1])
        own = columns @ inner[1, target] + draws["omega"][1, target]
        rows = len(sine)
        whole = problem.mean(draws)[1, target * rows : (target + 1) * rows]
        np.testing.assert_allclose(whole, own, rtol=1e-9)


@pytest.mark.slow
def test_synchrony_leaves_couplings_open():
    data = phases(oscillators=5, samples=300, spread=0.01, couplings=np.ones((5, 5)))
    apart = kuramoto.fit(phases(oscillators=5, samples=300), settings=SETTINGS)
    still = data.isel(step=slice(100, None)).assign(length=("run", [200]))
    together = kuramoto.fit(still, settings=SETTINGS)
    shares = [float(noted(fit, "network")["decided"].mean()) for fit in (apart, together)]
    assert shares[0] > 0.99 > 0.9 > shares[1]
    told = kuramoto.with_classical({"normal": together}, still)
    story = kuramoto.story(told)
    assert "order parameter" in " ".join(story.extra[0].paragraphs)


def test_runs_are_not_joined():
    data = phases(runs=2, samples=50)
    rows = Increments.of(data)
    assert rows.shape == (98, 6) and set(rows.run) == {0, 1}
    assert np.abs(rows.velocity).max() < 3


def test_the_mean_field_is_preferred_where_it_is_true():
    data = phases(couplings=np.full((6, 6), 0.1), samples=150, noise=3e-3)
    fits = {n: kuramoto.fit(data, n, settings=SETTINGS) for n in ("normal", "mean_field")}
    assert kuramoto.best(fits) == "mean_field"


def test_a_table_wrapped_or_not_gives_the_same(tmp_path):
    data = phases(samples=120, oscillators=3)
    theta = data["phase"].values[0]
    for name, values in (
        ("wrapped", theta % (2 * np.pi)),
        ("plain", theta),
        ("deg", np.degrees(theta)),
    ):
        unit = " (deg)" if name == "deg" else ""
        header = "time," + ",".join(f"{letter}{unit}" for letter in "abc")
        table = np.column_stack([data["time"].values[0], values])
        np.savetxt(
            tmp_path / f"{name}.csv", table, delimiter=",", header=header, comments="", fmt="%.10g"
        )
    read = [kuramoto.read(tmp_path / f"{name}.csv") for name in ("wrapped", "plain", "deg")]
    increments = [np.diff(one["phase"].values, axis=1) for one in read]
    np.testing.assert_allclose(increments[0], np.diff(theta, axis=0)[np.newaxis], atol=1e-6)
    np.testing.assert_allclose(increments[1], increments[0], atol=1e-6)
    np.testing.assert_allclose(increments[2], increments[0], atol=1e-6)
    assert list(read[0]["oscillator"].values) == ["a", "b", "c"]


def test_units_are_those_of_the_times(tmp_path):
    data = phases(samples=60, oscillators=3)
    table = np.column_stack([data["time"].values[0], data["phase"].values[0]])
    np.savetxt(tmp_path / "p.csv", table, delimiter=",", header="time (s),a,b,c", comments="")
    read = kuramoto.read(tmp_path / "p.csv")
    fit = kuramoto.fit(read, lag=0.3, settings=SETTINGS)
    units = {name: fit["posterior"][name].units for name in ("K", "omega", "scale", "sigma")}
    assert units == dict.fromkeys(("K", "omega", "scale"), "rad/s") | {"sigma": "rad/√s"}
    assert (
        noted(fit, "network")["K_mean"].units == fit["observed_data"]["velocity"].units == "rad/s"
    )
    assert kuramoto.classical(read)["sine"].units == "rad/s"


def test_signals_become_phases(tmp_path):
    data = phases(samples=400, oscillators=3, step=0.25)
    table = np.column_stack([data["time"].values[0], 2 + np.cos(data["phase"].values[0])])
    np.savetxt(tmp_path / "s.csv", table, delimiter=",", header="t,a,b,c", comments="")
    read = kuramoto.read(tmp_path / "s.csv", signal=True)
    rate = np.diff(read["phase"].values[0], axis=0).mean(axis=0)
    np.testing.assert_allclose(
        rate, np.diff(data["phase"].values[0], axis=0).mean(axis=0), rtol=0.02
    )


WAVY = 0.3 * np.arange(20.0) + 0.2 * np.sin(np.arange(20.0))


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"a": np.arange(20.0)}, "too few oscillators"),
        ({"a": 2.9 * np.arange(20.0) % (2 * np.pi), "b": np.arange(20.0)}, "half a turn"),
        ({"a": 40 * np.arange(20.0) % 360 - 180, "b": np.arange(20.0)}, "anew at 360 are degrees"),
        ({"a": np.arange(20.0), "b": 0.13 * np.arange(20.0) % 1}, "oscillator b: .* are turns"),
        ({"a": WAVY, "b": 0.5 * np.arange(20.0)}, "column b: a phase moves evenly"),
        ({"a": WAVY, "b": np.full(20, 2.0)}, "column b: a phase moves evenly"),
        ({"a": WAVY, "b": WAVY**1.1, "c": WAVY}, "columns a and c: two phases move alike"),
    ],
)
def test_what_cannot_be_fitted_is_refused(tmp_path, columns, word):
    names = ["time", *columns]
    table = np.column_stack([np.arange(20.0), *columns.values()])
    np.savetxt(tmp_path / "p.csv", table, delimiter=",", header=",".join(names), comments="")
    with pytest.raises(DataError, match=word):
        kuramoto.read(tmp_path / "p.csv")


def test_a_chimera_rests_where_it_should():
    # Of infinitely many the order parameter of the one that is apart is 0.7291 (their equation 12,
    # integrated with r = 1 of the other).
    order = kuramoto.chimera(1024, 200.0)["order"].values[:, -100:]
    assert order[0].min() > 0.999
    assert abs(order[1].mean() - 0.7291) < 0.02


def test_the_area_under_a_roc_curve():
    positive = np.array([True, True, False, False])
    assert ranked(np.array([4.0, 3, 2, 1]), positive) == 1.0
    assert ranked(np.array([1.0, 4, 2, 3]), positive) == 0.5
    assert ranked(np.ones(4), positive) == 0.5


def test_pairs_go_target_by_target():
    np.testing.assert_array_equal(pairs(np.arange(9).reshape(3, 3)), [1, 2, 3, 5, 6, 7])
    assert Path.of(Increments.of(phases(samples=20)), None).turned.shape == (1, 19, 6)


def test_nothing_is_taken_from_a_gap_in_the_times():
    """Of a run with a gap all intervals but that one are those of the whole run."""
    whole = phases(oscillators=4, samples=60)
    t, theta = whole["time"].values[0], whole["phase"].values[0]
    held, rows = np.r_[0:25, 40:60], np.r_[0:24, 40:59]
    one = Increments.of(from_arrays(t[None, held], theta[None, held]))
    every = Increments.of(whole)
    assert one.gaps == 1 and every.gaps == 0
    for name in ("theta", "interval", "velocity", "time"):
        np.testing.assert_array_equal(getattr(one, name), getattr(every, name)[rows])
    # An uneven interval that is no gap is damped as long as it lasts.
    held = np.flatnonzero(np.arange(60) % 3)
    uneven = Increments.of(from_arrays(t[None, held], theta[None, held]))
    size = np.abs(Path.of(uneven, Drift.of(np.zeros(4), np.zeros((4, 4)), 0.5)).turned)
    last = np.exp(-0.5 * 0.25 * (1 + 0.6**0.5) / 2 * uneven.interval)
    assert uneven.gaps == 0 and np.ptp(last) > 0
    np.testing.assert_allclose(size[-1], last[:, None] * np.ones(4), rtol=1e-12)
