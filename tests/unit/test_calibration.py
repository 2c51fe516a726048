import importlib.util
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
import xarray as xr
from scipy import stats
from straight_line import StraightLine

from bayesinf import calibration
from bayesinf.calibration import Machine, calibrate, summary, verdict
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import SAMPLE_DIMS, dataset
from bayesinf.settings import Settings

SETTINGS = Settings(draws=100, chains=2)
POINTS = 5


def inference(draws, y, mean):
    """As much of an InferenceData as calibration reads."""
    log_likelihood = stats.norm.logpdf(y, mean[..., np.newaxis], 1)
    groups = {
        "posterior": {name: (SAMPLE_DIMS, values) for name, values in draws.items()},
        "log_likelihood": {"y": ((*SAMPLE_DIMS, "point"), log_likelihood)},
    }
    return xr.DataTree.from_dict({name: xr.Dataset(group) for name, group in groups.items()})


def draw_mean(rng):
    """mu ~ N(0, 1), y ~ N(mu, 1)."""
    mu = rng.normal()
    return {"mu": np.array(mu)}, xr.Dataset({"y": ("point", mu + rng.normal(size=POINTS))})


def fit_mean(data, settings, scale=1.0, shift=0.0, points=POINTS):
    """Independent draws of the posterior, which is known in closed form."""
    y = data["y"].to_numpy()
    z = settings.generator("draws").normal(size=(settings.chains, settings.draws))
    sd = 1 / np.sqrt(1 + points)
    mu = y[:points].sum() / (1 + points) + sd * (scale * z + shift)
    return inference({"mu": mu}, y, mu)


def log_likelihood(truth, data):
    return stats.norm.logpdf(data["y"].to_numpy(), truth["mu"], 1).sum()


def draw_spike(rng):
    """beta = 0 with probability 0.8, else N(0, 2²); three of them, y ~ N(beta, 1)."""
    included = rng.random(3) < 0.2
    beta = included * rng.normal(0, 2, 3)
    data = xr.Dataset({"y": ("pair", beta + rng.normal(size=3))})
    return {"beta": beta, "included": included, "any": np.array(included.any())}, data


def fit_spike(data, settings, rate=0.2):
    rng = settings.generator("draws")
    y = data["y"].to_numpy()
    slab, spike = rate * stats.norm.pdf(y, 0, np.sqrt(5)), (1 - rate) * stats.norm.pdf(y)
    shape = (settings.chains, settings.draws, 3)
    included = rng.random(shape) < slab / (slab + spike)
    beta = included * (0.8 * y + np.sqrt(0.8) * rng.normal(size=shape))
    draws = {"beta": beta, "included": included, "any": included.any(axis=2)}
    group = dataset(
        draws,
        {"beta": ("pair",), "included": ("pair",)},
        {"i": ("pair", [0, 0, 1]), "j": ("pair", [1, 2, 2])},
    )
    return xr.DataTree.from_dict({"posterior": group})


MEAN = Machine("mean", draw_mean, fit_mean, SETTINGS, log_likelihood)
SPIKE = Machine("spike", draw_spike, fit_spike, SETTINGS)


def run(problem, replications=200, **options):
    return calibrate(problem, replications, workers=1, **options)


def changed(**options):
    return replace(MEAN, fit=partial(fit_mean, **options))


@pytest.fixture(scope="module")
def spike():
    return run(SPIKE, 200)


def test_an_exact_posterior_is_calibrated():
    result = run(MEAN)
    table = summary(result)
    assert list(table.index) == ["mu", "log_likelihood"]
    assert table["passed"].all() and (table["finding"] == "calibrated").all()
    assert table.loc["mu", "replications"] == 200
    for level in (50, 80, 95):
        low, high = stats.binom.ppf([0.0001, 0.9999], 200, level / 100) / 200
        assert low <= table.loc["mu", f"coverage_{level}"] <= high
    said = verdict(result)
    assert said["believed"] and said["words"].startswith("Calibrated: over 200 simulated data sets")


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"scale": 0.7}, "too narrow"),
        ({"scale": 1.5}, "too wide"),
        ({"shift": 0.5}, "too high"),
        ({"shift": -0.5}, "too low"),
    ],
)
def test_a_wrong_posterior_fails_and_is_described(options, finding):
    result = run(changed(**options))
    table = summary(result)
    assert not table.loc["mu", "passed"] and table.loc["mu", "finding"] == finding
    said = verdict(result)
    assert not said["believed"]
    assert said["words"].startswith(f"Not calibrated: mu is {finding} (p = ")


def test_coverage_of_an_overconfident_posterior_is_known():
    covered = summary(run(changed(scale=0.7), 400)).loc["mu"]
    for level in (0.5, 0.8, 0.95):
        exact = 2 * stats.norm.cdf(0.7 * stats.norm.isf((1 - level) / 2)) - 1
        noise = np.sqrt(exact * (1 - exact) / 400)
        assert covered[f"coverage_{round(100 * level)}"] == pytest.approx(exact, abs=4 * noise)


