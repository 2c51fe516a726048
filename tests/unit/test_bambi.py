"""Models that bambi states go through fit, checks and report; so does what it samples itself."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesinf
from bayesinf.settings import Settings

# Of pandas, on what bambi asks of it while it is imported or states a model.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

bambi = pytest.importorskip("bambi", reason="bambi is not installed", exc_type=ImportError)

SETTINGS = Settings(draws=500, tune=500, chains=4, prior_draws=100)
X = np.linspace(-1, 2, 30)
Y = 0.5 + 1.5 * X + 0.3 * np.random.default_rng(7).normal(size=30)
DESIGN = np.column_stack([np.ones(30), X])
COVARIANCE = np.linalg.inv(DESIGN.T @ DESIGN / 0.3**2 + np.eye(2) / 2**2)
MEAN = COVARIANCE @ DESIGN.T @ Y / 0.3**2


def model():
    normal = bambi.Prior("Normal", mu=0, sigma=2)
    return bambi.Model(
        "y ~ x",
        pd.DataFrame({"x": X, "y": Y}),
        priors={"Intercept": normal, "x": normal, "sigma": 0.3},
        center_predictors=False,
    )


@pytest.fixture(scope="module")
def fitted():
    return bayesinf.fit(model(), settings=SETTINGS, units={"y": "V"})


def test_a_bambi_model_is_fitted_to_its_closed_form(fitted):
    verdict = bayesinf.check(fitted)
    assert verdict.believed and not verdict.unasked, verdict.words
    for name, mean, sd in zip(["Intercept", "x"], MEAN, np.sqrt(np.diag(COVARIANCE)), strict=True):
        draws = fitted["posterior"][name].values
        assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(400)
        assert draws.std() == pytest.approx(sd, rel=0.15)
    line = fitted["posterior"]["mu"].values
    np.testing.assert_allclose(
        fitted["log_likelihood"]["y"], stats.norm.logpdf(Y, line, 0.3), atol=1e-12
    )
    assert fitted.attrs["model"] == "y ~ x"


@pytest.mark.usefixtures("undrawn")
def test_its_report_leaves_out_the_mean_of_each_observation(fitted, tmp_path):
    text = bayesinf.write_report(fitted, tmp_path, question="How steep?").read_text()
    assert "How steep?" in text and "Believed" in text
    summary = (tmp_path / "summary.csv").read_text()
    assert "Intercept" in summary and "mu[" not in summary


def test_what_bambi_samples_itself_is_checked_and_told(tmp_path):
    stated = model()
    own = stated.fit(draws=500, tune=500, chains=4, cores=1, random_seed=1, progressbar=False)
    assert "predictive check" in bayesinf.check(own).unasked
    stated.predict(own, kind="response")
    verdict = bayesinf.check(own)
    assert verdict.believed and verdict.inference == "nuts", verdict.words
    assert set(verdict.unasked) == {"leave-one-out", "prior sensitivity"}
    assert "Believed" in bayesinf.write_report(own, tmp_path).read_text()