def test_a_posterior_that_ignores_data_is_found_by_the_likelihood_alone():
    table = summary(run(changed(points=0)))  # the prior in place of the posterior
    assert table.loc["mu", "passed"]
    assert not table.loc["log_likelihood", "passed"]


def test_correlated_draws_are_thinned_before_they_are_ranked(monkeypatch):
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 2, 100))
    for t in range(1, 100):
        draws[..., t] = 0.9 * draws[..., t - 1] + np.sqrt(1 - 0.9**2) * draws[..., t]
    truth = rng.normal(size=4000)
    covered = lambda: np.mean(np.abs(calibration._rank(draws, truth, rng) - 0.5) < 0.475)
    assert covered() == pytest.approx(0.95, abs=0.015)
    endless = lambda x: np.full((3, len(x)), np.inf)
    monkeypatch.setattr(calibration.diagnostics, "tie_weighted_mixing", endless)
    assert covered() < 0.93  # as many ranks as draws, far fewer of them independent


def test_atoms_are_ranked_at_random_among_their_ties(spike):
    table = summary(spike)
    assert list(table["elements"]) == [3, 3, 1] and table["passed"].all()
    assert list(spike["beta"].coords) == ["i", "j"]


def test_atoms_that_were_not_ranked_at_random_would_be_found(monkeypatch):
    class Lowest:
        def __init__(self, rng):
            self.rng = rng

        def integers(self, low, high):
            return np.zeros_like(high)

        def random(self, size):
            return self.rng.random(size)

    rank = calibration._rank
    monkeypatch.setattr(
        calibration, "_rank", lambda draws, truth, rng: rank(draws, truth, Lowest(rng))
    )
    assert not summary(run(SPIKE, 100))["passed"].any()


def test_a_wrong_inclusion_rate_is_found():
    assert not summary(run(replace(SPIKE, fit=partial(fit_spike, rate=0.6)), 200))["passed"].all()


def test_the_result_does_not_depend_on_the_workers():
    one, two = run(SPIKE, 10, seed=7), calibrate(SPIKE, 10, seed=7, workers=2)
    xr.testing.assert_identical(one, two)
    more = run(SPIKE, 12, seed=7)
    xr.testing.assert_equal(one["beta"], more["beta"][:10])
    assert not one["beta"].equals(run(SPIKE, 10, seed=8)["beta"])


def fit_or_fail(data, settings, share=1.0):
    if settings.generator("luck").random() < share:
        raise FitError("the optimiser\ngave up")
    return fit_mean(data, settings)


def test_failed_fits_are_counted_and_said():
    result = run(replace(MEAN, fit=partial(fit_or_fail, share=0.1)), 100)
    failed = result["error"].to_numpy() != ""
    assert 0 < failed.sum() < 30
    np.testing.assert_array_equal(np.isnan(result["mu"]), failed)
    assert summary(result).loc["mu", "replications"] == 100 - failed.sum()
    said = verdict(result)
    assert not said["believed"] and said["failed"] == failed.sum()
    assert f"{failed.sum()} of 100 fits failed" in said["words"]
    assert said["words"].endswith("the first with FitError: the optimiser gave up.")
    with pytest.raises(
        FitError, match="all 10 fits failed; the first: FitError: the optimiser gave"
    ):
        run(replace(MEAN, fit=fit_or_fail), 10)


def simulate_unknown(rng):
    truth, data = draw_mean(rng)
    return {"nu": truth["mu"]}, data


def test_few_replications_tell_a_gross_fault_and_no_more():
    said = verdict(run(MEAN, 40))
    assert not said["believed"] and said["replications"] == 40
    assert said["words"].startswith("Too few to tell: 40 simulated data sets show no fault")
    assert verdict(run(MEAN, 100))["believed"]
    assert verdict(run(changed(shift=2.0), 40))["words"].startswith(
        "Not calibrated: mu is too high"
    )


def test_misuse_is_a_clear_error():
    with pytest.raises(DataError, match="too few replications; expected at least 10, found 9"):
        run(MEAN, 9)
    with pytest.raises(DataError, match=r"mean: .*expected the variables nu, found no nu"):
        run(replace(MEAN, simulate=simulate_unknown), 10)


def test_the_tests_reject_uniform_ranks_as_rarely_as_they_say():
    rng = np.random.default_rng(1)
    for width in (1, 30):
        rejected = 0
        for _ in range(300):
            found = calibration._tests(rng.random((60, width)))
            rejected += len(found) * min(found.values()) < 0.05
        assert rejected <= 27  # 5 % of 300 is 15; more than 27 has probability 0.002


def test_dependent_elements_do_not_feign_certainty():
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(200):  # thirty copies of the same rank
        u = np.repeat(rng.random((60, 1)), 30, axis=1)
        result = xr.Dataset({"x": (("replication", "e"), u), "error": ("replication", [""] * 60)})
        rejected += not summary(result)["passed"].item()
    assert rejected <= 8


def test_one_wrong_element_among_many_is_found():
    u = np.random.default_rng(3).random((200, 100))
    u[:, 41] = stats.beta(0.5, 0.5).ppf(u[:, 41])
    result = xr.Dataset({"x": (("replication", "e"), u), "error": ("replication", [""] * 200)})
    assert not summary(result)["passed"].item()


def test_the_simultaneous_band_holds_what_it_says():
    samples = np.random.default_rng(4).random((4000, 50))
    grid, low, high = calibration._band(50, 0.05)
    ecdf = np.mean(samples[:, np.newaxis, :] <= grid[:, np.newaxis], axis=2)
    inside = np.all((low - 1e-9 <= ecdf) & (ecdf <= high + 1e-9), axis=1)
    assert inside.mean() == pytest.approx(0.95, abs=0.02)


def test_what_is_written_tells_it_all(spike, tmp_path):
    result = spike
    page = calibration.write(
        tmp_path / "calibrate_spike", result, command="python calibrate.py spike"
    )
    folder = page.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "calibration.nc",
        "figures",
        "index.html",
        "summary.csv",
        "verdict.json",
    ]
    with xr.open_dataset(folder / "calibration.nc", engine="h5netcdf") as again:
        xr.testing.assert_equal(again[["beta", "included"]], result[["beta", "included"]])
        assert again.attrs["problem"] == "spike" and again["beta"].units == "1"
    said = json.loads((folder / "verdict.json").read_text())
    assert said["believed"] and said["words"] == verdict(result)["words"]
    text = page.read_text()
    assert "Calibration of spike" in text and "beta" in text and "python calibrate.py spike" in text
    from bayesinf.report import gallery

    assert "Calibration of spike" in gallery(tmp_path).read_text()


@pytest.fixture
def script():
    path = Path(__file__).parents[2] / "workflows" / "calibrate.py"
    spec = importlib.util.spec_from_file_location("calibrate_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_lists_the_systems_that_there_are(script):
    with pytest.raises(DataError, match=r"expected one of .*, found atlantis"):
        script.systems("atlantis")
    for name, make in script.systems().items():
        assert isinstance(make(), Machine), name


def test_an_unknown_variant_is_a_clear_error_in_every_system(script):
    for make in script.systems().values():
        with pytest.raises(DataError, match=r"variant; expected .*, found foo"):
            make("foo")


QUICK = SETTINGS.replace(prior_draws=4)
LINE = StraightLine(np.linspace(0, 1, 12), np.zeros(12), noise=0.8)


def test_any_problem_can_be_calibrated():
    machine = calibration.of(LINE, name="line", method="exact", settings=QUICK)
    result = run(machine, 60)
    table = summary(result)
    assert list(table.index) == ["slope", "offset", "log_likelihood"]
    assert table["passed"].all() and not result["error"].to_numpy().any()
    wrong = replace(machine, fit=partial(fit_wrong_line, machine))
    assert not summary(run(wrong, 60)).loc["slope", "passed"]


def fit_wrong_line(machine, data, settings):
    """Half of the data are not looked at, but at zero."""
    return machine.fit({"y": np.where(LINE.x < 0.5, data["y"], 0.0)}, settings)


def test_the_band_is_wider_where_elements_depend_on_each_other():
    u = np.random.default_rng(5).random((200, 30))
    copies = np.repeat(u[:, :1], 30, axis=1)
    for level in (0.5, 0.8, 0.95):
        low, high = calibration._coverage_band(u, level, 0.01)
        # As many cases as elements, wider by what is not known of their dependence: 1 + √(8/200).
        sd = np.sqrt(1.2 * level * (1 - level) / u.size)
        assert high - low == pytest.approx(2 * 2.576 * sd, rel=0.06)
        low, high = calibration._coverage_band(copies, level, 0.01)
        # Thirty copies are one case each replication.
        one = np.sqrt(level * (1 - level) / len(u))
        assert high - low == pytest.approx(2 * 2.576 * one, rel=0.15)


@pytest.mark.parametrize(("options", "status"), [({}, 0), ({"scale": 0.3}, 3)])
def test_the_script_takes_every_system_in_turn_and_says_whether_to_believe_it(
    script, monkeypatch, tmp_path, capsys, options, status
):
    problems = {"crooked": lambda variant: changed(**options), "mean": lambda variant: MEAN}
    monkeypatch.setattr(script, "systems", lambda name: problems)
    with pytest.raises(typer.Exit) as finish:
        script.main(output=tmp_path, replications=100)
    assert finish.value.exit_code == status
    said = capsys.readouterr().out
    assert said.count("Calibration of mean") == 2
    assert ("Not calibrated: mu is too narrow" in said) is bool(status)
    for name in problems:
        folder = tmp_path / f"calibrate_{name}"
        assert {
            "calibration.nc",
            "figures",
            "summary.csv",
            "verdict.json",
            "index.html",
        } <= {path.name for path in folder.iterdir()}
    believed = json.loads((tmp_path / "calibrate_crooked" / "verdict.json").read_text())["believed"]
    assert believed is (status == 0)
